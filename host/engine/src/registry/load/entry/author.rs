//! What a component's embedded contract states.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use airlock_contract::component::{ComponentInfo, Problem};
use airlock_contract::manifest::{Manifest, PROBLEMS_MAX, ToolContract};
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

/// The statements of a component's embedded contract; empty without one.
pub(super) struct Author {
    pub(super) manifest: Manifest,
    pub(super) tools: BTreeMap<String, ToolContract>,
}

/// Reads the contract that is embedded in a component. `is_known` is whether it was judged before and is right.
///
/// # Errors
/// With the problems of the contract.
pub(super) fn author(path: &Path, info: &ComponentInfo, is_known: bool) -> Result<Author, Diagnostics> {
    let file = format!("{} (embedded contract)", path.display());
    if !info.problems.is_empty() {
        return Err(problems(&file, info));
    }
    let manifest = match &info.contract {
        Some(text) => Manifest::parse(text, &file)?,
        None => Manifest::default(),
    };
    let manifest = if is_known { manifest.known() } else { manifest };
    let tools = manifest.bind(&info.functions)?;
    Ok(Author { manifest, tools })
}

/// The problems that the compile process found in an embedded contract.
fn problems(file: &str, info: &ComponentInfo) -> Diagnostics {
    let source: Arc<str> = info.contract.as_deref().unwrap_or_default().into();
    let diagnostic = |problem: &Problem| {
        let Problem { message, span, label, hint } = problem.clone();
        Diagnostic { message, file: file.to_owned(), source: source.clone(), span, label, hint }
    };
    Diagnostics(info.problems.iter().take(PROBLEMS_MAX).map(diagnostic).collect())
}
