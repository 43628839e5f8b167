//! The contribution of a call to the metrics.

use super::usage;
use crate::call::events::Events;
use crate::telemetry::metrics::CallView;
use airlock_types::code::Code;
use airlock_types::event::Event;
use airlock_types::finding::Finding;
use airlock_types::reply::TotalUsage;

/// The counts of a call that the events give. Read before the record takes the events, counted after the outcome is
/// final.
pub(in crate::call) struct Counted {
    is_known: bool,
    total: TotalUsage,
}

/// Reads the counts from the events.
pub(in crate::call) fn counted(events: &Events<'_>) -> Counted {
    let is_known = events.list.iter().any(|event| matches!(event, Event::Resolved { .. }));
    Counted { is_known, total: usage(&events.list) }
}

impl Counted {
    /// Adds the call to the metrics, once its outcome is final.
    pub(in crate::call) fn count(&self, events: &Events<'_>, code: Code, findings: &[Finding]) {
        events.host.count(&CallView {
            // Callers can make up names. A name without a tool is never a label, so that the number of labels is
            // bounded.
            tool: if self.is_known { events.tool() } else { "" },
            outcome: code.as_str(),
            seconds: events.elapsed().as_secs_f64(),
            fuel: self.total.fuel,
            attempts: self.total.attempts,
            findings: findings.iter().map(|finding| finding.kind.as_str()).collect(),
        });
    }
}
