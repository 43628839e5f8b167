//! The queries of a suite, run through an agent.
//!
//! Owns which queries are run, and how often. Must not know how an agent is run: `agent` does; or what a difference is:
//! `airlock_shadow::query` does.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::{Agent, Place};
use super::folder::Folder;
use crate::print::{Message, Printer};
use airlock::config::ConfigFile;
use airlock_journal::state;
use airlock_shadow::leg::{Shown, Status};
use airlock_shadow::night::QueryResult;
use airlock_shadow::query::Query;
use airlock_types::words::quoted_list;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Run the queries of the suite through this agent program, a command for `sh`
    #[arg(long, value_name = "CMD")]
    pub(super) agent: Option<String>,
    /// Only this query, and no case. The night is then not kept
    #[arg(long, value_name = "NAME", requires = "agent")]
    pub(super) query: Option<String>,
    /// Time for the agent to answer a query, in seconds
    #[arg(long, value_name = "S", default_value = "120", requires = "agent", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    agent_seconds: u32,
    /// How often a query that differs is run at most. It counts as different if it differs each time
    #[arg(long, value_name = "N", default_value = "1", requires = "agent", value_parser = clap::value_parser!(u8).range(1..=5))]
    agent_runs: u8,
}

/// Runs the queries one after the other; none if no agent is given.
pub(super) fn run(
    args: &Args,
    suite: &Path,
    identity: Option<&Path>,
    file: &ConfigFile,
    folder: &Folder,
    printer: &Printer,
) -> anyhow::Result<Option<Vec<QueryResult>>> {
    let mut queries = folder.read_queries()?;
    let Some(command) = &args.agent else {
        if !queries.is_empty() {
            let queries = if queries.len() == 1 {
                "1 query is".to_owned()
            } else {
                format!("{} queries are", queries.len())
            };
            printer.note(format!("note: {queries} not run: `--agent CMD` names the agent"));
        }
        return Ok(None);
    };
    if let Some(asked) = &args.query {
        queries.retain(|name, _| name == asked);
    }
    if queries.is_empty() {
        let what =
            args.query.as_ref().map_or_else(|| "no query".to_owned(), |name| format!("no query `{name}`"));
        let how = "each is a file `queries/NAME.toml`, see docs/shadow.md";
        return Err(Message(format!("`{}` has {what}: {how}", suite.display())).into());
    }
    warn_of_bare(&queries, printer);
    state::folder(&file.state())?;
    let agent = Agent {
        command,
        server: server(suite, identity, file)?,
        place: Place::new(&file.state())?,
        within: Duration::from_secs(args.agent_seconds.into()),
    };
    let mut results = Vec::new();
    for (name, query) in &queries {
        printer.note(format!("asking the agent: {name} ({} of {})", results.len() + 1, queries.len()));
        results.push(repeated(args.agent_runs, &agent, name, query));
    }
    Ok(Some(results))
}

/// Runs a query until it is the same, but no more often than is asked for.
fn repeated(runs: u8, agent: &Agent<'_>, name: &str, query: &Query) -> QueryResult {
    let mut result = asked(agent, name, query);
    let is_changed =
        |shown: &Option<Shown>| shown.as_ref().is_some_and(|shown| shown.status == Status::Changed);
    for _ in 1..runs {
        if !is_changed(&result.answer) && !is_changed(&result.path) && result.did.is_ok() {
            break;
        }
        result = asked(agent, name, query);
    }
    result
}

fn asked(agent: &Agent<'_>, name: &str, query: &Query) -> QueryResult {
    let did = agent.ask(name, &query.query);
    let (answer, path) = match &did {
        Ok(did) => (query.answered(did), query.walked(did)),
        Err(_) => (None, None),
    };
    QueryResult { query: name.to_owned(), answer, path, did }
}

/// A query without references compares nothing: what the agent does can be taken from `--json`.
fn warn_of_bare(queries: &std::collections::BTreeMap<String, Query>, printer: &Printer) {
    let is_bare = |query: &Query| query.answer.is_none() && query.path.is_none();
    let bare: Vec<&str> =
        queries.iter().filter(|(_, query)| is_bare(query)).map(|(name, _)| name.as_str()).collect();
    if !bare.is_empty() {
        let names = quoted_list(bare.iter().copied());
        let of = if bare.len() == 1 { "1 query".to_owned() } else { format!("{} queries", bare.len()) };
        printer.note(format!("warning: {of} without `answer` and `path`, of which nothing is compared: {names}; `--json` prints both"));
    }
}

/// The command of the server, wherever it is started.
fn server(suite: &Path, identity: Option<&Path>, file: &ConfigFile) -> anyhow::Result<Vec<String>> {
    let absolute = |path: &Path| -> anyhow::Result<String> {
        let path = std::path::absolute(path)?;
        let none = || Message(format!("`{}` is no UTF-8, and an agent is told it", path.display()));
        Ok(path.to_str().ok_or_else(none)?.to_owned())
    };
    let (program, registry) = (absolute(&std::env::current_exe()?)?, absolute(&file.path)?);
    let mut server = vec![program, "--registry".to_owned(), registry];
    server.extend(["shadow".to_owned(), "serve".to_owned(), absolute(suite)?]);
    if let Some(identity) = identity {
        server.extend(["--identity".to_owned(), absolute(identity)?]);
    }
    Ok(server)
}

/// What came of a query, with what the agent did: its references can be written from it.
pub(super) fn as_json(result: &QueryResult) -> Value {
    let QueryResult { query, answer, path, did } = result;
    match did {
        Ok(did) => {
            json!({"query": query, "answer": answer, "path": path, "did": did})
        }
        Err(why) => json!({"query": query, "not_run": why}),
    }
}
