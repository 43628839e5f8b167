//! What an attempt changes in files: what it counts, whether it may have happened, and what the bounds still allow.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::allotment::Left;
use super::fault::Fault;
use crate::capability::dispatch::Clearance;
use crate::capability::{Dispatched, Noted};

/// The changes of one attempt, when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) written_bytes: u64,
    pub(crate) files_created: u64,
    /// What was refused, and which folders were used.
    pub(crate) noted: Noted,
}

/// The changes of a running attempt. Shared, since writes run beside the guest.
#[derive(Debug, Default)]
pub(super) struct Running {
    written_bytes: AtomicU64,
    files_created: AtomicU64,
    noted: Mutex<Noted>,
}

impl Running {
    pub(super) fn changes(&self) -> Changes {
        Changes {
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            files_created: self.files_created.load(Ordering::Relaxed),
            noted: self.noted().clone(),
        }
    }

    pub(super) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn begin(&self, clearance: &Clearance) -> Result<Change, Fault> {
        // Refused once the attempt has ended, when no guest asks any more.
        let dispatched = clearance.dispatch().map_err(|_| Fault::NOT_GRANTED)?;
        let (running, is_made) = (self.running.clone(), AtomicBool::new(false));
        Ok(Change { running, is_made, dispatched: Some(dispatched) })
    }

    /// Creates a file, a folder or a link, if one is left.
    pub(super) fn create<T>(&self, work: impl FnOnce() -> io::Result<T>) -> Result<T, Fault> {
        if !self.left.take_file() {
            return Err(Fault::beyond("files_max", None));
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
pub(super) struct Change {
    running: Arc<Running>,
    is_made: AtomicBool,
    /// Taken by the drop.
    dispatched: Option<Dispatched>,
}

impl Change {
    pub(super) fn set_made(&self) {
        self.is_made.store(true, Ordering::Release);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.running.written_bytes.fetch_add(bytes, Ordering::Relaxed);
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
        let Some(dispatched) = self.dispatched.take() else { return };
        if self.is_made.load(Ordering::Acquire) { dispatched.settle() } else { dispatched.withdraw() }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::capability::dispatch::Effects;
    use crate::capability::{Capability, Ledger};
    use airlock_types::effect::{Effect, Left as LeftBehind};
    use airlock_types::grant::WriteBounds;

    /// What a change of a tool of this class leaves behind, and whether it is open.
    fn check(class: Effect, work: impl FnOnce(Change)) -> (LeftBehind, bool) {
        let effects = Effects::begin(Some(Arc::new(Ledger::new(class))));
        let clearance =
            effects.clear(&Capability::Files.facts(), effects.local(), "files".into(), None).unwrap();
        let bounds = WriteBounds { bytes_max: 1, files_max: 1, file_bytes_max: 1 };
        work(Writing::new(Left::new(bounds), Arc::default()).begin(&clearance).unwrap());
        let effects = effects.end();
        (effects.left, effects.is_open())
    }

    fn ends(class: Effect, with: Result<(), Fault>) -> LeftBehind {
        check(class, |change| drop(change.made(with))).0
    }

    #[test]
    fn only_what_is_known_not_to_have_happened_may_be_repeated() {
        let io = |errno: Errno| Err(Fault::from(errno));
        let ends_write = |with| ends(Effect::Write, with);
        assert_eq!(ends_write(Err(Fault::beyond("files_max", None))), LeftBehind::Nothing);
        assert_eq!(ends_write(io(Errno::NOENT)), LeftBehind::Nothing);
        assert_eq!(ends_write(Ok(())), LeftBehind::Once);
        assert_eq!(ends_write(io(Errno::IO)), LeftBehind::Once, "a disk that failed may have written");
        assert_eq!(ends_write(Err(io::Error::other("?").into())), LeftBehind::Once);
        assert_eq!(ends(Effect::Idempotent, Ok(())), LeftBehind::Again, "an idempotent tool may");
    }

    #[test]
    fn a_change_under_way_is_not_repeated_by_any_tool() {
        for class in [Effect::Write, Effect::Idempotent] {
            assert_eq!(check(class, std::mem::forget), (LeftBehind::Once, true));
            assert_eq!(check(class, drop), (LeftBehind::Nothing, false), "dropped before it ran");
        }
    }
}
