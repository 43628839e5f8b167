//! A cassette: everything that entered the guest of one attempt, in the form in which it is stored.
//!
//! Owns this form, which names no live type, and the sums by which a damaged entry is found. Must not know who records or
//! replays. To change the form: the next [`FORMAT`], and a recording of this one under `tests/recordings`.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::digest::sha256;

/// The version of this form.
pub const FORMAT: u32 = 1;

/// Hexadecimal digits of the sum of an entry: enough to find damage. Who may write to the journal can make new sums.
const SUM_DIGITS: usize = 16;

/// What of the imports of a tool is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordMode {
    /// Nothing.
    Off,
    /// How many imports were called, and digests of what they answered and of the outcome.
    #[default]
    Metadata,
    /// Everything, so that the attempt can be replayed.
    Full,
}

impl RecordMode {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordMode::Off => "off",
            RecordMode::Metadata => "metadata",
            RecordMode::Full => "full",
        }
    }
}

/// What was recorded of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What was asked for.
    pub mode: RecordMode,
    /// Imports that were answered from outside of the attempt.
    pub imports: u64,
    /// Length of the cassette in bytes, also of one that was not kept.
    pub bytes: u64,
    /// SHA-256 of the cassette, hex.
    pub sha256: String,
    /// SHA-256 of the outcome, hex, see [`End::digest`].
    pub end_sha256: String,
    /// Why the attempt cannot be replayed, where it cannot.
    pub lacks: Option<String>,
    /// Whether the text is encrypted to the operator's key.
    pub is_sealed: bool,
    /// The cassette as JSON, or encrypted. Empty where none was kept.
    pub text: String,
}

/// Everything that entered the guest of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cassette {
    /// The version of this form.
    pub format: u32,
    /// Under what the attempt ran.
    pub header: Header,
    /// The calls of imports, in order.
    pub entries: Vec<Entry>,
    /// How the attempt ended; none for one that was cancelled.
    pub end: Option<End>,
}

/// Under what an attempt ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Airlock.
    pub host: String,
    /// The engine and its version.
    pub engine: String,
    /// The settings of the engine on which the course of a guest depends.
    pub settings: String,
    /// SHA-256 of the component, hex.
    pub component: String,
    /// SHA-256 of what the tool was allowed, hex.
    pub policy: String,
    /// The seed of random bytes, hex.
    pub seed: String,
    /// Fuel that the attempt was given.
    pub fuel_max: u64,
    /// Bytes of memory that it was given.
    pub memory_bytes_max: u64,
    /// Whether effects could leave.
    pub has_intent: bool,
    /// The variables of the environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// The values of `config`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub config: BTreeMap<String, String>,
}

/// One call of an import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The import: `wasi:filesystem/types#stat`.
    pub import: String,
    /// Its arguments. Of bytes that a guest passes, their digest.
    pub args: Value,
    /// What it answered; none if the attempt ended before. Nothing is an answer, too: `null`.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "answered")]
    pub answer: Option<Value>,
    /// What came in parts after the answer: bodies, and bytes of files.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub feed: Vec<Chunk>,
    /// What the guest sent in parts, once it had ended: the body of a request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<Sent>,
    /// Whether it may have changed something outside of the attempt.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_effect: bool,
    /// Fuel that the attempt had used when it called, where that was known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fuel: Option<u64>,
    /// The sum over the entry and its place.
    #[serde(default)]
    pub sum: String,
}

/// An answer that is there, also if it is `null`, which serde would read as none.
fn answered<'d, D: serde::Deserializer<'d>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What a guest sent in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of them, hex.
    pub sha256: String,
}

/// A part of what came after an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chunk {
    /// Bytes.
    Data(Blob),
    /// The headers at the end of a body.
    Trailers(Vec<(String, Blob)>),
    /// It failed, with this error.
    Failed(String),
    /// There is no more.
    End,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// `value`, `trap`, `limit.fuel`, `denied`, ….
    pub kind: String,
    /// The value as JSON, or what the engine or the host said.
    #[serde(skip_serializing_if = "Value::is_null", default)]
    pub detail: Value,
    /// Fuel that it used. Too low for one that the deadline ended.
    pub fuel: u64,
}

impl End {
    /// The kind of an attempt that the deadline ended.
    pub const DEADLINE: &'static str = "limit.deadline";
    /// The kind of an attempt that returned.
    pub const VALUE: &'static str = "value";

    /// A digest of what it came to, without the fuel, which is in the usage of an attempt.
    pub fn digest(&self) -> String {
        // Text, numbers and trees of them: what serialization never fails for.
        sha256(&serde_json::to_vec(&(&self.kind, &self.detail)).unwrap_or_default())
    }
}

/// Bytes, as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

/// Bytes as base64, for fields of other types.
pub mod blob {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Blob;

    /// Writes bytes.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Blob(bytes.to_vec()).serialize(serializer)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// When the text is no base64.
    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Blob::deserialize(deserializer).map(|Blob(bytes)| bytes)
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'d> Deserialize<'d> for Blob {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Blob).map_err(serde::de::Error::custom)
    }
}

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// It was written by a newer version.
    #[error("the cassette has format {0}, written by a newer Airlock; this one reads {FORMAT}")]
    Newer(u32),
    /// It is not one.
    #[error("the cassette is damaged: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry is not the one that was recorded.
    #[error("the cassette is damaged at import {at}, `{import}`: it is not what was recorded")]
    Entry {
        /// Which one, from 1.
        at: usize,
        /// Its import.
        import: String,
    },
    /// The header or the end is not what was recorded.
    #[error("the head of the cassette is damaged: it is not what was recorded")]
    Head,
}

impl Entry {
    /// The sum over an entry at this place.
    fn sum_at(&self, at: usize) -> String {
        // Destructured without `..`, so that a new field is under the sum.
        let Entry { import, args, answer, feed, sent, is_effect, fuel, sum: _ } = self;
        let all = serde_json::json!([at, import, args, answer, feed, sent, is_effect, fuel]);
        short(&all.to_string())
    }
}

fn short(text: &str) -> String {
    let mut sum = sha256(text.as_bytes());
    sum.truncate(SUM_DIGITS);
    sum
}

/// The stored form: the cassette and the sum over all but its entries, each of which has its own.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    sum: String,
    header: Header,
    entries: Vec<Entry>,
    end: Option<End>,
}

fn head_sum(header: &Header, end: Option<&End>, entries: usize) -> String {
    short(&serde_json::json!([header, end, entries]).to_string())
}

impl Cassette {
    /// The text to store, with the sums.
    pub fn write(mut self) -> String {
        for (at, entry) in self.entries.iter_mut().enumerate() {
            entry.sum = entry.sum_at(at);
        }
        let sum = head_sum(&self.header, self.end.as_ref(), self.entries.len());
        let Cassette { format, header, entries, end } = self;
        serde_json::to_string(&Stored { format, sum, header, entries, end }).unwrap_or_default()
    }

    /// Reads a stored cassette, and looks for damage.
    ///
    /// # Errors
    /// Says which entry is damaged, or where the text is no cassette.
    pub fn read(text: &str) -> Result<Cassette, CassetteError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(CassetteError::Newer(format));
        }
        let Stored { format, sum, header, entries, end } = serde_json::from_str(text)?;
        if let Some((at, entry)) =
            entries.iter().enumerate().find(|(at, entry)| entry.sum != entry.sum_at(*at))
        {
            return Err(CassetteError::Entry { at: at + 1, import: entry.import.clone() });
        }
        if sum != head_sum(&header, end.as_ref(), entries.len()) {
            return Err(CassetteError::Head);
        }
        Ok(Cassette { format, header, entries, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(import: &str, answer: i32) -> Entry {
        Entry {
            import: import.into(),
            args: serde_json::json!(["/data/a", 1]),
            answer: Some(answer.into()),
            feed: vec![Chunk::Data(Blob(vec![0, 255, 7])), Chunk::End],
            sent: None,
            is_effect: false,
            fuel: Some(12),
            sum: String::new(),
        }
    }

    fn cassette() -> Cassette {
        let end = End { kind: "value".into(), detail: 1.into(), fuel: 7 };
        let entries = vec![entry("a:b/c#first", 1), entry("a:b/c#second", 2)];
        Cassette {
            format: FORMAT,
            header: Header { seed: "00".into(), ..Header::default() },
            entries,
            end: Some(end),
        }
    }

    #[test]
    fn a_cassette_is_read_as_it_was_written() {
        let read = Cassette::read(&cassette().write()).unwrap();
        assert_eq!(read.clone().write(), cassette().write());
        assert_eq!(read.entries[1].feed, cassette().entries[1].feed);
        let mut answers = cassette();
        answers.entries[0].answer = Some(Value::Null);
        answers.entries[1].answer = None;
        let read = Cassette::read(&answers.write()).unwrap();
        assert_eq!(read.entries[0].answer, Some(Value::Null), "it was answered, with nothing");
        assert_eq!(read.entries[1].answer, None, "it was never answered");
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let text = cassette().write();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(damaged) = String::from_utf8(bytes) else { continue };
            assert!(Cassette::read(&damaged).is_err(), "byte {at}: {damaged}");
        }
    }

    #[test]
    fn damage_is_located() {
        let text = cassette().write().replacen("\"answer\":2", "\"answer\":3", 1);
        let said = Cassette::read(&text).unwrap_err().to_string();
        assert_eq!(said, "the cassette is damaged at import 2, `a:b/c#second`: it is not what was recorded");
        let text = cassette().write().replacen("\"seed\":\"00\"", "\"seed\":\"01\"", 1);
        assert!(matches!(Cassette::read(&text), Err(CassetteError::Head)));
        assert!(matches!(Cassette::read("{\"format\":2}"), Err(CassetteError::Newer(2))));
    }
}
