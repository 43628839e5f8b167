//! Replay: runs a recorded attempt again, in the same sandbox, with its imports answered from its cassette.
//!
//! Owns what of a record is replayed, and the comparison of the two runs. Must not know where records are kept, or how a
//! replay is shown. Nothing of a replay is recorded, charged or checked by the outer door, and no effect leaves it: its
//! attempt has no intent.

mod judged;
mod recorded;
mod stubbed;

use std::sync::Arc;
use std::time::Duration;

use crate::call::recording;
use crate::caller::CallerGrants;
use crate::caller::facts::recalled;
use crate::capability::files;
use crate::capability::http::Allotment;
use crate::capability::keyvalue::Keeper;
use crate::execute::{Attempt, Attempted, Execute as _, Outcome, RunError};
use crate::host::Host;
use crate::policy::{Decision, Hold, Permit, Request, decide};
use crate::registry::{Form, Tool};
use crate::sandbox::engine;
use crate::sandbox::engine::Backend;
pub use crate::tape::{Divergence, Import, Mode};
use crate::tape::{Player, Tape};
use airlock_contract::tool::{Moment, Seen, ValidArgs};
use airlock_types::caller::Caller;
use airlock_types::cassette::{Cassette, End, Header};
use airlock_types::digest::unhex;
use airlock_types::environment::ms;
use airlock_types::shorten::{apart, shorten};
use airlock_types::usage::Traces;
pub use judged::{Judgement, compared_by, judge, result_ty};
pub use recorded::{NotReplayable, Recorded};
pub(crate) use stubbed::played;
pub use stubbed::{NOT_REPEATED, UNRECORDED, stubbed};

/// Least time for a strict or stub replay, which waits for nothing: an interrupted machine must not end it.
const DEADLINE_MIN: Duration = Duration::from_secs(60);

/// The same, of an attempt that the deadline ended.
const DEADLINE_MIN_OF_ENDED: Duration = Duration::from_secs(1);

/// Why a replay failed, beside anything that the guest did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The registry does not have the tool.
    #[error("the registry has no tool `{0}`")]
    NoTool(String),
    /// The arguments are not valid for the tool of today.
    #[error("the recorded arguments are not valid for `{tool}` of today: {what}")]
    Arguments {
        /// The tool.
        tool: String,
        /// The first violation.
        what: String,
    },
    /// The tool may not run today.
    #[error("policy does not let `{0}` run today")]
    Denied(String),
    /// The host failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Another component answers in another type.
    #[error("the answer is not of the type that `{0}` of today returns")]
    Type(String),
}

/// What a replay came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// Where the guest left its cassette; none if it did not.
    pub divergence: Option<Divergence>,
    /// How it ended. None if its replay ended before: by a divergence, or where the recording of an attempt that the deadline
    /// ended stops.
    pub end: Option<End>,
    /// What is different in the outcome, a sentence for each.
    pub differences: Vec<String>,
    /// Fuel that it used.
    pub fuel: u64,
    /// What it would have changed, in order.
    pub effects: Vec<Import>,
    /// Imports in the cassette, and what else is different about the two runs.
    pub notes: Vec<String>,
    /// What it logged or printed.
    pub log: String,
    /// Its outcome with its values, for [`judge`]; none where it was stopped before.
    pub(crate) outcome: Option<Outcome>,
}

impl Replayed {
    /// Whether the replay came to the same.
    pub fn is_same(&self) -> bool {
        self.divergence.is_none() && self.differences.is_empty()
    }
}

/// Runs a recorded attempt again, as the tool of this name in the registry of the host. Whether that is the recorded
/// component is in the notes.
///
/// # Errors
/// When the tool cannot be run, or the host fails.
pub async fn replay(host: &Host, recorded: &Recorded, mode: Mode) -> Result<Replayed, ReplayError> {
    let (generation, no_tool) = (host.generation(), || ReplayError::NoTool(recorded.tool.clone()));
    let tool = generation.registry().resolve(&recorded.tool).map_err(|_| no_tool())?;
    let args = valid(tool, recorded)?;
    let caller = Caller::recorded(&recorded.caller);
    let rules = generation.rules(&caller);
    let grants = rules.as_ref().map_or(&CallerGrants::All, |rules| &rules.grants);
    let permit = permitted(host, tool, &args, (&caller, grants))?;
    let cassette = with_limits(recorded.cassette.clone(), &permit);
    let mut notes = notes(tool, &permit, &cassette);
    if host.sandbox().backend() == Backend::Interpreter {
        notes.push("it ran on the interpreter".to_owned());
    }
    notes.insert(0, format!("{} imports are recorded", cassette.entries.len()));
    let tape = Tape::playing(Player::new(cassette, mode));
    let mut traces = Traces::default();
    let runnable = tool.runnable.as_ref().ok_or_else(no_tool)?;
    let form = runnable.under(&permit, host.environment()).await.map_err(RunError::from)?;
    let attempt = attempt(host, (tool, form), (&permit, &args), recorded, (mode, tape.clone()), &mut traces);
    // Always the sandbox: faults that are injected into calls have no part in a replay.
    let attempted = host.sandbox().run(attempt).await;
    Ok(compare(tool, recorded, (mode, &tape), attempted, traces, notes).await?)
}

fn valid(tool: &Tool, recorded: &Recorded) -> Result<ValidArgs, ReplayError> {
    let args = recorded.args.as_object().cloned().unwrap_or_default();
    // Canonical arguments are in plain JSON, whatever form the contract published then or publishes now.
    let args = tool.contract.published_args(args);
    let now_unix_ms = recorded.started_unix_ms;
    let reads = tool.contract.facts.as_ref().map_or(&[][..], |facts| &facts.reads);
    let seen = recorded.facts.as_ref().map(|facts| recalled(reads, facts, now_unix_ms));
    let seen = seen.as_ref().map_or(Seen::NoSession, Seen::Facts);
    tool.contract.validate(args, Some(Moment { now_unix_ms, seen })).map_err(|(violations, _)| {
        ReplayError::Arguments {
            tool: tool.name.to_string(),
            what: violations
                .first()
                .map_or_else(String::new, |first| format!("{} {}", first.pointer, first.expected)),
        }
    })
}

fn permitted(
    host: &Host,
    tool: &Tool,
    args: &ValidArgs,
    (caller, grants): (&Caller, &CallerGrants),
) -> Result<Permit, ReplayError> {
    let now_unix_ms = ms(host.environment().wall());
    let of = tool.allowances.of(caller.entry(), grants, now_unix_ms);
    // A caller that is gone had the allowance of all, or one that cannot be known any more: the policy's digest tells.
    let allowance = of.unwrap_or(&tool.allowance);
    let (session, held, holding) = (None, args.held(), None);
    // A held call that has an attempt on record was approved, also one that had to be.
    let (must_be_approved, name) = (false, &tool.name);
    let request = Request {
        caller,
        tool: name,
        allowance,
        args,
        session,
        now_unix_ms,
        held,
        holding,
        must_be_approved,
    };
    match decide(&request) {
        Decision::Allow(permit) | Decision::Hold(Hold { permit, .. }) => Ok(permit),
        Decision::Deny(_) => Err(ReplayError::Denied(tool.name.to_string())),
    }
}

/// The cassette, with the limits and values of today where none were recorded.
fn with_limits(mut cassette: Cassette, permit: &Permit) -> Cassette {
    if cassette.header.fuel_max == 0 {
        let (limits, effective) = (permit.limits(), permit.effective());
        cassette.header.fuel_max = limits.fuel;
        cassette.header.memory_bytes_max = limits.memory_bytes_max;
        cassette.header.env = (*effective.env).clone();
        cassette.header.config = (*effective.config).clone();
    }
    cassette
}

/// What is different about the two runs before they begin.
fn notes(tool: &Tool, permit: &Permit, cassette: &Cassette) -> Vec<String> {
    let Header { engine, settings, component, policy, .. } = &cassette.header;
    let differs = |recorded: &str, now: &str| !recorded.is_empty() && recorded != now;
    let notes = [
        (differs(component, &tool.component.digest), "the component is another one than was recorded"),
        (differs(policy, permit.policy()), "the tool is allowed something else than when it was recorded"),
        (differs(engine, engine::NAME), "it was recorded by another engine"),
        (differs(settings, engine::DETERMINISM), "it was recorded under other settings of the engine"),
    ];
    notes.into_iter().filter(|(differs, _)| *differs).map(|(_, note)| note.to_owned()).collect()
}

fn attempt<'a>(
    host: &Host,
    (tool, Form { linked, function }): (&'a Tool, Form<'a>),
    (permit, args): (&'a Permit, &'a ValidArgs),
    recorded: &Recorded,
    (mode, tape): (Mode, Tape),
    traces: &'a mut Traces,
) -> Attempt<'a> {
    let effective = permit.effective();
    let caller = Caller::recorded(&recorded.caller);
    let keeper = effective.keyvalue.as_ref();
    let keeper = keeper.map(|grant| Keeper::new(grant.scope, (&tool.key, tool.effect), &caller, None));
    let seed = unhex(&recorded.cassette.header.seed);
    Attempt {
        tool: &tool.name,
        number: 1,
        linked,
        function,
        has_result: tool.contract.function.ty.result.is_some(),
        args: args.values(),
        permit,
        seed: seed.and_then(|seed| seed.try_into().ok()).unwrap_or_else(|| host.environment().seed()),
        deadline: match mode {
            Mode::Strict | Mode::Stub => {
                let least = if recorded.by_deadline() { DEADLINE_MIN_OF_ENDED } else { DEADLINE_MIN };
                least.max(Duration::from_micros(recorded.wall_us) * 4)
            }
            Mode::LiveShadow => Duration::from_millis(permit.limits().deadline_ms),
        },
        // Without one no effect leaves, whatever the guest does.
        ledger: None,
        http: Allotment::new(&effective.http, None).map(Arc::new),
        files: files::Allotment::new(&effective.files).map(Arc::new),
        keeper,
        listener: None,
        tape,
        traces,
    }
}

/// Compares a replay with what was recorded.
async fn compare(
    tool: &Tool,
    recorded: &Recorded,
    (mode, tape): (Mode, &Tape),
    attempted: Attempted,
    traces: Traces,
    notes: Vec<String>,
) -> Result<Replayed, RunError> {
    let fuel = traces.usage.fuel;
    let outcome = attempted?;
    let end = recording::end(tool, &outcome, fuel);
    let (effects, divergence, has_ended) = match tape.player() {
        Some(player) => {
            // What was sent is known once all of it is read, for which the guest must be gone.
            player.settle().await;
            let has_ended = !player.is_over();
            let (effects, divergence) = player.finish();
            (effects, divergence, has_ended)
        }
        None => (Vec::new(), None, true),
    };
    let mut notes = notes;
    let stopped = !has_ended && divergence.is_none() && !recorded.by_deadline();
    let is_compared = has_ended && divergence.is_none() && !recorded.by_deadline();
    let mut differences = if is_compared { differences(recorded, mode, &end) } else { Vec::new() };
    if stopped && recorded.returned() {
        differences.push(
            "it stopped at an import without a recorded answer, and the recorded one returned".to_owned(),
        );
    } else if stopped {
        notes.push("its last import has no recorded answer, and what follows is not compared".to_owned());
    }
    let is_whole = has_ended && divergence.is_none();
    let (end, outcome) = (is_whole.then_some(end), is_whole.then_some(outcome));
    Ok(Replayed { divergence, end, differences, fuel, effects, notes, log: traces.log, outcome })
}

fn differences(recorded: &Recorded, mode: Mode, end: &End) -> Vec<String> {
    let mut differences = Vec::new();
    if !recorded.end_sha256.is_empty() && end.digest() != recorded.end_sha256 {
        let (was, is) = match &recorded.cassette.end {
            Some(was) => apart(&told(was), &told(end), TOLD_CHARS_MAX),
            None => ("another one".to_owned(), shorten(&told(end), TOLD_CHARS_MAX)),
        };
        differences.push(format!("the outcome is {is}, and was {was}"));
    }
    // In another order, and with other answers, a guest computes something else.
    if mode == Mode::Strict && end.fuel != recorded.fuel {
        differences.push(format!("it used {} fuel, and {} when it was recorded", end.fuel, recorded.fuel));
    }
    differences
}

/// Most characters of an outcome in a sentence.
const TOLD_CHARS_MAX: usize = 300;

fn told(end: &End) -> String {
    let detail = if end.detail.is_null() { String::new() } else { format!(" {}", end.detail) };
    format!("{}{detail}", end.kind)
}
