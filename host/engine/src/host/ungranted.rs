//! What a component imports beyond its grants, in words for a reviewer.

use crate::capability::{Capabilities, Facts, Granting};
use crate::registry::Tool;
use airlock_types::grant::{custom, files, http, keyvalue, values};
use airlock_types::words::quoted_list;

/// One note for each capability that the tool's component imports and does not have. Those that it needs are left out: a
/// warning names each of them with its author's reason.
/// What is tried at this time is not lacking: its uses pass.
pub(super) fn notes(capabilities: &Capabilities, tool: &Tool, now_unix_ms: u64) -> Vec<String> {
    let now = tool.allowances.at(now_unix_ms);
    let missing = now.missing();
    let asked = |name: &str| missing.iter().any(|missing| missing.capability == name && !missing.optional);
    let lacking = capabilities.lacking(&tool.component.info.imports, now.effective());
    lacking
        .into_iter()
        .filter(|(facts, _)| !asked(facts.name))
        .map(|(facts, imports)| note(tool, &facts, &imports))
        .collect()
}

fn note(tool: &Tool, facts: &Facts, imports: &[&str]) -> String {
    let Facts { name, granting, .. } = facts;
    let setting = match granting {
        Granting::CustomSetting => format!("{}.{name}", custom::TABLE),
        Granting::Setting | Granting::Always => (*name).to_owned(),
    };
    // These denials do not end the guest: a runtime lists its folders when it starts, and treats a refused request like
    // a network that is down.
    let without = match *name {
        files::NAME => "it finds no folder",
        http::NAME => "every request is refused",
        keyvalue::NAME => "no bucket can be opened",
        values::CONFIG => "no key has a value",
        values::ENV => "the environment is empty",
        _ => "the first use ends its attempt",
    };
    let is_asked = tool.allowance.missing().iter().any(|missing| missing.capability == *name);
    let mend = if tool.component.info.contract.is_some() && !is_asked {
        // Effective is what is asked for and granted.
        format!("its contract would have to ask for `capabilities.{setting}`, and the registry to grant it")
    } else {
        format!("`grants.{setting}` would grant it")
    };
    format!(
        "`{}` imports {}, which is not granted: {without}; {mend}",
        tool.key,
        quoted_list(imports.iter().copied())
    )
}
