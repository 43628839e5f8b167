//! Calls that wait for a person.
//!
//! A client of the stateless era gets `input_required` with a state, and sends the call again with it: each such round waits for
//! some seconds. A client of the handshake era gets a failure that names the hold, and asks by sending the call again. Where the
//! operator lets the client's own user decide, the question goes to them first, in the way of the era. Owns states, rounds, and
//! what follows from an answer. Must not know who may decide: the host does.

mod question;

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    ClientCapabilities, ElicitResult, ElicitationAction, InputRequest, InputRequests, InputRequiredResult,
    InputResponses, MetaObject,
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

/// Longest wait of one round. Clients give a request 30 or 60 seconds.
const ROUND: Duration = Duration::from_secs(20);

/// Most rounds of one call. The official SDKs send a call ten times at most, the first time included, and then lose the answer.
const ROUNDS_MAX: u32 = 8;

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
    let request = question.map(|(_, form)| {
        let request = InputRequest::Elicitation(rmcp::model::Request::new(form));
        InputRequests::from([(question::KEY.to_owned(), request)])
    });
    asks(held, request, 1)
}

/// Has the client send the call again. `_meta` says why, to a program that shows what it waits for.
fn asks(held: &HeldAt, request: Option<InputRequests>, round: u32) -> Turn {
    let state = State { id: &held.id, round }.to_string();
    let mut meta = MetaObject::default();
    meta.0.insert(meta_key::HOLD.to_owned(), serde_json::to_value(held).unwrap_or_default());
    Turn::Asks(Box::new(InputRequiredResult::new(request, Some(state)).with_meta(meta)))
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
    let State { id, round } = state.ok_or_else(not_of_this_call)?;
    let hold = host.hold_of(call, id).await.map_err(|err| fault(&err))?;
    let answer = said.and_then(|said| said.get(question::KEY));
    // An answer to a question that was not asked decides nothing.
    let may_ask = takes_forms(context.client_capabilities().as_ref());
    let answer = answer.filter(|_| may_ask && hold.standing == Standing::Open);
    if let Some(answer) = answer
        && question_of(host, &call.caller, id).await.is_some()
        && !decided(host, &call.caller, &hold, answer).await
    {
        return Ok(Turn::Ended(Box::new(waiting(&hold))));
    }
    match host.held_reply(&call.caller, id, ROUND).await.map_err(|err| fault(&err))? {
        Held::Ended(reply) => {
            Ok(turn(host, &call.caller, context.client_capabilities().as_ref(), reply).await)
        }
        Held::Waiting(hold) if round < ROUNDS_MAX => Ok(asks(&hold.held_at(), None, round + 1)),
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
    let Some((hold, form)) = question_of(host, who, &id).await else { return reply };
    let answer = tokio::select! {
        answer = peer.create_elicitation(form) => answer,
        // Another approver decided, or its time is over.
        ended = ended(host, who, &id) => return ended.unwrap_or(reply),
    };
    let Ok(answer) = answer.map(|answer| serde_json::to_value(answer).unwrap_or_default()) else {
        return reply;
    };
    if !decided(host, who, &hold, &answer).await {
        return reply;
    }
    // By now the call has ended, unless others must approve, too.
    match host.held_reply(who, &id, Duration::ZERO).await {
        Ok(Held::Ended(reply)) => reply,
        Ok(Held::Waiting(_)) | Err(_) => reply,
    }
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
async fn question_of(
    host: &Host,
    who: &Caller,
    id: &str,
) -> Option<(Hold, rmcp::model::ElicitRequestParams)> {
    if host.approval(who) != ApproveAccess::ClientUser {
        return None;
    }
    let hold = host.hold(id).await.ok()?;
    // A rule with a list of approvers does not have the user of a client on it.
    let may_decide = hold.rules.iter().any(|rule| rule.approvers.is_empty());
    let form = question::form(&hold).filter(|_| may_decide)?;
    Some((hold, form))
}

/// Decides by the answer of the client's user. False if they decided nothing. An answer that was not asked for decides nothing.
async fn decided(host: &Host, who: &Caller, hold: &Hold, answer: &Value) -> bool {
    if host.approval(who) != ApproveAccess::ClientUser {
        return true;
    }
    let Some(decision) = decision(answer) else { return false };
    let by = Approver::ClientUser(who.clone());
    // Another approver may have been first, or must decide, too: the hold says where it stands.
    if let Err(err) = host.decide_hold(&hold.id, &by, decision).await {
        tracing::debug!("the answer of a client's user did not decide: {err}");
    }
    true
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

/// The state of a call: the hold's id, which cannot be guessed, and the round. A client that changes the round waits more or
/// less often, and nothing else.
struct State<'s> {
    id: &'s str,
    round: u32,
}

impl State<'_> {
    fn read(text: &str) -> Option<State<'_>> {
        let (id, round) = text.split_once('.')?;
        let round = round.parse().ok().filter(|round| (1..=ROUNDS_MAX).contains(round))?;
        Some(State { id, round })
    }
}

impl std::fmt::Display for State<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.id, self.round)
    }
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
    fn a_state_is_an_id_and_a_round() {
        let read = |text: &str| State::read(text).map(|state| state.to_string());
        assert_eq!(read("abc.8").as_deref(), Some("abc.8"));
        for text in ["", "abc", "abc.", "abc.0", "abc.9", "abc.-1", "abc.1.1", "abc.99999999999", "abc. 1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

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
