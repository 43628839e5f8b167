//! Records in an SQLite database, written by a dedicated thread.
//!
//! Owns both connections: the writer's, and the reader's, which look-ups open on demand. Must not know what a record
//! says.

mod log;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use crate::beside::Beside;
use crate::grade::{Given, Graded};
use crate::listing::{Filter, Listed, Tail};
use crate::log::Tiles;
use crate::queue::Message;
use crate::retention::{By, Keep, Pruned, Rules};
use crate::store::{self, Fault, NotGraded, REWRITE_BYTES_MAX, Step, Store, StoreError};
use crate::writer::Writer;
use crate::{JournalError, JournalView, OpenCall, owner};
use airlock_types::record::Record;

/// Tries of a step while another process holds the database, each of [`store::BUSY`].
const BUSY_MAX: u32 = 20;

/// Pause between two steps of retention. A writer that waits for the database looks at least that often.
const PAUSE: Duration = Duration::from_millis(5);

/// An open database of records.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    beside: Arc<Beside>,
    pub(super) writer: Writer,
}

impl Sqlite {
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Sqlite, JournalError> {
        // Opened on this thread, so that an error reaches the caller of `open` and no thread is started for it.
        let store = Store::open(path).map_err(|reason| cannot_open(path, reason))?;
        Sqlite::start(path, Some(store), bytes_max)
    }

    /// Opens the database, or goes on without it: the writer then tries again and again.
    pub(super) fn open_or_wait(path: &Path, bytes_max: u64) -> Result<Sqlite, JournalError> {
        let store = Store::open(path);
        if let Err(reason) = &store {
            tracing::error!(
                "the journal `{}` cannot be opened: {reason}; calls with effects are refused until it can be",
                path.display()
            );
        }
        Sqlite::start(path, store.ok(), bytes_max)
    }

    fn start(path: &Path, mut store: Option<Store>, bytes_max: u64) -> Result<Sqlite, JournalError> {
        if let Some(store) = &mut store {
            // The key begins at the first opening, as it was made. Whatever prevents it is told where the key is needed.
            let _ = store.key(&Tiles::beside(path));
        }
        let beside = Arc::<Beside>::default();
        let writer = Writer::start(path.to_owned(), store, Arc::clone(&beside), bytes_max)
            .map_err(|err| cannot_open(path, err.to_string()))?;
        Ok(Sqlite { path: path.to_owned(), beside, writer })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn view(&self) -> JournalView {
        let shared = &self.writer.shared;
        JournalView {
            standing: shared.standing(),
            waiting: shared.waiting(),
            lost: shared.lost.count(),
            removed: shared.removed.load(Ordering::Acquire),
            intents: shared.intents.load(Ordering::Acquire),
            commits: shared.commits.load(Ordering::Acquire),
        }
    }

    pub(super) fn bound(&self, bytes_max: u64) {
        // Before the message, because the writer reads the value when it receives the message.
        self.writer.shared.bytes_max.store(bytes_max, Ordering::Release);
        // The send fails only when the writer thread has ended. Then there is nothing to bound.
        let _ = self.writer.queue.tell(Message::Bound);
    }

    /// Looks up a record. A stored record is found even when the writer cannot write. When no record is found and the
    /// flush failed, the flush error is returned: the record may still be queued.
    pub(super) fn find(&self, id: &str) -> Result<Option<Record>, JournalError> {
        // Flushed first, so that a reply's id can be looked up as soon as the reply was sent. The result is used below,
        // since a stored record must be found even if the flush failed.
        let flushed = self.writer.flush();
        match self.read(|connection| store::find(connection, id))? {
            None => flushed.map(|()| None),
            found => Ok(found),
        }
    }

    pub(super) fn each(&self, visit: &mut dyn FnMut(&Record)) -> Result<(), JournalError> {
        self.writer.flush()?;
        self.read(|connection| store::each(connection, visit))
    }

    pub(super) fn page(&self, after: &str, since_unix_ms: u64) -> Result<Vec<Record>, JournalError> {
        self.writer.flush()?;
        self.read(|connection| store::page(connection, after, since_unix_ms))
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        before: Option<&str>,
        count: u32,
    ) -> Result<Vec<Listed>, JournalError> {
        self.writer.flush()?;
        self.read(|connection| store::list(connection, filter, before, count))
    }

    pub(super) fn newest(&self, filter: &Filter, count: u32) -> Result<(Vec<Listed>, Tail), JournalError> {
        self.writer.flush()?;
        self.read(|connection| store::newest(connection, filter, count))
    }

    pub(super) fn follow(&self, filter: &Filter, from: Tail) -> Result<(Vec<Listed>, Tail), JournalError> {
        self.read(|connection| store::follow(connection, filter, from))
    }

    pub(super) fn open_intents(&self) -> Result<Vec<String>, JournalError> {
        self.writer.flush()?;
        self.read(store::open_intents)
    }

    /// Looks up a call that started and has not ended.
    pub(super) fn find_open(&self, id: &str) -> Result<Option<OpenCall>, JournalError> {
        self.writer.flush()?;
        let found = self.read(|connection| store::find_open(connection, id))?;
        Ok(found.map(|(record, owner)| OpenCall { record, is_running: owner::is_alive(&self.path, &owner) }))
    }

    /// Applies the rules to every record. Other connections, and the writer, get their turns between the steps.
    pub(super) fn prune(&self, rules: &Rules<'_>, by: By, now_unix_ms: u64) -> Result<Pruned, JournalError> {
        let failed = |err: StoreError| JournalError::Write(err.to_string());
        let mut store = self.beside.open(&self.path).map_err(JournalError::Write)?;
        store.overwrite_removed().map_err(failed)?;
        // Before anything is removed: what retention took is signed.
        store.key(&Tiles::beside(&self.path)).map_err(failed)?;
        store.write(store::index).map_err(failed)?;
        let mut pruning = Pruning { pruned: Pruned::none(by), run: None, now_unix_ms };
        // Callers can make up names, the empty one too.
        let mut tool = Some(String::new());
        while let Some(name) = tool {
            let keep = rules(&name);
            while !keep.is_all() && pruning.step(&mut store, &name, keep).map_err(failed)? {
                std::thread::sleep(PAUSE);
            }
            tool = store::next_tool(store.connection(), &name).map_err(failed)?;
        }
        if !pruning.pruned.is_none() {
            if let Err(err) = until_free(|| store.rewrite(REWRITE_BYTES_MAX)) {
                tracing::warn!(
                    "the journal cannot be rewritten, so that copies of what was erased may be left: {err}"
                );
            }
            // What was erased is also in the log until it restarts. A reader that pins the log ends some time.
            let _ = store.fold(0);
        }
        Ok(pruning.pruned)
    }

    /// Rewrites the database, whatever its size, with nothing in the free space of its pages. Records wait meanwhile.
    pub(super) fn rewrite(&self) -> Result<(), JournalError> {
        let failed = |err: StoreError| JournalError::Write(err.to_string());
        let store = self.beside.open(&self.path).map_err(JournalError::Write)?;
        store.overwrite_removed().map_err(failed)?;
        until_free(|| store.rewrite(u64::MAX)).map_err(failed)?;
        store.fold(0).map_err(failed)
    }

    /// Appends a grade to a call. Over a connection of its own, as no call waits for it.
    pub(super) fn grade(&self, call: &str, graded: &Graded) -> Result<(), JournalError> {
        let mut store = self.beside.open(&self.path).map_err(JournalError::Write)?;
        Ok(store.write(|connection| store::grade(connection, call, graded))?)
    }

    pub(super) fn grades(&self, call: &str) -> Result<Vec<Given>, JournalError> {
        self.read(|connection| store::given(connection, call))
    }

    /// Appends grades to calls, in one transaction. Returns how many were new.
    pub(super) fn grade_all(&self, grades: &[(String, Graded)]) -> Result<usize, JournalError> {
        let mut store = self.beside.open(&self.path).map_err(JournalError::Write)?;
        let append = |connection: &Connection| {
            let mut new = 0;
            for (call, graded) in grades {
                if store::is_graded(connection, call, graded)? {
                    continue;
                }
                store::grade(connection, call, graded)?;
                new += 1;
            }
            Ok::<_, NotGraded>(new)
        };
        Ok(store.write(append)?)
    }

    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut reader = self.beside.reader();
        let store = match &mut *reader {
            Some(store) => store,
            none => none.insert(Store::open(&self.path).map_err(JournalError::Read)?),
        };
        // The files at the path may have been replaced since. Without the check, look-ups would read a removed file.
        if store.is_in_place() {
            return look(store.connection());
        }
        // Closed and not reopened here: the next look-up opens the files that are there by then.
        *reader = None;
        Err(JournalError::Read("its files were moved or removed; it is opened again".into()))
    }
}

fn cannot_open(path: &Path, reason: String) -> JournalError {
    JournalError::Open { path: path.to_owned(), reason }
}

/// A run of retention, and its number.
struct Pruning {
    pruned: Pruned,
    run: Option<u64>,
    now_unix_ms: u64,
}

/// Tries again while others hold the database.
fn until_free<T>(mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut busy = 0;
    loop {
        match work() {
            Err(err) if err.fault() == Fault::Busy && busy < BUSY_MAX => busy += 1,
            done => return done,
        }
    }
}

impl Pruning {
    /// One step for one tool. Returns whether there is more to do.
    fn step(&mut self, store: &mut Store, tool: &str, keep: Keep) -> Result<bool, StoreError> {
        until_free(|| self.try_step(store, tool, keep))
    }

    fn try_step(&mut self, store: &mut Store, tool: &str, keep: Keep) -> Result<bool, StoreError> {
        let mut step = Step::none(self.pruned.by);
        let (is_more, run) = store.write(|connection| {
            let is_more = store::step(connection, tool, keep, self.now_unix_ms, &mut step)?;
            if step.pruned.is_none() {
                return Ok((is_more, self.run));
            }
            // In the transaction of the step: what is gone is told, wherever the run ends.
            let run = store::tell(connection, self.run, &step, self.now_unix_ms)?;
            Ok::<_, StoreError>((is_more, Some(run)))
        })?;
        // Counted only once the step is durable.
        self.pruned.add(&step.pruned);
        self.run = run;
        Ok(is_more)
    }
}
