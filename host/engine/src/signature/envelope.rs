//! The envelope around a statement: DSSE, version 1.
//!
//! Owns the form of the envelope, of a file with several, and which bytes are signed. Must not know what they say.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde::{Deserialize, Serialize};

use super::{Fault, Key};

/// The type of a payload that is an in-toto statement.
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// Most envelopes of one component, and most signatures of one envelope: each is verified with each trusted key, which
/// takes some hundredths of a millisecond.
const SIGNATURES_MAX: usize = 16;

/// A signed statement. Unknown fields are ignored, as DSSE has it: what counts is in the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    /// A hint that nothing protects: every trusted key is tried.
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// An envelope with one signature.
    pub(super) fn new(payload: &[u8], key: &Key, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Envelope {
        let sig = BASE64_STANDARD.encode(sign(&signed_bytes(PAYLOAD, payload)));
        Envelope {
            payload: BASE64_STANDARD.encode(payload),
            payload_type: PAYLOAD.into(),
            signatures: vec![Signature { keyid: key.id(), sig }],
        }
    }

    /// Reads the envelopes of a file: one a line.
    ///
    /// # Errors
    /// When a line is not one, or there are too many.
    pub fn lines(text: &[u8]) -> Result<Vec<Envelope>, Fault> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let envelope = |line: &[u8]| serde_json::from_slice::<Envelope>(line);
        // One more than allowed is read, and no more of them.
        let found: Vec<Envelope> = lines
            .take(SIGNATURES_MAX + 1)
            .map(envelope)
            .collect::<Result<_, _>>()
            .map_err(|err| Fault::Malformed(format!("a line is not a DSSE envelope: {err}")))?;
        if found.len() > SIGNATURES_MAX {
            return Err(Fault::Malformed(format!("it has more than {SIGNATURES_MAX} envelopes")));
        }
        match found.iter().map(|envelope| envelope.signatures.len()).max() {
            Some(most) if most > SIGNATURES_MAX => {
                Err(Fault::Malformed(format!("an envelope has {most} signatures; at most {SIGNATURES_MAX}")))
            }
            _ => Ok(found),
        }
    }

    /// The line of a file with several.
    ///
    /// # Errors
    /// Never: there is nothing in it that JSON has no form for.
    pub fn line(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Whether its payload is a statement. Others say nothing here.
    pub(super) fn has_statement(&self) -> bool {
        self.payload_type == PAYLOAD
    }

    /// The payload.
    ///
    /// # Errors
    /// When it is not in base64.
    pub(super) fn payload(&self) -> Result<Vec<u8>, Fault> {
        base64(&self.payload).ok_or_else(|| Fault::Malformed("its payload is not base64".into()))
    }

    /// The keys among these that signed the payload, each once.
    pub(super) fn signers<'k>(&self, keys: impl Iterator<Item = &'k Key>, payload: &[u8]) -> Vec<&'k Key> {
        let message = signed_bytes(&self.payload_type, payload);
        let signatures: Vec<Vec<u8>> = self.signatures.iter().filter_map(|one| base64(&one.sig)).collect();
        keys.filter(|key| signatures.iter().any(|signature| key.verifies(&message, signature))).collect()
    }

    /// Whether all its signatures claim to be of this key.
    pub(super) fn is_only_of(&self, key: &Key) -> bool {
        self.signatures.iter().all(|one| one.keyid == key.id())
    }

    /// Whether a signature claims to be of this key.
    pub(super) fn names(&self, key: &Key) -> bool {
        self.signatures.iter().any(|one| one.keyid == key.id())
    }
}

/// Either alphabet, as DSSE has it.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).or_else(|_| BASE64_URL_SAFE.decode(text)).ok()
}

/// The bytes that are signed: DSSE's pre-authentication encoding, by which no signature of a payload counts for one of
/// another type.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_bytes_of_the_example_of_the_specification() {
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn files_of_others_are_read_within_their_bounds() {
        let line = r#"{"payload": "", "payloadType": "x", "signatures": [{"sig": ""}], "more": 1}"#;
        assert_eq!(Envelope::lines(format!("{line}\n\n{line}").as_bytes()).unwrap().len(), 2);
        assert!(matches!(Envelope::lines(b"{}"), Err(Fault::Malformed(_))));
        let many = format!("{line}\n").repeat(SIGNATURES_MAX + 1);
        assert!(matches!(Envelope::lines(many.as_bytes()), Err(Fault::Malformed(_))));
        let wide = line.replace(r#"{"sig": ""}"#, &[r#"{"sig": ""}"#; SIGNATURES_MAX + 1].join(","));
        assert!(matches!(Envelope::lines(wide.as_bytes()), Err(Fault::Malformed(_))));
    }
}
