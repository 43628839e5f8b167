//! What only the benchmarks look at: one attempt in the sandbox without the stages around it.
//!
//! No part of what the library promises. Must not know how a call is made of its stages.

use std::time::Duration;

use crate::host::Host;
use crate::policy::permit;
use crate::registry::Tool;
use crate::sandbox::outcome::{Outcome, Traces};
use crate::sandbox::run;
use crate::sandbox::run::Attempt;
use airlock_contract::tool::ValidArgs;

/// Time for the attempt; far more than a tool that is measured needs.
const DEADLINE: Duration = Duration::from_secs(10);

/// Instantiates a tool, runs it with its limits and drops it.
///
/// # Errors
/// When the host fails, or the tool lacks a grant.
pub async fn attempt(host: &Host, tool: &Tool, args: &ValidArgs) -> anyhow::Result<Outcome> {
    let permit = permit::authorize(&tool.effective, &tool.missing, &tool.limits)?;
    let attempt = Attempt {
        linked: &tool.linked,
        function: &tool.export,
        has_result: tool.contract.function.ty.result.is_some(),
        args: args.values(),
        permit: &permit,
        seed: host.environment().seed(),
        deadline: DEADLINE,
        listener: None,
        traces: &mut Traces::default(),
    };
    Ok(run::run(host.engine(), host.environment(), attempt).await?)
}
