//! The floor: instantiate, call and drop on the bare engine, with the product's engine settings and nothing else.

use anyhow::{Context as _, Result, anyhow};
use wasmtime::component::{Component, InstancePre, Linker, Val};
use wasmtime::{Engine, Store, UpdateDeadline, format_err};

use crate::registry::CALLS_MAX;
use airlock::sandbox::engine::Backend;

/// Far more fuel than a conversion uses. The engine counts fuel, so it does not run without any.
const FUEL: u64 = 1_000_000_000;

/// `unit-convert`, ready to be instantiated, with its arguments.
pub struct Floor {
    engine: Engine,
    pre: InstancePre<()>,
    args: Vec<Val>,
}

impl Floor {
    /// Compiles the component.
    ///
    /// # Errors
    /// When the component cannot be read, or the engine cannot be made.
    pub fn open(component: &std::path::Path) -> Result<Floor> {
        let bytes = std::fs::read(component)
            .with_context(|| format!("{}: build it with `cargo xtask guests`", component.display()))?;
        Floor::prepare(&bytes).map_err(|err| anyhow!("{err:#}"))
    }

    fn prepare(bytes: &[u8]) -> wasmtime::Result<Floor> {
        let engine = airlock::sandbox::engine::engine(Backend::Native, CALLS_MAX)?;
        let component = Component::from_binary(&engine, bytes)?;
        let pre = Linker::new(&engine).instantiate_pre(&component)?;
        // As the product does when it links, so that the first call does not include it.
        component.initialize_copy_on_write_image()?;
        let unit = |name: &str| Val::Enum(name.to_owned());
        Ok(Floor { engine, pre, args: vec![Val::Float64(10.0), unit("mile"), unit("km")] })
    }

    /// Makes one call in a fresh instance.
    ///
    /// # Errors
    /// When the guest does not return.
    pub async fn call(&self) -> Result<Val> {
        self.enter().await.map_err(|err| anyhow!("{err:#}"))
    }

    async fn enter(&self) -> wasmtime::Result<Val> {
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(FUEL)?;
        // Epochs are on in the product's engine, and a store without a deadline would trap at once.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function =
            instance.get_func(&mut store, "convert").ok_or_else(|| format_err!("no export `convert`"))?;
        let mut results = [Val::Bool(false)];
        function.call_async(&mut store, &self.args, &mut results).await?;
        let [result] = results;
        Ok(result)
    }
}
