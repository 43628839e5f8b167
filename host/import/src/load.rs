//! Loads what was made, as a host does: the types of the world, and the contract over them.
//!
//! Owns the reading of types from WIT. Functions abort in no component here: nothing runs.

use std::collections::BTreeMap;
use std::path::Path;

use wit_parser::{Resolve, Type, TypeDefKind, TypeId, WorldItem};

use airlock_contract::component::{Function, said_of};
use airlock_contract::docs::{self, Source};
use airlock_contract::manifest::Manifest;
use airlock_contract::tool::Contract;
use airlock_contract::ty::{Case, Field, FunctionTy, Ty};

/// Why a world or its contract cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The WIT does not parse.
    #[error("the WIT cannot be read: {0}")]
    Wit(String),
    /// A type that no tool has.
    #[error("the type of `{0}` is none that a tool can have")]
    Type(String),
    /// The contract is refused.
    #[error("{0}")]
    Contract(String),
}

/// A function with its contract.
#[derive(Debug)]
pub struct Loaded {
    /// The function.
    pub function: Function,
    /// Its contract, as calls meet it.
    pub contract: Contract,
}

/// Loads a world and its contract.
///
/// # Errors
/// When a host would refuse them.
pub fn load(wit: &str, contract: &str) -> Result<Vec<Loaded>, LoadError> {
    load_named(wit, (contract, "contract.toml"))
}

/// Loads a world and its contract, which is in a file of this name.
///
/// # Errors
/// As for [`load`].
pub fn load_named(wit: &str, (contract, name): (&str, &str)) -> Result<Vec<Loaded>, LoadError> {
    let mut resolve = Resolve::default();
    let wrong = |err: String| LoadError::Wit(err);
    let package = resolve.push_str(Path::new("world.wit"), wit).map_err(|err| wrong(format!("{err:#}")))?;
    let texts = BTreeMap::from([("world.wit".to_owned(), wit.to_owned())]);
    let source = Source { resolve, package, texts };
    let docs = docs::read(&source, None).map_err(|err| wrong(err.to_string()))?;
    let functions = functions(&source.resolve, package)?;
    let refused = |err: String| LoadError::Contract(err);
    let manifest = Manifest::parse(contract, name).map_err(|err| refused(err.render(false)))?;
    let mut said = manifest.bind(&functions).map_err(|err| refused(err.render(false)))?;
    let mut loaded = Vec::new();
    for function in &functions {
        let none = Default::default();
        let docs = said_of(function, &functions, &docs).unwrap_or(&none);
        let author = said.remove(&function.address()).unwrap_or_default();
        let contract =
            Contract::of(&manifest, function, author, docs).map_err(|err| refused(err.render(false)))?;
        loaded.push(Loaded { function: function.clone(), contract });
    }
    Ok(loaded)
}

/// The functions that the only world of a package exports.
fn functions(resolve: &Resolve, package: wit_parser::PackageId) -> Result<Vec<Function>, LoadError> {
    let world = resolve.select_world(&[package], None).map_err(|err| LoadError::Wit(format!("{err:#}")))?;
    let mut functions = Vec::new();
    for (key, item) in &resolve.worlds[world].exports {
        let WorldItem::Function(function) = item else { continue };
        let name = resolve.name_world_key(key);
        let unknown = || LoadError::Type(name.clone());
        let params = function
            .params
            .iter()
            .map(|param| Some(Field { name: param.name.clone(), ty: ty(resolve, &param.ty)? }));
        let params = params.collect::<Option<_>>().ok_or_else(unknown)?;
        let result =
            function.result.as_ref().map(|result| ty(resolve, result).ok_or_else(unknown)).transpose()?;
        functions.push(Function { interface: None, name, ty: FunctionTy { params, result }.into() });
    }
    Ok(functions)
}

/// The type of a tool. `None` for types that have no JSON.
fn ty(resolve: &Resolve, written: &Type) -> Option<Ty> {
    Some(match written {
        Type::Bool => Ty::Bool,
        Type::U8 => Ty::U8,
        Type::U16 => Ty::U16,
        Type::U32 => Ty::U32,
        Type::U64 => Ty::U64,
        Type::S8 => Ty::S8,
        Type::S16 => Ty::S16,
        Type::S32 => Ty::S32,
        Type::S64 => Ty::S64,
        Type::F32 => Ty::F32,
        Type::F64 => Ty::F64,
        Type::Char => Ty::Char,
        Type::String => Ty::String,
        Type::ErrorContext => return None,
        Type::Id(id) => defined(resolve, *id)?,
    })
}

fn defined(resolve: &Resolve, id: TypeId) -> Option<Ty> {
    let one = |written: &Type| ty(resolve, written);
    let boxed = |written: &Type| one(written).map(Box::new);
    Some(match &resolve.types[id].kind {
        TypeDefKind::Type(aliased) => one(aliased)?,
        TypeDefKind::Record(record) => {
            let field =
                |field: &wit_parser::Field| Some(Field { name: field.name.clone(), ty: one(&field.ty)? });
            Ty::Record(record.fields.iter().map(field).collect::<Option<_>>()?)
        }
        TypeDefKind::Enum(names) => Ty::Enum(names.cases.iter().map(|case| case.name.clone()).collect()),
        TypeDefKind::Flags(names) => Ty::Flags(names.flags.iter().map(|flag| flag.name.clone()).collect()),
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| {
                let ty = case.ty.as_ref().map(|ty| one(ty).ok_or(())).transpose().ok()?;
                Some(Case { name: case.name.clone(), ty })
            };
            Ty::Variant(variant.cases.iter().map(case).collect::<Option<_>>()?)
        }
        TypeDefKind::Tuple(tuple) => Ty::Tuple(tuple.types.iter().map(one).collect::<Option<_>>()?),
        TypeDefKind::Option(inner) => Ty::Option(boxed(inner)?),
        TypeDefKind::List(inner) => Ty::List(boxed(inner)?),
        TypeDefKind::Result(result) => {
            let part = |part: &Option<Type>| part.as_ref().map(|ty| boxed(ty).ok_or(())).transpose().ok();
            Ty::Result(part(&result.ok)?, part(&result.err)?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::{Map, Value, json};

    use super::load;
    use crate::import;

    /// Keys as strangers write them: other spellings of one another, words of WIT and of expressions, other alphabets.
    const KEYS: [&str; 14] =
        ["a", "A", "a_b", "aB", "a-b", "a b", "1", "type", "from", "日本", "in", "a\"b", "", "unnamed"];

    fn schema() -> impl Strategy<Value = Value> {
        let keys = || proptest::collection::vec(select(&KEYS[..]), 0..4);
        let leaf = prop_oneof![
            Just(json!({})),
            Just(json!({"type": "string", "minLength": 1, "pattern": "(?=a)b", "default": 5})),
            Just(json!({"type": ["integer", "null"], "minimum": 0, "maximum": 9, "default": 3})),
            Just(json!({"type": "number", "exclusiveMinimum": true, "minimum": 0, "format": "float"})),
            Just(json!({"type": "dict"})),
            Just(json!({"const": null})),
            keys().prop_map(|values| json!({"type": "string", "enum": values})),
            keys().prop_map(|values| json!({"enum": values, "description": "\u{202e}a\n\n*/ b"})),
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            let objects = (proptest::collection::vec((select(&KEYS[..]), inner.clone()), 0..4), keys());
            prop_oneof![
                inner.clone().prop_map(|item| json!({"type": "array", "items": item, "uniqueItems": true})),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"anyOf": [a, b]})),
                inner.clone().prop_map(|more| json!({"type": "object", "additionalProperties": more})),
                objects.prop_map(|(fields, required)| {
                    let fields: Map<String, Value> =
                        fields.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
                    json!({"type": "object", "title": "Thing", "properties": fields, "required": required})
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_made_loads(schemas in proptest::collection::vec(schema(), 1..3)) {
            let function = |(n, schema): (usize, &Value)| {
                let parameters = json!({"type": "object", "properties": {"x y": schema, "result": schema}, "anyOf": [{"required": ["x y"]}, {}]});
                json!({"name": format!("f.{n}"), "inputSchema": parameters, "outputSchema": schema})
            };
            let tools: Vec<Value> = schemas.iter().enumerate().map(function).collect();
            let made = import(&json!({"tools": tools}).to_string(), "some name", &[]).unwrap();
            let loaded = load(&made.wit, &made.contract);
            prop_assert!(loaded.is_ok(), "{}\n{}\n{}", loaded.unwrap_err(), made.wit, made.contract);
        }
    }
}
