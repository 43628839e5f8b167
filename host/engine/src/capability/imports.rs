//! Imports that no capability owns, as the registry declares them: a trap, or fixed results.
//!
//! Owns the functions that return a declared JSON result.

use std::collections::BTreeMap;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use super::{Import, State};
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

/// Names of the resources in an imported interface. `None` for an import that is a single function.
fn resources(component: &Component, import: &str) -> Option<Vec<String>> {
    let engine = component.engine();
    let ty = component.component_type();
    let ComponentItem::ComponentInstance(instance) = ty.get_import(engine, import)?.ty else { return None };
    let items = instance.exports(engine);
    let resources = items.filter(|(_, item)| matches!(item.ty, ComponentItem::Resource(_)));
    Some(resources.map(|(name, _)| name.to_owned()).collect())
}

/// Links a declared import.
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
    let resources = resources(component, &import.name);
    // An import without an instance is a function of the root.
    let mut instance = if resources.is_some() { linker.instance(&import.name)? } else { linker.root() };
    for resource in resources.unwrap_or_default() {
        // The component's types need each resource to exist, although no value of it ever does.
        instance.resource(&resource, ResourceType::host::<Opaque>(), |_, _| Ok(()))?;
    }
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
