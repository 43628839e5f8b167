//! Entry points for the benchmarks and the fuzz targets: one attempt without the stages around it, and the work of the
//! compile process without the process.
//!
//! Not part of the stable interface. Must not know how a call is made of its stages.

use std::sync::Arc;
use std::time::Duration;

use crate::capability::files;
use crate::capability::http::Allotment;
use crate::execute::{Attempt, Outcome};
use crate::host::Host;
use crate::policy::{Decision, Request, decide};
use crate::registry::{Form, Tool};
pub use crate::sandbox::compile::Examiner;
use crate::tape::Tape;
use airlock_contract::tool::ValidArgs;
use airlock_types::caller::Caller;
use airlock_types::environment::ms;
use airlock_types::usage::Traces;

/// Time for the attempt, far above what a measured tool needs.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs one attempt of a tool with its limits, through the seam that calls use.
///
/// # Errors
/// Fails when the host fails, or the tool lacks a grant.
pub async fn attempt(host: &Host, tool: &Tool, args: &ValidArgs) -> anyhow::Result<Outcome> {
    let (environment, caller) = (host.environment(), Caller::local());
    let request = Request {
        caller: &caller,
        tool: &tool.name,
        allowance: &tool.allowance,
        args,
        session: None,
        now_unix_ms: ms(environment.wall()),
        held: args.held(),
        holding: None,
        must_be_approved: false,
    };
    let Decision::Allow(permit) = decide(&request) else { anyhow::bail!("`{}` may not run", tool.name) };
    let Some(runnable) = &tool.runnable else { anyhow::bail!("`{}` has no code", tool.name) };
    let Form { linked, function } = runnable.under(&permit, environment).await?;
    let attempt = Attempt {
        tool: &tool.name,
        number: 1,
        linked,
        function,
        has_result: tool.contract.function.ty.result.is_some(),
        args: args.values(),
        permit: &permit,
        seed: environment.seed(),
        deadline: DEADLINE,
        ledger: None,
        http: Allotment::new(&permit.effective().http, None).map(Arc::new),
        files: files::Allotment::new(&permit.effective().files).map(Arc::new),
        keeper: None,
        listener: None,
        tape: Tape::default(),
        traces: &mut Traces::default(),
    };
    Ok(host.execute().run(attempt).await?)
}
