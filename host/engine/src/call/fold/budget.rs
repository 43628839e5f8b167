//! What a caller is charged for a call.

use super::record::bytes_as_they_came;
use crate::caller::budget::Amounts;
use airlock_types::call::Arguments;
use airlock_types::event::Event;

/// Fuel and bytes of a call; none for one that its budgets did not let in. The call itself was counted then.
/// Bytes are those of arguments and result as JSON, of invalid arguments as they came.
pub(in crate::call) fn amounts(events: &[Event], arguments: &Arguments) -> Option<Amounts> {
    let mut is_counted = false;
    let mut args = None;
    let mut used = Amounts::default();
    for event in events {
        match event {
            Event::Counted => is_counted = true,
            Event::Validated { args: valid } => args = Some(valid.as_str().len() as u64),
            Event::AttemptEnded { traces, .. } => used.fuel = used.fuel.saturating_add(traces.charge),
            Event::Worked { charge } => used.fuel = used.fuel.saturating_add(*charge),
            Event::Answered { result_bytes, .. } => used.bytes = *result_bytes,
            Event::Resolved { .. }
            | Event::Admitted { .. }
            | Event::Decided { .. }
            | Event::Planned { .. }
            | Event::Intended
            | Event::Withdrawn
            | Event::Stepped { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptWithdrawn => {}
        }
    }
    used.bytes = used.bytes.saturating_add(args.unwrap_or_else(|| bytes_as_they_came(arguments)));
    is_counted.then_some(used)
}
