//! Problem documents (RFC 9457): one form for everything that is no answer.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use airlock_types::reply::Reply;
use airlock_types::shorten::clean_lines;

/// A problem document. The envelope of a call that came so far is in `reply`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// `urn:airlock:` and the outcome code, or the kind of fault before any call.
    r#type: String,
    /// The kind again, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and how to proceed.
    detail: String,
    /// When to try again, in milliseconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The envelope of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    reply: Option<Box<Reply>>,
}

impl Problem {
    /// A problem before there is a call.
    pub(crate) fn new(status: StatusCode, kind: &str, detail: &str) -> Problem {
        Problem {
            r#type: format!("urn:airlock:{kind}"),
            title: kind.replace(['-', '.'], " "),
            status: status.as_u16(),
            detail: clean_lines(detail),
            retry_after_ms: None,
            reply: None,
        }
    }

    /// The problem that a reply is.
    pub(crate) fn of(reply: &Reply) -> Problem {
        let facts = reply.code.facts();
        let detail = reply.error.as_ref().map_or(facts.code, |error| error.message.as_str());
        let status = StatusCode::from_u16(facts.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Problem {
            retry_after_ms: reply.error.as_ref().and_then(|error| error.retry_after_ms),
            reply: Some(Box::new(reply.clone())),
            ..Problem::new(status, facts.code, detail)
        }
    }

    pub(crate) fn retry_after_ms(self, retry_after_ms: Option<u64>) -> Problem {
        Problem { retry_after_ms, ..self }
    }
}

/// A problem as a response.
pub(crate) fn response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_string(problem).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if let Some(ms) = problem.retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    response
}

/// 403 for a caller, or for a page that may not ask.
pub(crate) fn forbidden(detail: &str) -> Response {
    response(&Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
}
