//! Holds in one call: what waits for a person, and how a call goes on that a person decided about.
//!
//! Owns what a held call is answered, and what a decision comes to once the stages before this one have run again. Must not know
//! how holds are kept, who may decide, nor how the person was reached. A call that no rule holds costs one comparison.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::confidential;
use super::details::Details;
use super::events::Events;
use super::permit::PermittedRoute;
use super::recall;
use super::reply::{self, Delivered, Failed};
use super::report;
use crate::generation::{Admitted, Apart, Generation};
use airlock_contract::arguments;
use airlock_contract::tool::ValidArgs;
use airlock_journal::holds::{Kept, Opened};
use airlock_types::answer::{Refusal, RetryAdvice};
use airlock_types::code::{Code, Ran};
use airlock_types::digest::sha256;
use airlock_types::duration;
use airlock_types::event::{Event, HeldCall};
use airlock_types::finding::Verdict;
use airlock_types::hold::{HeldAt, Hold, HoldRule, Standing};
use airlock_types::record::v3;
use airlock_types::reply::{Failure, Reply};
use airlock_types::session::SessionKey;

/// The rule of a call that its session made before.
pub(super) const REPEAT: &str = "repeat";

/// The rule of a component that has not run yet with a person's yes.
const FIRST_USE: &str = "first-use";

/// A held call that a person decided about, or whose time is over.
#[derive(Debug)]
pub(crate) struct Resume {
    /// The hold, as it stands now.
    pub(crate) hold: Hold,
    /// The id of the record of the call that ends it.
    pub(crate) record: String,
    /// The reply that waits, for a held result.
    pub(crate) reply: Option<Reply>,
    /// The facts that the held call was judged by.
    pub(crate) facts: Option<Box<v3::Facts>>,
    /// Whether what is confidential of it ended with the process that held it.
    pub(crate) is_lost: bool,
}

/// Notes the hold that this call ends.
///
/// # Errors
/// When what is needed to end it is lost.
pub(super) fn resumed(events: &mut Events<'_>) -> Result<(), Failed> {
    let Some(Resume { hold, is_lost, .. }) = events.resumed.as_deref() else { return Ok(()) };
    let held = HeldCall {
        hold: hold.id.clone(),
        of: Some(hold.record.clone()),
        standing: Some(hold.standing.as_str()),
        is_result: hold.is_result,
        by: hold.decided.iter().map(|decided| format!("{}: {}", decided.by, decided.what)).collect(),
    };
    let lost = is_lost.then(|| hold.clone());
    events.push(Event::Held { held: Box::new(held) });
    let Some(hold) = lost else { return Ok(()) };
    let why = "the process that held it has ended, and what is confidential of it is nowhere else";
    Err(not_approved(events, &hold).unwrap_or_else(|| void(events, why)))
}

/// Holds a call that a rule holds, or does what was decided about it. The reply of a decided hold is returned; without one
/// the call goes on.
///
/// # Errors
/// When the call waits, or was not approved.
pub(super) async fn check(
    host: &Generation,
    route: &PermittedRoute,
    args: &ValidArgs,
    mut rules: Vec<HoldRule>,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    forget_known(host, route, &mut rules).await.map_err(|()| unusable(events))?;
    let asked = Asked::new(route, args.canonical(), events);
    match events.resumed.take() {
        Some(resume) => ended(*resume, &asked, &rules, events),
        None if rules.is_empty() => Ok(None),
        None => open(host, (asked, rules), args, admitted, events).await,
    }
}

/// Drops the rule of a component that ran with a person's yes.
async fn forget_known(
    host: &Generation,
    route: &PermittedRoute,
    rules: &mut Vec<HoldRule>,
) -> Result<(), ()> {
    if rules.iter().any(|rule| rule.rule == FIRST_USE) {
        let component = route.candidate.tool.component.digest.to_string();
        if host.holds().is_known(host.environment(), component).await.map_err(|_| ())? {
            rules.retain(|rule| rule.rule != FIRST_USE);
        }
    }
    Ok(())
}

/// What a hold is bound to.
struct Asked {
    args_digest: String,
    component: String,
    policy: String,
}

impl Asked {
    fn new(route: &PermittedRoute, canonical: &str, events: &Events<'_>) -> Asked {
        Asked {
            args_digest: events.args_digest(canonical),
            component: route.candidate.tool.component.digest.to_string(),
            policy: route.permit.policy().to_string(),
        }
    }

    /// What has changed since the call was held.
    fn differs(&self, hold: &Hold) -> Option<&'static str> {
        if self.component != hold.component {
            Some("the tool's component has changed since")
        } else if self.policy != hold.policy {
            Some("what the tool may do has changed since")
        } else if self.args_digest != hold.args_digest {
            Some("its arguments mean something else by the tool's present contract")
        } else {
            None
        }
    }
}

/// What a decision comes to.
fn ended(
    resume: Resume,
    asked: &Asked,
    rules: &[HoldRule],
    events: &Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let Resume { hold, reply, .. } = resume;
    if let Some(failed) = not_approved(events, &hold) {
        return Err(failed);
    }
    if let Some(why) = asked.differs(&hold) {
        return Err(void(events, why));
    }
    if hold.is_result {
        let age_ms = events.started_unix_ms().saturating_sub(hold.created_unix_ms);
        let again = reply.and_then(|reply| recall::again(reply, age_ms));
        return again.unwrap_or_else(|| Err(void(events, "its result is not kept"))).map(Some);
    }
    let is_new = |rule: &&HoldRule| !hold.rules.iter().any(|held| held.rule == rule.rule);
    match rules.iter().find(is_new) {
        Some(rule) => Err(void(events, &format!("a rule holds it now that did not then: {}", rule.rule))),
        None => Ok(None),
    }
}

/// The end of a call that nobody approved. None for one that was.
fn not_approved(events: &Events<'_>, hold: &Hold) -> Option<Failed> {
    let note = hold.decided.last().and_then(|decided| decided.note.as_deref()).unwrap_or_default();
    match hold.standing {
        Standing::Rejected => Some(not_run(events, hold, &format!("a person rejected it{}", said(note)))),
        Standing::Responded => Some(responded(events, note)),
        Standing::Expired => Some(not_run(events, hold, "nobody approved it in time, which counts as a no")),
        Standing::Void => Some(void(events, "the process that ran it ended before the tool began")),
        Standing::Open | Standing::Running | Standing::Done => None,
    }
}

/// Holds a call that rules hold, or finds its hold.
async fn open(
    host: &Generation,
    (asked, rules): (Asked, Vec<HoldRule>),
    args: &ValidArgs,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let is_confidential = confidential::of(events.host, events.tool(), &events.list).is_some();
    let arguments = published(events, args.canonical());
    let apart = Apart { session: session(events, admitted), ..Apart::default() };
    let (arguments, apart) = if is_confidential {
        let text = arguments.to_string();
        (None, Apart { bytes: text.len(), arguments: Some(text), ..apart })
    } else {
        (Some(arguments), apart)
    };
    let hold = hold(host, events, asked, if is_confidential { without_values(rules) } else { rules });
    let kept = Kept {
        hold: Hold { arguments, ..hold },
        reply: None,
        is_confidential,
        owner: String::new(),
        is_fetched: false,
    };
    match wait(host, kept, apart, events).await? {
        Waiting::Held(hold) => {
            let code = code_of(&hold);
            Err(held(events, hold, code, Ran::No))
        }
        Waiting::Ended(kept) => again(host, *kept, events).await.map(Some),
    }
}

/// Holds a result that a check wants a person to see first.
pub(super) async fn result(
    host: &Generation,
    events: &mut Events<'_>,
    ended: Result<Delivered, Failed>,
) -> Result<Delivered, Failed> {
    let is_held = |delivered: &Delivered| {
        delivered.findings().iter().any(|finding| finding.verdict == Verdict::Escalate)
            // Not the end of a hold, which a person has seen.
            && events.held().is_none_or(|held| held.of.is_some() && !held.is_result)
    };
    match ended {
        Ok(delivered) if is_held(&delivered) => Err(Box::pin(hold_result(host, events, delivered)).await),
        ended => ended,
    }
}

async fn hold_result(host: &Generation, events: &mut Events<'_>, delivered: Delivered) -> Failed {
    let escalating = delivered.findings().iter().filter(|finding| finding.verdict == Verdict::Escalate);
    let value = |finding: &airlock_types::finding::Finding| {
        let place = if finding.path.is_empty() { "the result" } else { &finding.path };
        format!("{place} ({}): expected {}, got {}", finding.kind, finding.expected, finding.got)
    };
    let rule = HoldRule::plain("check", escalating.map(value).collect());
    let asked = events.asked();
    let is_confidential = confidential::of(events.host, events.tool(), &events.list).is_some();
    let (reply, _) = reply::reply(events, Ok(delivered));
    let bytes = serde_json::to_vec(&reply).map_or(0, |text| text.len());
    let stored = (!is_confidential).then(|| serde_json::to_value(&reply).unwrap_or_default());
    let arguments = published(events, events.args().unwrap_or_default());
    let (arguments, apart) = if is_confidential {
        let arguments = Some(arguments.to_string());
        (None, Apart { arguments, bytes, reply: Some(reply.into()), ..Apart::default() })
    } else {
        (Some(arguments), Apart::default())
    };
    let rules = if is_confidential { without_values(vec![rule]) } else { vec![rule] };
    let hold = Hold { arguments, is_result: true, ..hold(host, events, asked, rules) };
    let kept = Kept { hold, reply: stored, is_confidential, owner: String::new(), is_fetched: false };
    match wait(host, kept, apart, events).await {
        Ok(Waiting::Held(hold)) => held(events, hold, Code::PolicyHeld, Ran::Ran),
        // The same call ran meanwhile: what it did was done twice, and this result is not the one that waits.
        Ok(Waiting::Ended(_)) | Err(_) => {
            let mut failed = unusable(events);
            failed.report.ran = Ran::MayHave;
            failed.report.message = format!(
                "`{}` ran, and its result must be seen by a person first, which the host cannot arrange now.\nDo not repeat a \
                 call with effects before you know whether it happened.",
                events.tool()
            );
            failed
        }
    }
}

/// A hold that was opened, or found.
enum Waiting {
    Held(Hold),
    Ended(Box<Kept>),
}

async fn wait(
    host: &Generation,
    kept: Kept,
    apart: Apart,
    events: &mut Events<'_>,
) -> Result<Waiting, Failed> {
    let (hold, key) = (kept.hold.clone(), key(&kept.hold, events));
    let apart = Apart { expires_unix_ms: hold.expires_unix_ms, ..apart };
    let opened = host.holds().open(host.environment(), (key, kept), apart).await;
    let waiting = match opened.map_err(|_| unusable(events))? {
        Opened::New => {
            host.tell_of(&hold);
            Waiting::Held(hold)
        }
        Opened::Known(known) if known.hold.is_due(events.started_unix_ms()) => {
            Waiting::Ended(Box::new(expired(host, *known, events).await?))
        }
        Opened::Known(known) => match known.hold.standing {
            Standing::Open | Standing::Running => Waiting::Held(known.hold),
            Standing::Done
            | Standing::Rejected
            | Standing::Responded
            | Standing::Expired
            | Standing::Void => Waiting::Ended(known),
        },
        Opened::Full => return Err(full(events)),
    };
    let id = match &waiting {
        Waiting::Held(hold) => &hold.id,
        Waiting::Ended(kept) => &kept.hold.id,
    };
    let held = HeldCall { hold: id.clone(), of: None, standing: None, is_result: false, by: Vec::new() };
    events.push(Event::Held { held: Box::new(held) });
    Ok(waiting)
}

/// Ends the hold of a call whose time is over, and which is made again.
async fn expired(host: &Generation, known: Kept, events: &Events<'_>) -> Result<Kept, Failed> {
    let now_unix_ms = events.started_unix_ms();
    let expire = move |kept: &mut Kept, _: &str| {
        if kept.hold.is_due(now_unix_ms) {
            kept.hold.standing = Standing::Expired;
        }
        Ok::<_, ()>(())
    };
    let changed = host.holds().change(host.environment(), known.hold.id.clone(), expire).await;
    match changed.map_err(|_| unusable(events))? {
        Some(Ok(((), kept))) => Ok(kept),
        Some(Err(())) | None => Err(unusable(events)),
    }
}

/// The end of a hold for whoever makes the same call again: once, and after it the call is a new one.
async fn again(host: &Generation, kept: Kept, events: &mut Events<'_>) -> Result<Delivered, Failed> {
    let hold = kept.hold;
    let apart = host.holds().apart(&hold.id);
    fetched(host, &hold.id).await;
    let reply = match (apart.and_then(|apart| apart.reply), &hold.ended_by) {
        (Some(reply), _) => Some((*reply).clone()),
        (None, Some(id)) => {
            let (record, _) = host.record(id.clone()).await.map_err(|_| unusable(events))?;
            let record = record.filter(|record| record.confidential.is_none());
            record.and_then(|record| serde_json::from_value(record.reply?).ok())
        }
        (None, None) => None,
    };
    let age_ms = events.started_unix_ms().saturating_sub(hold.created_unix_ms);
    match (reply.and_then(|reply| recall::again(reply, age_ms)), hold.standing) {
        (Some(again), _) => again,
        (None, Standing::Expired) => {
            Err(not_run(events, &hold, "nobody approved it in time, which counts as a no"))
        }
        (None, _) => Err(gone(events, &hold)),
    }
}

/// Notes that whoever made a call has its end.
pub(crate) async fn fetched(host: &Generation, id: &str) {
    let fetch = |kept: &mut Kept, _: &str| {
        kept.is_fetched = true;
        Ok::<_, ()>(())
    };
    // Where this fails the same call gets the same end once more.
    let _ = host.holds().change(host.environment(), id.to_owned(), fetch).await;
    host.holds().forget(id);
}

fn hold(host: &Generation, events: &Events<'_>, asked: Asked, rules: Vec<HoldRule>) -> Hold {
    let Asked { args_digest, component, policy } = asked;
    let now_unix_ms = events.started_unix_ms() + events.elapsed_ms();
    Hold {
        id: URL_SAFE_NO_PAD.encode(host.environment().seed()),
        standing: Standing::Open,
        tool: events.tool().to_owned(),
        caller: events.caller().to_string(),
        record: events.head.id.clone(),
        arguments: None,
        args_digest,
        component,
        policy,
        approvals: rules.iter().map(|rule| rule.approvals).max().unwrap_or(1),
        rules,
        is_result: false,
        created_unix_ms: now_unix_ms,
        expires_unix_ms: now_unix_ms.saturating_add(host.hold_expires_ms()),
        decided: Vec::new(),
        ended_by: None,
    }
}

/// What makes two calls the same for their hold. Those without credentials are strangers to each other.
fn key(hold: &Hold, events: &Events<'_>) -> String {
    let Hold { id, caller, tool, component, args_digest, is_result, .. } = hold;
    // A result that waits is of one call alone.
    let own = if events.caller().is_anonymous() || *is_result { id.as_str() } else { "" };
    let session = reply::session(events).map_or("", String::as_str);
    sha256([own, caller, session, tool, component, args_digest].join("\n").as_bytes())
}

/// Arguments as a caller writes them, from their canonical form.
fn published(events: &Events<'_>, canonical: &str) -> Value {
    let args: Map<String, Value> = serde_json::from_str(canonical).unwrap_or_default();
    match events.host.registry().resolve(events.tool()) {
        Ok(tool) => Value::Object(tool.contract.published_args(args)),
        Err(_) => Value::Object(args),
    }
}

/// The arguments of an edit: those of the tool's contract, as far as they can be judged without a session. The call is judged
/// whole when it runs.
pub(crate) fn edited(
    host: &Generation,
    tool: &str,
    args: Map<String, Value>,
) -> Result<String, Box<Failure>> {
    let tool = host.registry().resolve(tool).map_err(|err| report::unknown(&err).report)?;
    let judged = arguments::admit(&args, host.argument_limits()).map_err(|violation| vec![violation]);
    let judged =
        judged.and_then(|()| tool.contract.validate(args, None).map_err(|(violations, _)| violations));
    let args = judged.map_err(|violations| report::invalid(&tool.name, violations, None).report)?;
    Ok(sha256(args.canonical().as_bytes()))
}

/// The reply of a hold whose end is on no record.
pub(crate) fn unkept(hold: &Hold) -> Reply {
    let mut failure = report::report(&hold.tool, Code::PolicyDenied, &Details::default());
    failure.ran = if hold.is_result || hold.standing == Standing::Done { Ran::MayHave } else { Ran::No };
    failure.message = format!(
        "`{}` waited for a person, and its hold ended as `{}`; its reply is not kept.
Ask your user before you send it again.",
        hold.tool, hold.standing
    );
    reply::failed(Code::PolicyDenied, &hold.tool, hold.ended_by.as_deref().unwrap_or(&hold.record), failure)
}

/// The session of the call, as one that is made later names it.
fn session(events: &Events<'_>, admitted: &Admitted) -> SessionKey {
    match (&events.head.call.session, admitted.session()) {
        (SessionKey::New | SessionKey::Handle(_), Some(id)) => SessionKey::Handle(id.clone()),
        (key, _) => key.clone(),
    }
}

/// What a rule met may be confidential.
fn without_values(rules: Vec<HoldRule>) -> Vec<HoldRule> {
    rules.into_iter().map(|rule| HoldRule { values: Vec::new(), ..rule }).collect()
}

fn code_of(hold: &Hold) -> Code {
    let is_repeat = !hold.rules.is_empty() && hold.rules.iter().all(|rule| rule.rule == REPEAT);
    if is_repeat { Code::PolicyDuplicate } else { Code::PolicyHeld }
}

/// The end of a call that waits.
fn held(events: &Events<'_>, hold: Hold, code: Code, ran: Ran) -> Failed {
    let (name, id) = (events.tool(), &hold.id);
    let left_ms = hold.expires_unix_ms.saturating_sub(events.started_unix_ms() + events.elapsed_ms());
    let (what, tool) = match ran {
        Ran::No => ("was not run", "The tool did not run."),
        Ran::Ran | Ran::MayHave => {
            ("ran, and its result was not delivered", "The tool ran: do not ask another one to do the same.")
        }
    };
    let why: Vec<String> = hold.rules.iter().map(told).collect();
    let stands = match (hold.standing, hold.approvals) {
        (Standing::Running, _) => "It was approved, and runs at this moment.".to_owned(),
        (_, 1) => format!("A person must approve it within {}.", duration::about(left_ms)),
        (_, n) => format!("{n} persons must approve it within {}.", duration::about(left_ms)),
    };
    let message = format!(
        "`{name}` {what}: it is held until a person approves it.\n{}\n{tool}\n{stands} Tell your user that it waits, as hold {id}. To \
         ask what was decided, send the same call again: it gets the answer, and is not made twice.",
        why.join("\n")
    );
    let held_at = HeldAt {
        id: id.clone(),
        expires_unix_ms: hold.expires_unix_ms,
        approvals: hold.approvals,
        rules: hold.rule_texts(),
    };
    let mut failed = report::failed(name, code, &Details::default());
    (failed.report.message, failed.report.ran) = (message, ran);
    failed.hold = Some(Box::new(held_at));
    failed
}

/// What a call is told that would be held.
pub(super) fn would_wait(tool: &str, rules: &[HoldRule]) -> Failure {
    let why: Vec<String> = rules.iter().map(told).collect();
    let mut failure = report::report(tool, Code::PolicyHeld, &Details::default());
    failure.message = format!("`{tool}` would wait until a person approves the call.\n{}", why.join("\n"));
    failure
}

/// One rule, for an agent: what its author says, and what it met.
fn told(rule: &HoldRule) -> String {
    let values =
        if rule.values.is_empty() { String::new() } else { format!(" ({})", rule.values.join("; ")) };
    format!("Held by: {}{values}.", rule.message.as_deref().unwrap_or(&rule.rule).trim_end_matches('.'))
}

fn said(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(": \"{}\"", note.replace('"', "'")) }
}

/// The end of a call that was not approved.
fn not_run(events: &Events<'_>, hold: &Hold, why: &str) -> Failed {
    let (what, ran) =
        if hold.is_result { ("ran, and its result is withheld", Ran::Ran) } else { ("was not run", Ran::No) };
    let mut failed = report::failed(events.tool(), Code::PolicyDenied, &Details::default());
    failed.report.ran = ran;
    failed.report.message = format!(
        "`{}` {what}: it waited for a person, and {why}.\n{}\nDo not send the same call again unless your user asks for it.",
        events.tool(),
        report::ran(ran)
    );
    failed
}

/// The end of a call that was approved as something else than it would be now.
fn void(events: &Events<'_>, why: &str) -> Failed {
    let mut failed = report::failed(events.tool(), Code::PolicyDenied, &Details::default());
    failed.report.message = format!(
        "`{}` was not run: it waited for a person, and {why}.\nThe tool did not run.\nSend the call again: it is judged anew.",
        events.tool()
    );
    failed
}

/// A person's answer in place of the tool's.
fn responded(events: &Events<'_>, text: &str) -> Failed {
    let name = events.tool();
    let refusal = Refusal {
        code: "answered-by-a-person".into(),
        cannot: format!("`{name}` was not run; a person answers instead{}", said(text)),
        needed: vec!["go on by that answer".to_owned()],
        contact: None,
        alternatives: Vec::new(),
        retryable: RetryAdvice::Never,
        decision_id: events.resumed_id().to_owned(),
    };
    let mut failed = report::failed(name, Code::Refused, &Details::default());
    failed.report = Box::new(Failure { ran: Ran::No, ..report::refusal(name, &refusal) });
    failed.refusal = Some(Box::new(refusal));
    failed
}

/// Nobody knows whether the call is held.
fn unusable(events: &Events<'_>) -> Failed {
    report::failed(events.tool(), Code::HostJournal, &Details::default())
}

fn full(events: &Events<'_>) -> Failed {
    let mut failed = report::failed(events.tool(), Code::Overloaded, &Details::default());
    failed.report.message = format!(
        "`{}` was not run: a person would have to approve it, and as many calls wait for that as may.\nThe tool did not run.\n\
         Wait until some of them are decided.",
        events.tool()
    );
    failed
}

/// The end of a hold whose reply is nowhere.
fn gone(events: &Events<'_>, hold: &Hold) -> Failed {
    let record = hold.ended_by.as_deref().unwrap_or(&hold.record);
    let mut failed = report::failed(events.tool(), Code::PolicyDuplicate, &Details::default());
    failed.report.message = format!(
        "`{}` was not run again: it waited for a person, and ended as `{}`; its reply is not kept (record {record}).\nThe tool did \
         not run a second time.\nAsk your user before you send it again.",
        events.tool(),
        hold.standing
    );
    failed
}

impl Events<'_> {
    /// The hold that this call waits in, or ended.
    pub(super) fn held(&self) -> Option<&HeldCall> {
        self.list.iter().find_map(|event| if let Event::Held { held } = event { Some(&**held) } else { None })
    }

    /// The id of the hold that this call ends; the call's own id without one.
    fn resumed_id(&self) -> &str {
        self.held().map_or(&*self.head.id, |held| &held.hold)
    }

    /// The digest of the arguments that a hold is bound to.
    fn args_digest(&self, canonical: &str) -> String {
        match confidential::of(self.host, self.tool(), &self.list) {
            Some(_) => self.host.holds().salted(canonical),
            None => sha256(canonical.as_bytes()),
        }
    }

    /// The canonical arguments.
    fn args(&self) -> Option<&str> {
        self.list
            .iter()
            .find_map(|event| if let Event::Validated { args } = event { Some(args.as_str()) } else { None })
    }

    /// What a hold of this call's result is bound to.
    fn asked(&self) -> Asked {
        let mut asked = Asked {
            args_digest: self.args_digest(self.args().unwrap_or_default()),
            component: String::new(),
            policy: String::new(),
        };
        for event in &self.list {
            if let Event::Resolved { component, .. } = event {
                asked.component = component.to_string();
            }
            if let Event::Decided { policy: Some(policy), .. } = event {
                asked.policy = policy.to_string();
            }
        }
        asked
    }
}
