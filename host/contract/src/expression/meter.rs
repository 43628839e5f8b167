//! The steps that an evaluation spent, and the reasons for having no value.

use std::fmt;

use super::COST_MAX;

/// Bytes of a string that one step reads.
pub(super) const BYTES_A_STEP: u64 = 10;

/// Parts of values that one step compares. Comparing a part is less work than evaluating a part of an
/// expression.
pub(super) const PARTS_A_STEP: u64 = 10;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The part of this name is null.
    Null(String),
    /// A fact that the session has not seen, or that does not count any more, in words.
    Unseen(String),
    /// The steps are spent.
    Spent,
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Null(name) => write!(f, "`{name}` is null"),
            Trouble::Spent => write!(f, "it took more than {COST_MAX} steps"),
            Trouble::Unseen(words) | Trouble::Other(words) => f.write_str(words),
        }
    }
}

/// Counts the work of one evaluation, in parts. Once over the bound it stays over, so no later part runs
/// either.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    parts: u64,
}

impl Meter {
    /// Counts steps.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Trouble> {
        self.count(steps.saturating_mul(PARTS_A_STEP))
    }

    /// Counts one compared part of a value.
    pub(super) fn part(&mut self) -> Result<(), Trouble> {
        self.count(1)
    }

    fn count(&mut self, parts: u64) -> Result<(), Trouble> {
        // Saturating, so that a meter that is over stays over.
        self.parts = self.parts.saturating_add(parts);
        if self.parts > COST_MAX * PARTS_A_STEP { Err(Trouble::Spent) } else { Ok(()) }
    }
}
