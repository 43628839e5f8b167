//! The description of a component: its exported functions and its imports.
//!
//! Owns the plain description, made once at compile time and stored beside the compiled code, and its bounds:
//! components are untrusted, and the memory that the host uses for one grows with its description. Must not know how
//! the description was obtained, or what is granted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

pub use super::compact::Texts;
use super::ty::{FunctionTy, TypeBudget};

/// Size in bytes of the largest description, as JSON: the largest embedded contract, with names and types beside it.
pub const COMPONENT_INFO_BYTES_MAX: usize = 2 << 20;

/// Number of functions of one component that can be tools. Each becomes a tool with its own schemas, and no model is
/// shown a thousand tools.
pub const FUNCTIONS_MAX: usize = 1_000;

/// The description of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// The functions that can be tools, in the component's order.
    pub functions: Vec<Function>,
    /// The exports that cannot be tools, each with its reason.
    pub hidden: Vec<Hidden>,
    /// The imports of the component, in its order.
    pub imports: Vec<Import>,
    /// The embedded contract: the text of `contract.toml`, if `airlock pack` put one in.
    pub contract: Option<String>,
    /// The problems of the embedded contract. A component with any is not loaded, because the requests of its author
    /// would be unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The initial memory and tables of each instance.
    #[serde(default)]
    pub needs: Needs,
    /// What it uses that the engine does not have, as a sentence without a subject: it can be looked at and not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    /// Documentation by the address of the function. Text of the author of the component: untrusted.
    #[serde(with = "fitting")]
    pub docs: LiteMap<String, FunctionDocs>,
}

/// The memory and tables that an instance has before any of its code runs. A smaller limit can never be satisfied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The initial size of its largest memory, in bytes.
    pub memory_bytes: u64,
    /// The initial size of its largest table, in elements.
    pub table_elements: u64,
}

/// A problem of an embedded contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The message of the diagnostic.
    pub message: String,
    /// The place in the text of the contract, in bytes.
    pub span: Option<Range<usize>>,
    /// The label at the place.
    pub label: String,
    /// The hint of the diagnostic.
    pub hint: Option<String>,
}

impl ComponentInfo {
    /// What the author wrote about a function.
    pub fn docs_of(&self, function: &Function) -> Option<&FunctionDocs> {
        said_of(function, &self.functions, |address| self.docs.get(address))
    }

    /// Whether the component imports no function. Then its arguments are the only input of an attempt.
    pub fn is_closed(&self) -> bool {
        self.imports.iter().all(|import| import.functions.is_empty())
    }

    /// Checks a description that comes from another process against the bounds.
    ///
    /// # Errors
    /// With the bound that it exceeds.
    pub fn check(&self) -> Result<(), String> {
        if self.functions.len() > FUNCTIONS_MAX {
            return Err(format!("it has {} functions; at most {FUNCTIONS_MAX}", self.functions.len()));
        }
        // One budget for exports and imports: the types of both are kept with the component.
        let mut budget = TypeBudget::default();
        let exported = self.functions.iter().map(|function| &*function.ty);
        let imported = self.imports.iter().flat_map(|import| import.functions.values().flatten());
        exported.chain(imported).try_for_each(|ty| budget.take_function(ty)).map_err(|err| err.to_string())
    }
}

/// An exported function that can be a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The interface that exports it, `ns:pkg/iface@1.0.0`. `None` for a function that the world itself exports.
    pub interface: Option<String>,
    /// The name in WIT, in kebab-case.
    pub name: String,
    /// Its type. Shared with its contract.
    #[serde(with = "shared")]
    pub ty: Arc<FunctionTy>,
}

/// The stored form of a shared type: that of the type.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::ty::FunctionTy;

    pub(super) fn serialize<S: Serializer>(ty: &FunctionTy, serializer: S) -> Result<S::Ok, S::Error> {
        ty.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<FunctionTy>, D::Error> {
        FunctionTy::deserialize(deserializer).map(Arc::new)
    }
}

impl Function {
    /// Its name with its interface: `ns:pkg/iface@1.0.0#run`, or `run` for a function of the world itself.
    pub fn address(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// As [`Function::address`], but `#run` for a function of the world itself. The bare `run` also addresses functions
    /// of that name in interfaces.
    pub fn full_address(&self) -> String {
        if self.interface.is_some() { self.address() } else { format!("#{}", self.name) }
    }

    /// Whether a text addresses the function: `run`, `ns:pkg/iface#run` or `ns:pkg/iface@1.0.0#run`, and `#run` for a
    /// function of the world itself. One text can address several functions.
    pub fn is_addressed_by(&self, text: &str) -> bool {
        // A text without `#` is a name, whatever interface exports it.
        let Some((interface, name)) = text.rsplit_once('#') else { return text == self.name };
        let own = self.interface.as_deref().unwrap_or_default();
        let unversioned = own.split_once('@').map_or(own, |(unversioned, _)| unversioned);
        name == self.name && (interface == own || interface == unversioned)
    }
}

/// The entry of a function in a map by address, of which `entry` finds one. A key without version or interface counts only if it addresses no other
/// function.
pub fn said_of<'m, T>(
    function: &Function,
    all: &[Function],
    entry: impl Fn(&str) -> Option<&'m T>,
) -> Option<&'m T> {
    let is_alone = |text: &str| all.iter().filter(|other| other.is_addressed_by(text)).count() == 1;
    let address = function.address();
    let unversioned = match (address.split_once('@'), address.rsplit_once('#')) {
        (Some((interface, _)), Some((_, name))) => format!("{interface}#{name}"),
        _ => String::new(),
    };
    let exact = entry(&address);
    let shorter = || [unversioned.as_str(), &function.name].into_iter().filter(|text| is_alone(text));
    // From the most exact key to the shortest.
    exact.or_else(|| shorter().find_map(&entry))
}

/// Finds the one function that a text addresses.
///
/// # Errors
/// When it addresses none or several. The error lists the functions to choose from.
pub fn addressed<'f>(text: &str, functions: &'f [Function]) -> Result<&'f Function, Unaddressed> {
    let found: Vec<&Function> = functions.iter().filter(|function| function.is_addressed_by(text)).collect();
    match found[..] {
        [function] => Ok(function),
        [] => Err(Unaddressed::None(functions.iter().map(Function::address).collect())),
        _ => Err(Unaddressed::Several(found.into_iter().map(Function::full_address).collect())),
    }
}

/// The reason that a text does not address exactly one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unaddressed {
    /// No function has that name. Holds the addresses of all.
    None(Vec<String>),
    /// Several functions have that name. Holds their full addresses.
    Several(Vec<String>),
}

/// An export that cannot be a tool.
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
    /// `ns:pkg/iface@1.0.0`, or the bare name of an imported function.
    pub name: String,
    /// The imported functions, by name. `None` for a type that has no JSON form.
    pub functions: BTreeMap<String, Option<FunctionTy>>,
}

/// The stored form of a map that takes no more room than it needs: that of a map, also where it is empty.
mod fitting {
    use std::collections::BTreeMap;

    use litemap::LiteMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, V: Serialize>(
        map: &LiteMap<String, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<LiteMap<String, V>, D::Error> {
        // Sorted first: putting the entries of a hostile one into their places one by one would take a time that grows
        // with the square of their number.
        let entries: Vec<(String, V)> = BTreeMap::deserialize(deserializer)?.into_iter().collect();
        Ok(LiteMap::from_sorted_store_unchecked(entries))
    }
}

/// What an author wrote about a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDocs {
    /// About the function.
    pub function: Option<String>,
    /// About places in the arguments, by path (`period`, `rows[].price`).
    #[serde(default, with = "fitting")]
    pub args: Texts,
    /// About places in the result, by path. The empty path is the whole result.
    #[serde(default, with = "fitting")]
    pub result: Texts,
    /// About the cases by which it can fail: those of its error type, and of a result that has cases.
    #[serde(skip_serializing_if = "LiteMap::is_empty", default, with = "fitting")]
    pub errors: Texts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_whatever_order_they_are_written() {
        let written = r#"{"function": null, "args": {"c": "3", "a": "1", "b": "2"}}"#;
        let docs: FunctionDocs = serde_json::from_str(written).unwrap();
        assert_eq!(
            ["a", "b", "c"].map(|name| docs.args.get(name).map(String::as_str)),
            [Some("1"), Some("2"), Some("3")]
        );
        assert_eq!(
            serde_json::to_string(&docs).unwrap(),
            r#"{"function":null,"args":{"a":"1","b":"2","c":"3"},"result":{}}"#
        );
    }
}
