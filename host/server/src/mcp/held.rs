//! Calls that wait for a person.
//!
//! A client of the stateless era gets `input_required` with a state, and sends the call again with it: each such round waits for
//! some seconds. A client of the handshake era gets a failure that names the hold, and asks by sending the call again. Where the
//! operator lets the client's own user decide, the question goes to them first, in the way of the era. Owns rounds, and
//! what follows from an answer. Must not know who may decide: the host does.

mod question;
mod state;

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    ClientCapabilities, ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, MetaObject,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde_json::{Map, Value};

use super::{context, meta_key};
use airlock::caller::ApproveAccess;
use airlock::host::{Held, HoldError, Host};
use airlock_types::call::Call;
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::hold::{Approver, HeldAt, Hold, HoldDecision, Standing};
use airlock_types::reply::{Failure, Reply, TotalUsage};
use state::{ROUNDS_MAX, State};

/// Longest wait of one round. Clients give a request 30 or 60 seconds.
const ROUND: Duration = Duration::from_secs(20);

/// What is told of a call whose client's user said no.
const DECLINED: &str = "the user of the client said no";

/// How a call goes on.
#[derive(Debug)]
pub(super) enum Turn {
    /// It has a reply.
    Ended(Box<Reply>),
    /// The client must send it again.
    Asks(Box<InputRequiredResult>),
}

/// What follows from the reply of a call that is held.
pub(super) async fn begin(host: &Host, context: &RequestContext<RoleServer>, reply: Box<Reply>) -> Turn {
    let who = context::who(&context.extensions);
    let capabilities = context.client_capabilities();
    if is_stateless(context) {
        return turn(host, &who, capabilities.as_ref(), reply).await;
    }
    Turn::Ended(ask(host, &who, &context.peer, capabilities.as_ref(), reply).await)
}

/// What follows from a reply in the stateless era, where `capabilities` are the client's.
pub(super) async fn turn(
    host: &Host,
    who: &Caller,
    capabilities: Option<&ClientCapabilities>,
    reply: Box<Reply>,
) -> Turn {
    let Some(held) = &reply.hold else { return Turn::Ended(reply) };
    let question = if takes_forms(capabilities) { question_of(host, who, &held.id).await } else { None };
    match question {
        Some(question) => asks_user(question, 1),
        None => asks(held, None, State { id: &held.id, round: 1, seen: None }),
    }
}

/// Has the client ask its user, and send the call again with the answer.
fn asks_user((hold, form): (Hold, ElicitRequestParams), round: u32) -> Turn {
    let request = InputRequest::Elicitation(rmcp::model::Request::new(form));
    let request = InputRequests::from([(question::KEY.to_owned(), request)]);
    asks(&hold.held_at(), Some(request), State { id: &hold.id, round, seen: Some(&hold.args_digest) })
}

/// Has the client send the call again. `_meta` says why, to a program that shows what it waits for.
fn asks(held: &HeldAt, request: Option<InputRequests>, state: State<'_>) -> Turn {
    let mut meta = MetaObject::default();
    meta.0.insert(meta_key::HOLD.to_owned(), serde_json::to_value(held).unwrap_or_default());
    Turn::Asks(Box::new(InputRequiredResult::new(request, Some(state.to_string())).with_meta(meta)))
}

/// Goes on with a call that came again with a state, and perhaps with an answer of the client's user.
///
/// # Errors
/// When the state is not one of this call. Every such state gets the same error, so that nothing is learned of the holds of others.
pub(super) async fn resume(
    host: &Host,
    context: &RequestContext<RoleServer>,
    call: &Call,
    state: &str,
    said: Option<&InputResponses>,
) -> Result<Turn, ErrorData> {
    let state = State::read(state).filter(|_| is_stateless(context));
    let state = state.ok_or_else(not_of_this_call)?;
    let State { id, round, seen } = state;
    let hold = host.hold_of(call, id).await.map_err(|err| fault(&err))?;
    let capabilities = context.client_capabilities();
    // An answer to a question that was not asked decides nothing: the state has what was asked about.
    let may_ask = takes_forms(capabilities.as_ref()) && hold.standing == Standing::Open;
    let answer = said.and_then(|said| said.get(question::KEY)).filter(|_| may_ask);
    if let (Some(answer), Some(seen)) = (answer, seen)
        && let Some((hold, _)) = question_of(host, &call.caller, id).await
    {
        match decided(host, &call.caller, (id, seen), answer).await {
            Answered::Nothing => return Ok(Turn::Ended(Box::new(waiting(&hold)))),
            Answered::Outdated if round < ROUNDS_MAX => {
                if let Some(question) = question_of(host, &call.caller, id).await {
                    return Ok(asks_user(question, round + 1));
                }
            }
            Answered::Outdated | Answered::Decided => {}
        }
    }
    match host.held_reply(&call.caller, id, ROUND).await.map_err(|err| fault(&err))? {
        Held::Ended(reply) => Ok(turn(host, &call.caller, capabilities.as_ref(), reply).await),
        Held::Waiting(hold) if round < ROUNDS_MAX => {
            Ok(asks(&hold.held_at(), None, State { round: round + 1, ..state }))
        }
        Held::Waiting(hold) => Ok(Turn::Ended(Box::new(waiting(&hold)))),
    }
}

/// Whether the client's era has states.
fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Asks the user of a client of the handshake era about a held call, and returns the reply that follows: that of the call, or
/// the same one if nobody may be asked or nothing was decided.
async fn ask(
    host: &Host,
    who: &Caller,
    peer: &Peer<RoleServer>,
    capabilities: Option<&ClientCapabilities>,
    reply: Box<Reply>,
) -> Box<Reply> {
    let Some(held) = reply.hold.as_ref().filter(|_| takes_forms(capabilities)) else { return reply };
    let id = held.id.clone();
    // Again if the arguments were edited while their user looked at them.
    while let Some((hold, form)) = question_of(host, who, &id).await {
        let answer = tokio::select! {
            answer = peer.create_elicitation(form) => answer,
            // Another approver decided, or its time is over.
            ended = ended(host, who, &id) => return ended.unwrap_or(reply),
        };
        let Ok(answer) = answer.map(|answer| serde_json::to_value(answer).unwrap_or_default()) else { break };
        match decided(host, who, (&id, &hold.args_digest), &answer).await {
            Answered::Outdated => {}
            Answered::Nothing => break,
            // By now the call has ended, unless others must approve, too.
            Answered::Decided => match host.held_reply(who, &id, Duration::ZERO).await {
                Ok(Held::Ended(reply)) => return reply,
                Ok(Held::Waiting(_)) | Err(_) => break,
            },
        }
    }
    reply
}

/// The reply of a held call, once it has ended. `None` if it cannot be had.
async fn ended(host: &Host, who: &Caller, id: &str) -> Option<Box<Reply>> {
    loop {
        match host.held_reply(who, id, ROUND).await.ok()? {
            Held::Ended(reply) => return Some(reply),
            Held::Waiting(_) => {}
        }
    }
}

/// The question for the client's user about a hold. `None` where this user may not decide it.
async fn question_of(host: &Host, who: &Caller, id: &str) -> Option<(Hold, ElicitRequestParams)> {
    if host.approval(who) != ApproveAccess::ClientUser {
        return None;
    }
    let hold = host.hold(id).await.ok()?;
    // A rule with a list of approvers does not have the user of a client on it.
    let may_decide = hold.rules.iter().any(|rule| rule.approvers.is_empty());
    let form = question::form(&hold).filter(|_| may_decide)?;
    Some((hold, form))
}

/// What came of an answer of the client's user.
enum Answered {
    /// They decided, or another approver had before.
    Decided,
    /// They decided nothing.
    Nothing,
    /// The arguments are not those that they were shown.
    Outdated,
}

/// Decides by the answer of the client's user, who was shown the arguments of this digest.
async fn decided(host: &Host, who: &Caller, (id, seen): (&str, &str), answer: &Value) -> Answered {
    let Some(decision) = decision(answer) else { return Answered::Nothing };
    let by = Approver::ClientUser(who.clone());
    match host.decide_hold(id, &by, decision, Some(seen)).await {
        Ok(_) => Answered::Decided,
        Err(HoldError::Edited) => Answered::Outdated,
        // Another approver may have been first, or must decide, too: the hold says where it stands.
        Err(err) => {
            tracing::debug!("the answer of a client's user did not decide: {err}");
            Answered::Decided
        }
    }
}

/// What an answer decides. `None` for a form that was closed, or sent without what it asks for.
fn decision(answer: &Value) -> Option<HoldDecision> {
    let answer: ElicitResult = serde_json::from_value(answer.clone()).ok()?;
    let declined = || HoldDecision::Reject { reason: DECLINED.to_owned() };
    match answer.action {
        ElicitationAction::Accept if question::is_yes(answer.content.as_ref()) => Some(HoldDecision::Approve),
        ElicitationAction::Accept if is_empty(answer.content.as_ref()) => None,
        ElicitationAction::Accept | ElicitationAction::Decline => Some(declined()),
        ElicitationAction::Cancel | _ => None,
    }
}

/// Whether a form came back as it was: its user filled nothing in.
fn is_empty(content: Option<&Value>) -> bool {
    content.is_none_or(|content| content.is_null() || content.as_object().is_some_and(Map::is_empty))
}

/// Whether a client shows forms to its user. One that names no mode means forms.
fn takes_forms(capabilities: Option<&ClientCapabilities>) -> bool {
    let asks = capabilities.and_then(|capabilities| capabilities.elicitation.as_ref());
    asks.is_some_and(|asks| asks.form.is_some() || asks.url.is_none())
}

fn not_of_this_call() -> ErrorData {
    let message = "`requestState` is not that of a call of this tool with these arguments that waits; send the call without it";
    ErrorData::invalid_params(message, None)
}

fn fault(err: &HoldError) -> ErrorData {
    match err {
        HoldError::Unusable => ErrorData::internal_error(err.to_string(), None),
        _ => not_of_this_call(),
    }
}

/// The reply to a call that still waits, after the last round.
fn waiting(hold: &Hold) -> Reply {
    let code = Code::PolicyHeld;
    let waits = match hold.is_approved() {
        true => "was approved, and waits for room to run",
        false => "still waits for a person, who has not decided yet",
    };
    let message = format!(
        "`{}` {waits}.\nThe hold: {}\nSend the same call again to ask, or tell your user \
         that it waits.",
        hold.tool, hold.id
    );
    Reply {
        status: code.facts().status,
        notice: None,
        code,
        tool: hold.tool.clone(),
        result: None,
        content: Vec::new(),
        error: Some(Failure::plain(message)),
        refusal: None,
        clarify: None,
        hold: Some(hold.held_at()),
        findings: Vec::new(),
        confidence: None,
        interpretation: None,
        assumptions: Vec::new(),
        uncertainty: None,
        next_steps: Vec::new(),
        provenance: None,
        usage: TotalUsage::default(),
        record: hold.record.clone(),
        session: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_accepted_yes_approves() {
        let of = |answer: Value| decision(&answer).map(|decision| decision.as_str());
        assert_eq!(of(json!({"action": "accept", "content": {"approve": true}})), Some("approve"));
        for no in [
            json!({"action": "accept", "content": {"approve": false}}),
            json!({"action": "accept", "content": {"approve": "true"}}),
            json!({"action": "decline"}),
            json!({"action": "decline", "content": {"approve": true}}),
        ] {
            assert_eq!(of(no.clone()), Some("reject"), "{no}");
        }
        for nothing in [
            json!({"action": "cancel"}),
            json!({"action": "accept", "content": {}}),
            json!({"action": "accept"}),
            json!({"action": "perhaps"}),
            json!({}),
            json!(true),
        ] {
            assert_eq!(of(nothing.clone()), None, "{nothing}");
        }
    }

    #[test]
    fn a_client_is_asked_in_a_mode_that_it_has() {
        let takes = |elicitation: Value| {
            let capabilities = json!({ "elicitation": elicitation });
            takes_forms(Some(&serde_json::from_value(capabilities).unwrap()))
        };
        assert!(takes(json!({})) && takes(json!({"form": {}})) && takes(json!({"form": {}, "url": {}})));
        assert!(!takes(json!({"url": {}})) && !takes(Value::Null) && !takes_forms(None));
    }
}
