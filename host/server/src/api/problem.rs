//! Problem documents (RFC 9457): one form for every HTTP response that is not a success.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use airlock_types::code::Code;
use airlock_types::hold::HeldAt;
use airlock_types::reply::Reply;
use airlock_types::shorten::clean_lines;

/// A problem document. `reply` has the envelope if the request became a call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// `urn:airlock:` followed by the outcome code of a call, or by the kind of an error before a call.
    r#type: String,
    /// The kind in words, as RFC 9457 recommends for human readers.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and how to proceed.
    detail: String,
    /// Delay in milliseconds before a retry can succeed, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The envelope of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Box<Reply>>,
    /// The hold that a call still waits in, when its reply was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HeldAt>,
}

impl Problem {
    /// A problem of a request that did not become a call.
    pub(crate) fn new(status: StatusCode, kind: &str, detail: &str) -> Problem {
        Problem {
            r#type: format!("urn:airlock:{kind}"),
            title: kind.replace(['-', '.'], " "),
            status: status.as_u16(),
            // A detail can quote the client, so hidden characters are removed.
            detail: clean_lines(detail),
            retry_after_ms: None,
            reply: None,
            hold: None,
        }
    }

    /// The answer to a request for the reply of a call that still waits for a person.
    pub(crate) fn waiting(hold: HeldAt) -> Problem {
        let facts = Code::PolicyHeld.facts();
        let status = StatusCode::from_u16(facts.http).unwrap_or(StatusCode::ACCEPTED);
        let detail = "a person has not decided yet; ask again here until `hold.expires_unix_ms`";
        Problem { hold: Some(hold), ..Problem::new(status, facts.code, detail) }
    }

    /// The problem document of a failed call.
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

/// Converts a problem to a response. `Retry-After` repeats its delay for clients that read headers only.
pub(crate) fn response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The type serializes strings and numbers only, so this cannot fail.
    let body = serde_json::to_string(problem).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if let Some(ms) = problem.retry_after_ms {
        // Rounded up to whole seconds, the unit of the header: an earlier retry would be rejected again.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    response
}

/// The 403 response: a caller without a permission, or a web page of an origin that is not allowed.
pub(crate) fn forbidden(detail: &str) -> Response {
    response(&Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
}
