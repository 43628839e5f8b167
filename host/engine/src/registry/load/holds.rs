//! Checks that rules over tools name tools that there are: a slip would let calls run that are to be held.

use super::tools::Tools;
use crate::config::ConfigFile;
use airlock_types::words::did_you_mean;

/// Reports the names of rules that no tool has.
pub(super) fn check(file: &ConfigFile, found: &mut Tools) {
    for (at, rule) in file.config.holds.iter().enumerate() {
        for pattern in rule.get_ref().tools.iter().flatten() {
            let name = pattern.get_ref().to_string();
            let is_known = name.ends_with('*')
                || found.tools.contains_key(name.as_str())
                || found.is_left_out(file, &name);
            if !is_known {
                let hint = did_you_mean(&name, found.tools.keys().map(|name| &**name));
                let message = format!("there is no tool `{name}`, so that the rule holds no call of it");
                let problem = file.error(pattern.span(), message, "this name", hint);
                // No entry has this key.
                found.leave_out(&format!("holds[{at}]"), vec![problem]);
            }
        }
    }
}
