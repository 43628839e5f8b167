//! Imports that no capability owns: their functions as the registry declares them, a trap or fixed results, and their
//! resources.
//!
//! Owns the functions that return a declared JSON result, and which type a resource of such an import has. An interface
//! that uses a resource of another one, as `wasi:http/types` uses those of `wasi:io`, gets the very type that the owner
//! links: the engine refuses a component whose aliases are different types.

use std::collections::BTreeMap;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use super::facts::interface;
use super::{Capabilities, Import, State};
use airlock_contract::Val;

/// The registry's stand-in for an imported interface.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Binding {
    /// Every function ends the guest that calls it.
    Trap,
    /// Fixed results by function. A function without one traps.
    Fixed(BTreeMap<String, Option<Val>>),
}

/// Type of the resources of a declared import. No function creates one.
struct Opaque;

/// A resource of a component's imports: its name, and its type before anything is linked, by which aliases are known.
type Resource = (String, ResourceType);

/// The resources of an imported interface.
fn resources(engine: &Engine, item: &ComponentItem) -> Vec<Resource> {
    let ComponentItem::ComponentInstance(instance) = item else { return Vec::new() };
    let items = instance.exports(engine).filter_map(|(name, item)| {
        if let ComponentItem::Resource(ty) = item.ty { Some((name.to_owned(), ty)) } else { None }
    });
    items.collect()
}

/// Links the resources of the imports that no capability owns. They need no declaration: no function creates one,
/// unless a capability does.
pub(crate) fn link_resources(
    linker: &mut Linker<State>,
    component: &Component,
    capabilities: &Capabilities,
) -> wasmtime::Result<()> {
    let engine = component.engine();
    let ty = component.component_type();
    let mut provided: Vec<(ResourceType, ResourceType)> = Vec::new();
    let mut others = Vec::new();
    for (import, item) in ty.imports(engine) {
        let found = resources(engine, &item.ty);
        match (capabilities.owner(import), item.ty) {
            (Some(owner), _) => provided.extend(
                found
                    .into_iter()
                    .filter_map(|(name, ty)| Some((ty, owner.resource(interface(import), &name)?))),
            ),
            // A resource of the world itself.
            (None, ComponentItem::Resource(ty)) => others.push((None, import.to_owned(), ty)),
            (None, _) => others.extend(found.into_iter().map(|(name, ty)| (Some(import), name, ty))),
        }
    }
    for (import, name, ty) in others {
        let mut instance = match import {
            Some(import) => linker.instance(import)?,
            None => linker.root(),
        };
        let host = provided.iter().find(|(abstract_ty, _)| *abstract_ty == ty).map(|(_, host)| *host);
        instance.resource(&name, host.unwrap_or_else(ResourceType::host::<Opaque>), |_, _| Ok(()))?;
    }
    Ok(())
}

/// Links the functions of a declared import.
pub(crate) fn declare(
    linker: &mut Linker<State>,
    component: &Component,
    import: &Import,
    binding: &Binding,
) -> wasmtime::Result<()> {
    let none = BTreeMap::new();
    let fixed = match binding {
        Binding::Trap => &none,
        Binding::Fixed(results) => results,
    };
    let ty = component.component_type();
    let item = ty.get_import(component.engine(), &import.name);
    let is_function = item.is_some_and(|item| matches!(item.ty, ComponentItem::ComponentFunc(_)));
    let mut instance = if is_function { linker.root() } else { linker.instance(&import.name)? };
    for function in import.functions.keys() {
        let full = format!("{}#{function}", import.name);
        match fixed.get(function).cloned() {
            Some(result) => instance.func_new(function, move |_, _, _, results| {
                // Results were lowered to the function's type when the registry was loaded.
                if let (Some(slot), Some(value)) = (results.first_mut(), &result) {
                    *slot = value.clone();
                }
                Ok(())
            })?,
            None => instance.func_new(function, move |_, _, _, _| {
                Err(wasmtime::format_err!("the import `{full}` is declared as a trap"))
            })?,
        }
    }
    Ok(())
}
