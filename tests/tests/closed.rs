//! A component without imports, and a host in this process with a clock that only the test moves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::host::Host;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::environment::{Environment, Sleep};
use wasm_encoder::{
    CodeSection, ComponentBuilder, ComponentExportKind, ExportKind, ExportSection, Function, FunctionSection,
    Module, PrimitiveValType, TypeSection, ValType,
};

/// A tool that returns 7 for 0, traps for 1, and never returns for other arguments.
pub(crate) fn component() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module());
    let instance = component.core_instantiate(None, module, []);
    let core = component.core_alias_export(None, instance, "go", ExportKind::Func);
    let (ty, encoder) = component.ty(None);
    let result = Some(PrimitiveValType::U32.into());
    encoder.function().params([("mode", PrimitiveValType::U32)]).result(result);
    let function = component.lift_func(None, core, ty, []);
    component.export("go", ComponentExportKind::Func, function, None);
    component.finish()
}

fn module() -> Module {
    use wasm_encoder::BlockType;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("go", ExportKind::Func, 0);
    let mut body = Function::new([]);
    let mut code = body.instructions();
    code.local_get(0).i32_eqz().if_(BlockType::Empty).i32_const(7).return_().end();
    code.local_get(0).i32_const(1).i32_eq().if_(BlockType::Empty).unreachable().end();
    code.loop_(BlockType::Empty).br(0).end().unreachable().end();
    let mut section = CodeSection::new();
    section.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&exports).section(&section);
    module
}

/// A clock that the test sets. Each reading of the monotonic clock advances it by `tick` ms.
pub(crate) struct Clock {
    ms: AtomicU64,
    tick: u64,
    seeds: AtomicU64,
}

impl Clock {
    pub(crate) fn new(tick: u64) -> Arc<Clock> {
        Arc::new(Clock { ms: AtomicU64::new(0), tick, seeds: AtomicU64::new(0) })
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Environment for Clock {
    fn wall(&self) -> Duration {
        Duration::from_millis(2_000_000_000_000 + self.ms.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.ms.fetch_add(self.tick, Ordering::AcqRel))
    }

    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seeds.fetch_add(1, Ordering::AcqRel).to_be_bytes());
        seed
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Opens a host in a folder, with the tool `go` and these settings.
pub(crate) async fn host(folder: &Path, settings: &str, clock: Arc<Clock>) -> Host {
    std::fs::write(folder.join("go.wasm"), component()).unwrap();
    let text = format!("{settings}\n[tools.go]\ncomponent = \"go.wasm\"\nlimits.deadline_ms = 50\n");
    std::fs::write(folder.join("airlock.toml"), text).unwrap();
    Host::builder().registry(folder.join("airlock.toml")).environment(clock).open().await.unwrap()
}

/// A call of `go` by a caller.
pub(crate) fn go(who: &str, mode: u32) -> Call {
    let args = format!(r#"{{"mode": {mode}}}"#).into_bytes();
    Call { caller: Caller::named(who), ..Call::new("go", Arguments::Text(args.into())) }
}
