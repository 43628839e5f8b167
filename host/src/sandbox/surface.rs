//! Reads what a component shows and wants, out of its compiled types and its custom sections.
//!
//! Owns the way from the engine's types to `contract::surface`, and the list of exports that are never
//! tools. Runs in the compile process. Must not know what anybody grants.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem, Type};

use crate::contract::surface::{Function, FunctionDocs, Hidden, Import, Surface};
use crate::contract::ty::{Case, Field, FunctionTy, Ty};
use crate::registry::pack;

/// Reads the surface of a component: `bytes` are its own, for the custom sections.
pub(crate) fn read(engine: &Engine, component: &types::Component, bytes: &[u8]) -> Surface {
    let mut surface = Surface::default();
    for (name, export) in component.exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(func) => add(&mut surface, None, name, &func),
            ComponentItem::ComponentInstance(instance) => {
                for (func, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(ty) = item.ty {
                        add(&mut surface, Some(name), func, &ty);
                    }
                }
            }
            ComponentItem::CoreFunc(_)
            | ComponentItem::Module(_)
            | ComponentItem::Component(_)
            | ComponentItem::Type(_)
            | ComponentItem::Resource(_) => {}
        }
    }
    surface.imports = component.imports(engine).map(|(name, item)| import(engine, name, item.ty)).collect();
    sections(&mut surface, bytes);
    surface
}

fn add(surface: &mut Surface, interface: Option<&str>, name: &str, func: &types::ComponentFunc) {
    let full = interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"));
    let shown = match never_a_tool(interface, name) {
        Some(reason) => Err(reason.to_owned()),
        None => function_ty(func),
    };
    match shown {
        Ok(ty) => surface.functions.push(Function {
            interface: interface.map(str::to_owned),
            name: name.to_owned(),
            ty,
        }),
        Err(reason) => surface.hidden.push(Hidden { name: full, reason }),
    }
}

/// Exports that toolchains add for themselves, and entry points of other kinds of component.
fn never_a_tool(interface: Option<&str>, name: &str) -> Option<&'static str> {
    let internal = name.starts_with("cabi_") || name == "_initialize" || name == "_start";
    match interface {
        _ if internal => Some("internal to the toolchain that built the component"),
        None if name == "init" || name == "exports-init" => {
            Some("initializes the language runtime of the component")
        }
        Some("exports") => Some("internal to the toolchain that built the component"),
        Some(interface) if interface.starts_with("wasi:") => Some("an entry point of a program, not a tool"),
        _ if name.starts_with('[') => Some("belongs to a resource, which cannot cross to JSON"),
        _ => None,
    }
}

fn function_ty(func: &types::ComponentFunc) -> Result<FunctionTy, String> {
    if func.async_() {
        return Err("is asynchronous, which the engine profile does not allow".into());
    }
    let params = func
        .params()
        .map(|(name, ty)| Ok(Field { name: name.to_owned(), ty: convert(&ty)? }))
        .collect::<Result<_, String>>()?;
    let result = func.results().next().map(|ty| convert(&ty)).transpose()?;
    Ok(FunctionTy { params, result })
}

/// The type as plain data, or the reason why it cannot cross to JSON.
fn convert(ty: &Type) -> Result<Ty, String> {
    let boxed = |ty: &Type| convert(ty).map(Box::new);
    Ok(match ty {
        Type::Bool => Ty::Bool,
        Type::S8 => Ty::S8,
        Type::U8 => Ty::U8,
        Type::S16 => Ty::S16,
        Type::U16 => Ty::U16,
        Type::S32 => Ty::S32,
        Type::U32 => Ty::U32,
        Type::S64 => Ty::S64,
        Type::U64 => Ty::U64,
        Type::Float32 => Ty::F32,
        Type::Float64 => Ty::F64,
        Type::Char => Ty::Char,
        Type::String => Ty::String,
        Type::List(list) => Ty::List(boxed(&list.ty())?),
        Type::FixedLengthList(list) => Ty::FixedList(boxed(&list.ty())?, list.len()),
        Type::Map(map) => Ty::Map(boxed(&map.key())?, boxed(&map.value())?),
        Type::Record(record) => Ty::Record(
            record
                .fields()
                .map(|field| Ok(Field { name: field.name.to_owned(), ty: convert(&field.ty)? }))
                .collect::<Result<_, String>>()?,
        ),
        Type::Tuple(tuple) => Ty::Tuple(tuple.types().map(|ty| convert(&ty)).collect::<Result<_, _>>()?),
        Type::Variant(variant) => Ty::Variant(
            variant
                .cases()
                .map(|case| {
                    let ty = case.ty.as_ref().map(convert).transpose()?;
                    Ok(Case { name: case.name.to_owned(), ty })
                })
                .collect::<Result<_, String>>()?,
        ),
        Type::Enum(names) => Ty::Enum(names.names().map(str::to_owned).collect()),
        Type::Option(inner) => Ty::Option(boxed(&inner.ty())?),
        Type::Result(result) => Ty::Result(
            result.ok().as_ref().map(boxed).transpose()?,
            result.err().as_ref().map(boxed).transpose()?,
        ),
        Type::Flags(flags) => Ty::Flags(flags.names().map(str::to_owned).collect()),
        Type::Own(_) | Type::Borrow(_) => return Err("uses a resource, which cannot cross to JSON".into()),
        Type::Future(_) => return Err("uses a future, which cannot cross to JSON".into()),
        Type::Stream(_) => return Err("uses a stream, which cannot cross to JSON".into()),
        Type::ErrorContext => return Err("uses an error context, which cannot cross to JSON".into()),
    })
}

fn import(engine: &Engine, name: &str, item: ComponentItem) -> Import {
    let functions = match item {
        ComponentItem::ComponentFunc(func) => BTreeMap::from([(name.to_owned(), function_ty(&func).ok())]),
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter_map(|(name, item)| match item.ty {
                ComponentItem::ComponentFunc(func) => Some((name.to_owned(), function_ty(&func).ok())),
                _ => None,
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    Import { name: name.to_owned(), functions }
}

/// Reads the section that `airlock pack` writes, and leniently the `package-docs` of other tools.
fn sections(surface: &mut Surface, bytes: &[u8]) {
    if let Some(packed) = pack::section(bytes, pack::SECTION).and_then(|data| pack::decode(&data).ok()) {
        surface.contract = packed.contract;
        surface.docs = packed.docs;
    } else if let Some(data) = pack::section(bytes, "package-docs") {
        surface.docs = foreign_docs(&data);
    }
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
