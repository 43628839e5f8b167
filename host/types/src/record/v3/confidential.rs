//! What is confidential in a record: what stands in the places of values, and the record as it was, under the operator's key.
//!
//! Owns these forms. Must not know which fields are confidential, or how anything is encrypted.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Record, Recording};
use crate::json::Json;
use crate::record::{ReadError, read};

/// What stands in a text where something confidential was.
pub const MASK: &str = "[confidential]";

/// The key of a mark: the object that stands in JSON where a confidential value was.
const KEY: &str = "confidential";

/// The word of a mark whose value is in [`Confidential::sealed`].
const SEALED: &str = "sealed";

/// The word before the digest of a mark whose value is nowhere.
const SALTED: &str = "salted-sha256:";

/// What is confidential in a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confidential {
    /// The fields, as the contracts of the call's tools spell them: `args.phone`, `result.rows[].iban`.
    pub fields: Vec<String>,
    /// The record as it was, encrypted to the operator's key. Empty where it is not kept.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub sealed: String,
    /// Why it is not kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lacks: Option<String>,
}

/// Why a record cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was not kept.
    #[error("what is confidential in the call was not kept: {0}")]
    NotKept(String),
    /// It cannot be decrypted.
    #[error("what is confidential in the call cannot be decrypted: {0}")]
    Unseal(String),
    /// It is no record.
    #[error("what was decrypted is no record: {0}")]
    Read(#[from] ReadError),
    /// It is that of another call.
    #[error("what was decrypted belongs to another call: `airlock journal verify` tells what was changed")]
    Foreign,
}

/// The mark of a value that is kept under the operator's key.
pub fn sealed_mark() -> Value {
    json!({KEY: SEALED})
}

/// The mark of a value of which a digest is kept, whose salt is not.
pub fn salted_mark(digest: &str) -> Value {
    json!({KEY: format!("{SALTED}{digest}")})
}

/// Whether a value is a mark.
pub fn is_mark(value: &Value) -> bool {
    let Some(members) = value.as_object().filter(|members| members.len() == 1) else { return false };
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    members
        .get(KEY)
        .and_then(Value::as_str)
        .is_some_and(|word| word == SEALED || word.strip_prefix(SALTED).is_some_and(is_digest))
}

impl Record<Json> {
    /// The text that is encrypted: the whole record, without cassettes, which are encrypted by themselves.
    pub fn to_seal(&self) -> String {
        let mut record = self.clone();
        record.attempts.iter_mut().filter_map(|attempt| attempt.recording.as_mut()).for_each(|recording| {
            recording.cassette.clear();
        });
        serde_json::to_string(&record).unwrap_or_default()
    }
}

impl Record {
    /// The record as it was before its confidential fields were masked. `unseal` decrypts with the operator's key.
    ///
    /// # Errors
    /// When it was not kept, or cannot be decrypted.
    pub fn opened(&self, unseal: impl FnOnce(&str) -> Result<String, String>) -> Result<Record, OpenError> {
        let Some(Confidential { fields: _, sealed, lacks }) = &self.confidential else {
            return Ok(self.clone());
        };
        if sealed.is_empty() {
            let erased = self.erased_unix_ms.is_some().then(|| "retention erased it".to_owned());
            let why = erased.or_else(|| lacks.clone());
            return Err(OpenError::NotKept(why.unwrap_or_else(|| "it is not there".to_owned())));
        }
        let mut record = read(&unseal(sealed).map_err(OpenError::Unseal)?)?;
        if record.id != self.id || record.attempts.len() != self.attempts.len() {
            return Err(OpenError::Foreign);
        }
        if record.code != self.code {
            // The reply was replaced after the record was made, when this one could not be written.
            (record.code, record.reply) = (self.code.clone(), self.reply.clone());
        }
        for (opened, kept) in record.attempts.iter_mut().zip(&self.attempts) {
            if let (Some(opened), Some(kept)) = (&mut opened.recording, &kept.recording) {
                let Recording { cassette, sealed, .. } = kept;
                (opened.cassette, opened.sealed) = (cassette.clone(), *sealed);
            }
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_told_from_a_value() {
        assert!(is_mark(&sealed_mark()) && is_mark(&salted_mark(&"0f".repeat(32))));
        for value in
            [json!({"confidential": "0f"}), json!({"confidential": "sealed", "a": 1}), json!("sealed")]
        {
            assert!(!is_mark(&value), "{value}");
        }
    }

    #[test]
    fn a_record_is_opened_with_its_cassettes_and_its_last_reply() {
        let text = json!({
            "format": 3, "id": "a", "tool": "t", "caller": "c", "started_unix_ms": 0, "ended_unix_ms": 1, "code": "ok",
            "args": {"name": "Ann"}, "component": null, "plan": null, "path": [], "reply": {"result": 1},
            "attempts": [{
                "route": "t", "component": "d", "number": 1, "code": "ok",
                "usage": {"fuel": 1, "wall_us": 1, "cpu_us": 1, "memory_bytes": 1, "log_bytes": 0},
                "recording": {"mode": "full", "imports": 1, "cassette": "tape"},
            }],
        })
        .to_string();
        let original: Record<Json> = serde_json::from_str(&text).unwrap();
        let mut stored: Record = serde_json::from_str(&text).unwrap();
        stored.args = Some(json!({"name": sealed_mark()}));
        stored.confidential = Some(Confidential { sealed: original.to_seal(), ..Confidential::default() });
        assert!(!original.to_seal().contains("tape"), "it is encrypted by itself");
        let opened = |stored: &Record| stored.opened(|text| Ok(text.to_owned()));
        assert_eq!(
            serde_json::to_value(opened(&stored).unwrap()).unwrap(),
            serde_json::from_str::<Value>(&text).unwrap()
        );
        // The reply was replaced when the record could not be written in time.
        (stored.code, stored.reply) = ("host.journal".into(), Some(json!({"error": {}})));
        let late = opened(&stored).unwrap();
        assert_eq!((late.code.as_ref(), late.reply), ("host.journal", stored.reply.clone()));
        let other = Record { id: "b".into(), ..stored.clone() };
        assert!(matches!(opened(&other), Err(OpenError::Foreign)));
        stored.erase();
        stored.erased_unix_ms = Some(1);
        assert!(opened(&stored).unwrap_err().to_string().ends_with("retention erased it"));
    }
}
