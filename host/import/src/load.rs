//! Loads what was made, as a host does: the types of the world, and the contract over them.
//!
//! Owns the reading of types from WIT, within the bounds on those of a component. Functions abort in no component here: nothing
//! runs.

use std::collections::BTreeMap;
use std::path::Path;

use wit_parser::{Resolve, Type, TypeDefKind, TypeId, WorldItem};

use airlock_contract::component::{Function, said_of};
use airlock_contract::docs::{self, Source};
use airlock_contract::manifest::Manifest;
use airlock_contract::tool::Contract;
use airlock_contract::ty::{Case, Field, FunctionTy, Ty, TypeBudget, TypeBudgetError};

/// Most parameters of a function: a component with more is not valid (`MAX_WASM_FUNCTION_PARAMS` of wasmparser).
const PARAMS_MAX: usize = 1_000;

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
    /// Types that are larger than those of a component may be.
    #[error("the component of `{function}` is refused: {why}")]
    Types {
        /// The function whose types exceed the bound.
        function: String,
        /// The bound.
        why: TypeBudgetError,
    },
    /// More parameters than a function of a component may have.
    #[error("`{function}` has {count} parameters; at most {PARAMS_MAX}")]
    Params {
        /// The function.
        function: String,
        /// The number of its parameters.
        count: usize,
    },
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
        let docs = said_of(function, &functions, |address| docs.get(address)).unwrap_or(&none);
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
    // One budget for all, as a component has one.
    let mut types = Types { resolve, budget: TypeBudget::default() };
    let mut functions = Vec::new();
    for (key, item) in &resolve.worlds[world].exports {
        let WorldItem::Function(function) = item else { continue };
        let name = resolve.name_world_key(key);
        let count = function.params.len();
        if count > PARAMS_MAX {
            return Err(LoadError::Params { function: name, count });
        }
        let ty = types.function(function).map_err(|unread| match unread {
            Unread::NoJson => LoadError::Type(name.clone()),
            Unread::Bound(why) => LoadError::Types { function: name.clone(), why },
        })?;
        functions.push(Function { interface: None, name, ty: ty.into() });
    }
    Ok(functions)
}

/// Why a type is not read.
enum Unread {
    /// It has no JSON.
    NoJson,
    /// It exceeds a bound.
    Bound(TypeBudgetError),
}

impl From<TypeBudgetError> for Unread {
    fn from(why: TypeBudgetError) -> Unread {
        Unread::Bound(why)
    }
}

/// Reads types, and charges each part before it is expanded: WIT shares the parts of its types, too.
struct Types<'r> {
    resolve: &'r Resolve,
    budget: TypeBudget,
}

impl Types<'_> {
    fn function(&mut self, function: &wit_parser::Function) -> Result<FunctionTy, Unread> {
        let params = function.params.iter().map(|param| self.field(&param.name, &param.ty, 1));
        let params = params.collect::<Result<_, _>>()?;
        let result = function.result.as_ref().map(|result| self.ty(result, 1)).transpose()?;
        Ok(FunctionTy { params, result })
    }

    fn field(&mut self, name: &str, ty: &Type, depth: usize) -> Result<Field, Unread> {
        self.budget.take_name(name)?;
        Ok(Field { name: name.to_owned(), ty: self.ty(ty, depth)? })
    }

    /// The type of a tool at a depth; the outermost type is at depth 1.
    fn ty(&mut self, written: &Type, depth: usize) -> Result<Ty, Unread> {
        // Another name of a type is no part of it.
        if let Type::Id(id) = written
            && let TypeDefKind::Type(aliased) = &self.resolve.types[*id].kind
        {
            return self.ty(aliased, depth);
        }
        self.budget.take(depth)?;
        Ok(match written {
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
            Type::ErrorContext => return Err(Unread::NoJson),
            Type::Id(id) => self.defined(*id, depth + 1)?,
        })
    }

    /// A type with parts, which are at this depth.
    fn defined(&mut self, id: TypeId, depth: usize) -> Result<Ty, Unread> {
        Ok(match &self.resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| self.field(&field.name, &field.ty, depth));
                Ty::Record(fields.collect::<Result<_, _>>()?)
            }
            TypeDefKind::Enum(names) => {
                Ty::Enum(self.names(names.cases.iter().map(|case| &case.name), depth)?)
            }
            TypeDefKind::Flags(names) => {
                Ty::Flags(self.names(names.flags.iter().map(|flag| &flag.name), depth)?)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| self.case(case, depth));
                Ty::Variant(cases.collect::<Result<_, _>>()?)
            }
            TypeDefKind::Tuple(tuple) => {
                Ty::Tuple(tuple.types.iter().map(|ty| self.ty(ty, depth)).collect::<Result<_, _>>()?)
            }
            TypeDefKind::Option(inner) => Ty::Option(self.ty(inner, depth)?.into()),
            TypeDefKind::List(inner) => Ty::List(self.ty(inner, depth)?.into()),
            TypeDefKind::Result(result) => {
                let mut part = |part: &Option<Type>| {
                    part.as_ref().map(|ty| self.ty(ty, depth).map(Box::new)).transpose()
                };
                Ty::Result(part(&result.ok)?, part(&result.err)?)
            }
            _ => return Err(Unread::NoJson),
        })
    }

    fn names<'n>(
        &mut self,
        names: impl Iterator<Item = &'n String>,
        depth: usize,
    ) -> Result<Vec<String>, Unread> {
        names
            .map(|name| {
                self.budget.take_name(name)?;
                self.budget.take(depth)?;
                Ok(name.clone())
            })
            .collect()
    }

    fn case(&mut self, case: &wit_parser::Case, depth: usize) -> Result<Case, Unread> {
        self.budget.take_name(&case.name)?;
        let ty = case.ty.as_ref().map(|ty| self.ty(ty, depth)).transpose()?;
        if ty.is_none() {
            // A case without a payload still becomes a branch of the schema.
            self.budget.take(depth)?;
        }
        Ok(Case { name: case.name.clone(), ty })
    }
}

#[cfg(test)]
mod tests {
    use airlock_contract::ty::TYPE_DEPTH_MAX;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::{Map, Value, json};

    use super::*;
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

    /// The function `f` with a result of this type, in a world with these types.
    fn world(types: &str, ty: &str) -> String {
        format!("package a:b; world tools {{ {types} export f: func() -> {ty}; }}")
    }

    #[track_caller]
    fn check_refused(wit: &str, why: TypeBudgetError) {
        let refused = load(wit, "").unwrap_err();
        assert_eq!(refused, LoadError::Types { function: "f".into(), why });
    }

    #[test]
    fn types_are_held_to_the_bounds_of_a_component() {
        let nested = |levels: usize| format!("{}u8{}", "list<".repeat(levels), ">".repeat(levels));
        load(&world("", &nested(TYPE_DEPTH_MAX - 1)), "").unwrap();
        check_refused(&world("", &nested(TYPE_DEPTH_MAX)), TypeBudgetError::Depth);
        // A type that doubles with each line: it is counted before it is written out.
        let doubling: String = (1..29).map(|n| format!("type t{n} = tuple<t{0}, t{0}>;", n - 1)).collect();
        check_refused(&world(&format!("type t0 = u8; {doubling}"), "t28"), TypeBudgetError::Nodes);
    }

    #[test]
    fn a_function_has_at_most_as_many_parameters_as_a_component_allows() {
        let world = |count: usize| {
            let params: Vec<String> = (0..count).map(|n| format!("p{n}: bool")).collect();
            format!("package a:b; world tools {{ export f: func({}); }}", params.join(", "))
        };
        load(&world(PARAMS_MAX), "").unwrap();
        let count = PARAMS_MAX + 1;
        let refused = load(&world(count), "").unwrap_err();
        assert_eq!(refused, LoadError::Params { function: "f".into(), count });
    }

    #[test]
    fn a_function_that_no_component_can_have_is_left_out_and_the_others_are_made() {
        let good = json!({"name": "good"});
        let nested = |levels: usize| {
            let inside = |inner, _| json!({"type": "object", "properties": {"a": inner}, "required": ["a"]});
            (0..levels).fold(json!({"type": "string"}), inside)
        };
        let lists =
            (0..45).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
        let params: Map<String, Value> = (0..=PARAMS_MAX).map(|n| (format!("p{n}"), json!({}))).collect();
        let cases = [
            (json!({"properties": {"a": nested(32)}}), "nested more than 32 deep"),
            (json!({"properties": {"a": lists}}), "nested more than 32 deep"),
            (json!({"properties": params}), "has 1001 parameters; at most 1000"),
        ];
        for (parameters, says) in cases {
            let bad = json!({"name": "bad", "parameters": parameters});
            let made = import(&json!([good, bad]).to_string(), "x", &[]).unwrap();
            assert_eq!(made.functions.len(), 1, "{made:?}");
            let left = &made.left_out[0];
            assert!(left.function == "bad" && left.what.contains(says), "{left:?}");
        }
        let deepest = json!({"name": "deep", "parameters": {"properties": {"a": nested(30)}}});
        assert_eq!(import(&json!([good, deepest]).to_string(), "x", &[]).unwrap().left_out, []);
    }

    /// Functions that load alone and not together are no reason to leave out one of them.
    #[test]
    fn functions_that_are_too_large_together_are_refused_with_a_way_out() {
        let function = |n: usize| {
            let params: Map<String, Value> =
                (0..200).map(|p| (format!("p{p}"), json!({"type": "string"}))).collect();
            json!({"name": format!("f{n}"), "parameters": {"type": "object", "properties": params}})
        };
        let functions: Vec<Value> = (0..30).map(function).collect();
        let refused = import(&json!(functions).to_string(), "x", &[]).unwrap_err().to_string();
        assert!(refused.contains("more than 10000 parts") && refused.contains("`--only`"), "{refused}");
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
