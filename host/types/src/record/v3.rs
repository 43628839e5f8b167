//! Format 3: what is written now.
//!
//! Every part is a plain struct, so that a change of a live type cannot change the stored form without a change in this
//! file.

mod attempt;
mod confidential;
mod derived;
mod erased;
mod facts;
mod from;
mod uses;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use attempt::{Attempt, Effects, Finding, Recording, Trap, Usage};
pub use confidential::{Confidential, MASK, OpenError, is_mark, salted_mark, sealed_mark};
pub use facts::{Facts, LookedFact, SeenFact};
pub use uses::{Denial, Use};

/// The version of this form.
pub const FORMAT: u32 = 3;

// Borrowed when it is written, as every word is a literal of the program, and owned when it is read.
/// A word of a closed list, as the version that wrote it spelled it: `limit.fuel`. Readers must expect new ones.
pub type Word = Cow<'static, str>;

/// A call on record. `J` is the type of its JSON: a tree for readers, and text for writers, which need no tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<J = Value> {
    /// The version of this form.
    pub format: u32,
    /// The id that the reply carries.
    pub id: String,
    /// The tool that was called, by its public name.
    pub tool: String,
    /// The caller's name.
    pub caller: String,
    /// The session that it belonged to, as a digest: the name itself admits to the session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// The caller's trace span that it belonged to, as `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace: Option<String>,
    /// When the call came, by the wall clock.
    pub started_unix_ms: u64,
    /// When it was answered.
    pub ended_unix_ms: u64,
    /// The outcome code.
    pub code: Word,
    /// The arguments: canonical if they were valid, else as received, and cut if they were too large.
    pub args: Option<J>,
    /// The facts of the session by which the arguments were judged; none if no relation looked one up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub facts: Option<Box<Facts>>,
    /// SHA-256 of the called tool's component, hex.
    pub component: Option<Arc<str>>,
    /// The call of its session that it repeats; none if it repeats none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeat: Option<Repeat>,
    /// The hold that it waited in, or ended; none for a call that no rule held.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<Box<HeldBy>>,
    /// What policy decided; none for a call that ended earlier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<Decision>,
    /// SHA-256 of what the called tool was allowed for this caller, hex; none for a call that ended before the decision.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<Arc<str>>,
    /// What was planned; none for a call that ended earlier.
    pub plan: Option<Plan>,
    /// What was done of the plan, and why.
    pub path: Vec<Step>,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The reply as it was given; none for a call that was cancelled.
    pub reply: Option<J>,
    /// Values that are stored apart. In their places is `null`, or nothing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
    /// What is confidential in it. None for a call without confidential fields.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidential: Option<Confidential>,
    /// When retention erased what the call and its tool said; none while that is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub erased_unix_ms: Option<u64>,
}

impl<J> Record<J> {
    /// The same record with its JSON in another form. `map` gets the place of a value, as a JSON pointer, and the value.
    pub fn with_json<'r, K>(&'r self, mut map: impl FnMut(&'static str, &'r J) -> K) -> Record<K> {
        Record {
            format: self.format,
            id: self.id.clone(),
            tool: self.tool.clone(),
            caller: self.caller.clone(),
            session: self.session.clone(),
            trace: self.trace.clone(),
            started_unix_ms: self.started_unix_ms,
            ended_unix_ms: self.ended_unix_ms,
            code: self.code.clone(),
            args: self.args.as_ref().map(|args| map("/args", args)),
            facts: self.facts.clone(),
            repeat: self.repeat.clone(),
            component: self.component.clone(),
            hold: self.hold.clone(),
            decision: self.decision.clone(),
            policy: self.policy.clone(),
            plan: self.plan.clone(),
            path: self.path.clone(),
            attempts: self.attempts.clone(),
            reply: self.reply.as_ref().map(|reply| map("/reply", reply)),
            parts: self.parts.clone(),
            confidential: self.confidential.clone(),
            erased_unix_ms: self.erased_unix_ms,
        }
    }
}

/// What a repeat of an earlier call of the session came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The record of the earlier call; none if it ran at the same time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<String>,
    /// `failed`: it was answered as that one. `done`, `running`: it was held. `again`: it ran all the same. `key`: it came
    /// with the idempotency key of that one, whose reply was given again.
    pub how: Word,
}

/// The hold of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// The id of the hold.
    pub hold: String,
    /// The record of the held call; none for that call itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<String>,
    /// `approved`, `rejected`, `responded`, `expired` or `void`; none for a call that waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing: Option<Word>,
    /// What was decided, and by whom: `alice: approve`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub by: Vec<String>,
}

/// A value that is stored apart from its record, once for all records that have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its place in the record, as a JSON pointer (RFC 6901): `/reply/result`.
    pub at: String,
    /// SHA-256 of its JSON text, hex.
    pub sha256: String,
    /// Length of its JSON text, in bytes.
    pub bytes: u64,
}

/// What policy decided about the called tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `allow`, `deny` or `hold`.
    pub ruling: Word,
    /// Its reasons, as text for people.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reasons: Vec<String>,
    /// What a denied call lacks.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub denied: Vec<Denial>,
}

/// What was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the plan's own form.
    pub version: u32,
    /// Digest of the canonical arguments, hex.
    pub args_digest: String,
    /// Where the jitter came from.
    pub jitter: Jitter,
    /// Time for the whole call, in milliseconds.
    pub deadline_ms: u64,
    /// The called tool, then its fallbacks.
    pub routes: Vec<Route>,
    /// The most that could happen. It follows from the rest, as the waits do, and is not stored:
    /// [`Record::with_bounds`] derives both.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worst_case: Option<WorstCase>,
}

/// Where jitter came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// A seed, hex.
    Seeded(String),
    /// There was none.
    Off,
}

/// One tool that could answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// What it was planned from.
    pub from: RouteInput,
    /// `freely`, `with-proof` or `never`.
    pub repeat: Word,
    /// Time kept back for the routes behind this one, in milliseconds.
    pub reserve_ms: u64,
    /// The wait before each retry. Not stored, see [`Plan::worst_case`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub waits: Option<Vec<Wait>>,
}

/// What a route was planned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteInput {
    /// The tool's public name.
    pub tool: Arc<str>,
    /// SHA-256 of its component, hex.
    pub component: Arc<str>,
    /// The effect class: `pure`, `read`, …
    pub effect: Word,
    /// Whether it imported no function.
    #[serde(default)]
    pub is_closed: bool,
    /// Its retry policy.
    pub retry: Retry,
    /// Time for one attempt, in milliseconds.
    pub attempt_deadline_ms: u64,
    /// The least time in which an attempt was worth starting, in milliseconds.
    pub useful_ms_min: u64,
    /// Tokens left in its retry quota.
    pub quota: u32,
    /// The state of its breakers for the caller.
    pub breaker: Breaker,
    /// The read-only tool that says whether an effect happened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify: Option<Verify>,
    /// The greatest age of a kept answer, for a route that would deliver one, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached_ms_max: Option<u64>,
}

/// A read-only tool that says whether an effect happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verify {
    /// Its public name.
    pub tool: Arc<str>,
    /// The wait before it is asked, in milliseconds.
    pub after_ms: u64,
    /// Time for its answer, in milliseconds.
    pub attempt_deadline_ms: u64,
    /// The least time in which asking was worth it, in milliseconds.
    pub useful_ms_min: u64,
}

/// A retry policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// The first wait after a transient fault, in milliseconds.
    pub transient_ms: u64,
    /// The first wait after throttling, in milliseconds.
    pub throttled_ms: u64,
    /// The longest wait before jitter, in milliseconds.
    pub wait_ms_max: u64,
    /// Whether an implausible answer was worth another attempt.
    pub implausible: bool,
}

/// A breaker's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// Calls went through.
    Closed,
    /// Calls went through as probes.
    Probing,
    /// No calls went through.
    Open {
        /// For how long still, in milliseconds.
        remaining_ms: u64,
        /// For whom: `caller` or `all-callers`. Early records of format 2 knew one breaker for all.
        #[serde(default = "all_callers")]
        scope: Word,
    },
}

fn all_callers() -> Word {
    Cow::Borrowed("all-callers")
}

/// The wait before one retry, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// After a transient fault.
    pub transient_ms: u64,
    /// After throttling.
    pub throttled_ms: u64,
}

/// The most that a plan could do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// Attempts in all.
    pub executions: u32,
    /// Time, in milliseconds.
    pub latency_ms: u64,
    /// Tokens of retry quota, all routes together.
    pub quota: u32,
}

/// One step of the path through a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// An attempt was made.
    Attempt {
        /// The tool.
        tool: Arc<str>,
        /// Which attempt on it, from 1.
        number: u32,
        /// The wait before it, in milliseconds.
        wait_ms: u64,
    },
    /// The attempt ended.
    Ended {
        /// The tool.
        tool: Arc<str>,
        /// The outcome code.
        code: Word,
    },
    /// A tool was passed over.
    Skipped {
        /// The tool.
        tool: Arc<str>,
        /// The reason.
        why: String,
    },
    /// No further attempt was made on a tool.
    Stopped {
        /// The tool.
        tool: Arc<str>,
        /// The reason.
        why: String,
    },
    /// A read-only tool was asked whether an effect happened.
    Asked {
        /// The tool that was asked.
        tool: Arc<str>,
        /// The wait before it, in milliseconds.
        wait_ms: u64,
    },
    /// What it said.
    Verified {
        /// The tool that was asked.
        tool: Arc<str>,
        /// `applied`, `not-applied` or `unknown`.
        found: Word,
    },
    /// A kept answer was looked for.
    Recalled {
        /// The tool that gave it.
        tool: Arc<str>,
        /// `kept`, `stale` or `nothing`.
        found: Word,
        /// Its age, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        age_ms: Option<u64>,
    },
}
