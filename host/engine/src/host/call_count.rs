//! The number of calls that have not ended yet, including waiting ones.
//!
//! Owns the count and the wait for zero. Must not know what a call does.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A count of calls, and a signal when it reaches zero.
#[derive(Debug, Default)]
pub(super) struct CallCount {
    count: AtomicUsize,
    none: Notify,
}

impl CallCount {
    /// Counts a call for as long as the guard lives.
    pub(super) fn begin(&self) -> CountedCall<&CallCount> {
        self.count.fetch_add(1, Ordering::AcqRel);
        CountedCall(self)
    }

    /// As [`CallCount::begin`], for a call that goes on without whoever began it.
    pub(super) fn begin_detached(self: &Arc<Self>) -> CountedCall<Arc<CallCount>> {
        self.count.fetch_add(1, Ordering::AcqRel);
        CountedCall(self.clone())
    }

    /// Waits until no call is left. More may begin later.
    pub(super) async fn idle(&self) {
        loop {
            // Made before the count is read: a call that ends in between is not missed, because `notify_waiters` wakes
            // every `Notified` that exists.
            let none = self.none.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// A call that has not ended.
pub(super) struct CountedCall<C: Deref<Target = CallCount>>(C);

impl<C: Deref<Target = CallCount>> Drop for CountedCall<C> {
    fn drop(&mut self) {
        // Release: what the call did is visible to a task that then reads zero with `Acquire`.
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_idle_when_the_last_call_has_ended() {
        let count = CallCount::default();
        count.idle().await;
        let (first, second) = (count.begin(), count.begin());
        let mut idle = Box::pin(count.idle());
        assert!(futures::poll!(&mut idle).is_pending());
        drop(first);
        assert!(futures::poll!(&mut idle).is_pending());
        drop(second);
        assert!(futures::poll!(&mut idle).is_ready());
    }
}
