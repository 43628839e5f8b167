//! Observers of the events of a call, as they come. One file for each observer.
//!
//! An observer keeps the state it needs, and must not ask a stage for anything. To add one: a file here, a field of
//! [`Observers`] and a line in `observe`.

mod breaker;
mod notice;
mod span;

use std::sync::Arc;

use crate::generation::Generation;
use airlock_types::call::{Call, Observer};
use airlock_types::event::Event;

/// The observers of one call.
pub(super) struct Observers<'c> {
    pub(super) spans: span::Spans,
    notices: notice::Notices,
    breakers: breaker::Breakers<'c>,
}

impl<'c> Observers<'c> {
    pub(super) fn new(
        host: &'c Generation,
        call: &'c Call,
        observer: Option<Arc<dyn Observer>>,
    ) -> Observers<'c> {
        Observers {
            spans: span::Spans::new(call),
            notices: notice::Notices::new(observer),
            breakers: breaker::Breakers::new(host, &call.caller),
        }
    }

    /// Shows an event to every observer. Runs before the event is in the list.
    pub(super) fn observe(&mut self, event: &Event) {
        // Destructured, so that an observer that is not called does not compile.
        let Observers { spans, notices, breakers } = self;
        spans.observe(event);
        notices.observe(event);
        breakers.observe(event);
    }
}
