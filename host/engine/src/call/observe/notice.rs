//! Notifies the observer of the call when another attempt begins.

use std::sync::Arc;

use airlock_types::call::{Note, Observer};
use airlock_types::event::Event;

/// Sends a note for each attempt after the first.
pub(super) struct Notices(Option<Arc<dyn Observer>>);

impl Notices {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>) -> Notices {
        Notices(observer)
    }

    /// Skips the first attempt: the caller asked for it and needs no note.
    pub(super) fn observe(&self, event: &Event) {
        if let (Some(observer), Event::AttemptStarted { shown_as, number, is_first: false, .. }) =
            (&self.0, event)
        {
            observer.note(Note::Attempt { tool: shown_as.clone(), number: *number });
        }
    }
}
