//! What an attempt used, and how the sandbox ended it.
//!
//! Owns the stored form of usage, traps and limits. Must not know the engine.

use serde::{Deserialize, Serialize};

use crate::cassette::Recording;
use crate::code::Code;
use crate::effect::Effects;
use crate::grant::{Asked, Denial, Refused};

/// Which limit ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LimitHit {
    Fuel,
    Deadline,
    Memory,
    Table,
    Output,
    Stack,
    /// What crosses from the guest in one step, which `output_bytes_max` bounds as well.
    Step,
    /// Host resources at the same time.
    Resources,
    /// Handles at the same time.
    Handles,
    /// One set of headers.
    Headers,
    /// Random bytes of one request.
    Random,
}

impl LimitHit {
    /// The code of an attempt that this limit ended.
    pub fn code(self) -> Code {
        match self {
            LimitHit::Fuel => Code::LimitFuel,
            LimitHit::Deadline => Code::LimitDeadline,
            LimitHit::Memory => Code::LimitMemory,
            LimitHit::Table => Code::LimitTable,
            LimitHit::Output | LimitHit::Step => Code::LimitOutput,
            LimitHit::Stack => Code::LimitStack,
            LimitHit::Resources | LimitHit::Handles | LimitHit::Headers | LimitHit::Random => {
                Code::LimitResources
            }
        }
    }
}

/// Why a guest aborted, for the record; an agent is told less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrapReport {
    /// What the engine says: `wasm trap: wasm unreachable instruction executed`.
    pub message: String,
    /// The guest's functions, innermost first, where the component kept their names.
    pub frames: Vec<String>,
}

/// What an attempt used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel. Reads too low for an attempt that the deadline ended, as the guest keeps its count in a
    /// register.
    pub fuel: u64,
    /// Time by the clock, in microseconds.
    pub wall_us: u64,
    /// Time that the guest was running and not waiting, in microseconds.
    pub cpu_us: u64,
    /// The most memory at once, in bytes.
    pub memory_bytes: u64,
    /// What it logged or printed, in bytes, kept or not.
    pub log_bytes: u64,
    /// Requests that it sent to other hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// What it sent to other hosts, in bytes of headers and bodies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub up_bytes: u64,
    /// What it received from other hosts, in bytes of headers and bodies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub down_bytes: u64,
    /// What it wrote into files, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    /// Files, folders and links that it created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_created: u64,
    /// Keys of its own store that it looked up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_read: u64,
    /// Keys of its own store that it set or removed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys_written: u64,
    /// Bytes of values that it read from its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_read: u64,
    /// Bytes of values that it wrote to its own store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_bytes_written: u64,
}

/// Whether a count is left out: most attempts reach no other host and write nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Fuel that a microsecond of processor time counts as: 10 units a nanosecond. Guests that compute use 9 to 26, so
/// that time charges an honest count hardly more than its fuel does.
const FUEL_PER_US: u64 = 10_000;

/// Processor time that is free where the engine's fuel is exact, in microseconds: instantiation, copying in and out
/// and short host calls cost no fuel, and take about a tenth of this.
const FREE_US: u64 = 1_000;

/// Fuel to charge for this many microseconds of the host's own work on a call. The first millisecond is free.
pub fn charge_of_work(us: u64) -> u64 {
    us.saturating_sub(FREE_US).saturating_mul(FUEL_PER_US)
}

impl Usage {
    /// Fuel to charge to a caller's budgets: the engine's count, or the processor time in fuel if that is more. The
    /// engine's count is exact only for an attempt that `returned`.
    pub fn charge(&self, returned: bool) -> u64 {
        // A stopped guest gets no free time: its fuel reads too low, so its processor time is all there is to charge.
        let time =
            if returned { charge_of_work(self.cpu_us) } else { self.cpu_us.saturating_mul(FUEL_PER_US) };
        self.fuel.max(time)
    }
}

/// What an attempt leaves behind, whether it came to an outcome or was dropped before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// What it used.
    pub usage: Usage,
    /// Fuel to charge for it, which may be more than the engine counted.
    pub charge: u64,
    /// What it logged or printed, bounded.
    pub log: String,
    /// Uses of capabilities that were refused.
    pub refused: Vec<Refused>,
    /// The same, explained for the operator.
    pub denials: Vec<Denial>,
    /// Uses of capabilities that were allowed, with how often.
    pub uses: Vec<(Asked, u64)>,
    /// Uses that passed by a grant of `report` alone, with how often.
    pub tried: Vec<(Asked, u64)>,
    /// What it did to the world.
    pub effects: Effects,
    /// The host that had not answered yet.
    pub waiting_for: Option<String>,
    /// The secret that a service did not take.
    pub secret_refused: Option<String>,
    /// What was recorded of it, for a tool that is recorded.
    pub recording: Option<Box<Recording>>,
    /// The confidential values of its result, which nothing on record may repeat.
    pub confidential: Vec<serde_json::Value>,
}

impl Traces {
    /// The traces of an attempt that `returned`, or did not.
    pub fn new(usage: Usage, returned: bool) -> Traces {
        Traces { charge: usage.charge(returned), usage, ..Traces::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(fuel: u64, cpu_us: u64, returned: bool) -> u64 {
        Usage { fuel, cpu_us, ..Usage::default() }.charge(returned)
    }

    #[test]
    fn a_guest_that_was_stopped_is_charged_for_its_time() {
        assert_eq!(charge(16, 50_000, false), 500_000_000);
        assert_eq!(charge(900_000_000, 50_000, false), 900_000_000);
        assert_eq!(charge(u64::MAX, u64::MAX, false), u64::MAX);
    }

    #[test]
    fn a_guest_that_returned_is_charged_for_time_that_no_fuel_explains() {
        assert_eq!(charge(5_000, 900, true), 5_000);
        assert_eq!(charge(5_000, 51_000, true), 500_000_000);
    }
}
