//! The signatures of an entry's component, as its registry wants them.

use super::Entry;
use crate::signature::{Authentic, Component, Evidence, Fault, Signed};
use airlock_contract::component::ComponentInfo;
use airlock_contract::surface::Parts;
use airlock_types::diagnostic::Diagnostics;

/// Finds out who signed the component with these bytes.
///
/// # Errors
/// When required signatures are missing. Nothing of the component but its custom sections was read then.
pub(super) fn authenticate(entry: &Entry, bytes: &[u8]) -> Result<Authentic, Diagnostics> {
    let policy = entry.file.config.signature_policy(&entry.config);
    let found = Evidence::find(&entry.path(), bytes);
    found
        .and_then(|evidence| evidence.authenticate(bytes, &policy, entry.was_signed))
        .map_err(|fault| failed(entry, &fault))
}

/// Holds what was signed against the component.
///
/// # Errors
/// When it is not the component that was signed.
pub(super) fn judge(
    entry: &Entry,
    authentic: Authentic,
    info: &ComponentInfo,
) -> Result<Signed, Diagnostics> {
    let policy = entry.file.config.signature_policy(&entry.config);
    // Each function is prepared for its digest, so only where there is something to compare it with.
    let parts = authentic.has_statements().then(|| Parts::of(info)).transpose()?;
    let digest = authentic.digest().to_owned();
    let component = parts.as_ref().map(|parts| Component { name: &policy.name, digest: &digest, parts });
    authentic.judge(component.as_ref(), &policy, entry.now_s).map_err(|fault| failed(entry, &fault))
}

/// The time since 1970 in milliseconds from which on the signatures are not enough any more.
pub(super) fn ends_ms(entry: &Entry, signed: &Signed) -> Option<u64> {
    signed.ends_s(&entry.file.config.signature_policy(&entry.config)).map(|end| end.saturating_mul(1_000))
}

/// What is wrong with a component that has these problems: that it is not the signed one, where that is so.
pub(super) fn instead(entry: &Entry, authentic: &Authentic, problems: Diagnostics) -> Diagnostics {
    if authentic.contradicts() { failed(entry, &Fault::Digest) } else { problems }
}

fn failed(entry: &Entry, fault: &Fault) -> Diagnostics {
    let path = entry.path();
    let message = format!("{}: `{}` is not loaded: {fault}", fault.code(), path.display());
    entry.component(message, Some(fault.hint().to_owned()))
}
