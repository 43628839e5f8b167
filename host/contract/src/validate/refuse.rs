//! Turns the faults of a call into its violations: tries each mend, and proposes only what leads to valid arguments.
//!
//! Owns the trial of mends and which faults are told. Must not know how a fault is found or which mend fits it.

use serde_json::Value;

use super::fault::{Advice, Fault, Fix};
use super::{VIOLATIONS_MAX, Validator};
use airlock_types::shorten::is_within;
use airlock_types::violation::Violation;

/// Size in bytes of the largest arguments whose mends are tried: a trial copies and checks them again.
pub(super) const TRIED_BYTES_MAX: usize = 64 << 10;

/// Rounds of mends. A mend can uncover the next fault: the value of a misnamed key is checked once the key is renamed.
const ROUNDS_MAX: usize = 3;

/// A fault, and whether it lies in a value that another mend made and shows.
struct Told {
    fault: Fault,
    is_shown: bool,
}

/// Refuses invalid arguments: the faults, ordered by place, behind them those that a mend uncovers; and the arguments with
/// all mends, if these make them valid.
pub(super) fn refuse(validator: &Validator, args: &Value) -> (Vec<Violation>, Option<Value>) {
    let first = validator.faults(args);
    if !is_within(args, TRIED_BYTES_MAX) {
        let violations = first.into_iter().map(|fault| write(fault, None)).collect();
        return (violations, None);
    }
    let (mut mended, mut told) = (args.clone(), Vec::new());
    let mut round: Vec<Told> = first.into_iter().map(|fault| Told { fault, is_shown: false }).collect();
    let mut left: Vec<Fault> = round.iter().map(|told| told.fault.clone()).collect();
    for _ in 0..ROUNDS_MAX {
        let is_about_keys = told.is_empty() && only_removes(&round);
        let targets = apply(&round, &mut mended);
        told.append(&mut round);
        // Explaining is the expensive part, and nothing has changed.
        if targets.is_empty() {
            break;
        }
        let is_valid = validator.is_valid(&mended);
        // A key that is gone uncovers nothing, and its hint needs no trial. What else is wrong was told.
        if is_about_keys && !is_valid {
            break;
        }
        left = if is_valid { vec![] } else { validator.faults(&mended) };
        // Only what lies in a mended value is new. The other faults were told in the first round.
        round = left.iter().filter_map(|fault| uncovered(fault, &targets)).collect();
        if round.is_empty() {
            break;
        }
    }
    told.append(&mut round);
    let is_left = |pointer: &str| left.iter().any(|fault| is_at(&fault.violation.pointer, pointer));
    let told = told.into_iter().filter(|told| !told.is_shown || is_left(&told.fault.violation.pointer));
    let violations = told.map(|told| {
        let holds = told.fault.mend().is_some_and(|mend| !is_left(&mend.fix.target()));
        write(told.fault, holds.then_some(&mended))
    });
    (violations.take(VIOLATIONS_MAX).collect(), left.is_empty().then_some(mended))
}

/// Whether all mends of a round remove keys.
fn only_removes(round: &[Told]) -> bool {
    let mut mends = round.iter().filter_map(|told| told.fault.mend());
    mends.all(|mend| matches!(mend.fix, Fix::Remove { .. }))
}

/// Applies all mends of a round. Returns each changed place, and whether the hint shows its value.
fn apply(round: &[Told], mended: &mut Value) -> Vec<(String, bool)> {
    let mends = round.iter().filter_map(|told| told.fault.mend());
    mends
        .map(|mend| {
            mend.fix.apply(mended);
            (mend.fix.target(), mend.shows_value())
        })
        .collect()
}

/// A fault that lies in a value that was mended.
fn uncovered(fault: &Fault, targets: &[(String, bool)]) -> Option<Told> {
    let (_, is_shown) = targets.iter().find(|(target, _)| is_at(&fault.violation.pointer, target))?;
    Some(Told { fault: fault.clone(), is_shown: *is_shown })
}

/// Whether a pointer is another one, or lies below it.
fn is_at(pointer: &str, other: &str) -> bool {
    pointer.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The violation with its hint. `mended` are the arguments in which the fault's mend leads to a valid value.
fn write(fault: Fault, mended: Option<&Value>) -> Violation {
    let hint = match fault.advice {
        Some(Advice::Note(note)) => Some(note),
        Some(Advice::Mend(mend)) => mended.map_or_else(|| mend.plain.clone(), |mended| mend.hint(mended)),
        None => None,
    };
    Violation { hint, ..fault.violation }
}
