//! The progress reports of a running guest.
//!
//! Owns their bounds. Must not know who receives them.

use airlock_types::call::Report;

/// Most reports of one attempt. Further ones are dropped, so that a guest cannot flood its caller.
const REPORTS_MAX: u32 = 256;

/// Receives each report. It must not block.
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

    /// Passes a report on, if there is a listener and reports are left.
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
