//! What a component shows and wants: its exported functions, and its imports.
//!
//! Owns the plain description that is made once, where the component is compiled, and stored beside the
//! compiled code. Must not know how it was obtained, or what anybody grants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ty::FunctionTy;

/// A component, as a reviewer sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// The functions that can be tools, in the component's order.
    pub functions: Vec<Function>,
    /// The exports that cannot, each with its reason.
    pub hidden: Vec<Hidden>,
    /// What the component wants from its host, in the component's order.
    pub imports: Vec<Import>,
    /// The embedded contract: the text of `contract.toml`, if `airlock pack` put one in.
    pub contract: Option<String>,
    /// Documentation by function name. Text of the component's author: to be treated as untrusted.
    pub docs: BTreeMap<String, FunctionDocs>,
}

impl Surface {
    /// Whether it imports no function: then nothing enters an attempt but its arguments.
    pub fn is_closed(&self) -> bool {
        self.imports.iter().all(|import| import.functions.is_empty())
    }
}

/// An exported function that can be a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The interface that exports it, `ns:pkg/iface@1.0.0`, or none for one of the world itself.
    pub interface: Option<String>,
    /// The name as WIT has it, kebab-case.
    pub name: String,
    /// Its type.
    pub ty: FunctionTy,
}

/// An export that is no tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hidden {
    /// The export's name, with its interface where it has one.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// An imported interface or function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// `ns:pkg/iface@1.0.0`, or the bare name of a function.
    pub name: String,
    /// The functions wanted, by name; a type is known where it can cross to JSON.
    pub functions: BTreeMap<String, Option<FunctionTy>>,
}

/// What an author wrote about a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionDocs {
    /// About the function.
    pub function: Option<String>,
    /// About places in the arguments, by path (`period`, `rows[].price`).
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// About places in the result, by path; the empty path is the whole.
    #[serde(default)]
    pub result: BTreeMap<String, String>,
}
