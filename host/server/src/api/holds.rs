//! `/v1/holds`: calls that wait for a person. Approvers see and decide them; the caller of one fetches its reply.
//!
//! Owns queries, bodies and status codes. Must not know who may decide what: the host does. To add a decision: a handler, its line
//! in `router`, and its entry in `openapi/holds.rs`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::named::Named;
use super::problem::{self, Problem};
use super::{answer, is_json, no_such_path};
use airlock::caller::ApproveAccess;
use airlock::host::{Held, HoldError, Host};
use airlock_contract::arguments::{self, ArgumentLimits};
use airlock_types::caller::Caller;
use airlock_types::hold::{Approver, HOLD_ID_CHARS, Hold, HoldDecision, NOTE_CHARS_MAX};

/// Longest time in seconds that a request for a reply waits. Some proxies give up after 30.
pub(super) const WAIT_S_MAX: u64 = 20;

/// Most holds of a list.
const LIST_MAX: usize = 100;

/// Bytes of arguments after which a list ends: those of one call can be a megabyte.
const LIST_BYTES_MAX: usize = 4 << 20;

/// Lists holds, the newest first: those that are open, or all.
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    uri: Uri,
) -> Response {
    let all = match parameter(&uri, "all") {
        Ok(None) => false,
        Ok(Some(word)) if ["true", "false"].contains(&&*word) => word == "true",
        Ok(Some(_)) | Err(()) => return bad_query("the query is `all=true`, or there is none"),
    };
    if let Some(forbidden) = not_an_approver(&host, &who) {
        return forbidden;
    }
    match host.holds(!all, LIST_MAX + 1).await {
        Ok(holds) => {
            let holds = holds.into_iter().map(|hold| shown(hold, &who)).collect();
            Json(page(holds)).into_response()
        }
        Err(err) => refused(&err),
    }
}

/// The first holds of a list, and whether there are more.
fn page(mut holds: Vec<Hold>) -> Value {
    let bytes = |hold: &Hold| hold.arguments.as_ref().map_or(0, |arguments| arguments.to_string().len());
    let before = holds.iter().scan(0, |sum, hold| Some(std::mem::replace(sum, *sum + bytes(hold))));
    let shown = before.take(LIST_MAX).take_while(|before| *before < LIST_BYTES_MAX).count();
    let more = holds.len() > shown;
    holds.truncate(shown);
    json!({ "holds": holds, "more": more })
}

/// A hold as an approver may see it: of one's own call not what the rules met of a result that waits.
fn shown(mut hold: Hold, who: &Caller) -> Hold {
    if hold.is_result && hold.caller == who.to_string() {
        hold.rules.iter_mut().for_each(|rule| rule.values.clear());
    }
    hold
}

/// Shows a hold.
pub(super) async fn one(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(id): Named<String>,
) -> Response {
    if let Some(forbidden) = not_an_approver(&host, &who) {
        return forbidden;
    }
    let hold = async { host.hold(whole(&id)?).await };
    hold.await.map_or_else(|err| refused(&err), |hold| Json(shown(hold, &who)).into_response())
}

/// The reply that waits in the hold of a result: what a person must see before it is delivered.
pub(super) async fn result(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(id): Named<String>,
) -> Response {
    if let Some(forbidden) = not_an_approver(&host, &who) {
        return forbidden;
    }
    let waiting = async { host.waiting_reply(&who, whole(&id)?).await };
    match waiting.await {
        Ok(Some(reply)) => Json(reply).into_response(),
        Ok(None) => {
            let detail = "no result waits in this hold, or some of it is confidential";
            problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-such-result", detail))
        }
        Err(err) => refused(&err),
    }
}

/// The reply of a held call, for its caller: 202 while it waits.
pub(super) async fn reply(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(id): Named<String>,
    uri: Uri,
) -> Response {
    let wait = parameter(&uri, "wait").map(|wait| wait.map_or(Ok(0), |wait| wait.parse::<u64>()));
    let Ok(Ok(wait @ ..=WAIT_S_MAX)) = wait else {
        return bad_query(&format!("the query is `wait=SECONDS`, {WAIT_S_MAX} at most, or there is none"));
    };
    let held = async { host.held_reply(&who, whole(&id)?, Duration::from_secs(wait)).await }.await;
    if matches!(held, Err(HoldError::Unknown)) && is_of_another(&host, &who, &id).await {
        let detail =
            format!("only the caller of a held call fetches its reply; `/v1/holds/{id}` has the hold");
        return problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-such-hold", &detail));
    }
    match held {
        Ok(Held::Ended(reply)) => answer(&reply),
        Ok(Held::Waiting(hold)) => problem::response(&Problem::waiting(hold.held_at())),
        Err(err) => refused(&err),
    }
}

/// Whether an approver asks for the reply of another caller's call. Others do not learn that there is one.
async fn is_of_another(host: &Host, who: &Caller, id: &str) -> bool {
    let found = whole(id).ok().filter(|_| host.approval(who) == ApproveAccess::Others);
    match found {
        Some(id) => host.hold(id).await.is_ok(),
        None => false,
    }
}

/// Decides a hold: `approve`, `edit`, `reject` or `respond`. Answers with the hold as it stands then; the call of an approved
/// one has ended by that time.
pub(super) async fn decide(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named((id, word)): Named<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(read) = reader(&word) else { return no_such_path(uri).await };
    if !is_json(&headers) {
        let detail = "send the decision as a JSON object, with `Content-Type: application/json`; that of `approve` can be empty";
        return problem::response(&Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail));
    }
    if let Some(forbidden) = not_an_approver(&host, &who) {
        return forbidden;
    }
    let (decision, seen) = match read(&body, &host.argument_limits()) {
        Ok(body) => body,
        Err(why) => {
            return problem::response(&Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "decision", &why));
        }
    };
    let by = Approver::Caller(who);
    let decided = async { host.decide_hold(whole(&id)?, &by, decision, seen.as_deref()).await };
    decided.await.map_or_else(|err| refused(&err), |hold| Json(hold).into_response())
}

/// What the body of a decision says: the decision, and the digest of the arguments that it is about, where it names one.
type Body = (HoldDecision, Option<String>);

/// Reads the body of a decision.
type Reader = fn(&[u8], &ArgumentLimits) -> Result<Body, String>;

/// How the body of a decision is read. `None` for a word that is none.
fn reader(word: &str) -> Option<Reader> {
    Some(match word {
        "approve" => |body, _| read(body).map(|Approve { args_digest }| (HoldDecision::Approve, args_digest)),
        "edit" => |body, limits| Ok((read::<Edit<'_>>(body)?.decision(limits)?, None)),
        "reject" => |body, _| read(body).map(|Reject { reason }| (HoldDecision::Reject { reason }, None)),
        "respond" => |body, _| read(body).map(|Respond { text }| (HoldDecision::Respond { text }, None)),
        _ => return None,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    /// The `args_digest` of the hold that the approver saw. If its arguments were edited since, the answer is 409.
    #[serde(default, deserialize_with = "digest")]
    #[schemars(with = "String")]
    args_digest: Option<String>,
}

/// `null` is refused: it would be taken for an approval of whatever arguments the hold has.
fn digest<'d, D: Deserializer<'d>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit<'b> {
    /// The arguments that the call gets instead, all of them.
    #[serde(borrow)]
    #[schemars(with = "serde_json::Map<String, Value>")]
    arguments: &'b RawValue,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// Why, for the agent.
    #[schemars(length(max = NOTE_CHARS_MAX))]
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Respond {
    /// What is said to the agent instead of the tool's answer.
    #[schemars(length(min = 1, max = NOTE_CHARS_MAX))]
    text: String,
}

impl Edit<'_> {
    fn decision(&self, limits: &ArgumentLimits) -> Result<HoldDecision, String> {
        // As the arguments of a call are read, so that a key that comes twice is refused.
        let arguments = arguments::parse(self.arguments.get().as_bytes(), limits);
        let arguments = arguments.map_err(|violation| {
            format!("`arguments`: expected {}, got {}", violation.expected, violation.got)
        })?;
        Ok(HoldDecision::Edit { arguments })
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    // An array would be read as the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the body of a decision is a JSON object".to_owned());
    }
    serde_json::from_slice(body).map_err(|err| format!("the body is no such decision: {err}"))
}

/// The value of the only parameter that a query may have.
fn parameter(uri: &Uri, name: &str) -> Result<Option<String>, ()> {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    match (pairs.next(), pairs.next()) {
        (None, _) => Ok(None),
        (Some((key, value)), None) if key == name => Ok(Some(value.into_owned())),
        (Some(_), _) => Err(()),
    }
}

fn bad_query(detail: &str) -> Response {
    problem::response(&Problem::new(StatusCode::BAD_REQUEST, "query", detail))
}

/// A whole id. The beginning of one is for the operator: it would tell of the holds of others.
fn whole(id: &str) -> Result<&str, HoldError> {
    if id.len() == HOLD_ID_CHARS { Ok(id) } else { Err(HoldError::Unknown) }
}

fn not_an_approver(host: &Host, who: &Caller) -> Option<Response> {
    let detail = "this caller may not decide holds: `callers.NAME.approve = true` grants it";
    (host.approval(who) != ApproveAccess::Others).then(|| problem::forbidden(detail))
}

fn refused(err: &HoldError) -> Response {
    let (status, kind) = match err {
        HoldError::Unknown | HoldError::Ambiguous => (StatusCode::NOT_FOUND, "no-such-hold"),
        HoldError::Ended(_) => (StatusCode::CONFLICT, "hold-ended"),
        HoldError::Edited => (StatusCode::CONFLICT, "hold-edited"),
        HoldError::NotAllowed(_) => (StatusCode::FORBIDDEN, "forbidden"),
        HoldError::NotPossible(_) => (StatusCode::CONFLICT, "not-possible"),
        HoldError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "decision"),
        HoldError::Unusable | _ => (StatusCode::SERVICE_UNAVAILABLE, "host.journal"),
    };
    let detail = match err {
        HoldError::Invalid(failure) => failure.to_approver(),
        err => err.to_string(),
    };
    problem::response(&Problem::new(status, kind, &detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(sizes: &[usize]) -> Vec<Hold> {
        let hold = |bytes: &usize| {
            let hold = json!({
                "id": "h", "standing": "open", "tool": "t", "caller": "c", "record": "r", "args_digest": "",
                "component": "", "policy": "", "rules": [], "is_result": false, "created_unix_ms": 0,
                "expires_unix_ms": 0, "approvals": 1, "arguments": {"x": "y".repeat(*bytes)},
            });
            serde_json::from_value(hold).unwrap()
        };
        sizes.iter().map(hold).collect()
    }

    #[test]
    fn a_list_is_bounded_and_says_that_there_is_more() {
        let shown = |sizes: &[usize]| {
            let page = page(holds(sizes));
            (page["holds"].as_array().unwrap().len(), page["more"].as_bool().unwrap())
        };
        assert_eq!(shown(&[]), (0, false));
        assert_eq!(shown(&[1; LIST_MAX]), (LIST_MAX, false));
        assert_eq!(shown(&[1; LIST_MAX + 1]), (LIST_MAX, true));
        assert_eq!(shown(&[LIST_BYTES_MAX, 1]), (1, true), "the first is always there");
        assert_eq!(shown(&[LIST_BYTES_MAX / 2; 3]), (2, true));
    }

    #[test]
    fn a_query_has_one_parameter_at_most() {
        let of = |query: &str| parameter(&format!("http://h/x{query}").parse().unwrap(), "wait");
        assert_eq!((of(""), of("?"), of("?wait=5")), (Ok(None), Ok(None), Ok(Some("5".to_owned()))));
        for query in ["?all=1", "?wait=1&wait=1", "?wait=1&x=2", "?Wait=1"] {
            assert_eq!(of(query), Err(()), "{query}");
        }
    }
}
