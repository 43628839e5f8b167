//! The order of a run: the server alone, then rounds of attacks of each kind in turn, then the server alone again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::case::Case;
use crate::client::{self, HttpCase};
use crate::ground::Ground;
use crate::neighbor::Neighbor;
use crate::observe::{Sample, Watch, files_below, holds};
use crate::random::Kind;
use crate::report::Report;
use crate::stdio::StdioCase;
use crate::{case, components, stdio};

/// Cases of components, and random components, that are loaded together.
const CASES_TOGETHER: usize = 12;
const RANDOM_TOGETHER: usize = 50;

/// Time that the neighbor is measured without attacks.
const ALONE: Duration = Duration::from_secs(5);

/// Time for the server to give back what attacks took: idle connections and threads end by themselves.
const SETTLE: Duration = Duration::from_secs(30);

/// Largest component that mutants are made of. The rest of a larger one would only be more of the same.
const KNOWN_BYTES_MAX: usize = 64 << 10;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of the random components.
    pub seed: u64,
    /// Random modules, worlds and mutants.
    pub random: [u64; 3],
    /// A part of the names of cases. Others are left out, and so are random components.
    pub only: Option<String>,
    /// After this time no round begins; each kind has one all the same.
    pub end_after: Option<Duration>,
}

/// A round of attacks.
enum Round {
    Cases(Vec<Case>),
    Random(Kind, std::ops::Range<u64>),
    Http(Vec<HttpCase>),
    Stdio(Vec<StdioCase>),
}

impl Round {
    /// The kind, as the figures of the neighbor name it.
    fn kind(&self) -> &'static str {
        match self {
            Round::Cases(_) => "components",
            Round::Random(..) => "random components",
            Round::Http(_) => "clients over HTTP",
            Round::Stdio(_) => "clients over stdio",
        }
    }
}

/// Runs a plan.
///
/// # Errors
/// When the server does not start, crashes, or cannot be observed. What is merely wrong is in the report.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let all = case::all()?;
    let known = known(&all)?;
    let rounds = rounds(plan, &all)?;
    let ground = Arc::new(Ground::start()?);
    alone(&ground, &mut report).await?;
    let watch = Watch::start(ground.server.id())?;
    let neighbor = Neighbor::start(ground.clone());
    let until = plan.end_after.map(|length| crate::now() + length);
    for (number, round) in rounds.into_iter().enumerate() {
        // The first rounds are one of each kind.
        if number >= FIRST && until.is_some_and(|until| crate::now() > until) {
            break;
        }
        let kind = round.kind();
        let ran = attack(&ground, (number, plan.seed), round, &known, &mut report).await;
        ran.with_context(|| format!("in round {number}, {kind}; the server said: {}", ground.server.said()))?;
        report.waits.entry(kind).or_default().extend(neighbor.take());
    }
    neighbor.stop().await.into_iter().for_each(|fault| report.fault(fault));
    (report.samples.1, report.compiles) = watch.stop();
    if report.compiles.seen == 0 && report.components != (0, 0) {
        report.fault("no compile process was seen");
    }
    report.samples.2 = settled(&ground, report.samples.0).await?;
    report.holds.1 = holds(ground.server.id());
    report.left = left(&ground)?;
    end(ground, &mut report).await?;
    Ok(report)
}

/// Measures the server without attacks.
async fn alone(ground: &Arc<Ground>, report: &mut Report) -> anyhow::Result<()> {
    let neighbor = Neighbor::start(ground.clone());
    tokio::time::sleep(ALONE).await;
    report.waits.insert("alone", neighbor.take());
    neighbor.stop().await.into_iter().for_each(|fault| report.fault(fault));
    components::lone(ground, report).await?;
    // A change of the registry and a session are part of the state that the server returns to.
    ground.load("settled", &[]).await?;
    tokio::time::sleep(ALONE).await;
    report.samples.0 = Sample::of(ground.server.id())?;
    report.holds.0 = holds(ground.server.id());
    Ok(())
}

/// Rounds of the first turn: one of each kind.
const FIRST: usize = 6;

/// The rounds of a plan: each kind in turn, as long as it has any.
fn rounds(plan: &Plan, all: &[Case]) -> anyhow::Result<Vec<Round>> {
    let is_wanted = |name: &str| plan.only.as_deref().is_none_or(|only| name.contains(only));
    let cases: Vec<Case> = all.iter().filter(|case| is_wanted(&case.name)).cloned().collect();
    let http: Vec<HttpCase> = client::all()?.into_iter().filter(|case| is_wanted(&case.name)).collect();
    let stdio: Vec<StdioCase> = stdio::all()?.into_iter().filter(|case| is_wanted(&case.name)).collect();
    ensure!(cases.len() + http.len() + stdio.len() > 0, "no case has such a name");
    let random = |kind: Kind| -> Vec<Round> {
        let count = if plan.only.is_some() { 0 } else { plan.random[kind as usize] };
        let starts = (0..count).step_by(RANDOM_TOGETHER);
        starts.map(|start| Round::Random(kind, start..count.min(start + RANDOM_TOGETHER as u64))).collect()
    };
    let mut kinds: [std::vec::IntoIter<Round>; FIRST] = [
        chunks(cases, CASES_TOGETHER, Round::Cases),
        random(Kind::Module),
        chunks(http, CASES_TOGETHER, Round::Http),
        random(Kind::World),
        chunks(stdio, CASES_TOGETHER, Round::Stdio),
        random(Kind::Mutant),
    ]
    .map(Vec::into_iter);
    let mut rounds = Vec::new();
    loop {
        let before = rounds.len();
        rounds.extend(kinds.iter_mut().filter_map(Iterator::next));
        if rounds.len() == before {
            return Ok(rounds);
        }
    }
}

fn chunks<T: Clone>(cases: Vec<T>, size: usize, round: fn(Vec<T>) -> Round) -> Vec<Round> {
    cases.chunks(size).map(|chunk| round(chunk.to_vec())).collect()
}

/// Small components that mutants are made of.
fn known(cases: &[Case]) -> anyhow::Result<Vec<Vec<u8>>> {
    let made = cases.iter().filter(|case| case.is_made_here() && !case.is_refused()).map(Case::bytes);
    let all = made.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|bytes| bytes.len() <= KNOWN_BYTES_MAX).collect())
}

async fn attack(
    ground: &Arc<Ground>,
    (number, seed): (usize, u64),
    round: Round,
    known: &[Vec<u8>],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mark = format!("mark_{number}");
    match round {
        Round::Cases(cases) => components::cases(ground, &mark, &cases, report).await?,
        Round::Random(kind, numbers) => {
            components::random(ground, &mark, (kind, seed, numbers), known, report).await?;
        }
        Round::Http(cases) => client::attack(ground, &cases, report).await?,
        Round::Stdio(cases) => {
            let growth = tokio::task::spawn_blocking(move || stdio::attack(&cases)).await??;
            report.clients += growth.cases;
            report.stdio_growth_mib = report.stdio_growth_mib.max(growth.memory_mib);
            growth.faults.into_iter().for_each(|fault| report.fault(fault));
        }
    }
    // A crash is an error here at the latest: the process must still be the same one.
    Sample::of(ground.server.id()).context("the server has crashed")?;
    if ground.server.said().contains("panicked") {
        report.fault(format!("the server panicked: {}", ground.server.said()));
    }
    Ok(())
}

/// The sample of a server that has had time to give back what it holds; earlier if it is back where it was.
async fn settled(ground: &Ground, before: Sample) -> anyhow::Result<Sample> {
    let until: Instant = crate::now() + SETTLE;
    loop {
        let sample = Sample::of(ground.server.id())?;
        let is_back = sample.descriptors <= before.descriptors && sample.threads <= before.threads;
        if is_back || crate::now() > until {
            return Ok(sample);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Files that should not be there: temporary ones, halves of files, and changes outside of what was granted.
fn left(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let mut left: Vec<String> = files_below(&ground.folder("tmp"))?;
    left.extend(files_below(&ground.folder("outside"))?.into_iter().filter(|name| name != "secret"));
    let secret = std::fs::read_to_string(ground.folder("outside/secret"))?;
    if secret != "secret" {
        left.push("outside/secret was changed".into());
    }
    left.extend(files_below(&ground.folder("tools"))?.into_iter().filter(|name| !is_expected(name)));
    Ok(left)
}

/// Whether a file belongs to the registry or to the state folder.
fn is_expected(name: &str) -> bool {
    let of_state = |name: &str| {
        let of_code = name.strip_prefix("code/").is_some_and(|name| {
            let ends = [".cwasm", ".json", ".description"];
            !name.contains('/') && ends.iter().any(|end| name.ends_with(end))
        });
        of_code || name.starts_with("journal.db")
    };
    ["airlock.toml", "honest.wasm", "looping.wasm"].contains(&name)
        || name.strip_prefix(".airlock/").is_some_and(of_state)
}

/// Ends the server, which must do as it is told.
async fn end(ground: Arc<Ground>, report: &mut Report) -> anyhow::Result<()> {
    let ground = Arc::into_inner(ground).context("a call still holds the server")?;
    ground.server.signal("TERM")?;
    let status = ground.end().await?;
    if !status.success() {
        report.fault(format!("the server ended with {status}"));
    }
    Ok(())
}
