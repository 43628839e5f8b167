//! Bodies: whole and within their bounds before anybody works on them, so that a half-sent one holds no worker.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::Door;
use crate::api::problem::{self, Problem};

pub(super) async fn read(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let http = door.host.http();
    let (parts, body) = request.into_parts();
    let whole = Limited::new(body, http.body_bytes_max).collect();
    match tokio::time::timeout(Duration::from_millis(http.read_deadline_ms), whole).await {
        Ok(Ok(whole)) => next.run(Request::from_parts(parts, Body::from(whole.to_bytes()))).await,
        Ok(Err(err)) if err.is::<LengthLimitError>() => {
            let detail = format!("the body is larger than {} bytes; send less", http.body_bytes_max);
            problem::response(&Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", &detail))
        }
        Ok(Err(_)) => {
            let detail = "the body broke off before it was whole";
            problem::response(&Problem::new(StatusCode::BAD_REQUEST, "body-broken", detail))
        }
        Err(_) => {
            let detail = format!("the body was not whole within {} ms", http.read_deadline_ms);
            problem::response(&Problem::new(StatusCode::REQUEST_TIMEOUT, "body-late", &detail))
        }
    }
}
