//! Values of the operator: `wasi:config/store`, and `wasi:config/runtime`, as its first draft was called.
//!
//! A guest reads the values of its grant. The interface is always linked: a key without a granted value is not there,
//! which every reader of a configuration has to expect. It is noted as a denial, so that a failure that follows from it
//! can be explained.

use wasmtime::component::{ComponentType, Linker, Lower};

use super::noted::name;
use super::{Import, State};
use airlock_types::grant::{Asked, Why};

pub(super) const INTERFACES: &[&str] = &["wasi:config/runtime", "wasi:config/store"];

/// The versions that components are built against: of 2024, of September 2024 (Spin), and of 2025. They differ in names
/// of types alone.
pub(super) const VERSIONS: &[&str] = &["0.2.0-draft", "0.2.0-draft-2024-09-27", "0.2.0-rc.1"];

/// `error` of the interface.
#[derive(Clone, Debug, ComponentType, Lower)]
#[expect(dead_code, reason = "no value is fetched from elsewhere, so nothing fails")]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Found = (Result<Option<String>, Error>,);
type All = (Result<Vec<(String, String)>, Error>,);

pub(super) fn link(linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&import.name)?;
    instance.func_wrap("get", |mut store, (key,): (String,)| -> wasmtime::Result<Found> {
        let state = store.data_mut();
        let value = state.values().get(&key).cloned();
        let asked = Asked::Config(name(&key));
        match &value {
            Some(_) => state.allow(asked),
            None => state.refuse(asked, Why::NotGranted),
        }
        Ok((Ok(value),))
    })?;
    instance.func_wrap("get-all", |mut store, (): ()| -> wasmtime::Result<All> {
        let state = store.data_mut();
        let values: Vec<_> = state.values().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        values.iter().for_each(|(key, _)| state.allow(Asked::Config(name(key))));
        Ok((Ok(values),))
    })
}
