//! What the log of a journal is for: checkpoints, proofs, and verification.

use crate::evidence::{Exported, Fault, Verified};
use crate::log::{Consistency, Note, Proof, VerifyingKey};
use crate::sqlite::Sqlite;
use crate::{Journal, JournalError, Sink};

impl Journal {
    /// Builds the tiles of all that is written, and signs a checkpoint of it. Blocks; calls do not wait for it.
    ///
    /// # Errors
    /// When the tiles cannot be written, or are of another log.
    pub fn checkpoint(&self) -> Result<Note, JournalError> {
        self.logged()?.checkpoint()
    }

    /// The public key of the log. Makes a missing key.
    ///
    /// # Errors
    /// When the key cannot be read or made, or was lost.
    pub fn checkpoint_key(&self) -> Result<VerifyingKey, JournalError> {
        self.logged()?.checkpoint_key()
    }

    /// Makes another key in the place of one that was lost. It signs what the log is now, so that what the log says of retention and
    /// exports needs no other signature until then.
    ///
    /// # Errors
    /// When there is a key, or the folder of the tiles that the lost one signed.
    pub fn new_checkpoint_key(&self) -> Result<VerifyingKey, JournalError> {
        self.logged()?.new_checkpoint_key()
    }

    /// Notes in the log that a checkpoint left the machine.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn exported(&self, note: &Note, to: &str, at_unix_ms: u64) -> Result<(), JournalError> {
        self.logged()?.exported(note, to, at_unix_ms)
    }

    /// The last checkpoint that left the machine, and whether nothing was written since.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_export(&self) -> Result<Option<(Exported, bool)>, JournalError> {
        self.logged()?.last_export()
    }

    /// Proves that the record with this id is in the log, against a checkpoint of all that is written. `None` without such a
    /// record.
    ///
    /// # Errors
    /// When the record is not as the log has it, or the tiles cannot be built or do not lead to the checkpoint.
    pub fn prove(&self, id: &str) -> Result<Option<Proof>, JournalError> {
        self.logged()?.prove(id)
    }

    /// What is wrong with the record, the intent and the grades of the call with this id: whether they are as the log has them. Neither the
    /// tiles nor other entries are looked at. Nothing is wrong in a journal in memory.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn faults(&self, id: &str) -> Result<Vec<Fault>, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => sqlite.faults(id),
            Sink::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Proves that the log of one checkpoint is the beginning of that of another. The inner error says that it is not.
    ///
    /// # Errors
    /// When the tiles cannot be built.
    pub fn consistency(&self, old: &Note, new: &Note) -> Result<Result<Consistency, String>, JournalError> {
        self.logged()?.consistency(old, new)
    }

    /// Verifies every record, the tiles, and the checkpoints that were kept elsewhere. Without a key, checkpoints must be
    /// signed by the one beside the journal. Entries may be signed by both. Blocks; calls do not wait for it.
    ///
    /// # Errors
    /// When the journal cannot be read. What is wrong with it is in the report.
    pub fn verify(&self, since: &[Note], key: Option<&VerifyingKey>) -> Result<Verified, JournalError> {
        self.logged()?.verify(since, key)
    }

    fn logged(&self) -> Result<&Sqlite, JournalError> {
        match &self.sink {
            Sink::Sqlite(sqlite) => Ok(sqlite),
            Sink::Memory(_) => Err(JournalError::Log("a journal in memory has none".into())),
        }
    }
}
