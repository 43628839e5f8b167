//! Settings of the host as a whole: who may connect, where secrets are, and bounds.

use std::collections::BTreeSet;

use super::Found;
use crate::config::{
    CheckpointConfig, Confine, ExportTo, HostConfig, HttpConfig, JournalConfig, OauthConfig, SecretConfig,
    Unavailable, WithoutJournal,
};
use airlock_contract::arguments::ArgumentLimits;
use airlock_types::limit::CompileLimits;

/// Another place of a value is another value.
pub(super) fn secret(found: &mut Found, place: &str, old: Option<&SecretConfig>, new: Option<&SecretConfig>) {
    // The place alone: a value that stands there by mistake was refused.
    let text =
        |secret: &SecretConfig| secret.source().map_or_else(str::to_owned, |source| source.to_string());
    found.entry(place, old.map(text), new.map(text));
}

pub(super) fn oauth(found: &mut Found, old: Option<&OauthConfig>, new: Option<&OauthConfig>) {
    let text = |oauth: &OauthConfig| {
        let OauthConfig { issuer, audience, jwks, scopes, caller, leeway_s } = oauth;
        let scopes = scopes.join(" ");
        format!(
            "issuer {issuer}\naudience {audience}\nkeys {jwks}\nscopes {scopes}\ncaller {caller}\nleeway_s {leeway_s}"
        )
    };
    let is_within = old.zip(new).is_some_and(|(old, new)| is_stricter(old, new));
    match (old, new) {
        (Some(before), Some(after)) => found.value("oauth", text(before), text(after), is_within),
        (before, after) => found.entry("oauth", before.map(text), after.map(text)),
    }
}

/// Whether the same tokens are accepted for the same caller, or fewer of them.
fn is_stricter(old: &OauthConfig, new: &OauthConfig) -> bool {
    let same = |oauth: &OauthConfig| OauthConfig { scopes: Vec::new(), leeway_s: 0, ..oauth.clone() };
    let has = |scope: &String| new.scopes.contains(scope);
    same(old) == same(new) && old.scopes.iter().all(has) && new.leeway_s <= old.leeway_s
}

pub(super) fn http(found: &mut Found, old: &HttpConfig, new: &HttpConfig) {
    let HttpConfig {
        listen,
        allow_anonymous,
        allowed_hosts,
        allowed_origins,
        body_bytes_max,
        read_deadline_ms,
        write_deadline_ms,
        connections_max,
        strangers_max,
        sessions_max,
        // When a server that ends lets go of its calls.
        drain_ms: _,
    } = old;
    let at = |http: &HttpConfig| {
        http.listen.as_ref().map_or_else(|| "127.0.0.1:8787".to_owned(), ToString::to_string)
    };
    found.value("http.listen", at(old), at(new), listen == &new.listen);
    found.flag("http.allow_anonymous", *allow_anonymous, new.allow_anonymous);
    let set = |list: &[String]| -> BTreeSet<String> { list.iter().cloned().collect() };
    found.set("http.allowed_hosts", &set(allowed_hosts), &set(&new.allowed_hosts));
    found.set("http.allowed_origins", &set(allowed_origins), &set(&new.allowed_origins));
    found.bound("http.body_bytes_max", *body_bytes_max as u64, new.body_bytes_max as u64);
    for (name, old, new) in [
        ("read_deadline_ms", *read_deadline_ms, new.read_deadline_ms),
        ("write_deadline_ms", *write_deadline_ms, new.write_deadline_ms),
        ("connections_max", (*connections_max).into(), new.connections_max.into()),
        ("strangers_max", (*strangers_max).into(), new.strangers_max.into()),
        ("sessions_max", (*sessions_max).into(), new.sessions_max.into()),
    ] {
        found.bound(&format!("http.{name}"), old, new);
    }
}

pub(super) fn host(found: &mut Found, old: &HostConfig, new: &HostConfig) {
    let HostConfig { state, calls_max, wait_max, call_deadline_ms, unavailable_tools, confine } = old;
    // Another journal does not know which effects were made.
    let is_same = *state == new.state;
    found.value("host.state", state.display().to_string(), new.state.display().to_string(), is_same);
    found.bound("host.calls_max", (*calls_max).into(), new.calls_max.into());
    found.bound("host.wait_max", (*wait_max).into(), new.wait_max.into());
    found.bound("host.call_deadline_ms", *call_deadline_ms, new.call_deadline_ms);
    // How much confinement is certain, and its name.
    let held = |setting: Confine| match setting {
        Confine::Off => (0, "off"),
        Confine::Auto => (1, "auto"),
        Confine::Require => (2, "require"),
    };
    let ((before, old_name), (after, new_name)) = (held(*confine), held(new.confine));
    found.value("host.confine", old_name.to_owned(), new_name.to_owned(), after >= before);
    let names = |setting: Unavailable| matches!(setting, Unavailable::Name);
    let text = |setting| if names(setting) { "name" } else { "hide" }.to_owned();
    let (old, new) = (*unavailable_tools, new.unavailable_tools);
    found.value("host.unavailable_tools", text(old), text(new), !names(new));
}

pub(super) fn journal(found: &mut Found, old: &JournalConfig, new: &JournalConfig) {
    // How long records are kept allows nothing.
    let JournalConfig {
        bytes_max,
        keep: _,
        keep_payloads: _,
        cassette_bytes_max,
        recipient,
        unavailable,
        checkpoint,
    } = old;
    found.bound("journal.bytes_max", *bytes_max, new.bytes_max);
    found.bound("journal.cassette_bytes_max", *cassette_bytes_max, new.cassette_bytes_max);
    // Who can read what is confidential.
    let reader = |recipient: &Option<String>| recipient.clone().unwrap_or_else(|| "nobody".to_owned());
    let is_within = new.recipient.is_none() || *recipient == new.recipient;
    found.value("journal.recipient", reader(recipient), reader(&new.recipient), is_within);
    // Whether calls run that leave no record.
    let runs = |setting: WithoutJournal| matches!(setting, WithoutJournal::Reads);
    let text = |setting| if runs(setting) { "reads" } else { "stop" }.to_owned();
    let after = new.unavailable;
    found.value("journal.unavailable", text(*unavailable), text(after), !runs(after));
    // Whether whoever owns the disk could write records anew without a trace. Where a checkpoint goes to is not ordered.
    let CheckpointConfig { every, to } = checkpoint;
    found.bound("journal.checkpoint.every", every.ms(), new.checkpoint.every.ms());
    let named = |to: &Option<ExportTo>| to.as_ref().map_or("nowhere".to_owned(), ToString::to_string);
    let is_same = to.is_none() || *to == new.checkpoint.to;
    found.value("journal.checkpoint.to", named(to), named(&new.checkpoint.to), is_same);
}

pub(super) fn arguments(found: &mut Found, old: &ArgumentLimits, new: &ArgumentLimits) {
    let ArgumentLimits { bytes_max, depth_max, string_bytes_max, values_max } = old;
    for (name, old, new) in [
        ("bytes_max", *bytes_max, new.bytes_max),
        ("depth_max", *depth_max, new.depth_max),
        ("string_bytes_max", *string_bytes_max, new.string_bytes_max),
        ("values_max", *values_max, new.values_max),
    ] {
        found.bound(&format!("arguments.{name}"), old as u64, new as u64);
    }
}

pub(super) fn compile(found: &mut Found, old: &CompileLimits, new: &CompileLimits) {
    let CompileLimits { cpu_s_max, memory_bytes_max, wall_s_max, component_bytes_max, cache_bytes_max } = old;
    for (name, old, new) in [
        ("cpu_s_max", *cpu_s_max, new.cpu_s_max),
        ("memory_bytes_max", *memory_bytes_max, new.memory_bytes_max),
        ("wall_s_max", *wall_s_max, new.wall_s_max),
        ("component_bytes_max", *component_bytes_max, new.component_bytes_max),
        ("cache_bytes_max", *cache_bytes_max, new.cache_bytes_max),
    ] {
        found.bound(&format!("compile.{name}"), old, new);
    }
}
