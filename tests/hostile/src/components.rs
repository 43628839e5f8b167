//! Loads hostile components, calls each, and compares how it ended with how it must end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::case::{Case, Place, REFUSED};
use crate::ground::{DEADLINE_MS, Entry, Ground, LOOPING};
use crate::random::{self, Kind};
use crate::report::Report;
use crate::upstream::Upstream;

/// Hostile calls that run at once.
const AT_ONCE: usize = 2;

/// Calls of one looping tool: fewer than its breaker needs to open.
const LOOPS_EACH: usize = 4;

/// Time after which an answer counts as lost.
const LOST: Duration = Duration::from_secs(60);

/// A component to load and call.
struct Attack {
    entry: Entry,
    args: String,
    deadline_ms: u64,
    /// The case, for those that have one.
    case: Option<Case>,
    /// Ends with the attack.
    upstream: Option<Upstream>,
}

/// How an attack ended.
struct Ended {
    code: String,
    late: Option<Duration>,
    text: String,
}

/// Loads and calls these cases.
pub(crate) async fn cases(
    ground: &Arc<Ground>,
    mark: &str,
    cases: &[Case],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut attacks = Vec::new();
    let folder = ground.folder("data");
    for case in cases {
        let upstream = match &case.upstream {
            Some(script) => Some(Upstream::start(script).await?),
            None => None,
        };
        let place = Place { folder: &folder, port: upstream.as_ref().map_or(0, |upstream| upstream.port) };
        attacks.push(Attack {
            entry: Entry { name: case.name.clone(), bytes: case.bytes()?, text: case.entry(&place)? },
            args: case.arguments(&place)?,
            deadline_ms: case.deadline_ms(),
            case: Some(case.clone()),
            upstream,
        });
    }
    attack(ground, mark, attacks, report).await
}

/// Loads and calls random components of one kind.
pub(crate) async fn random(
    ground: &Arc<Ground>,
    mark: &str,
    (kind, seed, numbers): (Kind, u64, std::ops::Range<u64>),
    known: &[Vec<u8>],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut attacks = Vec::new();
    for number in numbers {
        let input = random::input(kind, seed, number, known)?;
        let name = format!("{kind}_{number}");
        let tools = toml::Table::from_iter([(name.clone(), crate::ground::entry(&name).into())]);
        let text = toml::to_string(&toml::Table::from_iter([("tools".to_owned(), tools.into())]))?;
        // Keys of the entry itself come before its tables.
        let text =
            text.replacen(&format!("[tools.{name}]\n"), &format!("[tools.{name}]\n{}", input.entry), 1);
        let entry = Entry { name, bytes: input.bytes, text };
        attacks.push(Attack {
            entry,
            args: "{}".into(),
            deadline_ms: DEADLINE_MS,
            case: None,
            upstream: None,
        });
    }
    attack(ground, mark, attacks, report).await
}

/// The lateness of a loop that is alone on the server.
pub(crate) async fn lone(ground: &Ground, report: &mut Report) -> anyhow::Result<()> {
    for tool in LOOPING[1..].iter().flat_map(|tool| [tool; LOOPS_EACH]) {
        let ended = call(ground, tool, "{}".into(), DEADLINE_MS).await?;
        anyhow::ensure!(ended.late.is_some(), "a loop ended in {}: {}", ended.code, ended.text);
        report.late_alone.extend(ended.late);
    }
    Ok(())
}

async fn attack(
    ground: &Arc<Ground>,
    mark: &str,
    attacks: Vec<Attack>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let parts =
        |attack: Attack| (attack.entry, (attack.args, attack.deadline_ms, attack.case, attack.upstream));
    let (entries, calls): (Vec<Entry>, Vec<_>) = attacks.into_iter().map(parts).unzip();
    ground.server.forget_said();
    let served = ground.load(mark, &entries).await?;
    let log = ground.server.said();
    let mut running = JoinSet::new();
    let mut upstreams = Vec::new();
    for (entry, (args, deadline_ms, case, upstream)) in entries.iter().zip(calls) {
        upstreams.push(upstream);
        let name = entry.name.clone();
        let Some(tool) = tool_of(&served, &name) else {
            let text = about(&log, &name);
            report.ended(&name, case.as_ref(), Ended { code: REFUSED.into(), late: None, text }.parts());
            continue;
        };
        while running.len() >= AT_ONCE {
            joined(running.join_next().await, report)?;
        }
        let ground = ground.clone();
        running.spawn(async move { (name, case, call(&ground, &tool, args, deadline_ms).await) });
    }
    while !running.is_empty() {
        joined(running.join_next().await, report)?;
    }
    // Gone from the registry before the files go.
    ground.load(&format!("{mark}_end"), &[]).await?;
    ground.remove(&entries)
}

type Called = (String, Option<Case>, anyhow::Result<Ended>);

fn joined(called: Option<Result<Called, tokio::task::JoinError>>, report: &mut Report) -> anyhow::Result<()> {
    let (name, case, ended) = called.context("no call is running")??;
    let ended = ended.with_context(|| format!("the call of `{name}` has no answer"))?;
    report.ended(&name, case.as_ref(), ended.parts());
    Ok(())
}

impl Ended {
    fn parts(self) -> (String, Option<Duration>, String) {
        (self.code, self.late, self.text)
    }
}

/// The tool of an entry: its name, or the first function of several.
fn tool_of(served: &[String], name: &str) -> Option<String> {
    let of_several = format!("{name}_");
    let is_its = |tool: &&String| *tool == name || tool.starts_with(&of_several);
    served.iter().find(is_its).cloned()
}

/// The lines of the log about an entry.
fn about(log: &str, name: &str) -> String {
    let file = format!("{name}.wasm");
    let problems = log
        .split("error: ")
        .filter(|problem| problem.contains(&file) || problem.contains(&format!("`{name}`")));
    problems.collect::<Vec<_>>().join("; ")
}

async fn call(ground: &Ground, tool: &str, args: String, deadline_ms: u64) -> anyhow::Result<Ended> {
    let begun = crate::now();
    let request = ground.server.call(tool, args).bearer_auth(&ground.tokens.caller).timeout(LOST);
    let text = request.send().await?.text().await?;
    let took = begun.elapsed();
    let reply: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let code = reply["code"].as_str().or(reply["reply"]["code"].as_str());
    let code = code.with_context(|| format!("no code: {text}"))?.to_owned();
    let late = (code == "limit.deadline").then(|| took.saturating_sub(Duration::from_millis(deadline_ms)));
    Ok(Ended { code, late, text })
}
