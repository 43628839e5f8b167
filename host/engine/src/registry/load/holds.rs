//! Checks that rules over tools name tools that there are: a slip would let calls run that are to be held. Notes rules that
//! ask for more people than there are.

use toml::Spanned;

use super::tools::Tools;
use crate::caller::ApproveAccess;
use crate::config::ConfigFile;
use airlock_types::shorten::shorten;
use airlock_types::words::{did_you_mean, quoted_list};

/// Characters of a rule in a note.
const RULE_CHARS_MAX: usize = 120;

/// Reports the names of rules that no tool has.
pub(super) fn check(file: &ConfigFile, found: &mut Tools) {
    for (at, rule) in file.config.holds.iter().enumerate() {
        for pattern in rule.get_ref().tools.iter().flatten() {
            let name = pattern.get_ref().to_string();
            let is_known = name.ends_with('*')
                || found.tools.contains_key(name.as_str())
                || found.is_left_out(file, &name);
            if !is_known {
                let names = || found.tools.keys().map(|name| &**name);
                let hint = did_you_mean(&name, names())
                    .or_else(|| names().next().map(|_| format!("there are {}", quoted_list(names()))));
                let message = format!("there is no tool `{name}`, so that the rule holds no call of it");
                let problem = file.error(pattern.span(), message, "this name", hint);
                // No entry has this key.
                found.leave_out(&format!("holds[{at}]"), vec![problem]);
            }
        }
    }
}

/// Notes the rules that nobody can approve: every call that they hold ends without a decision.
pub(super) fn note_unanswered(file: &ConfigFile, found: &mut Tools) {
    let callers = file.config.callers.values();
    let may = callers.filter(|caller| caller.approve != ApproveAccess::None).count();
    // The operator, too.
    let people = u32::try_from(may + 1).unwrap_or(u32::MAX);
    let note = |rule: &str, approvals: u32| {
        let rule = shorten(rule, RULE_CHARS_MAX);
        format!(
            "{rule} asks for {approvals} approvals, and {people} can be given; write `approve = true` for more callers"
        )
    };
    let of_tools = found.tools.values().flat_map(|tool| {
        let asking = tool.contract.holds().filter(|(_, asks)| asks.approvals > people);
        asking.map(|(rule, asks)| {
            (
                tool.key.clone(),
                note(&format!("`{}` has a rule that holds, `{rule}`, which", tool.name), asks.approvals),
            )
        })
    });
    let mut notes: Vec<(String, String)> = of_tools.collect();
    let first = file.config.tools.keys().next().map(|key| key.get_ref().clone()).unwrap_or_default();
    let over = file.config.holds.iter().enumerate().filter(|(_, rule)| rule.get_ref().approvals.0 > people);
    notes.extend(
        over.map(|(at, rule)| (first.clone(), note(&format!("`holds[{at}]`"), rule.get_ref().approvals.0))),
    );
    let own = file.config.holds.iter().enumerate().filter(|(_, rule)| {
        let rule = rule.get_ref();
        let only = rule.caller.as_ref().map(Spanned::get_ref);
        !rule.approvers.is_empty() && rule.approvers.iter().all(|name| Some(name.get_ref()) == only)
    });
    notes.extend(own.map(|(at, _)| {
        let note = format!(
            "`holds[{at}]` can be approved by nobody: a caller does not approve its own calls; name another one in `approvers`"
        );
        (first.clone(), note)
    }));
    notes.into_iter().for_each(|(key, note)| found.warn(&key, note));
}
