//! Whether a description says what the engine says of the same component.
//!
//! The host gives a guest values of the types that were described, so a description that differs from the compiled code
//! must not be used with it. The comparison follows the description, which is bounded.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

use airlock_contract::component::{ComponentInfo, Function, Import};
use airlock_contract::ty::{Case, Field, FunctionTy, Ty};

/// Size of a page of a linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// Whether they agree in functions, imports, types and needs.
pub(crate) fn agrees(info: &ComponentInfo, engine: &Engine, component: &Component) -> bool {
    exports(info, engine, component) && imports(info, engine, component) && needs(info, component)
}

fn exports(info: &ComponentInfo, engine: &Engine, component: &Component) -> bool {
    let mut described = info.functions.iter();
    let mut hidden = info.hidden.iter();
    let mut is_next = |interface: Option<&str>, name: &str, func: &ComponentFunc| {
        let is = |function: &Function| function.interface.as_deref() == interface && function.name == name;
        // Described functions and hidden ones are each in the component's order.
        if described.as_slice().first().is_some_and(is) {
            return described.next().is_some_and(|function| function_agrees(&function.ty, func));
        }
        let full = interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"));
        hidden.next().is_some_and(|hidden| hidden.name == full)
    };
    let ty = component.component_type();
    let all = ty.exports(engine).all(|(name, export)| match export.ty {
        ComponentItem::ComponentFunc(func) => is_next(None, name, &func),
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(func, item)| match item.ty {
                ComponentItem::ComponentFunc(ty) => is_next(Some(name), func, &ty),
                _ => true,
            })
        }
        _ => true,
    });
    all && described.next().is_none() && hidden.next().is_none()
}

fn imports(info: &ComponentInfo, engine: &Engine, component: &Component) -> bool {
    let ty = component.component_type();
    let mut described = info.imports.iter();
    let all = ty.imports(engine).all(|(name, item)| {
        let Some(import) = described.next().filter(|import| import.name == name) else { return false };
        match item.ty {
            ComponentItem::ComponentFunc(func) => {
                import.functions.len() == 1 && import_agrees(import, name, &func)
            }
            ComponentItem::ComponentInstance(instance) => {
                let functions = instance.exports(engine).filter_map(|(name, item)| match item.ty {
                    ComponentItem::ComponentFunc(func) => Some((name, func)),
                    _ => None,
                });
                let mut count = 0;
                let all =
                    functions.inspect(|_| count += 1).all(|(name, ty)| import_agrees(import, name, &ty));
                all && count == import.functions.len()
            }
            _ => import.functions.is_empty(),
        }
    });
    all && described.next().is_none()
}

fn import_agrees(import: &Import, name: &str, func: &ComponentFunc) -> bool {
    // A type is described only where the registry may need it.
    import.functions.get(name).is_some_and(|ty| ty.as_ref().is_none_or(|ty| function_agrees(ty, func)))
}

fn needs(info: &ComponentInfo, component: &Component) -> bool {
    // Of a component that gets core modules from outside neither side knows all.
    let Some(engine) = component.resources_required() else { return true };
    let described = info.needs;
    let (memory, table) =
        (engine.max_initial_memory_size.unwrap_or(0), engine.max_initial_table_size.unwrap_or(0));
    let is_counted = described.memory_bytes != 0 || described.table_elements != 0;
    !is_counted
        || (described.memory_bytes == memory.saturating_mul(PAGE_BYTES) && described.table_elements == table)
}

fn function_agrees(ty: &FunctionTy, func: &ComponentFunc) -> bool {
    let mut results = func.results();
    !func.async_()
        && named_agree(&ty.params, func.params())
        && ty.result.iter().all(|ty| results.next().is_some_and(|engine| same(ty, &engine)))
        && results.next().is_none()
}

fn named_agree<'e>(fields: &[Field], engine: impl ExactSizeIterator<Item = (&'e str, Type)>) -> bool {
    fields.len() == engine.len()
        && fields.iter().zip(engine).all(|(field, (name, ty))| field.name == name && same(&field.ty, &ty))
}

fn names_agree<'e>(names: &[String], engine: impl ExactSizeIterator<Item = &'e str>) -> bool {
    names.len() == engine.len() && names.iter().zip(engine).all(|(name, engine)| name == engine)
}

/// Whether both are a type, and the same, or both are none.
fn both(ty: Option<&Ty>, engine: Option<&Type>) -> bool {
    match (ty, engine) {
        (Some(ty), Some(engine)) => same(ty, engine),
        (None, None) => true,
        _ => false,
    }
}

fn same(ty: &Ty, engine: &Type) -> bool {
    match (ty, engine) {
        (Ty::Bool, Type::Bool)
        | (Ty::S8, Type::S8)
        | (Ty::U8, Type::U8)
        | (Ty::S16, Type::S16)
        | (Ty::U16, Type::U16)
        | (Ty::S32, Type::S32)
        | (Ty::U32, Type::U32)
        | (Ty::S64, Type::S64)
        | (Ty::U64, Type::U64)
        | (Ty::F32, Type::Float32)
        | (Ty::F64, Type::Float64)
        | (Ty::Char, Type::Char)
        | (Ty::String, Type::String) => true,
        (Ty::List(item), Type::List(list)) => same(item, &list.ty()),
        (Ty::FixedList(item, length), Type::FixedLengthList(list)) => {
            *length == list.len() && same(item, &list.ty())
        }
        (Ty::Map(key, value), Type::Map(map)) => same(key, &map.key()) && same(value, &map.value()),
        (Ty::Record(fields), Type::Record(record)) => {
            named_agree(fields, record.fields().map(|field| (field.name, field.ty)))
        }
        (Ty::Tuple(items), Type::Tuple(tuple)) => {
            let engine = tuple.types();
            items.len() == engine.len() && items.iter().zip(engine).all(|(ty, engine)| same(ty, &engine))
        }
        (Ty::Variant(cases), Type::Variant(variant)) => {
            let engine = variant.cases();
            let agrees = |(Case { name, ty }, engine): (&Case, wasmtime::component::types::Case<'_>)| {
                name == engine.name && both(ty.as_ref(), engine.ty.as_ref())
            };
            cases.len() == engine.len() && cases.iter().zip(engine).all(agrees)
        }
        (Ty::Enum(names), Type::Enum(engine)) => names_agree(names, engine.names()),
        (Ty::Flags(names), Type::Flags(engine)) => names_agree(names, engine.names()),
        (Ty::Option(inner), Type::Option(option)) => same(inner, &option.ty()),
        (Ty::Result(ok, err), Type::Result(result)) => {
            both(ok.as_deref(), result.ok().as_ref()) && both(err.as_deref(), result.err().as_ref())
        }
        _ => false,
    }
}
