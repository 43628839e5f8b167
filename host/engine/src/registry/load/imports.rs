//! Stand-ins for imports that the host does not provide, checked against the component's imports.

use std::collections::BTreeMap;

use crate::capability::{Binding, Capabilities};
use crate::config::{ConfigFile, ImportConfig, ImportWord, ToolConfig};
use airlock_contract::component::{ComponentInfo, Import};
use airlock_contract::lower;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::words;

/// The declared stand-ins, with their JSON results lowered to the component's types.
///
/// # Errors
/// When the component does not import the name, or a result does not fit its type.
pub(super) fn bindings(
    file: &ConfigFile,
    config: &ToolConfig,
    info: &ComponentInfo,
    capabilities: &Capabilities,
) -> Result<BTreeMap<String, Binding>, Diagnostics> {
    let mut bindings = BTreeMap::new();
    for (name, declared) in &config.imports {
        let problem =
            |message: String| Diagnostics::from(file.error(name.span(), message, "this import", None));
        let import = info.imports.iter().find(|import| import.name == *name.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = capabilities.unknown(info).map(|import| import.name.as_str()).collect();
            let rest = match known.as_slice() {
                [] => "the host provides all that it imports".to_owned(),
                known => format!("nothing provides {}", words::quoted_list(known.iter().copied())),
            };
            problem(format!("the component does not import `{}`; {rest}", name.get_ref()))
        })?;
        // The host would provide the import all the same: the setting would read like a denial and deny nothing.
        if capabilities.unknown(info).all(|unknown| unknown.name != import.name) {
            return Err(problem(format!(
                "the host provides `{}`: leave this out; what a tool may reach is said by its grants",
                import.name
            )));
        }
        bindings.insert(name.get_ref().clone(), binding(import, declared).map_err(problem)?);
    }
    Ok(bindings)
}

/// One stand-in. Results are lowered when the registry is loaded, so that a wrong one is found before any call.
fn binding(import: &Import, declared: &ImportConfig) -> Result<Binding, String> {
    let results = match declared {
        ImportConfig::Word(ImportWord::Trap) => return Ok(Binding::Trap),
        ImportConfig::Fixed(results) => results,
    };
    let mut fixed = BTreeMap::new();
    for (function, json) in results {
        let ty = import.functions.get(function).ok_or_else(|| {
            let known = words::quoted_list(import.functions.keys().map(String::as_str));
            format!("`{}` has no function `{function}`; it has {known}", import.name)
        })?;
        let ty = ty.as_ref().ok_or_else(|| {
            format!("`{function}` uses types that JSON cannot give; leave it out, and it traps")
        })?;
        let result = match &ty.result {
            None => None,
            Some(ty) => Some(lower::lower_value(ty, json.clone()).map_err(|violations| {
                let first = violations
                    .first()
                    .map_or_else(String::new, |v| format!("expected {}, got {}", v.expected, v.got));
                format!("the result of `{function}` is not a `{ty}`: {first}")
            })?),
        };
        fixed.insert(function.clone(), result);
    }
    Ok(Binding::Fixed(fixed))
}
