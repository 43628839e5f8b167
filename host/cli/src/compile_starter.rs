//! `airlock compile-starter`: starts compile processes for a host that is confined and cannot start one itself.

use tokio::signal::unix::{SignalKind, signal};

use super::Ended;
use airlock::sandbox::compile;
use airlock_server::confine;

pub(super) fn run() -> Ended {
    // Before anything is opened. The host closed its own, and an embedding program may not have.
    confine::close_inherited()?;
    // What this kernel lacks is reported by the host that ordered this process.
    let _ = confine::enter_as_starter();
    // It ends with its host alone, which may still load when a terminal or `pkill -HUP airlock` signals both. With handlers,
    // which need a runtime to be set, signals do nothing; a compile process has none.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
    let _handled = kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>()?;
    compile::serve_orders()?;
    Ok(0)
}
