//! The custom sections of a component: the contract that `airlock pack` embeds, and the documentation of other tools.
//!
//! Owns how the sections are read. The contract is also rehearsed here, in the compile process: it is parsed and
//! checked against the functions, and the contract of each tool is prepared once. A contract that takes too much time
//! or memory takes it here and not in the host. Its problems become part of the description.

use std::collections::BTreeMap;

use serde::Deserialize;

use airlock_contract::component::{ComponentInfo, FunctionDocs, Problem, said_of};
use airlock_contract::manifest::Manifest;
use airlock_contract::package;
use airlock_contract::package::{Packed, SECTION_BYTES_MAX, SectionError};
use airlock_contract::tool::Contract;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

/// The content of the sections, not yet checked against the component's functions.
pub(crate) struct Sections(Packed);

/// Reads the section that `airlock pack` writes, or else the `package-docs` of other tools.
///
/// # Errors
/// When Airlock's own section is damaged or too large. Such a section must not count as absent: a component without a
/// contract asks for every capability that its imports belong to.
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
    /// Adds the sections to a description that has its functions already.
    pub(super) fn complete(self, info: &mut ComponentInfo) {
        let Sections(Packed { contract, docs }) = self;
        // Documentation of unknown functions is dropped, because foreign sections may hold any number of names.
        info.docs = info
            .functions
            .iter()
            .filter_map(|function| {
                Some((
                    function.address(),
                    said_of(function, &info.functions, |address| docs.get(address))?.clone(),
                ))
            })
            .collect();
        info.contract = contract;
        info.problems = match rehearse(info) {
            Ok(()) => Vec::new(),
            Err(Diagnostics(problems)) => problems.into_iter().map(problem).collect(),
        };
    }
}

/// Takes the steps with a contract that loading the component will take.
fn rehearse(info: &ComponentInfo) -> Result<(), Diagnostics> {
    let mut tools = match &info.contract {
        Some(text) => Manifest::parse(text, "contract.toml")?.bind(&info.functions)?,
        None => BTreeMap::new(),
    };
    for function in &info.functions {
        let author = tools.remove(&function.address()).unwrap_or_default();
        let none = FunctionDocs::default();
        let docs = info.docs_of(function).unwrap_or(&none);
        // Only the time and memory matter here. A function whose contract cannot be prepared is refused when its tool
        // is loaded.
        let _ = Contract::prepare(function, author, docs);
    }
    Ok(())
}

fn problem(diagnostic: Diagnostic) -> Problem {
    let Diagnostic { message, file: _, source: _, span, label, hint } = diagnostic;
    Problem { message, span, label, hint }
}

/// Reads `package-docs`: a version byte, then JSON. Another project defines the format, so everything that does not fit
/// is ignored.
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
