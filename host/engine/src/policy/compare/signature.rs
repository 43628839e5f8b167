//! By whom components must be signed.

use super::Found;
use crate::config::{Config, SignatureConfig, ToolConfig};
use crate::signature::{Key, Policy};

/// What is wanted of the component of an entry.
pub(super) fn compare(
    found: &mut Found,
    place: &str,
    (old, before): (&Config, &ToolConfig),
    (new, after): (&Config, &ToolConfig),
) {
    let (mut old, new) = (old.signature_policy(before), new.signature_policy(after));
    // Without a name of its own a component has that of its file, which is compared as `component`.
    if before.signatures.name.is_none() && after.signatures.name.is_none() {
        old.name.clone_from(&new.name);
    }
    of(found, place, &old, &new);
}

/// What is wanted where an entry says nothing.
pub(super) fn compare_all(found: &mut Found, old: &SignatureConfig, new: &SignatureConfig) {
    let policy = |all: &SignatureConfig| all.policy(&SignatureConfig::default(), String::new());
    of(found, "signatures", &policy(old), &policy(new));
}

fn of(found: &mut Found, place: &str, old: &Policy, new: &Policy) {
    let Policy { require: _, threshold: _, trust, name, serial_min } = old;
    let keys = |keys: &[Key]| keys.iter().map(Key::as_str).collect::<Vec<_>>().join(", ");
    let required = |policy: &Policy| match policy.require.len() {
        0 => "none".to_owned(),
        _ => format!("{} of {}", policy.threshold, keys(&policy.require)),
    };
    found.value(&format!("{place}.require"), required(old), required(new), requires_as_much(old, new));
    // What a trusted key signed must hold: without the key it need not.
    let is_kept = |key: &Key| new.trust.iter().chain(&new.require).any(|other| other.is_same(key));
    let trusted = |policy: &Policy| if policy.trust.is_empty() { "none".into() } else { keys(&policy.trust) };
    found.value(&format!("{place}.trust"), trusted(old), trusted(new), trust.iter().all(is_kept));
    found.value(
        &format!("{place}.serial_min"),
        serial_min.to_string(),
        new.serial_min.to_string(),
        new.serial_min >= *serial_min,
    );
    found.value(&format!("{place}.name"), name.clone(), new.name.clone(), false);
}

/// Whether enough signatures for the new policy are always enough for the old one: so many are by its keys at least.
fn requires_as_much(old: &Policy, new: &Policy) -> bool {
    let is_foreign = |key: &&Key| !old.require.iter().any(|own| own.is_same(key));
    let foreign = new.require.iter().filter(is_foreign).count();
    old.require.is_empty() || new.threshold.saturating_sub(foreign) >= old.threshold
}
