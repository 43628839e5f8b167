//! Which tools of an older registry may stay in the place of those that a newer file has and that are not in order.
//!
//! Owns that nothing stays that the newer file does not allow: a tool with other grants, with a folder that now has a
//! secret or a component in it, or by a key that is not trusted any more, is withdrawn. Must not know what is wrong with its entry.

use std::path::Path;

use super::entry::{reserved, secrets};
use crate::capability;
use crate::config::{ConfigFile, ReportConfig};
use crate::registry::Tool;

/// Says why a tool may not stay under a newer file. `apart` is a folder that no tool may be granted, `now_s` the time since
/// 1970 in seconds.
///
/// # Errors
/// With the reason, as a sentence without a period.
pub(crate) fn may_stay(
    file: &ConfigFile,
    apart: Option<&Path>,
    now_s: u64,
    tool: &Tool,
) -> Result<(), String> {
    let Some((_, config)) = file.config.tools.iter().find(|(key, _)| *key.get_ref() == tool.key) else {
        return Err("its entry was removed".to_owned());
    };
    if !tool.component.signed.satisfies(&file.config.signature_policy(config), now_s) {
        return Err("its signatures are not those that the registry asks for".to_owned());
    }
    let mut granted = config.grants.as_ref().map(|grants| grants.get_ref().clone()).unwrap_or_default();
    capability::resolve(&mut granted, file.folder(), &reserved(file, apart))
        .map_err(|(_, err)| err.to_string())?;
    if let Some((_, exposed)) = secrets::exposed(file, &granted) {
        return Err(exposed);
    }
    let tried = config.report.as_ref().map(|report| {
        let ReportConfig { until, grants, .. } = report.get_ref();
        (grants.clone(), *until)
    });
    if tried != tool.source.tried {
        return Err("the grants that are tried were changed".to_owned());
    }
    // A rule that came since would not be asked.
    if config.hold.iter().any(|hold| !tool.holds.contains(hold)) {
        return Err("the rules that hold its calls were changed".to_owned());
    }
    if tool.is_approval_waived && config.approval.is_none() {
        return Err("its calls are to be approved by a person now".to_owned());
    }
    // Not narrowed to what both grant: a tool that lacks half of what it was given fails in ways that nobody foresaw. It
    // does not get what is newly granted. A grant for a host may come with another secret, so these must be the same.
    let is_granted = tool.granted.http == granted.http && tool.granted.is_within(&granted);
    if is_granted { Ok(()) } else { Err("its grants were changed".to_owned()) }
}
