//! A capability that an embedding program adds.
//!
//! Owns the trait that such a program implements, and denial by name. Must not know what a provider does.

use wasmtime::component::{Linker, ResourceType};

use super::noted::whole;
use super::{Denied, Facts, Import, State};
use airlock_types::grant::Why;

/// A capability of an embedding program. The host decides about grants: a provider links its functions as if granted,
/// and is asked to deny when there is no grant.
///
/// An effect on the world must go through [`State::dispatch`] before it leaves, and be settled once it was answered. The
/// host cannot see it otherwise, and would repeat an attempt although its effect has happened.
pub trait Provider: Send + Sync + 'static {
    /// The facts of the capability. Read whenever a component is loaded, so they must not change.
    fn facts(&self) -> Facts;

    /// Links an interface that it owns. Runs once per component that imports it, whether it is granted or not, before
    /// any call: the engine compares the component's signatures with these. The instance to fill is
    /// `linker.instance(&import.name)`.
    ///
    /// # Errors
    /// Fails when the component cannot have the interface, for example in a version that the provider does not know.
    fn link(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()>;

    /// The type of a resource that [`Provider::link`] defines, so that an interface which nothing provides can use it.
    /// `interface` is without its version.
    fn resource(&self, interface: &str, name: &str) -> Option<ResourceType> {
        let _ = (interface, name);
        None
    }

    /// Replaces what [`Provider::link`] linked for a component that was not granted it. Without another rule, each
    /// function ends the guest that calls it.
    ///
    /// # Errors
    /// Fails when the engine refuses the replacement.
    fn deny(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
        deny_all(linker, import, self.facts().name)
    }
}

/// Replaces every function of an imported interface by one that ends the guest.
pub(super) fn deny_all(
    linker: &mut Linker<State>,
    import: &Import,
    capability: &'static str,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&import.name)?;
    for function in import.functions.keys() {
        let denied = Denied { capability, function: format!("{}#{function}", import.name) };
        instance.func_new(function, move |mut store, _, _, _| {
            // Noted before the guest ends, so that the record names the capability whatever the error becomes.
            store.data_mut().refuse(whole(denied.capability), Why::NotGranted);
            Err(denied.clone().into())
        })?;
    }
    Ok(())
}
