//! What differs between two registries in what they allow, without their components.
//!
//! Owns which change of which setting allows more. A change that cannot be shown to allow less counts as one that allows
//! more: a reviewer looks at it. Every struct of settings is destructured without `..`, so that a new setting does not
//! compile until it is compared, or is named as one that allows nothing.

mod caller;
mod found;
mod hold;
mod host;
mod signature;
mod tool;

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use crate::config::{Config, SessionConfig};
use airlock_types::grant::Change;
use found::Found;

/// What differs in a newer registry, by setting.
pub fn compare(old: &Config, new: &Config) -> Vec<Change> {
    let Config {
        host,
        compile,
        arguments,
        server: _,
        http,
        session,
        journal,
        oauth,
        callers,
        secrets,
        signatures,
        holds: _,
        approval: _,
        tools,
    } = old;
    let mut found = Found::default();
    for (key, before, after) in both(tools, &new.tools) {
        tool::compare(&mut found, &format!("tools.{key}"), (old, before), (new, after));
    }
    caller::compare(&mut found, (callers, http.allow_anonymous), (&new.callers, new.http.allow_anonymous));
    signature::compare_all(&mut found, signatures, &new.signatures);
    for (name, before, after) in both(secrets, &new.secrets) {
        host::secret(&mut found, &format!("secrets.{name}"), before, after);
    }
    host::oauth(&mut found, oauth.as_ref().map(Spanned::get_ref), new.oauth.as_ref().map(Spanned::get_ref));
    host::http(&mut found, http, &new.http);
    host::host(&mut found, host, &new.host);
    host::arguments(&mut found, &arguments.argument_limits(), &new.arguments.argument_limits());
    host::compile(&mut found, &compile.limits(), &new.compile.limits());
    let SessionConfig { facts_max, facts_bytes_max, calls_max, failed_ms_max } = session;
    found.bound("session.facts_max", *facts_max, new.session.facts_max);
    found.bound("session.facts_bytes_max", *facts_bytes_max, new.session.facts_bytes_max);
    // What is remembered less is repeated sooner.
    let shorter = |old: u64, new: u64| (old.to_string(), new.to_string(), new >= old);
    for (name, (before, after, is_within)) in [
        ("session.calls_max", shorter(*calls_max, new.session.calls_max)),
        ("session.failed_ms_max", shorter(*failed_ms_max, new.session.failed_ms_max)),
    ] {
        found.value(name, before, after, is_within);
    }
    host::journal(&mut found, journal, &new.journal);
    hold::over_tools(&mut found, old, new);
    found.0
}

/// The entries of two tables, by their keys.
fn both<'c, T>(
    old: &'c BTreeMap<Spanned<String>, T>,
    new: &'c BTreeMap<Spanned<String>, T>,
) -> Vec<(&'c str, Option<&'c T>, Option<&'c T>)> {
    // By text: the place of a key is part of its own order.
    let texts = |table: &'c BTreeMap<Spanned<String>, T>| -> BTreeMap<&'c str, &'c T> {
        table.iter().map(|(key, entry)| (key.get_ref().as_str(), entry)).collect()
    };
    let (old, new) = (texts(old), texts(new));
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.into_iter().map(|key| (key, old.get(key).copied(), new.get(key).copied())).collect()
}
