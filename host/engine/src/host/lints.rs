//! What authors should know of their contracts, beyond what is wrong with them: `airlock check --strict`.
//!
//! Owns what the records of calls show of the expectations of a tool. Must not know how a lint is printed. What a contract shows
//! by itself is in `airlock_contract::tool`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Host;
use crate::registry::{Registry, Tool};
use airlock_journal::JournalError;
use airlock_types::code::Code;
use airlock_types::environment::ms;
use airlock_types::record::Record;
use airlock_types::record::v3::{Attempt, Finding};
use airlock_types::shorten::shorten;
use airlock_types::words::count;

/// Characters of what an expectation expects.
const EXPECTED_CHARS_MAX: usize = 120;

impl Host {
    /// Sentences about the contracts of all tools, and about expectations that no result ever met which is on record since this
    /// time. Blocks while it reads records.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn lints(&self, since_unix_ms: u64) -> Result<Vec<String>, JournalError> {
        let current = self.current.load();
        let now_unix_ms = ms(self.parts.environment.wall());
        let of_contract = |tool: &Arc<Tool>| {
            let lints = tool.contract.lints(now_unix_ms);
            lints.into_iter().map(|lint| format!("`{}`: {lint}", tool.name)).collect::<Vec<_>>()
        };
        let mut lints: Vec<String> = current.registry().tools().flat_map(of_contract).collect();
        let mut judged = Results::default();
        for page in self.parts.journal.pages(since_unix_ms) {
            page?.iter().for_each(|record| judged.add(record, current.registry()));
        }
        lints.extend(judged.lints());
        Ok(lints)
    }
}

/// The results of each tool that its outer door judged.
#[derive(Default)]
struct Results(BTreeMap<String, Judged>);

struct Judged {
    results: u64,
    /// What was found in every result, with the words of one of them.
    always: BTreeMap<Unmet, String>,
}

/// A check that a result did not meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unmet {
    kind: String,
    /// The place, the same for all items of a list.
    path: String,
    /// The relation, of which a tool can have several for one place. Other checks name values of the call here.
    relation: Option<String>,
}

impl Results {
    /// Adds the attempts of a call whose results were judged by the contract that the tool still has.
    fn add(&mut self, record: &Record, registry: &Registry) {
        for attempt in &record.attempts {
            let tool = registry.tools().find(|tool| *tool.name == *attempt.route);
            if tool.is_some_and(|tool| tool.component.digest == attempt.component) && is_judged(attempt) {
                self.judged(attempt);
            }
        }
    }

    fn judged(&mut self, attempt: &Attempt) {
        let found: BTreeMap<Unmet, String> = attempt
            .findings
            .iter()
            .filter_map(|finding| Some((Unmet::of(finding)?, finding.expected.clone())))
            .collect();
        let route = attempt.route.to_string();
        let judged = self.0.entry(route).or_insert_with(|| Judged { results: 0, always: found.clone() });
        judged.results += 1;
        judged.always.retain(|unmet, _| found.contains_key(unmet));
    }

    fn lints(self) -> impl Iterator<Item = String> {
        self.0.into_iter().flat_map(|(tool, Judged { results, always })| {
            always.into_iter().map(move |(Unmet { kind, path, .. }, expected)| {
                let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
                let expected = shorten(&expected, EXPECTED_CHARS_MAX);
                let results = count(results, "recorded result");
                format!("`{tool}`: the check `{kind}`{at} (expected {expected}) was met by none of {results}")
            })
        })
    }
}

/// Whether the attempt had a result, and the outer door judged it.
fn is_judged(attempt: &Attempt) -> bool {
    [Code::Ok, Code::Degraded, Code::Implausible].iter().any(|code| code.as_str() == attempt.code)
}

impl Unmet {
    /// Of a finding by a check of the contract; none of other findings.
    fn of(finding: &Finding) -> Option<Unmet> {
        let is_check = airlock_contract::check::ALL.iter().any(|(kind, _)| *kind == finding.kind);
        let relation = (finding.kind == "relation").then(|| finding.expected.clone());
        is_check.then(|| Unmet { kind: finding.kind.clone(), path: of_items(&finding.path), relation })
    }
}

/// A place without the numbers of items: `rows[2].price` is `rows[].price`.
fn of_items(path: &str) -> String {
    let mut pieces = path.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |made, piece| {
        format!("{made}[{}", piece.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}
