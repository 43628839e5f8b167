//! Checks fallbacks against the tools that they stand in for.

use crate::config::ConfigFile;
use crate::registry::{Registry, Tool};
use airlock_types::diagnostic::Diagnostic;

/// The problems of all fallbacks. A fallback must exist, have the same type, have no stronger effects, and not lead
/// back to its tool.
pub(super) fn problems(file: &ConfigFile, registry: &Registry) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for from in registry.tools() {
        let config = file.config.tools.iter().find(|(key, _)| *key.get_ref() == from.key);
        for target in config.iter().flat_map(|(_, config)| &config.fallback) {
            let problem = |message: String| file.error(target.span(), message, "this fallback", None);
            match registry.resolve(target.get_ref()) {
                Err(unknown) => problems.push(problem(unknown.to_string())),
                Ok(to) if reaches(registry, to, &from.name) => {
                    problems
                        .push(problem(format!("`{}` and `{}` fall back to each other", from.name, to.name)));
                }
                // A fallback receives the same arguments, and its caller expects the same result.
                Ok(to) if to.contract.function.ty != from.contract.function.ty => {
                    problems.push(problem(format!(
                        "`{}` cannot stand in for `{}`: their types differ\n  {}: {}\n  {}: {}",
                        to.name,
                        from.name,
                        from.name,
                        from.contract.function.ty,
                        to.name,
                        to.contract.function.ty
                    )))
                }
                Ok(to) if to.effect > from.effect => problems.push(problem(format!(
                    "`{}` is {} and `{}` is {}: a fallback must not do more to the world",
                    to.name,
                    to.effect.as_str(),
                    from.name,
                    from.effect.as_str()
                ))),
                Ok(_) => {}
            }
        }
    }
    problems
}

/// Whether the chain of fallbacks from a tool leads to `name`.
fn reaches(registry: &Registry, from: &Tool, name: &str) -> bool {
    let mut open: Vec<&str> = vec![&from.name];
    // Without it a circle that does not contain `name` would be followed forever.
    let mut seen = std::collections::BTreeSet::new();
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if seen.insert(next)
            && let Some(tool) = registry.tools.get(next)
        {
            open.extend(tool.fallback.iter().map(String::as_str));
        }
    }
    false
}
