//! Holds in one call: what waits for a person, and how a call goes on that a person decided about.
//!
//! Owns what a held call is answered, and what a decision comes to once the stages before this one have run again. Must not know
//! how holds are kept, who may decide, nor how the person was reached. A call that no rule holds costs one comparison.

mod ended;
mod known;
mod result;
mod told;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::confidential;
use super::events::Events;
use super::permit::PermittedRoute;
use super::reply::{self, Delivered, Failed};
use super::report;
use super::same;
use crate::generation::{Admitted, Apart, Generation, Unusable};
use airlock_contract::arguments;
use airlock_contract::tool::{Moment, Seen};
use airlock_journal::holds::{Kept, Opened};
use airlock_types::code::{Code, Ran};
use airlock_types::digest::sha256;
use airlock_types::environment::ms;
use airlock_types::event::Event;
use airlock_types::finding::Finding;
use airlock_types::hold::{Hold, HoldRule, Standing};
use airlock_types::record::v3::HeldBy;
use airlock_types::reply::Failure;
use airlock_types::session::SessionKey;
pub(super) use ended::resumed;
pub(crate) use ended::settled;
pub(super) use ended::told_by_key;
pub(crate) use ended::{End, end_of};
pub(crate) use ended::{Resume, fetched};
use ended::{again, close, ended};
use known::{found, known, may_be_held};
pub(super) use known::{may_wait, waited};
pub(super) use result::result;
pub(super) use told::unfit;
pub(crate) use told::unkept;
pub(super) use told::would_wait;
use told::{full, held, unusable};

/// The rule of a call that its session made before.
pub(super) const REPEAT: &str = "repeat";

/// Holds a call that a rule holds, or does what was decided about it. The reply of a decided hold is returned; without one
/// the call goes on.
///
/// # Errors
/// When the call waits, or was not approved.
pub(super) async fn check(
    host: &Generation,
    routes: &[PermittedRoute],
    rules: Vec<HoldRule>,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let may_be = |route: &PermittedRoute| may_be_held(host, events.caller(), &route.candidate.tool);
    if rules.is_empty() && events.resumed.is_none() && !routes.iter().any(may_be) {
        return Ok(None);
    }
    // Boxed: this path is rare, and its state would otherwise enlarge the future of every call.
    Box::pin(stopped(host, rules, admitted, events)).await
}

async fn stopped(
    host: &Generation,
    mut rules: Vec<HoldRule>,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let asked = events.asked();
    forget_known(host, &asked.component, &mut rules).await.map_err(|_| unusable(events))?;
    match events.resumed.take() {
        Some(mut resume) => {
            let ended = ended(&mut resume, &asked, &rules, events);
            events.resumed = Some(resume);
            ended
        }
        None if rules.is_empty() => known(host, &asked, events).await,
        None => open(host, (asked, rules), admitted, events).await,
    }
}

/// Drops the rules of first use for which the component ran with a person's yes: told by another process, or since this one
/// began.
async fn forget_known(host: &Generation, component: &str, rules: &mut Vec<HoldRule>) -> Result<(), Unusable> {
    let mut known = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_first_use) {
        let key = rule.known_as(component);
        if host.holds().is_known(host.environment(), key.clone()).await? {
            known.push(key);
        }
    }
    rules.retain(|rule| !(rule.is_first_use && known.contains(&rule.known_as(component))));
    Ok(())
}

/// What a hold is bound to.
struct Asked {
    args_digest: String,
    component: String,
    policy: String,
}

impl Asked {
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

/// Holds a call that rules hold, or finds its hold.
async fn open(
    host: &Generation,
    (asked, rules): (Asked, Vec<HoldRule>),
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<Option<Delivered>, Failed> {
    let is_confidential = confidential::of(events.host, events.tool(), &events.list).is_some();
    let arguments = published(events);
    let apart = Apart { session: session(events, admitted), ..Apart::default() };
    let (arguments, apart) = if is_confidential {
        let text = arguments.to_string();
        (None, Apart { bytes: text.len(), arguments: Some(text), ..apart })
    } else {
        (Some(arguments), apart)
    };
    let hold = hold(host, events, asked, if is_confidential { without_values(rules) } else { rules });
    let kept = Kept {
        asked_digest: hold.args_digest.clone(),
        hold: Hold { arguments, ..hold },
        reply: None,
        is_confidential,
        owner: String::new(),
        is_fetched: false,
    };
    let waiting = wait(host, kept, apart, events).await?;
    met(host, waiting, events).await.map(Some)
}

/// The end of a call whose hold waits, or has ended.
async fn met(host: &Generation, waiting: Waiting, events: &mut Events<'_>) -> Result<Delivered, Failed> {
    match waiting {
        Waiting::Held(hold) => {
            let code = code_of(&hold);
            let ran = if hold.is_result { Ran::Ran } else { Ran::No };
            Err(held(events, *hold, code, ran))
        }
        Waiting::Ended(kept) => again(host, *kept, events).await,
    }
}

/// The end of a call that comes again, as the held one waits or ended: by its idempotency key, or for what it asks.
pub(super) async fn of_key(
    host: &Generation,
    kept: Box<Kept>,
    events: &mut Events<'_>,
) -> Result<Delivered, Failed> {
    let waiting = found(host, kept, events).await?;
    events.push(waiting.event());
    met(host, waiting, events).await
}

/// A hold that was opened, or found.
enum Waiting {
    Held(Box<Hold>),
    Ended(Box<Kept>),
}

impl Waiting {
    fn event(&self) -> Event {
        let hold = match self {
            Waiting::Held(hold) => hold,
            Waiting::Ended(kept) => &kept.hold,
        };
        let held = HeldBy { hold: hold.id.clone(), of: None, standing: None, by: Vec::new() };
        Event::Held { held: Box::new(held), is_result: hold.is_result }
    }
}

async fn wait(
    host: &Generation,
    kept: Kept,
    apart: Apart,
    events: &mut Events<'_>,
) -> Result<Waiting, Failed> {
    let (hold, key) = (kept.hold.clone(), key(&kept.hold.component, &kept.hold.args_digest, events));
    let apart = Apart { expires_unix_ms: hold.expires_unix_ms, ..apart };
    let opened = host.holds().open(host.environment(), (key, kept), apart).await;
    let waiting = match opened.map_err(|_| unusable(events))? {
        Opened::New => {
            host.tell_of(&hold);
            Waiting::Held(Box::new(hold))
        }
        Opened::Known(known) => found(host, known, events).await?,
        Opened::Full => return Err(full(events)),
    };
    events.push(waiting.event());
    Ok(waiting)
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
fn key(component: &str, args_digest: &str, events: &Events<'_>) -> String {
    let own = if events.caller().is_anonymous() { events.head.id.as_str() } else { "" };
    let (caller, session) = (events.caller().to_string(), reply::session(events).map_or("", String::as_str));
    sha256([own, &*caller, session, events.tool(), component, args_digest].join("\n").as_bytes())
}

/// The arguments as a caller writes them, from their canonical form.
fn published(events: &Events<'_>) -> Value {
    let args: Map<String, Value> =
        serde_json::from_str(events.args().unwrap_or_default()).unwrap_or_default();
    match events.host.registry().resolve(events.tool()) {
        Ok(tool) => Value::Object(tool.contract.published_args(args)),
        Err(_) => Value::Object(args),
    }
}

/// The arguments of an edit: those of the tool's contract, as far as they can be judged without what its session has seen. The call
/// is judged whole when it runs.
pub(crate) fn edited(
    host: &Generation,
    tool: &str,
    args: Map<String, Value>,
) -> Result<String, Box<Failure>> {
    let tool = host.registry().resolve(tool).map_err(|err| report::unknown(&err).report)?;
    let judged = arguments::admit(&args, host.argument_limits()).map_err(|violation| vec![violation]);
    let moment = Moment { now_unix_ms: ms(host.environment().wall()), seen: Seen::NotJudged };
    let judged = judged
        .and_then(|()| tool.contract.validate(args, Some(moment)).map_err(|(violations, _)| violations));
    let args = judged.map_err(|violations| report::invalid(&tool.name, violations, None).report)?;
    Ok(same::digest(host, &tool.name, args.canonical()))
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

impl Events<'_> {
    /// The hold that this call waits in, or ended, and whether it is one of a result.
    pub(super) fn held(&self) -> Option<(&HeldBy, bool)> {
        self.list.iter().find_map(|event| {
            if let Event::Held { held, is_result } = event { Some((&**held, *is_result)) } else { None }
        })
    }

    /// What a person changed of the call that they let run.
    pub(super) fn edited(&self) -> Option<Finding> {
        let hold = &self.resumed.as_deref()?.hold;
        let edit = hold.decided.iter().rfind(|decided| decided.what == "edit")?;
        Some(Finding::edited(&edit.by, hold.arguments.as_ref()?))
    }

    /// What a hold of this call is bound to.
    fn asked(&self) -> Asked {
        let canonical = self.args().unwrap_or_default();
        Asked {
            args_digest: same::digest(self.host, self.tool(), canonical),
            component: self.component().unwrap_or_default().to_owned(),
            policy: self.policy().unwrap_or_default().to_owned(),
        }
    }
}
