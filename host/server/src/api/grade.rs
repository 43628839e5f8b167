//! `POST /v1/calls/{id}/grade`: whether an answer was right, from a program.
//!
//! Owns the body and the status codes. Must not know who may grade: the host does.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::is_json;
use super::named::Named;
use super::problem::{self, Problem};
use airlock::host::{GradeError, Host};
use airlock_journal::JournalError;
use airlock_journal::grade::{Grade, Graded};
use airlock_types::caller::Caller;
use airlock_types::environment::ms;

/// What a caller says of an answer. Who says so is the caller of the request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    grade: Grade,
    #[serde(default)]
    note: Option<String>,
}

/// The body as a JSON schema, for the OpenAPI document.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "grade": {"enum": Grade::ALL.map(Grade::as_str), "description": "Whether the answer was right"},
            "note": {"type": "string", "minLength": 1, "maxLength": Graded::NOTE_CHARS_MAX, "description": "Why"},
        },
        "required": ["grade"],
        "additionalProperties": false,
    })
}

/// Grades a call: 204, or a problem document.
pub(super) async fn grade(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(call): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_json(&headers) {
        let detail = "send the grade as a JSON object, with `Content-Type: application/json`";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail);
    }
    let now_unix_ms = ms(host.environment().wall());
    let read = serde_json::from_slice(&body).map_err(|err| err.to_string());
    let graded = read
        .and_then(|body: Body| Graded::new(body.grade, &who.to_string(), body.note.as_deref(), now_unix_ms));
    let graded = match graded {
        Ok(graded) => graded,
        Err(why) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "grade", &why),
    };
    // The journal waits for the disk.
    match tokio::task::spawn_blocking(move || host.grade(&who, &call, &graded)).await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(err)) => refused(status(&err), "grade", &err.to_string()),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "grade", "the grade was not stored"),
    }
}

fn status(err: &GradeError) -> StatusCode {
    match err {
        GradeError::Forbidden => StatusCode::FORBIDDEN,
        GradeError::Unknown => StatusCode::NOT_FOUND,
        // The call has all the grades that it can have, or was erased and takes no note.
        GradeError::Journal(JournalError::Graded(_) | JournalError::Noted(_)) => StatusCode::CONFLICT,
        GradeError::Journal(_) | _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(status: StatusCode, kind: &str, detail: &str) -> Response {
    problem::response(&Problem::new(status, kind, detail))
}
