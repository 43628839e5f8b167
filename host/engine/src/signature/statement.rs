//! What a signer states about a component: an in-toto Statement (version 1) with a predicate of Airlock's own.
//!
//! Owns the form of the statement, and when it holds for a component. Must not know who signed it.

use serde::{Deserialize, Serialize};

use super::Fault;
use airlock_contract::surface::Parts;

/// The type of the statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of the predicate, with its version. Another content of a digest is another version.
pub(super) const PREDICATE: &str = "https://airlock.dev/attestation/component/v1";

/// A statement about one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    r#type: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// What is stated besides the bytes.
    pub predicate: Predicate,
}

/// What tells a statement of Airlock from others.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    r#type: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

/// The component that a statement is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: Digest,
}

/// The digests of a subject. Others than SHA-256 are ignored, as in-toto has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Digest {
    sha256: String,
}

/// What is stated besides the bytes. Unknown fields are refused: a condition that this version does not know must not be
/// passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The parts that a reviewer approves.
    pub parts: Parts,
    /// A number that grows with each version of the component.
    pub serial: u64,
    /// When the statement ends, in RFC 3339; none for one without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A component, as a statement is held against it.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    /// The name that its statement must have.
    pub name: &'a str,
    /// SHA-256 of its bytes without signatures, in hex.
    pub digest: &'a str,
    /// Its parts.
    pub parts: &'a Parts,
}

impl Predicate {
    /// Whether a text is a time, as `expires` has it.
    pub fn is_time(text: &str) -> bool {
        chrono::DateTime::parse_from_rfc3339(text).is_ok()
    }

    /// Whether a statement with this end has ended.
    pub fn has_ended(expires: &str, now_s: u64) -> bool {
        is_over(expires, now_s)
    }
}

impl Statement {
    /// A statement about a component.
    pub fn about(component: &Component<'_>, serial: u64, expires: Option<String>) -> Statement {
        Statement {
            r#type: STATEMENT.into(),
            subject: vec![Subject {
                name: component.name.into(),
                digest: Digest { sha256: component.digest.into() },
            }],
            predicate_type: PREDICATE.into(),
            predicate: Predicate { parts: component.parts.clone(), serial, expires },
        }
    }

    /// Reads a statement. `None` for one with another predicate, which says nothing here.
    ///
    /// # Errors
    /// When it cannot be read, or is not about exactly one component.
    pub(super) fn parse(text: &[u8]) -> Result<Option<Statement>, Fault> {
        let malformed = |why: String| Fault::Malformed(format!("its statement {why}"));
        let unread = |err: serde_json::Error| malformed(format!("cannot be read: {err}"));
        let Head { r#type, predicate_type } = serde_json::from_slice(text).map_err(unread)?;
        if r#type != STATEMENT || predicate_type != PREDICATE {
            return Ok(None);
        }
        let statement: Statement = serde_json::from_slice(text).map_err(unread)?;
        // A statement about several components would not say whose parts it has.
        if statement.subject.len() != 1 {
            return Err(malformed(format!("is about {} components and not one", statement.subject.len())));
        }
        Ok(Some(statement))
    }

    /// Whether it is about bytes with this digest.
    pub(super) fn is_about(&self, digest: &str) -> bool {
        self.subject.iter().all(|subject| subject.digest.sha256 == digest)
    }

    /// Holds the statement against a component, at this time since 1970 in seconds.
    ///
    /// # Errors
    /// The first fault: that it is about another component comes before how the component differs, and whether it is
    /// still in force comes last.
    pub(super) fn check(&self, component: &Component<'_>, serial_min: u64, now_s: u64) -> Result<(), Fault> {
        let Predicate { parts, serial, expires } = &self.predicate;
        for Subject { name, digest } in &self.subject {
            if name != component.name {
                return Err(Fault::Moved { stated: name.clone(), found: component.name.to_owned() });
            }
            different(parts, component.parts, digest.sha256 == component.digest)?;
        }
        if let Some(expires) = expires {
            if !Predicate::is_time(expires) {
                return Err(Fault::Malformed(format!("its end `{expires}` is not a time")));
            }
            if is_over(expires, now_s) {
                return Err(Fault::Expired(expires.clone()));
            }
        }
        if *serial < serial_min {
            return Err(Fault::Rollback { serial: *serial, least: serial_min });
        }
        Ok(())
    }
}

/// Whether a statement with this end has ended.
pub(super) fn is_over(expires: &str, now_s: u64) -> bool {
    now_s >= end_s(expires)
}

/// The end of a statement since 1970 in seconds. What is not a time, or is before 1970, is long over.
pub(super) fn end_s(expires: &str) -> u64 {
    let end = chrono::DateTime::parse_from_rfc3339(expires).map(|end| end.timestamp());
    end.ok().and_then(|end| u64::try_from(end).ok()).unwrap_or(0)
}

/// Compares what is stated with what is there. Of several parts that differ the fault names the one that explains the
/// others: other types are another surface, and another contract is usually another surface or other requests.
fn different(stated: &Parts, found: &Parts, is_same: bool) -> Result<(), Fault> {
    // Destructured without `..`, so that a new part cannot be signed and then ignored.
    let Parts { wit, surface, contract, requests } = stated;
    if *wit != found.wit {
        return Err(Fault::Wit);
    }
    match (*surface == found.surface, *requests == found.requests) {
        (false, true) => Err(Fault::Surface),
        (true, false) => Err(Fault::Requests),
        (false, false) => Err(Fault::Contract),
        (true, true) if *contract != found.contract => Err(Fault::Contract),
        (true, true) if !is_same => Err(Fault::Digest),
        (true, true) => Ok(()),
    }
}
