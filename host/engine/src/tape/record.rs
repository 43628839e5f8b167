//! Makes a cassette of what an attempt's imports answer.
//!
//! Owns its bound: a guest can ask for anything, any number of times. Beyond it, and for a tool that is not recorded fully,
//! what is left is how much there was and a digest.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::{Kind, Seal, json};
use airlock_types::cassette::{Cassette, Chunk, End, Entry, FORMAT, Header, RecordMode, Recording, Sent};
use airlock_types::digest::sha256;

/// Bytes of an entry beside its arguments and its answer.
const ENTRY_BYTES: usize = 96;

/// How the imports begin that ask what is ready.
const POLL: &str = "wasi:io/poll#";

/// Records one attempt.
#[derive(Debug)]
pub(crate) struct Recorder {
    mode: RecordMode,
    bytes_max: u64,
    fuel_max: u64,
    reel: Mutex<Reel>,
}

#[derive(Debug, Default)]
struct Reel {
    entries: Vec<Entry>,
    /// Imports that were answered from outside, moments not counted.
    imports: u64,
    /// Whether the guest asked what is ready, of which metadata has nothing.
    has_waited: bool,
    bytes: u64,
    fuel: Option<u64>,
    /// What is confidential in it.
    confidential: Option<String>,
    /// Why it cannot be replayed.
    lacks: Option<String>,
    /// Nothing of an attempt that has ended comes in any more.
    is_over: bool,
}

impl Recorder {
    pub(crate) fn new(mode: RecordMode, bytes_max: u64, fuel_max: u64) -> Recorder {
        Recorder { mode, bytes_max, fuel_max, reel: Mutex::default() }
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a new entry. None where nothing of it is kept.
    pub(super) fn begin(&self, import: &'static str, kind: Kind, args: impl Serialize) -> Option<usize> {
        let mut reel = self.reel();
        if reel.is_over {
            return None;
        }
        // Of metadata, moments are no part: they differ from run to run. How much of a log a stream takes does not.
        if kind == Kind::Moment && self.mode != RecordMode::Full {
            reel.has_waited |= import.starts_with(POLL);
            return None;
        }
        let args = json(args);
        reel.imports += u64::from(kind != Kind::Moment);
        if !reel.take(self.bytes_max, ENTRY_BYTES + size(&args)) {
            return None;
        }
        let is_effect = kind == Kind::Effect;
        let (import, fuel) = (import.to_owned(), reel.fuel.take());
        let entry = Entry {
            import,
            args,
            answer: None,
            feed: Vec::new(),
            sent: None,
            is_effect,
            fuel,
            sum: String::new(),
        };
        reel.entries.push(entry);
        Some(reel.entries.len() - 1)
    }

    pub(super) fn answer(&self, place: usize, answer: Value) {
        let bytes = size(&answer);
        self.put(place, bytes, |entry| entry.answer = Some(answer));
    }

    pub(super) fn feed(&self, place: usize, chunk: Chunk) {
        let bytes = match &chunk {
            Chunk::Data(data) => data.0.len() * 4 / 3,
            Chunk::Trailers(trailers) => {
                trailers.iter().map(|(name, value)| name.len() + value.0.len() * 4 / 3).sum()
            }
            Chunk::Failed(_) | Chunk::End => 0,
        };
        self.put(place, bytes + 16, |entry| entry.feed.push(chunk));
    }

    pub(super) fn sent(&self, place: usize, sent: Sent) {
        self.put(place, ENTRY_BYTES, |entry| entry.sent = Some(sent));
    }

    fn put(&self, place: usize, bytes: usize, set: impl FnOnce(&mut Entry)) {
        let mut reel = self.reel();
        if !reel.is_over
            && reel.take(self.bytes_max, bytes)
            && let Some(entry) = reel.entries.get_mut(place)
        {
            set(entry);
        }
    }

    pub(super) fn set_fuel(&self, left: Option<u64>) {
        self.reel().fuel = left.map(|left| self.fuel_max.saturating_sub(left));
    }

    pub(super) fn set_confidential(&self, what: &str) {
        self.reel().confidential.get_or_insert_with(|| what.to_owned());
    }

    /// Notes why the attempt cannot be replayed. The first reason stays.
    pub(crate) fn lack(&self, why: &str) {
        self.reel().lacks.get_or_insert_with(|| why.to_owned());
    }

    /// Whether the outcome itself is kept, and not only its digest.
    pub(crate) fn is_full(&self) -> bool {
        self.mode == RecordMode::Full
    }

    /// What was recorded of an attempt that has ended. `seal` encrypts to the operator's key, where there is one.
    pub(crate) fn finish(&self, header: Header, end: End, seal: Option<&Seal>) -> Recording {
        let mut reel = self.reel();
        reel.is_over = true;
        let (imports, end_sha256) = (reel.imports, end.digest());
        let mut recording = Recording {
            mode: self.mode,
            imports,
            bytes: reel.bytes,
            sha256: String::new(),
            end_sha256,
            lacks: reel.lacks.take(),
            is_sealed: false,
            text: String::new(),
        };
        let entries = std::mem::take(&mut reel.entries);
        if recording.bytes > self.bytes_max {
            recording.lacks = Some(too_large(recording.bytes, self.bytes_max));
        } else if self.mode == RecordMode::Metadata {
            // Without an import there is nothing beside the arguments, which the record has.
            recording.sha256 = if imports > 0 { digest(&entries) } else { String::new() };
            if (imports > 0 || reel.has_waited) && recording.lacks.is_none() {
                recording.lacks = Some("its tool is recorded with `record = \"metadata\"`".to_owned());
            }
        } else {
            let cassette = Cassette { format: FORMAT, header, entries, end: Some(end) }.write();
            recording.sha256 = sha256(cassette.as_bytes());
            recording.bytes = cassette.len() as u64;
            // With its head, its outcome and what JSON adds, which are not counted while it grows.
            if recording.bytes > self.bytes_max {
                recording.lacks = Some(too_large(recording.bytes, self.bytes_max));
            }
            // Of one that cannot be replayed the digest is enough.
            if recording.lacks.is_none() {
                keep(&mut recording, cassette, reel.confidential.take().as_deref(), seal);
            }
        }
        recording
    }
}

fn too_large(bytes: u64, most: u64) -> String {
    format!("it has {bytes} bytes, more than `journal.cassette_bytes_max` ({most})")
}

/// Keeps a cassette: as it is, or encrypted where it has something confidential.
fn keep(recording: &mut Recording, cassette: String, confidential: Option<&str>, seal: Option<&Seal>) {
    let Some(what) = confidential else {
        recording.text = cassette;
        return;
    };
    let lacks = match seal.map(|seal| seal(&cassette)) {
        Some(Ok(sealed)) => {
            (recording.text, recording.is_sealed) = (sealed, true);
            return;
        }
        Some(Err(why)) => format!("{what}, and it cannot be encrypted to `journal.recipient`: {why}"),
        None => format!("{what}, and no `journal.recipient` is set to encrypt it to"),
    };
    recording.lacks = Some(lacks);
    // The digest of a short cassette would tell whether a guess of it is right.
    recording.sha256.clear();
}

impl Reel {
    /// Counts bytes. Returns whether all of them fit; once they do not, nothing is kept.
    fn take(&mut self, bytes_max: u64, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let fits = self.bytes <= bytes_max;
        if !fits {
            // Freed now: the attempt may go on for long.
            self.entries = Vec::new();
        }
        fits
    }
}

fn digest(entries: &[Entry]) -> String {
    sha256(serde_json::to_string(entries).unwrap_or_default().as_bytes())
}

/// About how long a value is as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => values.iter().map(|value| size(value) + 1).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(key, value)| key.len() + size(value) + 4).sum::<usize>() + 2
        }
    }
}
