//! The steps through a plan: what is to be done next, and what was done with its reason.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::effect::{Left, Verified};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// Its code: `outcome-unknown` where it failed while an effect was not settled.
    pub code: Code,
    /// The code that it would have without that effect; else the same.
    pub ended_by: Code,
    /// What had left the sandbox.
    pub left: Left,
    /// Whether the contract names its error transient.
    pub transient: bool,
    /// The upstream's hint.
    pub retry_after_ms: Option<u64>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait, then make this attempt.
    Attempt {
        /// Index into the plan's routes.
        route: usize,
        /// Which attempt on this route, from 1.
        number: u32,
        /// How long to wait before it, in milliseconds.
        wait_ms: u64,
        /// Time for it, in milliseconds.
        deadline_ms: u64,
    },
    /// Wait, then ask the read-only tool of this route whether the effect of the last attempt happened. The answer goes to
    /// [`Plan::verified`](super::Plan::verified).
    Verify {
        /// Index into the plan's routes.
        route: usize,
        /// How long to wait before it, in milliseconds.
        wait_ms: u64,
        /// Time for the answer, in milliseconds.
        deadline_ms: u64,
    },
    /// Look for a kept answer of the called tool. What was found goes to [`Plan::recalled`](super::Plan::recalled).
    Recall {
        /// Index into the plan's routes.
        route: usize,
    },
    /// Deliver the result of the last attempt, or the kept answer.
    Accept {
        /// `ok`, or `ok.degraded` for a fallback's answer and for a suspect one.
        code: Code,
        /// If a fallback answered: the outcome of the called tool.
        fallback_because: Option<Code>,
    },
    /// Answer without a result.
    GiveUp {
        /// The outcome of the last attempt, or why there was none.
        code: Code,
        /// If no attempt was made: why the first tool was skipped.
        not_run_because: Option<String>,
    },
}

/// One step through a plan, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// An attempt is made.
    Attempt {
        /// The tool.
        tool: Arc<str>,
        /// Which attempt on it, from 1.
        number: u32,
        /// The wait before it, in milliseconds.
        wait_ms: u64,
        /// Tokens of the tool's retry quota that it costs; none for a first attempt.
        cost: u32,
    },
    /// The attempt ended.
    Ended {
        /// The tool.
        tool: Arc<str>,
        /// Its outcome.
        code: Code,
    },
    /// A tool was passed over.
    Skipped {
        /// The tool.
        tool: Arc<str>,
        /// The reason, as text for people.
        why: String,
    },
    /// No further attempt is made on a tool.
    Stopped {
        /// The tool.
        tool: Arc<str>,
        /// The reason, as text for people.
        why: String,
    },
    /// A read-only tool is asked whether an effect happened.
    Asked {
        /// The tool that is asked.
        tool: Arc<str>,
        /// The wait before it, in milliseconds.
        wait_ms: u64,
    },
    /// It has answered.
    Verified {
        /// The tool that was asked.
        tool: Arc<str>,
        /// What it says.
        found: Verified,
    },
    /// A kept answer was looked for.
    Recalled {
        /// The tool that gave it.
        tool: Arc<str>,
        /// What was found.
        found: Recalled,
    },
}

/// What was found of the answers that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// An answer that is not too old.
    Kept {
        /// Its age, in milliseconds.
        age_ms: u64,
    },
    /// An answer that is older than allowed.
    Stale {
        /// Its age, in milliseconds.
        age_ms: u64,
    },
    /// None.
    Nothing,
}

impl Recalled {
    /// As it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Recalled::Kept { .. } => "kept",
            Recalled::Stale { .. } => "stale",
            Recalled::Nothing => "nothing",
        }
    }

    /// The age of the answer, in milliseconds.
    pub fn age_ms(self) -> Option<u64> {
        match self {
            Recalled::Kept { age_ms } | Recalled::Stale { age_ms } => Some(age_ms),
            Recalled::Nothing => None,
        }
    }
}

impl PathStep {
    /// The tool that the step concerns.
    pub fn tool(&self) -> &Arc<str> {
        match self {
            PathStep::Attempt { tool, .. }
            | PathStep::Ended { tool, .. }
            | PathStep::Skipped { tool, .. }
            | PathStep::Stopped { tool, .. }
            | PathStep::Asked { tool, .. }
            | PathStep::Verified { tool, .. }
            | PathStep::Recalled { tool, .. } => tool,
        }
    }
}
