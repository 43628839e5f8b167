//! The floor: instantiate, call and drop on the bare engine, with the product's engine settings and nothing else.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store, UpdateDeadline, format_err};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::clock::now;
use crate::registry::CALLS_MAX;
use airlock::sandbox::engine::Backend;

/// Far more fuel than a conversion uses. The engine counts fuel, so it does not run without any.
const FUEL: u64 = 1_000_000_000;

/// What the imports of a component reach. A component that imports nothing has `()`.
pub trait Imports: Send + Sized + 'static {
    /// That of one call.
    fn fresh() -> Self;

    /// Links the imports, once for all calls.
    ///
    /// # Errors
    /// When the engine refuses them.
    fn link(linker: &mut Linker<Self>) -> wasmtime::Result<()>;
}

impl Imports for () {
    fn fresh() {}

    fn link(_: &mut Linker<()>) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// WASI without anything granted.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Imports for Wasi {
    fn fresh() -> Wasi {
        Wasi { context: WasiCtxBuilder::new().build(), table: ResourceTable::new() }
    }

    fn link(linker: &mut Linker<Wasi>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)
    }
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }
}

/// The engine of the product, for any number of components.
///
/// # Errors
/// When it cannot be made on this machine.
pub fn engine() -> Result<Engine> {
    airlock::sandbox::engine::engine(Backend::Native, CALLS_MAX).map_err(|err| anyhow!("{err:#}"))
}

/// A component, ready to be instantiated, with the function that is called and its arguments.
pub struct Floor<I: Imports = ()> {
    engine: Engine,
    pre: InstancePre<I>,
    function: &'static str,
    args: Vec<Val>,
}

impl Floor {
    /// Compiles `unit-convert`.
    ///
    /// # Errors
    /// When the component cannot be read, or the engine cannot be made.
    pub fn open(component: &Path) -> Result<Floor> {
        let unit = |name: &str| Val::Enum(name.to_owned());
        Floor::of(&engine()?, component, "convert", vec![Val::Float64(10.0), unit("mile"), unit("km")])
    }
}

impl<I: Imports> Floor<I> {
    /// Compiles a component whose function is called with these arguments.
    ///
    /// # Errors
    /// When the component cannot be read, or imports something else.
    pub fn of(engine: &Engine, component: &Path, function: &'static str, args: Vec<Val>) -> Result<Floor<I>> {
        let bytes = std::fs::read(component)
            .with_context(|| format!("{}: build it with `cargo xtask guests`", component.display()))?;
        let pre = prepare(engine, &bytes).map_err(|err| anyhow!("{err:#}"))?;
        Ok(Floor { engine: engine.clone(), pre, function, args })
    }

    /// Makes one call in a fresh instance.
    ///
    /// # Errors
    /// When the guest does not return.
    pub async fn call(&self) -> Result<Val> {
        self.enter().await.map_err(|err| anyhow!("{err:#}"))
    }

    /// The times of this many calls, one after the other.
    ///
    /// # Errors
    /// When the guest does not return.
    pub async fn turn(&self, calls: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = now();
            self.call().await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    async fn enter(&self) -> wasmtime::Result<Val> {
        let mut store = Store::new(&self.engine, I::fresh());
        store.set_fuel(FUEL)?;
        // Epochs are on in the product's engine, and a store without a deadline would trap at once.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function = instance
            .get_func(&mut store, self.function)
            .ok_or_else(|| format_err!("no export `{}`", self.function))?;
        let mut results = [Val::Bool(false)];
        function.call_async(&mut store, &self.args, &mut results).await?;
        let [result] = results;
        Ok(result)
    }
}

fn prepare<I: Imports>(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<InstancePre<I>> {
    let component = Component::from_binary(engine, bytes)?;
    let mut linker = Linker::new(engine);
    I::link(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    // As the product does when it links, so that the first call does not include it.
    component.initialize_copy_on_write_image()?;
    Ok(pre)
}
