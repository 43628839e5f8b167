//! Describing and compiling in the process that loads the component, for programs that trust their components.
//!
//! Bounds only the size of a component, its description and its code. Must not be reachable without the Cargo feature.

use std::path::Path;
use std::time::Duration;

use super::super::engine::Backend;
use super::answer::Answer;
use super::{CompileError, Task, answer, compiled, described, over, worker};
use airlock_contract::component::ComponentInfo;
use airlock_types::limit::CompileLimits;

/// Describes the component of these bytes on a thread of this process.
///
/// # Errors
/// As for [`compile_in_process`].
pub(crate) async fn describe_in_process(
    limits: &CompileLimits,
    bytes: Vec<u8>,
) -> Result<ComponentInfo, CompileError> {
    described(ask(limits, bytes, Task::Describe, None).await?)
}

/// Compiles `bytes` into the file `out` on a thread of this process. Returns the digest of the code.
///
/// # Errors
/// When the component is invalid, or is not compiled within `wall_s_max`. The thread then continues until the compiler
/// is done, because nothing can end it.
pub(crate) async fn compile_in_process(
    (limits, backend): (&CompileLimits, Backend),
    bytes: Vec<u8>,
    out: &Path,
) -> Result<String, CompileError> {
    let task = Task::Compile { unoptimized: false, backend };
    compiled(ask(limits, bytes, task, Some(out)).await?)
}

/// Does a task. The answer is encoded and decoded as between two processes, so the same checks apply to it.
async fn ask(
    limits: &CompileLimits,
    bytes: Vec<u8>,
    task: Task,
    out: Option<&Path>,
) -> Result<Answer, CompileError> {
    // `compile::admit` has checked the size. The processor time and memory of a thread cannot be bounded.
    let CompileLimits {
        component_bytes_max: _,
        cpu_s_max: _,
        memory_bytes_max,
        wall_s_max,
        cache_bytes_max: _,
    } = *limits;
    let work = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        worker::reply(task, &bytes, Vec::new(), &mut said)?;
        anyhow::Ok(said)
    });
    let Ok(worked) = tokio::time::timeout(Duration::from_secs(wall_s_max), work).await else {
        return Err(over(task, format!("{wall_s_max} s by the clock")));
    };
    let said = worked.map_err(|err| CompileError::Process(err.to_string()))?;
    let said = said.map_err(|err| CompileError::Process(format!("{err:#}")))?;
    let answer = answer::receive(&said[..], out, memory_bytes_max).await?;
    answer.ok_or_else(|| CompileError::Process("it said nothing".into()))
}
