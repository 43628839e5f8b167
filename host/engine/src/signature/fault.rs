//! Why a component is not the one that was signed.
//!
//! Owns one code for each reason, and what the operator can do about it. Must not know how it was found.

use super::Key;

/// Why a component fails, or has not the signatures that it must have. The texts are fragments about the component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It must be signed and is not.
    #[error("it has no signature")]
    Missing,
    /// It must be signed, was when it was accepted, and is not.
    #[error("its signature is gone: it was signed when it was accepted")]
    Stripped,
    /// None of its signatures is by a required key.
    #[error("it is signed, and not by {}", one_of(.0))]
    Key(Vec<Key>),
    /// A signature is not what its key made.
    #[error("its signature is not by {0}, which it names, or is not about this file")]
    Invalid(Key),
    /// Too few of the required keys signed it.
    #[error("{found} of the required keys signed it, and {wanted} must")]
    Threshold {
        /// Keys that signed it.
        found: usize,
        /// Keys that must.
        wanted: usize,
    },
    /// A signature cannot be read.
    #[error("its signature cannot be used: {0}")]
    Malformed(String),
    /// The statement is over.
    #[error("its signature ended at {0}")]
    Expired(String),
    /// The statement is about a component of another name.
    #[error("its signature is about `{stated}`, and it stands in the place of `{found}`")]
    Moved {
        /// The name in the statement.
        stated: String,
        /// The name that is expected.
        found: String,
    },
    /// An older version.
    #[error(
        "its signature has serial {serial}, and {least} is the least that is accepted: it is an older version"
    )]
    Rollback {
        /// The serial of the signature.
        serial: u64,
        /// The least serial.
        least: u64,
    },
    /// Other bytes, with the parts that were signed.
    #[error("its code is not the signed one")]
    Digest,
    /// Other types.
    #[error("the types of its functions or imports are not the signed ones")]
    Wit,
    /// Other texts or schemas.
    #[error("the descriptions or schemas that models read are not the signed ones")]
    Surface,
    /// Other requests.
    #[error("it requests other capabilities than the signed ones")]
    Requests,
    /// Another contract.
    #[error("its contract is not the signed one")]
    Contract,
}

impl Fault {
    /// The stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Missing => "signature.missing",
            Fault::Stripped => "signature.stripped",
            Fault::Key(_) => "signature.key",
            Fault::Invalid(_) => "signature.invalid",
            Fault::Threshold { .. } => "signature.threshold",
            Fault::Malformed(_) => "signature.malformed",
            Fault::Expired(_) => "signature.expired",
            Fault::Moved { .. } => "signature.moved",
            Fault::Rollback { .. } => "signature.rollback",
            Fault::Digest => "signature.digest",
            Fault::Wit => "signature.wit",
            Fault::Surface => "signature.surface",
            Fault::Requests => "signature.requests",
            Fault::Contract => "signature.contract",
        }
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Fault::Missing | Fault::Stripped => {
                "get the signature from its author, as `FILE.intoto.jsonl` or `FILE.minisig` beside it; `signatures.require` \
                 says who must sign"
            }
            Fault::Key(_) | Fault::Threshold { .. } => {
                "have it signed by the required keys, or name the keys that you trust in `signatures.require`"
            }
            Fault::Malformed(_) => "get the signature from its author again",
            Fault::Expired(_) => "have its author sign it again",
            Fault::Moved { .. } => {
                "put the signed component back; if it was renamed on purpose, say `signatures.name = \"NAME\"`"
            }
            Fault::Rollback { .. } => "use the newer version, or lower `signatures.serial_min`",
            Fault::Invalid(_)
            | Fault::Digest
            | Fault::Wit
            | Fault::Surface
            | Fault::Requests
            | Fault::Contract => "it was changed after it was signed: get it from its author again",
        }
    }
}

impl Fault {
    /// The same for a file that was verified by keys alone, without a registry.
    pub fn hint_by_keys(&self) -> &'static str {
        match self {
            Fault::Missing | Fault::Stripped => {
                "get the signature from its author, as `FILE.intoto.jsonl` or `FILE.minisig` beside it; `--key` says who must \
                 sign"
            }
            Fault::Key(_) | Fault::Threshold { .. } => {
                "have it signed by these keys, or name the ones that you trust: `--key`, `--threshold`"
            }
            Fault::Moved { .. } => {
                "put the signed component back; if it was renamed on purpose, name what was signed: `--name NAME`"
            }
            Fault::Malformed(_)
            | Fault::Expired(_)
            | Fault::Rollback { .. }
            | Fault::Invalid(_)
            | Fault::Digest
            | Fault::Wit
            | Fault::Surface
            | Fault::Requests
            | Fault::Contract => self.hint(),
        }
    }
}

fn one_of(keys: &[Key]) -> String {
    match keys {
        [key] => key.to_string(),
        keys => format!("one of {}", keys.iter().map(Key::as_str).collect::<Vec<_>>().join(", ")),
    }
}
