//! Finds the tools that verify effects of others, as contracts ask for them.
//!
//! A contract names a function of its own component. Which entry of the registry that is, the operator says where it is not
//! plain: an entry with another key, folder or configuration knows nothing of the effect, and would say that it never
//! happened. A contract alone never has the tool of somebody else asked.
//!
//! A tool whose effects cannot be verified works all the same, and is never repeated after an effect whose answer was
//! lost: that is a note for a reviewer. One whose types do not fit can never be asked, which is an error of its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tools::Tools;
use crate::config::{ConfigFile, NAME_CHARS_MAX};
use crate::registry::Tool;
use airlock_contract::manifest::Verify;
use airlock_types::effect::Effect;
use airlock_types::grant::{FilesGrant, HttpAccess, HttpGrant};
use airlock_types::words::{did_you_mean, one_line};

/// Sets the tool that each tool is verified by.
pub(super) fn find(file: &ConfigFile, found: &mut Tools) {
    idle(file, found);
    let declared = found.tools.values().filter_map(|tool| Some((tool, tool.contract.verify.as_ref()?)));
    let looked: Vec<_> = declared
        .map(|(tool, verify)| {
            let config = file.config.tools.iter().find(|(key, _)| *key.get_ref() == tool.key);
            let bound = config.and_then(|(_, config)| config.verify.as_ref());
            let bound = bound.map(|name| name.get_ref().as_str());
            let is_left_out = bound.is_some_and(|name| found.is_left_out(file, name));
            let late = late(tool, verify, bound, file.config.host.call_deadline_ms);
            let looked = look(&found.tools, &Sought { of: tool, verify, bound, is_left_out });
            ((tool.name.clone(), tool.key.clone()), looked, late)
        })
        .collect();
    for ((name, key), looked, late) in looked {
        match looked {
            Ok(by) => {
                if let Some(tool) = found.tools.get_mut(&name) {
                    tool.verify = Some(by);
                }
                late.into_iter().for_each(|note| found.warn(&key, note));
            }
            Err(Unfit::Missing(why)) => {
                let note = format!("`{name}` is not repeated after a change whose answer was lost: {why}");
                found.warn(&key, note);
            }
            Err(Unfit::Wrong(why)) => {
                let span = file.config.tools.keys().find(|of| *of.get_ref() == key).map(toml::Spanned::span);
                let message = format!("`{name}` cannot be verified as its contract says: {why}");
                let problem = file.error(span.unwrap_or_default(), message, "this tool", None);
                found.leave_out(&key, vec![problem]);
            }
        }
    }
}

/// The entries that name a tool to verify by, and whose contracts ask for none: the setting would do nothing.
fn idle(file: &ConfigFile, found: &mut Tools) {
    let asks = |key: &str| found.tools.values().any(|tool| tool.key == key && tool.contract.verify.is_some());
    let named =
        file.config.tools.iter().filter_map(|(key, config)| Some((key.get_ref(), config.verify.as_ref()?)));
    let idle: Vec<_> = named
        .filter(|(key, _)| found.tools.values().any(|tool| tool.key == **key) && !asks(key))
        .map(|(key, name)| {
            let message = "no contract of this entry asks for `verify`, which says when to ask";
            (key.clone(), file.error(name.span(), message.to_owned(), "this setting", None))
        })
        .collect();
    for (key, problem) in idle {
        found.leave_out(&key, vec![problem]);
    }
}

/// Why a tool cannot be verified.
enum Unfit {
    /// The registry does not have the other tool, or gives it more than reading.
    Missing(String),
    /// The two tools do not fit.
    Wrong(String),
}

/// What is looked for: a tool, what its contract asks for, and the tool that the registry names.
struct Sought<'t> {
    of: &'t Tool,
    verify: &'t Verify,
    bound: Option<&'t str>,
    is_left_out: bool,
}

fn look(tools: &BTreeMap<Arc<str>, Tool>, sought: &Sought<'_>) -> Result<Arc<str>, Unfit> {
    let Sought { of, verify, bound, is_left_out } = *sought;
    let shown = one_line(bound.unwrap_or(&verify.tool), NAME_CHARS_MAX);
    if is_left_out {
        return Err(Unfit::Missing(format!("the entry of `{shown}` was left out")));
    }
    let by = match bound {
        Some(name) => tools.get(name).ok_or_else(|| {
            let nearest = did_you_mean(name, tools.keys().map(|name| &**name));
            let nearest = nearest.map_or_else(String::new, |nearest| format!("; {nearest}"));
            Unfit::Wrong(format!("there is no tool `{shown}` to verify it by{nearest}"))
        })?,
        None => own(tools, of, verify).map_err(Unfit::Missing)?,
    };
    if !by.effect.repeatable() {
        return Err(Unfit::Missing(format!(
            "`{}` counts as {}, and what verifies must only read; list its component once more with grants that only read",
            by.name,
            by.effect.as_str()
        )));
    }
    let contract = &by.contract;
    verify
        .fits(&of.contract.function.ty.params, &contract.function, contract.shape.value_ty())
        .map_err(|why| Unfit::Wrong(format!("`{}` {why}", by.name)))?;
    Ok(by.name.clone())
}

/// The function of the tool's own component that its contract names, in an entry that knows what this one does.
fn own<'t>(tools: &'t BTreeMap<Arc<str>, Tool>, of: &Tool, verify: &Verify) -> Result<&'t Tool, String> {
    let is_own = |by: &&Tool| {
        by.component.digest == of.component.digest && by.contract.function.is_addressed_by(&verify.tool)
    };
    let own: Vec<&Tool> = tools.values().filter(is_own).collect();
    let reading = || own.iter().filter(|by| by.effect.repeatable());
    let Some(first) = reading().next().or(own.first()) else {
        let shown = one_line(&verify.tool, NAME_CHARS_MAX);
        return Err(format!(
            "its component has no tool `{shown}` in this registry; list it, or name another tool with `verify`"
        ));
    };
    // One that does more than reading is named as such by the caller of this function.
    let fits = reading().find(|by| differs(of, by).is_none());
    match fits.or(Some(first).filter(|first| !first.effect.repeatable())) {
        Some(by) => Ok(by),
        None => Err(format!(
            "`{}` has {} that differ from its own; name the tool that knows with `verify`",
            first.name,
            differs(of, first).unwrap_or("grants")
        )),
    }
}

/// What of its grants keeps one tool from knowing the effects of another one of the same component.
fn differs(of: &Tool, by: &Tool) -> Option<&'static str> {
    if of.key == by.key {
        return None;
    }
    let (of, by) = (of.allowance.effective(), by.allowance.effective());
    let knows_host = |access: &HttpAccess| {
        let HttpGrant { host, scheme, port, secret, .. } = &access.allowed;
        by.http.iter().any(|HttpAccess { allowed: other, .. }| {
            (&other.host, &other.scheme, &other.port, &other.secret) == (host, scheme, port, secret)
        })
    };
    let knows_folder = |folder: &FilesGrant| {
        by.files.iter().any(|other| (&other.host, &other.guest) == (&folder.host, &folder.guest))
    };
    let mut writes = of.http.iter().filter(|access| access.allowed.effect() > Effect::Read);
    let mut changes = of.files.iter().filter(|folder| folder.bounds().is_some());
    [
        ("values of `config`", of.config == by.config),
        ("variables of `env`", of.env == by.env),
        ("hosts or secrets", writes.all(knows_host)),
        ("folders", changes.all(knows_folder)),
        // Pairs belong to their entry, so another one never sees them.
        ("keys and values", of.keyvalue.is_none()),
        ("capabilities of the program", of.custom.is_subset(&by.custom)),
    ]
    .into_iter()
    .find_map(|(what, is_known)| (!is_known).then_some(what))
}

/// The note of a tool that a call has no time to ask about.
fn late(
    of: &Tool,
    Verify { tool, after_ms, .. }: &Verify,
    bound: Option<&str>,
    call_deadline_ms: u64,
) -> Option<String> {
    (*after_ms >= call_deadline_ms).then(|| {
        format!(
            "`{}` is never verified: its contract asks `{}` after {after_ms} ms, and a call has `host.call_deadline_ms` = \
             {call_deadline_ms}",
            of.name,
            one_line(bound.unwrap_or(tool), NAME_CHARS_MAX)
        )
    })
}
