//! What the outer door says of the answer of a replay, under the contract of a host's tool: that of the component that ran, or
//! of another one.

use super::{Recorded, ReplayError, Replayed, valid};
use crate::call::judge::{Asked, judge as judge_outcome};
use crate::host::Host;
use airlock_contract::compare::Rule;
use airlock_contract::ty::Ty;
use airlock_types::finding::Finding;
use airlock_types::usage::Traces;

/// What the outer door says of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// The outcome code.
    pub code: &'static str,
    /// Its doubts.
    pub findings: Vec<Finding>,
}

/// Holds the answer of a replay against the contract of the tool of its name in the registry of the host, as at this time. None
/// if the replay has no answer.
///
/// # Errors
/// When the registry has no such tool, or its types are others.
pub fn judge(
    host: &Host,
    recorded: &Recorded,
    replayed: &Replayed,
    now_unix_ms: u64,
) -> Result<Option<Judgement>, ReplayError> {
    let Some(outcome) = &replayed.outcome else { return Ok(None) };
    let generation = host.generation();
    let no_tool = |_| ReplayError::NoTool(recorded.tool.clone());
    let tool = generation.registry().resolve(&recorded.tool).map_err(no_tool)?;
    let args = valid(tool, recorded)?;
    let asked = Asked { tool, called: tool, args: &args };
    let judged = judge_outcome(asked, &mut outcome.clone(), &Traces::default(), now_unix_ms);
    let judged = judged.map_err(|_| ReplayError::Type(recorded.tool.clone()))?;
    Ok(Some(Judgement { code: judged.code.as_str(), findings: judged.findings().to_vec() }))
}

/// The comparators that the contract of a tool declares; none for a tool that the registry does not have.
pub fn compared_by(host: &Host, tool: &str) -> Vec<Rule> {
    let generation = host.generation();
    generation.registry().resolve(tool).map_or_else(|_| Vec::new(), |tool| tool.contract.compare.clone())
}

/// The type that a tool of the registry of a host returns; none if there is no such tool, or it returns nothing.
pub fn result_ty(host: &Host, tool: &str) -> Option<Ty> {
    let generation = host.generation();
    let tool = generation.registry().resolve(tool).ok()?;
    tool.contract.function.ty.result.clone()
}
