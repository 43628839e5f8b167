//! What a guest says of how far it is, while it runs.
//!
//! Owns the bounds of that. Must not know who listens, or how it is told.

use airlock_types::call::Report;

/// Reports that one attempt may make. A guest that says more is not heard.
const REPORTS_MAX: u32 = 256;

/// Who hears of each report; it must not wait.
pub(crate) type Listener = Box<dyn Fn(Report) + Send + Sync>;

/// The reports of one attempt.
pub(crate) struct Reports {
    listener: Option<Listener>,
    left: u32,
}

impl Reports {
    pub(crate) fn new(listener: Option<Listener>) -> Reports {
        Reports { listener, left: REPORTS_MAX }
    }

    /// Passes a report on, if anybody listens and there were not too many.
    pub(crate) fn put(&mut self, report: Report) {
        if let (Some(listener), 1..) = (&self.listener, self.left) {
            self.left -= 1;
            listener(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_guest_that_reports_without_end_is_heard_for_a_while() {
        let heard = Arc::new(AtomicU32::new(0));
        let count = heard.clone();
        let mut reports = Reports::new(Some(Box::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        for done in 0..10_000 {
            reports.put(Report { done: f64::from(done), total: None, message: None });
        }
        assert_eq!(heard.load(Ordering::Relaxed), REPORTS_MAX);
    }
}
