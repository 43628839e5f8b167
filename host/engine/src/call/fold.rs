//! Folds over the events of a call, run once when it ends. One file for each consumer.
//!
//! A fold reads the events and the head of the call, and must not know any stage. To add one: a file here, and a line
//! in `Events::seal` and in the drop of `Events`.

mod budget;
mod metrics;
mod record;
mod usage;

pub(super) use budget::amounts;
pub(super) use metrics::counted;
pub(crate) use record::INVALID_ARGS_BYTES_MAX;
pub(super) use record::{args_as_they_came, record, session_digest};
pub(super) use usage::usage;

use airlock_types::effect::Effect;
use airlock_types::event::Event;

/// The effect class of the called tool. `pure` while no tool is known: such a call ran nothing.
pub(super) fn effect(events: &[Event]) -> Effect {
    let resolved =
        |event: &Event| if let Event::Resolved { effect, .. } = event { Some(*effect) } else { None };
    events.iter().find_map(resolved).unwrap_or(Effect::Pure)
}
