//! What a reviewer approves of a component besides its bytes, as digests that differ when it differs.
//!
//! Owns which parts there are, and what each is made of: the digest of a canonical JSON text (RFC 8785). A signature states
//! the parts of a component, and the lock those of a tool. Must not know who signed or accepted them. Another content of a
//! part makes every signature fail: give the predicate in the engine's `signature/statement.rs` another version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::component::{ComponentInfo, said_of};
use crate::manifest::Manifest;
use crate::tool::Contract;
use airlock_types::canonical;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::digest::sha256;
use airlock_types::grant::Requests;

/// The parts of a component that are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Digest of the types of its functions and imports.
    pub wit: String,
    /// Digest of what models read: names, descriptions and schemas of all its functions.
    pub surface: String,
    /// Digest of the text of its contract; none without one.
    pub contract: Option<String>,
    /// The capabilities that its contract requests.
    pub requests: Requests,
}

impl Parts {
    /// The parts of a component, as a host prepares them.
    ///
    /// # Errors
    /// With the problems of its contract.
    pub fn of(info: &ComponentInfo) -> Result<Parts, Diagnostics> {
        let manifest = match &info.contract {
            Some(text) => Manifest::parse(text, "contract.toml")?,
            None => Manifest::default(),
        };
        let mut tools = manifest.bind(&info.functions)?;
        let none = Default::default();
        let mut functions = BTreeMap::new();
        for function in &info.functions {
            let said = tools.remove(&function.address()).unwrap_or_default();
            let docs = said_of(function, &info.functions, |address| info.docs.get(address)).unwrap_or(&none);
            let contract = Contract::of(&manifest, function, said, docs)?;
            functions.insert(function.full_address(), read(&contract));
        }
        Ok(Parts {
            wit: wit(info),
            surface: canonical::digest(&json!(functions)),
            contract: info.contract.as_ref().map(|text| sha256(text.as_bytes())),
            requests: manifest.capabilities,
        })
    }
}

/// Digest of the types of a component: those of its functions, of its imports, and the names of exports that cannot be
/// tools.
pub fn wit(info: &ComponentInfo) -> String {
    let exports: BTreeMap<String, String> =
        info.functions.iter().map(|function| (function.full_address(), function.ty.to_string())).collect();
    let import = |import: &crate::component::Import| {
        let functions = import.functions.iter();
        let functions = functions.map(|(name, ty)| (name.clone(), ty.as_ref().map(ToString::to_string)));
        (import.name.clone(), functions.collect::<BTreeMap<_, _>>())
    };
    let imports: BTreeMap<String, _> = info.imports.iter().map(import).collect();
    let hidden: Vec<&str> = info.hidden.iter().map(|hidden| hidden.name.as_str()).collect();
    canonical::digest(&json!({"exports": exports, "hidden": hidden, "imports": imports}))
}

/// Digest of what models read of one tool, with the name that it has for them.
pub fn of_tool(name: &str, contract: &Contract) -> String {
    canonical::digest(&json!({name: read(contract)}))
}

/// What models read of a function.
fn read(contract: &Contract) -> Value {
    json!({
        "title": contract.title,
        "description": contract.description,
        "input_schema": contract.input_schema(),
        "result_schema": contract.result_schema(),
        "errors": contract.shape.error_ty().map(ToString::to_string),
        "error_docs": contract.errors.docs.iter().collect::<BTreeMap<_, _>>(),
        "examples": contract.examples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures and locks that exist hold these digests: a change of the form of any part breaks all of them.
    #[test]
    fn the_digests_of_a_component_stay_what_they_were() {
        let info: ComponentInfo = serde_json::from_value(json!({
            "functions": [{
                "interface": null,
                "name": "add",
                "ty": {"params": [{"name": "a", "ty": "s32"}], "result": {"list": "string"}},
            }],
            "hidden": [],
            "imports": [],
            "contract": null,
            "docs": {},
        }))
        .unwrap();
        let Parts { wit, surface, contract, requests: _ } = Parts::of(&info).unwrap();
        let short = |digest: &str| digest[..16].to_owned();
        assert_eq!(
            (short(&wit), short(&surface), contract),
            ("cf517c6e3b3c61ec".into(), "783651d71a69e6d8".into(), None)
        );
    }
}
