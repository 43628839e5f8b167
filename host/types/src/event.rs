//! The events of a call, in order: how stages report what they did.
//!
//! Owns the events. A stage appends what it did and reads nothing back. The record, metrics and budgets are derived
//! from the events when the call ends; spans, progress notices and breakers observe them as they occur. Must not know
//! any of these consumers. To add an event: a variant, then follow the compiler through the consumers.

use std::sync::Arc;

use crate::code::Code;
use crate::decision::{Reason, Ruling};
use crate::effect::Effect;
use crate::finding::Finding;
use crate::grant::Lack;
use crate::json::Json;
use crate::plan::{PathStep, Plan};
use crate::record::v3::{Facts, HeldBy, Repeat};
use crate::session::SessionId;
use crate::usage::{Traces, TrapReport};

// Large parts are behind `Arc`: a call with effects copies its events once, for the record of its intent.
/// One event of a call.
#[derive(Clone, Debug)]
pub enum Event {
    /// The tool is known and visible to the caller.
    Resolved {
        /// SHA-256 of its component, hex.
        component: Arc<str>,
        /// What it may do to the world.
        effect: Effect,
    },
    /// The caller's budgets were charged for the call.
    Counted,
    /// The caller has a slot for the call.
    Admitted {
        /// The session that the call belongs to.
        session: Option<SessionId>,
    },
    /// The arguments passed the inner door.
    Validated {
        /// The arguments, canonical (RFC 8785).
        args: Json,
    },
    /// Relations were judged by facts of the session.
    Looked {
        /// What was looked up.
        facts: Box<Facts>,
    },
    /// Relations were not checked, since the call has no session.
    Unchecked {
        /// The relations, as they were written.
        relations: Vec<String>,
    },
    /// The call repeats one of its session.
    Repeated {
        /// Which, and what follows.
        repeated: Repeated,
    },
    /// The call waits for a person, or ends a hold.
    Held {
        /// Which hold.
        held: Box<HeldBy>,
        /// Whether it is one of a result.
        is_result: bool,
    },
    /// Policy decided about the called tool.
    Decided {
        /// The decision.
        ruling: Ruling,
        /// Its reasons.
        reasons: Arc<[Reason]>,
        /// SHA-256 of what the tool is allowed for the caller, hex.
        policy: Option<Arc<str>>,
        /// What a denied call lacks.
        lacks: Vec<Lack>,
    },
    /// The plan was made.
    Planned {
        /// The plan.
        plan: Arc<Plan>,
    },
    /// An intent may be on record from here on: the call can have effects, and its record is committed before its
    /// answer.
    Intended,
    /// The intent was not committed, so the call does not begin.
    Withdrawn,
    /// A step through the plan was taken.
    Stepped {
        /// The step.
        step: PathStep,
    },
    /// The guest of an attempt begins.
    AttemptStarted {
        /// The tool that runs, by its public name.
        tool: Arc<str>,
        /// Its name for the caller, which differs for a tool that the caller may not see.
        shown_as: Arc<str>,
        /// SHA-256 of its component, hex.
        component: Arc<str>,
        /// Which attempt on the tool, from 1.
        number: u32,
        /// Whether it is the first attempt of the call.
        is_first: bool,
    },
    /// The guest of the attempt that started last has ended.
    AttemptEnded {
        /// The attempt's outcome.
        code: Code,
        /// What it used and left behind. Boxed, since every event would be as large.
        traces: Box<Traces>,
        /// Why the guest aborted, where it did.
        trap: Option<TrapReport>,
        /// What the outer door found.
        findings: Vec<Finding>,
    },
    /// The attempt that started last never entered its guest, since the engine's pool was exhausted.
    AttemptWithdrawn,
    /// The host's own work on the call, on its arguments or an answer, exceeded the free amount.
    Worked {
        /// Fuel to charge for it.
        charge: u64,
    },
    /// The call has an answer. Without this event the call was cancelled.
    Answered {
        /// The outcome.
        code: Code,
        /// Bytes of the result, as JSON.
        result_bytes: u64,
    },
}

/// A call that repeats one of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The record of that call; none while it runs.
    pub of: Option<String>,
    /// What follows: one of the words below.
    pub how: &'static str,
}

impl Repeated {
    /// The first one failed: its answer is given again.
    pub const FAILED: &'static str = "failed";
    /// The first one succeeded: this one is held.
    pub const DONE: &'static str = "done";
    /// The first one runs: this one is held.
    pub const RUNNING: &'static str = "running";
    /// The first one came with the same idempotency key: its reply is given again.
    pub const KEY: &'static str = "key";
    /// The first one read, and its answer is not older than the contract allows: it is given again.
    pub const CACHED: &'static str = "cached";
    /// The first one succeeded, and this one runs all the same.
    pub const AGAIN: &'static str = "again";

    /// As it is on record.
    pub fn read(stored: &Repeat) -> Repeated {
        let words = [Repeated::FAILED, Repeated::RUNNING, Repeated::AGAIN];
        let how = words.into_iter().find(|word| *word == stored.how).unwrap_or(Repeated::DONE);
        Repeated { of: stored.of.clone(), how }
    }
}
