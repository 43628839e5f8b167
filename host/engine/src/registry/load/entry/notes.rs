//! The notes for a reviewer on one tool, and its effect class, on which grants and contract may differ.

use toml::Spanned;

use crate::config::{Approval, ConfigFile, ToolConfig};
use crate::policy::{Lint, PolicySource, lint};
use crate::registry::tool::{Exceeded, exceeded};
use airlock_contract::component::Needs;
use airlock_contract::tool::Contract;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::effect::Effect;
use airlock_types::grant::{Effective, Grants, Missing as MissingGrant, Requests, files};
use airlock_types::limit::{Limits, STEP_PER_OUTPUT};
use airlock_types::words::quoted_list;

/// A note for each limit below what each instance begins with: every call would end at it.
pub(super) fn too_small(key: &str, needs: &Needs, limits: &Limits) -> Vec<String> {
    exceeded(needs, limits)
        .map(|Exceeded { setting, what, needed, limit, unit }| {
            format!(
                "`{key}` can never run: it begins with a {what} of {needed} {unit}, and its `limits.{setting}` is \
                 {limit}; raise it to at least {needed}"
            )
        })
        .collect()
}

/// A note for values that may be kept and cannot be written: they do not cross from the guest in one step.
pub(super) fn too_large(key: &str, effective: &Effective, limits: &Limits) -> Vec<String> {
    let step = limits.output_bytes_max.saturating_mul(STEP_PER_OUTPUT);
    let kept = effective.keyvalue.iter().map(|grant| grant.value_bytes_max);
    // With as much as a step, there is no room for the key.
    let beyond = kept.filter(|most| *most >= step).map(|most| {
        let enough = most / STEP_PER_OUTPUT + 1;
        format!(
            "`{key}` may keep values of {most} bytes, and at most {step} cross from it in one step, {STEP_PER_OUTPUT} times its \
             `limits.output_bytes_max`: raise that to {enough}, or lower `grants.keyvalue.value_bytes_max`"
        )
    });
    beyond.collect()
}

/// A note for each folder that is granted for writing and gets only read, since the contract asks for no more.
fn narrowed(key: &str, grants: &Grants, effective: &Effective) -> Vec<String> {
    files::narrowed(&grants.files, &effective.files)
        .map(|folder| {
            format!(
                "`{key}` may write to `{folder}` by its grant, and its contract asks to read only: it can read there, and \
                 no more"
            )
        })
        .collect()
}

/// The notes on the grants of an entry.
pub(super) fn of_policy(
    source: &PolicySource,
    requests: &Requests,
    (grants, effective): (&Grants, &Effective),
    now_s: u64,
) -> Vec<String> {
    let narrowed = narrowed(&source.key, grants, effective);
    [narrowed, lints(source, requests), source.trial(now_s.saturating_mul(1_000)).into_iter().collect()]
        .concat()
}

/// A note for each finding about the grants, with its name and place.
fn lints(source: &PolicySource, requests: &Requests) -> Vec<String> {
    lint(source, requests).iter().map(Lint::to_string).collect()
}

/// A note for each required capability that is not granted: calls of the tool will be denied.
pub(super) fn missing(name: &str, missing: &[MissingGrant], source: &PolicySource) -> Vec<String> {
    missing
        .iter()
        .filter(|missing| !missing.optional)
        .map(|missing| {
            format!(
                "`{name}` asks for {} ({}) and will be denied; to grant it: {}",
                missing.asked,
                missing.reason,
                source.granting(&missing.grant)
            )
        })
        .collect()
}

/// Notes on what agents are not told about a tool: they choose tools and arguments by descriptions.
pub(super) fn undescribed(name: &str, contract: &Contract) -> Vec<String> {
    let mend = "write doc comments in the WIT source and embed them with `airlock pack --wit`, or write `description` \
                in the contract";
    let mut notes = Vec::new();
    if contract.description.is_empty() {
        notes.push(format!("`{name}` has no description; {mend}"));
    }
    if !contract.undescribed.is_empty() {
        let places = quoted_list(contract.undescribed.iter().map(String::as_str));
        notes.push(format!("`{name}` does not describe {places}; {mend}"));
    }
    notes
}

/// A note on each named term that no relation and no check names: an author renamed one, or forgot the rule.
pub(super) fn unused_terms(name: &str, contract: &Contract) -> Vec<String> {
    let note = |term| {
        format!("`{name}` has the term `{term}`, which no relation and no check names; remove it or use it")
    };
    contract.unused_terms.iter().map(note).collect()
}

/// A note on a tool that says how old its data is, and nothing judges it: data of any age would be plainly ok.
pub(super) fn ageless(name: &str, contract: &Contract) -> Vec<String> {
    let ageless = contract.shape.is_dated() && !contract.checks.has("freshness");
    let note = || {
        format!(
            "`{name}` answers with an `as-of` and has no `freshness` check, so data of any age is ok; add one to its \
             contract, such as `freshness = {{ warn_after = \"40d\" }}` below `[[tool.{}.expect]]`",
            contract.function.name
        )
    };
    ageless.then(note).into_iter().collect()
}

/// A note on a least time of the registry that is longer than an attempt can be: with it none would ever be started.
pub(super) fn never_useful(name: &str, useful_ms_min: Option<u64>, deadline_ms: u64) -> Vec<String> {
    let note = |least| {
        format!(
            "`{name}` has `useful_ms_min = {least}`, and an attempt of it ends after {deadline_ms} ms: {deadline_ms} holds \
             instead; lower it, or raise `limits.deadline_ms`"
        )
    };
    useful_ms_min.filter(|least| *least > deadline_ms).map(note).into_iter().collect()
}

/// A note on a waived approval that no call needs: it may be meant for another tool.
pub(super) fn waived(name: &str, approval: Option<Approval>, effect: Effect) -> Vec<String> {
    let is_idle = approval.is_some() && effect != Effect::Irreversible;
    let note = || {
        let effect = effect.as_str();
        format!(
            "`{name}` has `approval = \"waived\"` and is `{effect}`: only calls of `irreversible` tools need one; remove it"
        )
    };
    is_idle.then(note).into_iter().collect()
}

/// The effect class of a tool: the operator's, else the declared one, else the strongest that its grants make possible.
/// Also returns notes for a reviewer.
///
/// # Errors
/// When the contract declares less than the grants make possible.
pub(super) fn effect(
    file: &ConfigFile,
    name: &str,
    config: &ToolConfig,
    contract: &Contract,
    possible: Effect,
) -> Result<(Effect, Vec<String>), Diagnostics> {
    if let Some(operator) = &config.effects {
        // The operator has the last word, so this is a note and not an error.
        let lower = *operator.get_ref() < possible;
        let note = format!(
            "`{name}` is declared {} by the operator, but its grants make {} possible",
            operator.get_ref().as_str(),
            possible.as_str()
        );
        return Ok((*operator.get_ref(), lower.then_some(note).into_iter().collect()));
    }
    // Grants say that something may change, and only the author knows whether the same change may be made twice.
    let covers =
        |declared| declared >= possible || (declared, possible) == (Effect::Idempotent, Effect::Write);
    match contract.effect {
        Some(declared) if !covers(declared) => {
            let message = format!(
                "`{name}` declares that it is {}, but its grants make {} possible",
                declared.as_str(),
                possible.as_str()
            );
            let span = config.grants.as_ref().map_or(config.component.span(), Spanned::span);
            let hint = format!("grant less, or say `effects = \"{}\"`", possible.as_str());
            Err(file.error(span, message, "these grants", Some(hint)).into())
        }
        Some(declared) => Ok((declared, Vec::new())),
        None => Ok((possible, Vec::new())),
    }
}
