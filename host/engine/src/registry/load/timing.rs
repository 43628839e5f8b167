//! Notes the tools of a plan that are never run: what is kept back for the fallbacks behind them leaves them less than they need.

use super::tools::Tools;
use crate::config::{ConfigFile, Fallback};
use crate::registry::Tool;

/// Notes each tool for whose own attempt a call never has the time, and each fallback that is named twice.
pub(super) fn note(file: &ConfigFile, found: &mut Tools) {
    let call_ms = file.config.host.call_deadline_ms;
    let least = |tool: &Tool| tool.useful_ms_min.min(tool.limits().deadline_ms);
    let mut notes: Vec<(String, String)> = Vec::new();
    for tool in found.tools.values() {
        let names: Vec<&str> = tool.fallback.iter().filter_map(Fallback::tool).collect();
        let behind = names.iter().filter_map(|name| found.tools.get(*name));
        let kept_ms = behind.map(least).fold(0_u64, u64::saturating_add);
        let (name, own_ms) = (&tool.name, least(tool));
        // At the same time none is left either: some passes before the first attempt.
        if kept_ms.saturating_add(own_ms) >= call_ms {
            let kept = if kept_ms == 0 {
                String::new()
            } else {
                format!(", {kept_ms} ms are kept back for its fallbacks")
            };
            notes.push((
                tool.key.clone(),
                format!(
                    "`{name}` is never run: an attempt of it needs {own_ms} ms{kept}, and a call has {call_ms} ms; lower \
                     `useful_ms_min`, or raise `host.call_deadline_ms`"
                ),
            ));
        }
        let is_again = |(at, name): &(usize, &&str)| names[..*at].contains(name);
        if let Some((_, twice)) = names.iter().enumerate().find(is_again) {
            let note = format!(
                "`{name}` has the fallback `{twice}` twice: it is tried again when it failed; remove one"
            );
            notes.push((tool.key.clone(), note));
        }
    }
    notes.into_iter().for_each(|(key, note)| found.warn(&key, note));
}
