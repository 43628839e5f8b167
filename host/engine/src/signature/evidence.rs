//! The signatures of a component, as they were found: in files beside it, and in the component itself.
//!
//! Owns where they are looked for, and the two steps of verifying. First which keys signed, by the bytes alone; a component
//! without the required signatures goes no further. Then whether what they state holds, for which the component is
//! described.

use std::path::{Path, PathBuf};

use minisign_verify::Signature as Minisig;

use super::{Component, Envelope, Fault, Key, Policy, Signed, Signer, Statement};
use crate::file;
use crate::file::FileError;
use airlock_contract::package;
use airlock_contract::package::{SIGNATURES_BYTES_MAX, SectionError};
use airlock_types::digest::sha256;

/// Size of the largest file of minisign in bytes: its four lines have some hundred.
const MINISIG_BYTES_MAX: u64 = 8 << 10;

/// Signatures that were found, not yet verified.
#[derive(Debug)]
pub struct Evidence {
    envelopes: Vec<Envelope>,
    minisig: Option<String>,
    /// SHA-256 of the component without signatures, in hex.
    digest: String,
}

/// Signatures by keys that count, not yet held against the component.
#[derive(Debug)]
pub struct Authentic {
    statements: Vec<(Key, Statement)>,
    /// Signatures of the bytes alone.
    files: Vec<Signer>,
    digest: String,
    strangers: usize,
    /// Why signatures that name a key which counts do not count, with the key.
    faults: Vec<(Key, Fault)>,
}

/// The file with the envelopes of a component: `FILE.intoto.jsonl`.
pub fn envelope_path(component: &Path) -> PathBuf {
    with_suffix(component, ".intoto.jsonl")
}

/// The file that `minisign -S` writes: `FILE.minisig`.
pub fn minisign_path(component: &Path) -> PathBuf {
    with_suffix(component, ".minisig")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Evidence {
    /// Looks for the signatures of a component with these bytes.
    ///
    /// # Errors
    /// When there are some that cannot be read: they do not count as absent.
    pub fn find(path: &Path, bytes: &[u8]) -> Result<Evidence, Fault> {
        let beside = beside(&envelope_path(path), SIGNATURES_BYTES_MAX as u64)?;
        let minisig = beside_text(&minisign_path(path))?;
        Evidence::read(bytes, beside.as_deref(), minisig)
    }

    /// The signatures in a component with these bytes, and in the files beside it.
    ///
    /// # Errors
    /// When there are some that cannot be read.
    pub fn read(bytes: &[u8], beside: Option<&[u8]>, minisig: Option<String>) -> Result<Evidence, Fault> {
        // Bytes that are not a component have no section. What reads descriptions says best what they are.
        let unsigned = package::unsigned(bytes).unwrap_or(bytes.into());
        let embedded = match package::signatures(bytes) {
            Err(SectionError::Sections(_)) => None,
            found => found.map_err(|err| Fault::Malformed(err.to_string()))?,
        };
        let mut envelopes = Vec::new();
        for lines in [embedded, beside].into_iter().flatten() {
            envelopes.extend(Envelope::lines(lines)?);
        }
        Ok(Evidence { envelopes, minisig, digest: sha256(&unsigned) })
    }

    /// Envelopes about bytes with this digest, for tests.
    #[cfg(test)]
    pub(super) fn of(envelopes: Vec<Envelope>, digest: &str) -> Evidence {
        Evidence { envelopes, minisig: None, digest: digest.into() }
    }

    /// Whether there is no signature.
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty() && self.minisig.is_none()
    }

    /// The signatures by keys that the policy names. `was_signed` is whether the component was signed when it was
    /// accepted.
    ///
    /// # Errors
    /// When too few of the required keys signed.
    pub fn authenticate(self, bytes: &[u8], policy: &Policy, was_signed: bool) -> Result<Authentic, Fault> {
        let is_empty = self.is_empty();
        let mut found = Authentic {
            statements: Vec::new(),
            files: Vec::new(),
            digest: self.digest,
            strangers: 0,
            faults: Vec::new(),
        };
        for envelope in &self.envelopes {
            found.envelope(envelope, policy)?;
        }
        if let Some(text) = &self.minisig {
            found.minisig(text, bytes, policy)?;
        }
        match policy.suffices(found.signers()) {
            Err(_) if is_empty && was_signed => Err(Fault::Stripped),
            Err(_) if is_empty => Err(Fault::Missing),
            // A forged signature says more than that another one is missing.
            Err(too_few) => Err(found.faults.into_iter().next().map_or(too_few, |(_, fault)| fault)),
            Ok(()) => Ok(found),
        }
    }
}

impl Authentic {
    /// Whether there is a statement that the component must be described for.
    pub fn has_statements(&self) -> bool {
        !self.statements.is_empty()
    }

    /// Whether a statement is about other bytes. Then that is what is wrong with a component that cannot be read.
    pub fn contradicts(&self) -> bool {
        self.statements.iter().any(|(_, statement)| !statement.is_about(&self.digest))
    }

    /// SHA-256 of the component without signatures, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn signers(&self) -> impl Iterator<Item = &Key> + Clone {
        self.statements.iter().map(|(key, _)| key).chain(self.files.iter().map(|signer| &signer.key))
    }

    fn envelope(&mut self, envelope: &Envelope, policy: &Policy) -> Result<(), Fault> {
        if !envelope.has_statement() {
            self.strangers += 1;
            return Ok(());
        }
        let payload = envelope.payload()?;
        let signers = envelope.signers(policy.keys(), &payload);
        if signers.is_empty() {
            match policy.keys().find(|key| envelope.names(key)) {
                Some(key) => self.faults.push((key.clone(), Fault::Invalid(key.clone()))),
                None => self.strangers += 1,
            }
            return Ok(());
        }
        // Parsed only now: a statement of an unknown key is not read.
        match Statement::parse(&payload) {
            Ok(Some(statement)) => {
                self.statements.extend(signers.into_iter().map(|key| (key.clone(), statement.clone())));
            }
            // The same file may hold statements about how the component was built.
            Ok(None) => self.strangers += 1,
            Err(fault) => self.faults.extend(signers.into_iter().map(|key| (key.clone(), fault.clone()))),
        }
        Ok(())
    }

    fn minisig(&mut self, text: &str, bytes: &[u8], policy: &Policy) -> Result<(), Fault> {
        let malformed = |err: minisign_verify::Error| Fault::Malformed(format!("minisign: {err}"));
        let signature = Minisig::decode(text).map_err(malformed)?;
        let mut is_known = false;
        for key in policy.keys() {
            let Some(minisign) = key.minisign() else { continue };
            match minisign.verify(bytes, &signature, true) {
                Ok(()) => {
                    match signer(key, signature.trusted_comment(), policy) {
                        Ok(signer) => self.files.push(signer),
                        Err(fault) => self.faults.push((key.clone(), fault)),
                    }
                    return Ok(());
                }
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(_) => {
                    is_known = true;
                    self.faults.push((key.clone(), Fault::Invalid(key.clone())));
                }
            }
        }
        self.strangers += usize::from(!is_known);
        Ok(())
    }

    /// Holds the statements against the component, at this time since 1970 in seconds.
    ///
    /// # Errors
    /// When the statements that hold are too few; the fault of the first that does not.
    pub fn judge(
        self,
        component: Option<&Component<'_>>,
        policy: &Policy,
        now_s: u64,
    ) -> Result<Signed, Fault> {
        let Authentic { statements, mut files, digest: _, strangers, mut faults } = self;
        let mut signers = Vec::new();
        for (key, Statement { predicate, .. }, checked) in statements.iter().map(|(key, statement)| {
            let check = |component| statement.check(component, policy.serial_min, now_s);
            (key, statement, component.map_or(Ok(()), check))
        }) {
            match checked {
                Ok(()) => signers.push(Signer {
                    key: key.clone(),
                    serial: predicate.serial,
                    expires: predicate.expires.clone(),
                }),
                Err(fault) => faults.insert(0, (key.clone(), fault)),
            }
        }
        signers.append(&mut files);
        // Of several statements of one key the newest counts.
        signers.sort_by(|a, b| a.key.cmp(&b.key).then(b.serial.cmp(&a.serial)));
        signers.dedup_by(|later, first| later.key == first.key);
        let first = || faults.first().map(|(_, fault)| fault.clone());
        policy
            .suffices(signers.iter().map(|signer| &signer.key))
            .map_err(|too_few| first().unwrap_or(too_few))?;
        // A required key may be behind where others suffice. What a trusted key signed must hold: it was tampered with, or
        // is about another version.
        let is_replaced = |key: &Key| signers.iter().any(|signer| signer.key.is_same(key));
        let is_broken = |(key, _): &&(Key, Fault)| {
            policy.trust.iter().any(|trusted| trusted.is_same(key)) && !is_replaced(key)
        };
        if let Some((_, fault)) = faults.iter().find(is_broken) {
            return Err(fault.clone());
        }
        match first() {
            _ if !signers.is_empty() => Ok(Signed::Verified(signers)),
            // Nothing must be signed. What is signed by a trusted key and does not hold was tampered with.
            Some(fault) => Err(fault),
            None => Ok(Signed::Unverified(strangers)),
        }
    }
}

/// The signer of a file of minisign. Its comment is signed, too: it has the time, and usually the name of the file.
fn signer(key: &Key, comment: &str, policy: &Policy) -> Result<Signer, Fault> {
    let part = |name: &str| comment.split('\t').find_map(|part| part.trim().strip_prefix(name));
    if let Some(stated) = part("file:").filter(|stated| *stated != policy.name) {
        return Err(Fault::Moved { stated: stated.to_owned(), found: policy.name.clone() });
    }
    let serial = part("timestamp:").and_then(|time| time.parse().ok()).unwrap_or(0);
    if serial < policy.serial_min {
        return Err(Fault::Rollback { serial, least: policy.serial_min });
    }
    Ok(Signer { key: key.clone(), serial, expires: None })
}

/// A file beside a component, if it is there.
fn beside(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Fault> {
    match file::read(path, bytes_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.is_not_found() => Ok(None),
        Err(err) => Err(unreadable(path, &err)),
    }
}

fn beside_text(path: &Path) -> Result<Option<String>, Fault> {
    let text = beside(path, MINISIG_BYTES_MAX)?.map(String::from_utf8).transpose();
    text.map_err(|err| unreadable(path, &FileError::NotText(err.utf8_error())))
}

fn unreadable(path: &Path, err: &FileError) -> Fault {
    Fault::Malformed(format!("`{}`: {err}", path.display()))
}
