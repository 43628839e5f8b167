//! The end of an attempt from outside of its guest, which may be computing or waiting at the time.

use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

/// Why the host ends an attempt: a response had the value of this secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Echoed {
    pub(crate) secret: String,
}

/// Ends one attempt. The first reason counts.
#[derive(Debug, Default)]
pub(crate) struct Halt {
    reason: OnceLock<Echoed>,
    waker: AtomicWaker,
}

impl Halt {
    /// Ends the attempt. What the guest returns from here on does not count.
    pub(super) fn set(&self, secret: &str) {
        let _ = self.reason.set(Echoed { secret: secret.to_owned() });
        self.waker.wake();
    }

    /// Whether the attempt was ended.
    pub(crate) fn get(&self) -> Option<&Echoed> {
        self.reason.get()
    }

    /// Waits until the attempt is ended.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        // Registered first: what is set in between wakes the task.
        self.waker.register(context.waker());
        if self.reason.get().is_some() { Poll::Ready(()) } else { Poll::Pending }
    }
}
