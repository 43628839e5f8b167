//! The amounts that a caller's budgets are charged for a call.

use super::record::bytes_as_they_came;
use crate::caller::budget::Amounts;
use airlock_types::call::Arguments;
use airlock_types::event::Event;

/// Fuel and bytes of a call. `None` when the call was not counted against its budgets, because they were exhausted.
/// `calls` is 0, because admission counted the call. Bytes are the JSON text of arguments and result; invalid arguments
/// count as they were received.
pub(in crate::call) fn amounts(events: &[Event], arguments: &Arguments) -> Option<Amounts> {
    let mut is_counted = false;
    let mut args = None;
    let mut used = Amounts::default();
    for event in events {
        match event {
            Event::Counted => is_counted = true,
            Event::Validated { args: valid } => args = Some(valid.as_str().len() as u64),
            // Failed and cancelled attempts count, too: they used the machine all the same.
            Event::AttemptEnded { traces, .. } => used.fuel = used.fuel.saturating_add(traces.charge),
            Event::Worked { charge } => used.fuel = used.fuel.saturating_add(*charge),
            Event::Answered { result_bytes, .. } => used.bytes = *result_bytes,
            Event::Resolved { .. }
            | Event::Admitted { .. }
            | Event::Looked { .. }
            | Event::Unchecked { .. }
            | Event::Repeated { .. }
            | Event::Held { .. }
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
    // A call that was rejected by its budget must not be charged to it.
    is_counted.then_some(used)
}
