//! Finds the tools that verify effects of others, as contracts name them.
//!
//! A tool whose effects cannot be verified works all the same, and is never repeated after an effect whose answer was
//! lost: that is a note for a reviewer. One whose types do not fit can never be asked, which is an error of its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tools::Tools;
use crate::config::{ConfigFile, NAME_CHARS_MAX};
use crate::registry::Tool;
use airlock_contract::manifest::Verify;
use airlock_types::words::{did_you_mean, one_line};

/// Sets the tool that each tool is verified by.
pub(super) fn find(file: &ConfigFile, found: &mut Tools) {
    let declared = found.tools.values().filter_map(|tool| Some((tool, tool.contract.verify.as_ref()?)));
    let looked: Vec<_> = declared
        .map(|(tool, verify)| {
            let gone = found.is_left_out(file, &verify.tool);
            let late = late(tool, verify, file.config.host.call_deadline_ms);
            ((tool.name.clone(), tool.key.clone()), look(&found.tools, tool, verify, gone), late)
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

/// Why a tool cannot be verified.
enum Unfit {
    /// The registry does not have the other tool, or gives it more than reading.
    Missing(String),
    /// The two tools do not fit.
    Wrong(String),
}

fn look(
    tools: &BTreeMap<Arc<str>, Tool>,
    of: &Tool,
    verify: &Verify,
    is_left_out: bool,
) -> Result<Arc<str>, Unfit> {
    let shown = one_line(&verify.tool, NAME_CHARS_MAX);
    if is_left_out {
        return Err(Unfit::Missing(format!("the entry of `{shown}` was left out")));
    }
    // A function of its own component first, in whichever entry: there the name is the author's, and not a public one.
    let own = || {
        tools.values().filter(|tool| {
            tool.component.digest == of.component.digest
                && tool.contract.function.is_addressed_by(&verify.tool)
        })
    };
    let by = own().find(|tool| tool.effect.repeatable()).or_else(|| own().next());
    let by = by.or_else(|| tools.get(verify.tool.as_str())).ok_or_else(|| {
        let nearest = did_you_mean(&verify.tool, tools.keys().map(|name| &**name));
        let nearest = nearest.map_or_else(String::new, |nearest| format!("; {nearest}"));
        Unfit::Missing(format!("there is no tool `{shown}` to verify it by{nearest}"))
    })?;
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

/// The note of a tool that a call has no time to ask about.
fn late(of: &Tool, Verify { tool: by, after_ms, .. }: &Verify, call_deadline_ms: u64) -> Option<String> {
    (*after_ms >= call_deadline_ms).then(|| {
        format!(
            "`{}` is never verified: its contract asks `{}` after {after_ms} ms, and a call has `host.call_deadline_ms` = \
             {call_deadline_ms}",
            of.name,
            one_line(by, NAME_CHARS_MAX)
        )
    })
}
