//! Compiling in the process that loads the component, for programs that trust their components.
//!
//! Bounds only the size of a component, its description and its code. Must not be reachable without the Cargo feature.

use std::path::Path;
use std::time::Duration;

use super::super::engine::{self, Optimize};
use super::answer::Answer;
use super::{CompileError, Report, answer, worker};
use airlock_types::limit::CompileLimits;

/// Compiles `bytes` into the file `out` on a thread of this process.
///
/// The answer is encoded and decoded as between two processes, so the same checks apply to it.
///
/// # Errors
/// When the component is invalid, or is not compiled within `wall_s_max`. The thread then continues until the compiler
/// is done, because nothing can end it.
pub(crate) async fn compile_in_process(
    limits: &CompileLimits,
    bytes: Vec<u8>,
    out: &Path,
) -> Result<Report, CompileError> {
    // `compile::admit` has checked the size. The processor time and memory of a thread cannot be bounded.
    let CompileLimits { component_bytes_max: _, cpu_s_max: _, memory_bytes_max, wall_s_max } = *limits;
    let work = tokio::task::spawn_blocking(move || {
        let engine = engine::compiler(Optimize::Speed).map_err(|err| anyhow::anyhow!("{err:#}"))?;
        let mut said = Vec::new();
        worker::reply(&engine, &bytes, Vec::new(), &mut said)?;
        anyhow::Ok(said)
    });
    let Ok(worked) = tokio::time::timeout(Duration::from_secs(wall_s_max), work).await else {
        return Err(CompileError::OverBudget(format!("{wall_s_max} s by the clock")));
    };
    let said = worked.map_err(|err| CompileError::Process(err.to_string()))?;
    let said = said.map_err(|err| CompileError::Process(format!("{err:#}")))?;
    match answer::receive(&said[..], out, memory_bytes_max).await? {
        Some(Answer::Done { info, missing: _, code_digest }) => Ok(Report { info, code_digest }),
        Some(Answer::Refused(why)) => Err(why.into()),
        None => Err(CompileError::Process("it said nothing".into())),
    }
}
