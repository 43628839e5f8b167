//! Reads the exports and imports of a component from its compiled types and its custom sections.
//!
//! Owns the conversion of the engine's types to `contract::component`, and the list of exports that are never tools.
//! Runs in the compile process. Must not know grants.

mod sections;

use std::collections::BTreeMap;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{self, ComponentItem, Type};

use crate::capability;
use airlock_contract::component::{ComponentInfo, FUNCTIONS_MAX, Function, Hidden, Import, Needs};
use airlock_contract::ty::{Case, Field, FunctionTy, Ty, TypeBudget, TypeBudgetError};
pub(crate) use sections::{Sections, sections};

/// Size of a page of a linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// Why the description of a component is not read. Its text follows "the component is not valid:".
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescribeError {
    /// The types are too large.
    #[error(transparent)]
    Types(#[from] TypeBudgetError),
    /// Too many functions.
    #[error("it shows more than {FUNCTIONS_MAX} functions")]
    Functions,
}

/// Reads the description of a component: types from the engine, everything else from its custom sections.
///
/// # Errors
/// Fails when the description is larger than the host reads.
pub(crate) fn read(
    engine: &Engine,
    component: &Component,
    sections: Sections,
) -> Result<ComponentInfo, DescribeError> {
    let mut reader = Reader::default();
    let ty = component.component_type();
    for (name, export) in ty.exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(func) => reader.export(None, name, &func)?,
            ComponentItem::ComponentInstance(instance) => {
                for (func, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(ty) = item.ty {
                        reader.export(Some(name), func, &ty)?;
                    }
                }
            }
            // Only functions can be tools.
            ComponentItem::CoreFunc(_)
            | ComponentItem::Module(_)
            | ComponentItem::Component(_)
            | ComponentItem::Type(_)
            | ComponentItem::Resource(_) => {}
        }
    }
    for (name, item) in ty.imports(engine) {
        reader.import(engine, name, item.ty)?;
    }
    let mut info = reader.info;
    info.needs = needs(component);
    sections.complete(&mut info);
    Ok(info)
}

/// Unknown, and then nothing, for a component that imports core modules. Such a component is refused when it is linked.
fn needs(component: &Component) -> Needs {
    let Some(required) = component.resources_required() else { return Needs::default() };
    Needs {
        memory_bytes: required.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES),
        table_elements: required.max_initial_table_size.unwrap_or(0),
    }
}

#[derive(Default)]
struct Reader {
    info: ComponentInfo,
    budget: TypeBudget,
}

impl Reader {
    fn export(
        &mut self,
        interface: Option<&str>,
        name: &str,
        func: &types::ComponentFunc,
    ) -> Result<(), DescribeError> {
        let full = interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"));
        let shown = match never_a_tool(interface, name) {
            Some(reason) => Err(reason.to_owned()),
            None => self.function_ty(func)?,
        };
        match shown {
            // The bound is on tools. Hidden exports are bounded with the whole description, where the answer is sent.
            Ok(ty) if self.info.functions.len() < FUNCTIONS_MAX => {
                let interface = interface.map(str::to_owned);
                self.info.functions.push(Function { interface, name: name.to_owned(), ty });
            }
            Ok(_) => return Err(DescribeError::Functions),
            Err(reason) => self.info.hidden.push(Hidden { name: full, reason }),
        }
        Ok(())
    }

    fn import(&mut self, engine: &Engine, name: &str, item: ComponentItem) -> Result<(), DescribeError> {
        // The registry declares stand-ins only for imports that no built-in capability owns, so only their types are
        // kept. The types of the others are the engine's.
        let wanted = capability::built_in(name).is_none();
        let mut functions = BTreeMap::new();
        let mut add = |name: &str, func: &types::ComponentFunc| -> Result<(), DescribeError> {
            let ty = if wanted { self.function_ty(func)?.ok() } else { None };
            functions.insert(name.to_owned(), ty);
            Ok(())
        };
        match item {
            ComponentItem::ComponentFunc(func) => add(name, &func)?,
            ComponentItem::ComponentInstance(instance) => {
                for (name, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(func) = item.ty {
                        add(name, &func)?;
                    }
                }
            }
            _ => {}
        }
        self.info.imports.push(Import { name: name.to_owned(), functions });
        Ok(())
    }

    /// The type as plain data, or the reason why it cannot cross to JSON.
    fn function_ty(
        &mut self,
        func: &types::ComponentFunc,
    ) -> Result<Result<FunctionTy, String>, DescribeError> {
        if func.async_() {
            return Ok(Err("is asynchronous, which the engine profile does not allow".into()));
        }
        // Counted before the conversion, and in full: the conversion stops at a part that cannot cross to JSON and
        // would leave the rest uncounted, although values are created for every part of a declared import.
        for (name, ty) in func.params() {
            self.budget.take_name(name)?;
            count(&mut self.budget, &ty, 1)?;
        }
        func.results().try_for_each(|ty| count(&mut self.budget, &ty, 1))?;
        let params = func.params().map(|(name, ty)| Ok(Field { name: name.to_owned(), ty: convert(&ty)? }));
        let params = params.collect::<Result<_, String>>();
        Ok(params.and_then(|params| {
            let result = func.results().next().map(|ty| convert(&ty)).transpose()?;
            Ok(FunctionTy { params, result })
        }))
    }
}

/// Charges a type to the budget, each part as often as it is used.
fn count(budget: &mut TypeBudget, ty: &Type, depth: usize) -> Result<(), TypeBudgetError> {
    budget.take(depth)?;
    let below = depth + 1;
    match ty {
        Type::List(list) => count(budget, &list.ty(), below),
        Type::FixedLengthList(list) => count(budget, &list.ty(), below),
        Type::Map(map) => {
            count(budget, &map.key(), below)?;
            count(budget, &map.value(), below)
        }
        Type::Record(record) => record.fields().try_for_each(|field| {
            budget.take_name(field.name)?;
            count(budget, &field.ty, below)
        }),
        Type::Tuple(tuple) => tuple.types().try_for_each(|ty| count(budget, &ty, below)),
        Type::Variant(variant) => variant.cases().try_for_each(|case| {
            budget.take_name(case.name)?;
            match &case.ty {
                Some(ty) => count(budget, ty, below),
                None => budget.take(below),
            }
        }),
        Type::Enum(names) => names.names().try_for_each(|name| name_of(budget, name, below)),
        Type::Flags(names) => names.names().try_for_each(|name| name_of(budget, name, below)),
        Type::Option(inner) => count(budget, &inner.ty(), below),
        Type::Result(result) => {
            [result.ok(), result.err()].iter().flatten().try_for_each(|ty| count(budget, ty, below))
        }
        Type::Future(future) => future.ty().map_or(Ok(()), |ty| count(budget, &ty, below)),
        Type::Stream(stream) => stream.ty().map_or(Ok(()), |ty| count(budget, &ty, below)),
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::String
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::ErrorContext => Ok(()),
    }
}

/// Charges a name without a type of its own: a case of an enum, or a flag.
fn name_of(budget: &mut TypeBudget, name: &str, depth: usize) -> Result<(), TypeBudgetError> {
    budget.take_name(name)?;
    budget.take(depth)
}

/// The reason why an export is never a tool. `None` for all others. Toolchains add some exports for themselves, and
/// others are entry points of other kinds of component.
fn never_a_tool(interface: Option<&str>, name: &str) -> Option<&'static str> {
    // The canonical ABI's helpers, and the start functions of WASI reactors and commands.
    let internal = name.starts_with("cabi_") || name == "_initialize" || name == "_start";
    match interface {
        _ if internal => Some("internal to the toolchain that built the component"),
        None if name == "init" || name == "exports-init" => {
            Some("initializes the language runtime of the component")
        }
        Some("exports") => Some("internal to the toolchain that built the component"),
        Some(interface) if interface.starts_with("wasi:") => Some("an entry point of a program, not a tool"),
        // WIT names functions of resources with a prefix in brackets: `[method]file.read`.
        _ if name.starts_with('[') => Some("belongs to a resource, which cannot cross to JSON"),
        _ => None,
    }
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
