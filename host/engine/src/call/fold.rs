//! What is made of the events of a call when it ends, one file for each consumer.
//!
//! A fold reads the events and nothing else of the call. To add one: a file here, and its line where events are sealed.

mod budget;
mod metrics;
mod record;
mod usage;

pub(super) use budget::amounts;
pub(super) use metrics::counted;
pub(super) use record::{args_as_they_came, record};
pub(super) use usage::usage;

use airlock_types::effect::Effect;
use airlock_types::event::Event;

/// What the called tool may do to the world; nothing while no tool is known.
pub(super) fn effect(events: &[Event]) -> Effect {
    let resolved =
        |event: &Event| if let Event::Resolved { effect, .. } = event { Some(*effect) } else { None };
    events.iter().find_map(resolved).unwrap_or(Effect::Pure)
}
