//! Sends reports of a running call as progress notifications.
//!
//! The protocol requires strictly increasing numbers. A report that does not increase is dropped. The announcement of
//! a further attempt has no number, so it gets one slightly above the last.

use std::sync::Arc;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use airlock_types::call::{Note, Observer, Report};

/// Capacity of the queue of notes. If the client does not read, notes are dropped and the call is not delayed.
const WAITING_MAX: usize = 32;

/// Increment of an announcement over the last number. Small, so that the tool's own reports still exceed it.
const STEP: f64 = 0.001;

/// Queues the notes of one call for its client.
struct Notes(mpsc::Sender<Note>);

impl Observer for Notes {
    fn note(&self, note: Note) {
        // Full: the client does not read. Closed: the client disconnected. Neither may delay the call.
        let _ = self.0.try_send(note);
    }
}

/// Creates the observer of a call, and the task that forwards its notes until the observer is dropped.
pub(super) fn forward(peer: Peer<RoleServer>, token: ProgressToken) -> (Arc<dyn Observer>, JoinHandle<()>) {
    let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
    // A task of its own, because the observer is called by the running call and must not wait for the client.
    let forwarding = tokio::spawn(async move {
        let mut last = None;
        while let Some(note) = receiver.recv().await {
            let Some(report) = grown(note, &mut last) else { continue };
            let mut told = ProgressNotificationParam::new(token.clone(), report.done);
            (told.total, told.message) = (report.total, report.message);
            if peer.notify_progress(told).await.is_err() {
                return;
            }
        }
    });
    (Arc::new(Notes(sender)), forwarding)
}

/// Converts a note to a report above the last number. `None` if its number does not increase.
fn grown(note: Note, last: &mut Option<f64>) -> Option<Report> {
    let report = match note {
        Note::Report(report) => report,
        Note::Attempt { tool, number } => {
            let last = last.unwrap_or_default();
            let message = Some(format!("attempt {number} of {tool}"));
            // For large numbers the step is lost in rounding, so the next larger number is the minimum.
            Report { done: (last + STEP).max(last.next_up()), total: None, message }
        }
    };
    if last.is_some_and(|last| report.done <= last) {
        return None;
    }
    *last = Some(report.done);
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(notes: &[Note]) -> Vec<f64> {
        let mut last = None;
        notes.iter().filter_map(|note| grown(note.clone(), &mut last)).map(|report| report.done).collect()
    }

    fn report(done: f64) -> Note {
        Note::Report(Report { done, total: None, message: None })
    }

    fn attempt() -> Note {
        Note::Attempt { tool: "t".into(), number: 2 }
    }

    #[test]
    fn numbers_that_do_not_grow_are_dropped() {
        assert_eq!(
            check(&[report(0.0), report(50.0), report(50.0), report(7.0), report(100.0)]),
            [0.0, 50.0, 100.0]
        );
    }

    #[test]
    fn an_attempt_passes_the_last_number_by_little() {
        assert_eq!(
            check(&[attempt(), report(0.5), attempt(), report(0.2), report(0.6)]),
            [0.001, 0.5, 0.501, 0.6]
        );
        assert!(check(&[report(1e300), attempt()]).is_sorted_by(|a, b| a < b));
    }
}
