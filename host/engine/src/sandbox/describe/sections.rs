//! The custom sections of a component: the contract that `airlock pack` embeds, and documentation of other tools.
//!
//! Owns what they come to. The contract is rehearsed here, in the compile process: it is parsed, held against the
//! functions, and every tool's contract is prepared once, so that what takes too long or too much takes it here. What
//! is wrong with it is part of the description.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use airlock_contract::component::{ComponentInfo, FunctionDocs, Problem};
use airlock_contract::manifest::Manifest;
use airlock_contract::package;
use airlock_contract::package::{Packed, SECTION_BYTES_MAX, SectionError};
use airlock_contract::tool::Contract;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

/// What the sections hold, not yet held against the component's functions.
pub(crate) struct Sections(Packed);

/// Reads the section that `airlock pack` writes, or else the `package-docs` of other tools.
///
/// # Errors
/// When there is a section of ours that is damaged or too large. It does not count as none: a component without a
/// contract asks for whatever is granted.
pub(crate) fn sections(component: &[u8]) -> Result<Sections, SectionError> {
    let packed = match package::packed(component)? {
        Some(packed) => packed,
        None => {
            let data =
                package::section(component, "package-docs").filter(|data| data.len() <= SECTION_BYTES_MAX);
            Packed { contract: None, docs: data.map(|data| foreign_docs(&data)).unwrap_or_default() }
        }
    };
    Ok(Sections(packed))
}

impl Sections {
    /// Puts them into a description whose functions are known.
    pub(super) fn complete(self, info: &mut ComponentInfo) {
        let Sections(Packed { contract, docs }) = self;
        let known: BTreeSet<&str> = info.functions.iter().map(|function| function.name.as_str()).collect();
        info.docs = docs.into_iter().filter(|(name, _)| known.contains(name.as_str())).collect();
        info.contract = contract;
        info.problems = match rehearse(info) {
            Ok(()) => Vec::new(),
            Err(Diagnostics(problems)) => problems.into_iter().map(problem).collect(),
        };
    }
}

/// Does with a contract what loading the component will do with it.
fn rehearse(info: &ComponentInfo) -> Result<(), Diagnostics> {
    let mut tools = match &info.contract {
        Some(text) => Manifest::parse(text, "contract.toml")?.bind(&info.functions)?,
        None => BTreeMap::new(),
    };
    for function in &info.functions {
        let author = tools.remove(&function.name).unwrap_or_default();
        let none = FunctionDocs::default();
        let docs = info.docs.get(&function.name).unwrap_or(&none);
        // A function whose contract cannot be prepared is refused where it is shown; the others can be used.
        let _ = Contract::prepare(function, author, docs);
    }
    Ok(())
}

fn problem(diagnostic: Diagnostic) -> Problem {
    let Diagnostic { message, file: _, source: _, span, label, hint } = diagnostic;
    Problem { message, span, label, hint }
}

/// `package-docs`: a version byte, then JSON. Its format is another project's, so whatever does not fit is
/// left out.
fn foreign_docs(data: &[u8]) -> BTreeMap<String, FunctionDocs> {
    #[derive(Deserialize, Default)]
    struct Package {
        #[serde(default)]
        worlds: BTreeMap<String, Items>,
        #[serde(default)]
        interfaces: BTreeMap<String, Items>,
    }
    #[derive(Deserialize, Default)]
    struct Items {
        #[serde(default)]
        funcs: BTreeMap<String, Docs>,
        #[serde(default)]
        func_exports: BTreeMap<String, Docs>,
        #[serde(default)]
        interface_exports: BTreeMap<String, Items>,
    }
    #[derive(Deserialize, Default)]
    struct Docs {
        #[serde(default)]
        docs: Option<String>,
    }
    fn gather(items: &Items, found: &mut BTreeMap<String, FunctionDocs>) {
        for (name, docs) in items.funcs.iter().chain(&items.func_exports) {
            found.entry(name.clone()).or_default().function.clone_from(&docs.docs);
        }
        items.interface_exports.values().for_each(|items| gather(items, found));
    }
    let package: Package =
        data.split_first().and_then(|(_, json)| serde_json::from_slice(json).ok()).unwrap_or_default();
    let mut found = BTreeMap::new();
    package.worlds.values().chain(package.interfaces.values()).for_each(|items| gather(items, &mut found));
    found
}
