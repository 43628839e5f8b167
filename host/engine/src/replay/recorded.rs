//! A recorded attempt, read from the record of its call.
//!
//! Owns what a record must have for a replay, and why one has not. Must not know how an attempt is run again.

use serde_json::Value;

use airlock_types::cassette::{Cassette, CassetteError, End, FORMAT, Header};
use airlock_types::digest::sha256;
use airlock_types::record::Record;
use airlock_types::record::v3;
use airlock_types::record::v3::OpenError;

/// A recorded attempt that can be replayed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The tool that ran.
    pub tool: String,
    /// SHA-256 of its component, hex.
    pub component: String,
    /// The caller of the call.
    pub caller: String,
    /// Its canonical arguments.
    pub args: Value,
    /// The time at which the call began, by which its arguments are judged again.
    pub started_unix_ms: u64,
    /// The facts by which its arguments were judged; none without a session.
    pub facts: Option<v3::Facts>,
    /// Fuel that it used.
    pub fuel: u64,
    /// What entered it.
    pub cassette: Cassette,
    /// What it did to the world.
    pub(crate) effects: v3::Effects,
    /// SHA-256 of the outcome, hex; empty where it was not recorded.
    pub(super) end_sha256: String,
    /// Time that it took, in microseconds.
    pub(super) wall_us: u64,
}

/// Why an attempt cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReplayable {
    /// The call had no such attempt.
    #[error("the call has {0} attempts")]
    NoAttempt(usize),
    /// Its record says why.
    #[error("the attempt cannot be replayed: {0}")]
    Lacks(String),
    /// Its cassette cannot be read.
    #[error(transparent)]
    Cassette(#[from] CassetteError),
    /// Its cassette is whole, and not the one that its record has the digest of.
    #[error(
        "the cassette is not the one that was recorded of this attempt: `airlock journal verify` tells what was changed"
    )]
    Foreign,
    /// Its fields are confidential, and cannot be opened.
    #[error(transparent)]
    Confidential(#[from] OpenError),
    /// Its cassette cannot be decrypted.
    #[error("the cassette cannot be decrypted: {0}")]
    Sealed(String),
}

impl Recorded {
    /// The attempt with this number of a call, from 1. `unseal` decrypts what was encrypted to the operator's key: confidential
    /// fields, and cassettes.
    ///
    /// # Errors
    /// Says why it cannot be replayed.
    pub fn of(
        record: &Record,
        number: usize,
        unseal: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Recorded, NotReplayable> {
        let lacks = |why: &str| NotReplayable::Lacks(why.to_owned());
        if record.erased_unix_ms.is_some() {
            return Err(lacks("what the call and its tool said was erased"));
        }
        if record.confidential.is_some() {
            return Recorded::of(&record.opened(&unseal)?, number, unseal);
        }
        let index = number.checked_sub(1);
        let attempt = index.and_then(|index| record.attempts.get(index));
        let attempt = attempt.ok_or(NotReplayable::NoAttempt(record.attempts.len()))?;
        let recording = attempt.recording.as_ref().ok_or_else(|| lacks("nothing of it was recorded"))?;
        if let Some(why) = &recording.lacks {
            return Err(lacks(why));
        }
        let is_route = |plan: &v3::Plan| plan.routes.iter().any(|route| route.from.tool == attempt.route);
        if !record.plan.as_ref().is_some_and(is_route) {
            return Err(lacks("it asked whether an effect happened, and its arguments are not on record"));
        }
        let cassette = match (recording.cassette.as_str(), recording.sealed) {
            // Where it would have gone on, nothing says.
            ("", _) if *attempt.code == *End::DEADLINE => {
                return Err(lacks("the deadline ended it, and its cassette was not kept"));
            }
            // A guest that nothing entered needs no more than its arguments.
            ("", _) if recording.imports == 0 => bare(attempt),
            ("", _) => return Err(lacks("its cassette was not kept")),
            (sealed, true) => kept(&unseal(sealed).map_err(NotReplayable::Sealed)?, &recording.sha256)?,
            (text, false) => kept(text, &recording.sha256)?,
        };
        Ok(Recorded {
            tool: attempt.route.to_string(),
            component: attempt.component.to_string(),
            caller: record.caller.clone(),
            args: record.args.clone().unwrap_or_default(),
            started_unix_ms: record.started_unix_ms,
            facts: record.session.as_ref().map(|_| record.facts.as_deref().cloned().unwrap_or_default()),
            fuel: attempt.usage.fuel,
            cassette,
            effects: attempt.effects.clone().unwrap_or_default(),
            end_sha256: recording.end_sha256.clone(),
            wall_us: attempt.usage.wall_us,
        })
    }
}

impl Recorded {
    /// Whether the deadline ended it, which no replay repeats.
    pub(super) fn by_deadline(&self) -> bool {
        self.cassette.end.as_ref().is_some_and(|end| end.kind == End::DEADLINE)
    }

    /// Whether its guest returned, so that everything that it waited for was answered.
    pub(super) fn returned(&self) -> bool {
        self.cassette.end.as_ref().is_some_and(|end| end.kind == End::VALUE)
    }
}

/// The cassette of an attempt whose record has this digest of it. Damage of an entry is found before, with its place.
fn kept(text: &str, digest: &str) -> Result<Cassette, NotReplayable> {
    let cassette = Cassette::read(text)?;
    let is_its_own = digest.is_empty() || sha256(text.as_bytes()) == digest;
    if is_its_own { Ok(cassette) } else { Err(NotReplayable::Foreign) }
}

/// The cassette of an attempt that nothing entered. Its limits are those of today.
fn bare(attempt: &v3::Attempt) -> Cassette {
    let header = Header { component: attempt.component.to_string(), ..Header::default() };
    Cassette { format: FORMAT, header, entries: Vec::new(), end: None }
}
