//! Signatures of entries that say everything themselves, such as what retention took: a program that can write the database and
//! has no key cannot write one.
//!
//! Owns what is signed and where the signature stands. Must not know which entries need one, nor what their texts say.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::entry::Kind;
use super::key::{SigningKey, VerifyingKey};

/// First line of what is signed. The first line of a checkpoint is the name of a log, so that no signature is one of both.
const CONTEXT: &str = "airlock-journal-entry";

/// The member of the text that has the signature: the name of the key, and in base64 the key's id and the signature, as in the
/// last line of a signed note.
const MEMBER: &str = "signature";

/// By whom a text is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// By one of the given keys, for this kind and this place.
    Valid,
    /// By no one.
    Missing,
    /// By another key, as it says: the name of that key.
    Other(String),
    /// Not by the key that it names, or for another text, kind or place.
    Wrong,
}

/// The lines that are signed. The place is one of them: a signed entry cannot be moved.
fn message(kind: Kind, number: u64, text: &str) -> String {
    format!("{CONTEXT}\n{}\n{number}\n{text}\n", kind.as_str())
}

/// The text of the entry at a place, which is a JSON object in canonical form, with its signature.
pub(crate) fn sign(key: &SigningKey, kind: Kind, number: u64, text: &str) -> serde_json::Result<String> {
    let mut members: Map<String, Value> = serde_json::from_str(text)?;
    let signature = key.sign(message(kind, number, text).as_bytes());
    let line = BASE64.encode(&[&key.verifying().id()[..], &signature].concat());
    members.insert(MEMBER.to_owned(), format!("{} {line}", key.verifying().name()).into());
    // The members of a map are in the order of their names.
    serde_json::to_string(&members)
}

/// By whom the text of the entry at a place is signed.
pub(crate) fn signed(keys: &[&VerifyingKey], kind: Kind, number: u64, text: &str) -> Signed {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(text) else { return Signed::Missing };
    // What is signed is read from the text in one way: it has one form only.
    let is_canonical = serde_json::to_string(&members).is_ok_and(|again| again == text);
    let Some(signature) = members.remove(MEMBER) else { return Signed::Missing };
    let parts = signature.as_str().and_then(|line| line.split_once(' '));
    let Some((name, line)) = parts else { return Signed::Wrong };
    let Some(key) = keys.iter().find(|key| key.name() == name) else {
        return Signed::Other(name.to_owned());
    };
    let bytes = BASE64.decode(line.as_bytes()).unwrap_or_default();
    let is_valid = bytes.split_first_chunk::<4>().is_some_and(|(id, signature)| {
        let rest = serde_json::to_string(&members).unwrap_or_default();
        *id == key.id() && key.verifies(message(kind, number, &rest).as_bytes(), signature)
    });
    if is_valid && is_canonical { Signed::Valid } else { Signed::Wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"removed":3,"run":7,"to":"a\"b"}"#;

    #[test]
    fn a_signature_is_for_one_text_one_kind_and_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::open(&folder.path().join("key")).unwrap();
        let other = SigningKey::open(&folder.path().join("other")).unwrap();
        let text = sign(&key, Kind::Prune, 41, TEXT).unwrap();
        let (own, both) = ([key.verifying()], [other.verifying(), key.verifying()]);
        let by = |kind, number, text: &str| signed(&own, kind, number, text);
        assert_eq!(by(Kind::Prune, 41, &text), Signed::Valid);
        assert_eq!(signed(&both, Kind::Prune, 41, &text), Signed::Valid);
        assert_eq!(by(Kind::Prune, 41, TEXT), Signed::Missing);
        assert_eq!(by(Kind::Prune, 41, "no JSON"), Signed::Missing);
        assert_eq!(by(Kind::Prune, 42, &text), Signed::Wrong);
        assert_eq!(by(Kind::Checkpoint, 41, &text), Signed::Wrong);
        for (from, to) in [
            ("3", "4"),
            ("\"run\":7,", ""),
            (":3", ": 3"),
            (",\"to", ",\"run\":7,\"to"),
            ("airlock-journal/", "other/"),
        ] {
            assert_ne!(by(Kind::Prune, 41, &text.replacen(from, to, 1)), Signed::Valid, "{from}");
        }
        let name = key.verifying().name().to_owned();
        assert_eq!(signed(&[other.verifying()], Kind::Prune, 41, &text), Signed::Other(name));
        assert_eq!(signed(&[], Kind::Prune, 41, TEXT), Signed::Missing);
    }
}
