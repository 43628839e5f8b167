//! The log of a journal in a database: its tiles and checkpoints, proofs, and verification.

use std::time::Duration;

use serde::Serialize;

use super::Sqlite;
use crate::beside::Own;
use crate::evidence::{Exported, Fault, Verified};
use crate::log::{
    self, BuildError, Checkpoint, Consistency, KeyError, Kind, Lock, Note, Proof, SigningKey, Source,
    TileFault, Tiles, VerifyingKey,
};
use crate::store::verify::Against;
use crate::store::{self, Store, StoreError, processes, signing};
use crate::{JournalError, owner};

/// How long a command waits for another process that builds tiles.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Pause between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What the entry about an export says. Its fields are in the order of their names: the text is canonical JSON.
#[derive(Serialize)]
struct Told<'t> {
    at_unix_ms: u64,
    /// The name of the log, which is that of the key.
    origin: &'t str,
    root: String,
    size: u64,
    to: &'t str,
}

fn failed(err: impl ToString) -> JournalError {
    JournalError::Log(err.to_string())
}

impl Sqlite {
    /// A connection of its own: nothing of this is in a call's way.
    fn own_store(&self) -> Result<Own<'_>, JournalError> {
        self.beside.open(&self.path).map_err(JournalError::Read)
    }

    /// The key beside the journal; none if it is missing.
    fn existing_key(&self) -> Result<Option<SigningKey>, KeyError> {
        SigningKey::existing(&log::key_path(&self.path))
    }

    /// The public key of the log. Makes a missing key.
    pub(crate) fn checkpoint_key(&self) -> Result<VerifyingKey, JournalError> {
        let key = self.own_store()?.key(&Tiles::beside(&self.path)).map_err(failed)?;
        Ok(key.verifying().clone())
    }

    /// Makes another key in the place of one that was lost.
    pub(crate) fn new_checkpoint_key(&self) -> Result<VerifyingKey, JournalError> {
        let key = self.own_store()?.new_key(&Tiles::beside(&self.path)).map_err(failed)?;
        Ok(key.verifying().clone())
    }

    /// Builds the tiles of all that is written, and signs a checkpoint of it.
    pub(crate) fn checkpoint(&self) -> Result<Note, JournalError> {
        // Records that are queued come with the next one.
        let tiles = Tiles::beside(&self.path);
        let lock = lock(&tiles, LOCK_WAIT)?;
        let mut store = self.own_store()?;
        build(&tiles, &lock, &mut store)
    }

    /// Notes in the log that a checkpoint left the machine.
    pub(crate) fn exported(&self, note: &Note, to: &str, at_unix_ms: u64) -> Result<(), JournalError> {
        let Checkpoint { origin, size, root } = &note.checkpoint;
        let told = Told { at_unix_ms, origin, root: store::verify::base64(root), size: *size, to };
        let text = serde_json::to_string(&told).map_err(failed)?;
        let mut store = self.own_store()?;
        let key = store.key(&Tiles::beside(&self.path)).map_err(failed)?;
        let written = store.write(|connection| signing::append(connection, Kind::Checkpoint, &text, &key));
        written.map(drop).map_err(|err: StoreError| JournalError::Write(err.to_string()))
    }

    /// The last checkpoint that left the machine, and whether nothing was written since.
    pub(crate) fn last_export(&self) -> Result<Option<(Exported, bool)>, JournalError> {
        self.read(|connection| {
            let read = |err: rusqlite::Error| JournalError::Read(err.to_string());
            let Some((number, text)) = store::log::latest(connection, Kind::Checkpoint).map_err(read)? else {
                return Ok(None);
            };
            let is_last = store::log::size(connection).map_err(read)? == number + 1;
            Ok(store::verify::exported(&text).map(|exported| {
                let is_all = is_last && exported.size == number;
                (exported, is_all)
            }))
        })
    }

    /// Proves that the record of a call is in the log, against a checkpoint of all that is written.
    pub(crate) fn prove(&self, id: &str) -> Result<Option<Proof>, JournalError> {
        self.writer.flush()?;
        let (tiles, mut store) = (Tiles::beside(&self.path), self.own_store()?);
        // A proof of an entry whose record is another by now would say that what is there was written.
        if let Some(fault) = self.faults(id)?.into_iter().next() {
            return Err(JournalError::Altered { id: id.to_owned(), what: fault.what });
        }
        let Some((index, entry)) = store::log::of_call(store.connection(), id).map_err(failed)? else {
            return Ok(None);
        };
        let lock = lock(&tiles, LOCK_WAIT)?;
        let note = build(&tiles, &lock, &mut store)?;
        let size = note.checkpoint.size;
        let path =
            log::inclusion(index, size, &mut |level, at| tiles.node(size, level, at)).map_err(failed)?;
        let proof = Proof { entry, index, path, note };
        let is_proof = proof.holds();
        is_proof.then_some(Some(proof)).ok_or_else(|| {
            failed(format!("the tiles do not lead from the entry {index} to the checkpoint; `airlock journal verify` says why"))
        })
    }

    /// Proves that the log of one checkpoint is the beginning of that of another. The inner error says that it is not.
    pub(crate) fn consistency(
        &self,
        old: &Note,
        new: &Note,
    ) -> Result<Result<Consistency, String>, JournalError> {
        self.writer.flush()?;
        let (tiles, mut store) = (Tiles::beside(&self.path), self.own_store()?);
        let lock = lock(&tiles, LOCK_WAIT)?;
        let built = build(&tiles, &lock, &mut store)?;
        let key = store.key(&tiles).map_err(failed)?;
        let size = built.checkpoint.size;
        let (old_size, new_size) = (old.checkpoint.size, new.checkpoint.size);
        if old_size == 0 || old_size > new_size {
            return Ok(Err(format!(
                "the old checkpoint has 1 to {new_size} entries, and this one has {old_size}"
            )));
        }
        for note in [old, new] {
            let Checkpoint { origin: _, size: entries, root } = &note.checkpoint;
            if !note.is_signed_by(key.verifying()) {
                let key = key.verifying();
                return Ok(Err(format!(
                    "the checkpoint of {entries} entries is not signed by the key {key}"
                )));
            }
            if *entries > size {
                return Ok(Err(format!("the checkpoint is of {entries} entries, and the log has {size}")));
            }
            let here = log::range(0, *entries, &mut |level, at| tiles.node(size, level, at));
            if here.map_err(failed)? != *root {
                return Ok(Err(format!(
                    "the first {entries} entries of the log are not those of the checkpoint"
                )));
            }
        }
        let path = log::consistency(old_size, new_size, &mut |level, at| tiles.node(size, level, at));
        let path = path.map_err(failed)?;
        Ok(Ok(Consistency { old: (&old.checkpoint).into(), new: (&new.checkpoint).into(), path }))
    }

    /// What is wrong with what is stored of one call.
    pub(crate) fn faults(&self, id: &str) -> Result<Vec<Fault>, JournalError> {
        // Without a key nothing is said about signatures: a verification tells of that.
        let key = self.existing_key().ok().flatten();
        let key = key.as_ref().map(SigningKey::verifying);
        self.read(|connection| store::verify::record(connection, id, key).map_err(failed))
    }

    /// Verifies everything.
    pub(crate) fn verify(
        &self,
        since: &[Note],
        key: Option<&VerifyingKey>,
    ) -> Result<Verified, JournalError> {
        self.writer.flush()?;
        let (tiles, store) = (Tiles::beside(&self.path), self.own_store()?);
        let (lock, misplaced) = match tiles.is_there().then(|| locked(&tiles, LOCK_WAIT)).transpose() {
            Ok(lock) => (lock, None),
            // What is there is no folder of tiles. Everything else is verified all the same.
            Err(TileFault::State(err)) => (None, Some(err)),
            Err(err) => return Err(failed(err)),
        };
        let (own, unusable) = self.existing_key().map_or_else(|err| (None, Some(err)), |own| (own, None));
        let own = own.as_ref().map(SigningKey::verifying);
        let tiles = lock.as_ref().map(|_| &tiles);
        // The given one first: with it, no other key says from where on entries are signed.
        let keys = key.into_iter().chain(own).collect();
        let against = Against { tiles, since, key: key.or(own), keys, unusable, misplaced };
        let mut verified = store::verify::verify(store.connection(), &against).map_err(failed)?;
        for dead in owner::dead(&self.path) {
            let missing = processes::missing(store.connection(), &dead.id, dead.owed);
            let missing = missing.map_err(StoreError::from).map_err(failed)?;
            verified.owed = verified.owed.saturating_add(missing);
        }
        Ok(verified)
    }
}

/// Builds the tiles of all that is written, and signs a checkpoint of it.
fn build(tiles: &Tiles, lock: &Lock, store: &mut Store) -> Result<Note, JournalError> {
    let key = store.key(tiles).map_err(failed)?;
    let connection = store.connection();
    let size = store::log::size(connection).map_err(StoreError::from).map_err(failed)?;
    let mut leaves = |first, count| store::log::leaves(connection, first, count).map_err(StoreError::from);
    let mut source = Source { size, leaves: &mut leaves };
    log::build(tiles, lock, &key, &mut source).map_err(|err: BuildError<StoreError>| failed(err))
}

/// Locks the tiles. Waits for another process that builds them.
fn lock(tiles: &Tiles, wait: Duration) -> Result<Lock, JournalError> {
    locked(tiles, wait).map_err(failed)
}

fn locked(tiles: &Tiles, wait: Duration) -> Result<Lock, TileFault> {
    let mut left = wait;
    loop {
        match tiles.lock() {
            Err(TileFault::Locked(_)) if left > Duration::ZERO => {
                std::thread::sleep(LOCK_PAUSE);
                left = left.saturating_sub(LOCK_PAUSE);
            }
            locked => return locked,
        }
    }
}
