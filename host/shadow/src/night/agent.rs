//! What an agent did with the queries of a suite, as it is kept.

use serde::{Deserialize, Serialize};

use super::{DRIFTED_MAX, Tally};
use crate::leg::{Shown, Status, Verdict};
use crate::query::Did;

/// What came of one query.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// Its name.
    pub query: String,
    /// What its answer shows; none without a reference.
    pub answer: Option<Shown>,
    /// What its path of calls shows; none without a reference.
    pub path: Option<Shown>,
    /// What the agent did, or why it could not be run.
    pub did: Result<Did, String>,
}

/// The results of the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentNight {
    /// Whether it has changed.
    pub verdict: Verdict,
    /// How many queries there are.
    pub queries: u64,
    /// How many queries it could not be run with.
    pub not_run: u64,
    /// Its answers against their references.
    pub answers: Tally,
    /// Its paths of calls against their references.
    pub paths: Tally,
    /// The first queries that differ, or were not run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub drifted: Vec<DriftedQuery>,
}

/// A query that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftedQuery {
    /// Its name.
    pub query: String,
    /// `answer`, `path`, or `run` where there was none.
    pub what: String,
    /// Whether it differs, or was not run.
    pub status: Status,
    /// What differs.
    pub told: Vec<String>,
}

impl AgentNight {
    /// The results of these queries.
    pub fn of(results: &[QueryResult]) -> AgentNight {
        let mut night = AgentNight { queries: results.len() as u64, ..AgentNight::default() };
        for QueryResult { query, answer, path, did } in results {
            let mut note = |what: &str, status, told| {
                let (query, what) = (query.clone(), what.to_owned());
                night.drifted.push(DriftedQuery { query, what, status, told });
            };
            if let Err(why) = did {
                night.not_run += 1;
                note("run", Status::NotRun, vec![why.clone()]);
                continue;
            }
            let parts = [("answer", answer, &mut night.answers), ("path", path, &mut night.paths)];
            for (what, shown, tally) in parts {
                let Some(Shown { status, told }) = shown else { continue };
                tally.add(*status);
                if *status != Status::Same {
                    note(what, *status, told.clone());
                }
            }
        }
        // What the verdict is about comes first.
        night.drifted.sort_by_key(|one| one.status != Status::Changed);
        night.drifted.truncate(DRIFTED_MAX);
        let is_changed = night.answers.changed + night.paths.changed > 0;
        night.verdict = if is_changed { Verdict::Agent } else { Verdict::None };
        night
    }
}
