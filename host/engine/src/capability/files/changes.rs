//! What an attempt changes in files: what it counts, whether it may have happened, and what the bounds still allow.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::allotment::Left;
use super::fault::Fault;

/// The changes of one attempt, when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) written_bytes: u64,
    pub(crate) files_created: u64,
    /// Whether something was refused that is not granted.
    pub(crate) is_denied: bool,
    /// Whether a change may have happened that must not happen twice.
    pub(crate) has_unproven: bool,
}

/// The changes of a running attempt. Shared, since writes run beside the guest.
#[derive(Debug, Default)]
pub(super) struct Running {
    written_bytes: AtomicU64,
    files_created: AtomicU64,
    is_denied: AtomicBool,
    /// Changes of which it is not known yet whether they happen.
    open: AtomicU64,
    has_changed: AtomicBool,
    is_repeatable: bool,
}

impl Running {
    pub(super) fn new(is_repeatable: bool) -> Running {
        Running { is_repeatable, ..Running::default() }
    }

    pub(super) fn changes(&self) -> Changes {
        // Before the mark is read: a change sets the mark before it is no longer open.
        let is_open = self.open.load(Ordering::Acquire) > 0;
        // A change that is still under way may come after that of another attempt, so it must not be repeated even
        // where making it twice would be harmless.
        let has_unproven = is_open || (self.has_changed.load(Ordering::Acquire) && !self.is_repeatable);
        Changes {
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            files_created: self.files_created.load(Ordering::Relaxed),
            is_denied: self.is_denied.load(Ordering::Relaxed),
            has_unproven,
        }
    }

    /// Notes that something was refused that is not granted.
    pub(super) fn deny(&self) {
        self.is_denied.store(true, Ordering::Relaxed);
    }
}

/// The right to change what is beneath a folder, and what is left of it.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) left: Arc<Left>,
    running: Arc<Running>,
}

impl Writing {
    pub(super) fn new(left: Arc<Left>, running: Arc<Running>) -> Writing {
        Writing { left, running }
    }

    /// Opens a change, before the thread that makes it is asked for: an attempt that ends meanwhile must not look as if
    /// nothing had been begun.
    pub(super) fn begin(&self) -> Change {
        self.running.open.fetch_add(1, Ordering::AcqRel);
        Change(self.running.clone())
    }

    /// Creates a file, a folder or a link, if one is left.
    pub(super) fn create<T>(&self, work: impl FnOnce() -> io::Result<T>) -> Result<T, Fault> {
        if !self.left.take_file() {
            return Err(Fault::BEYOND_BOUND);
        }
        match work() {
            Ok(created) => {
                self.running.files_created.fetch_add(1, Ordering::Relaxed);
                Ok(created)
            }
            Err(err) => {
                self.left.return_file();
                Err(err.into())
            }
        }
    }
}

/// One change, from before it is made until it is known whether it was.
#[derive(Debug)]
pub(super) struct Change(Arc<Running>);

impl Change {
    pub(super) fn set_made(&self) {
        self.0.has_changed.store(true, Ordering::Release);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.0.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Marks the change as made unless its error proves that it was not.
    pub(super) fn made<T>(&self, done: Result<T, Fault>) -> Result<T, Fault> {
        if !done.as_ref().is_err_and(Fault::changed_nothing) {
            self.set_made();
        }
        done
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn check(is_repeatable: bool, work: impl FnOnce(&Arc<Running>)) -> bool {
        let running = Arc::new(Running::new(is_repeatable));
        work(&running);
        running.changes().has_unproven
    }

    fn begin(running: &Arc<Running>) -> Change {
        running.open.fetch_add(1, Ordering::AcqRel);
        Change(running.clone())
    }

    fn ends(running: &Arc<Running>, with: Result<(), Fault>) {
        let _ = begin(running).made(with);
    }

    #[test]
    fn only_what_is_known_not_to_have_happened_may_be_repeated() {
        let io = |errno: Errno| Err(Fault::from(errno));
        assert!(!check(false, |_| {}));
        assert!(!check(false, |running| ends(running, Err(Fault::BEYOND_BOUND))));
        assert!(!check(false, |running| ends(running, io(Errno::NOENT))));
        assert!(check(false, |running| ends(running, Ok(()))));
        assert!(check(false, |running| ends(running, io(Errno::IO))), "a disk that failed may have written");
        assert!(check(false, |running| ends(running, Err(io::Error::other("?").into()))));
        assert!(!check(true, |running| ends(running, Ok(()))), "an idempotent tool may");
    }

    #[test]
    fn a_change_under_way_is_not_repeated_by_any_tool() {
        for is_repeatable in [false, true] {
            assert!(check(is_repeatable, |running| std::mem::forget(begin(running))));
            assert!(!check(is_repeatable, |running| drop(begin(running))), "dropped before it ran");
        }
    }
}
