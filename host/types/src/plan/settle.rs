//! The changes that a call makes to the health of the tools that it tried.
//!
//! Owns the arithmetic of one tool. Must not know where the health is kept.

use super::PathStep;
use super::quota::FIRST_TRY_GAIN;
use crate::code::Code;

/// The changes by one call to one tool's health, updated step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Tokens of the retry quota that were spent.
    pub spent: u32,
    /// Tokens of the retry quota that were given back.
    pub gained: u32,
    /// The outcome of the last attempt on the tool: a call counts once, however many attempts it made. None where no
    /// attempt was made, or one still ran when the call was cancelled.
    pub ended: Option<Code>,
    /// Tokens that the running attempt gives back if it succeeds.
    at_stake: u32,
}

impl Settled {
    /// Applies a step that concerns this tool.
    pub fn observe(&mut self, step: &PathStep) {
        match step {
            PathStep::Attempt { number, cost, .. } => {
                self.spent += cost;
                // Unknown again until this attempt ends: a call that is cancelled now tells nothing about the tool's
                // health.
                self.ended = None;
                // As in AWS's mode: a success returns what the last retry cost, or one token if it needed none.
                self.at_stake = if *number == 1 { FIRST_TRY_GAIN } else { *cost };
            }
            PathStep::Ended { code, .. } => {
                self.ended = Some(*code);
                self.gained += if code.has_result() { self.at_stake } else { 0 };
            }
            PathStep::Skipped { .. }
            | PathStep::Stopped { .. }
            | PathStep::Asked { .. }
            | PathStep::Verified { .. }
            | PathStep::Recalled { .. } => {}
        }
    }
}
