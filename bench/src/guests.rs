//! Measures the same tool in several languages, each in turn with the bare engine in one process.
//!
//! Owns the list of languages. `cargo xtask bench` builds their components; one that is not there is left out, and the page
//! says so. To add a language: a row of `LANGUAGES`, and a function in `xtask/src/guests/languages.rs`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use airlock::host::Host;
use anyhow::{Context as _, Result};
use wasmtime::Engine;
use wasmtime::component::Val;

use crate::clock::now;
use crate::figures::Language;
use crate::floor::{Floor, Imports, Wasi, engine};
use crate::library::{call_with, open, settle};
use crate::registry::Repository;
use crate::stats::{Times, median};

/// Names for the table and the names of the tools, the cheapest first.
const LANGUAGES: [(&str, &str); 4] =
    [("Rust", "rust"), ("JavaScript (QuickJS)", "javascript"), ("Go", "go"), ("Python", "python")];

/// The function of all tools.
const FUNCTION: &str = "add";

const ARGS: &[u8] = br#"{"a": 40, "b": 2}"#;

/// Calls in one turn.
const TURN: usize = 64;

/// Calls in flight at the same time.
const CALLERS: usize = 8;

/// Measures every language whose component is there.
///
/// # Errors
/// When a component does not load, or a call is not answered.
pub async fn measure(repository: &Repository, quick: bool) -> Result<Vec<Language>> {
    let rounds = if quick { 4 } else { 24 };
    let engine = engine()?;
    let is_built = |tool: &str| repository.language(tool).is_file();
    let tools: Vec<&str> =
        LANGUAGES.map(|(_, tool)| tool).into_iter().filter(|tool| is_built(tool)).collect();
    let host = Arc::new(open(&repository.languages(&tools)?).await?);
    let mut all = Vec::new();
    for (name, tool) in LANGUAGES {
        if !is_built(tool) {
            all.push(Language { name: name.to_owned(), is_absent: true, ..Language::default() });
            continue;
        }
        // The cheapest, so that the other one's own work does not count; that one alternates with the next.
        let other = tools.iter().find(|other| **other != tool).copied().unwrap_or(tool);
        let subject = Subject { host: &host, tool, other, component: &repository.language(tool), rounds };
        let row = match tool {
            // Its runtime asks for the clock and for random bytes before it calls the tool.
            "go" => subject.measure::<Wasi>(&engine).await,
            _ => subject.measure::<()>(&engine).await,
        };
        all.push(Language { name: name.to_owned(), ..row.with_context(|| format!("`{tool}`"))? });
    }
    Ok(all)
}

/// One tool that is measured.
struct Subject<'a> {
    host: &'a Arc<Host>,
    tool: &'static str,
    /// The tool that it alternates with.
    other: &'a str,
    component: &'a Path,
    rounds: usize,
}

impl Subject<'_> {
    async fn measure<I: Imports>(&self, engine: &Engine) -> Result<Language> {
        let args = vec![Val::S32(40), Val::S32(2)];
        let floor: Arc<Floor<I>> = Arc::new(Floor::of(engine, self.component, FUNCTION, args)?);
        let mut times: [Vec<Duration>; 3] = Default::default();
        let (mut ratios, mut rates) = (Vec::new(), [const { Vec::new() }; 3]);
        let mut faults = Vec::new();
        // Round 0 warms up and is not counted.
        for round in 0..=self.rounds {
            // In turn, so that all see the same state of the machine.
            let before = faults_of_process()?;
            let floored = floor.turn(TURN).await?;
            let faulted = (faults_of_process()? - before) as f64 / TURN as f64;
            let called = self.turn(None).await?;
            let alternating = self.turn(Some(self.other)).await?;
            let at_once = [
                floor_at_once(&floor, 1).await?,
                floor_at_once(&floor, CALLERS).await?,
                self.at_once().await?,
            ];
            if round == 0 {
                continue;
            }
            // Ratios within a round: noise that slows a whole round cancels out.
            ratios.push(Times::of(&called).p50_us / Times::of(&floored).p50_us);
            faults.push(faulted);
            rates.iter_mut().zip(at_once).for_each(|(all, rate)| all.push(rate));
            times.iter_mut().zip([floored, called, alternating]).for_each(|(all, more)| all.extend(more));
        }
        let [floored, called, alternating] = times.map(|times| Times::of(&times));
        let [floor_one_per_s, floor_per_s, per_s] = rates.map(|rates| median(&rates));
        Ok(Language {
            name: String::new(),
            is_absent: false,
            bytes: std::fs::metadata(self.component)?.len(),
            floor: floored,
            faults: median(&faults),
            call: called,
            ratio: median(&ratios),
            alternating,
            callers: CALLERS,
            floor_one_per_s,
            floor_per_s,
            per_s,
        })
    }

    /// Times of calls; with another tool, each after a call of that one.
    async fn turn(&self, other: Option<&str>) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(TURN);
        for _ in 0..TURN {
            if let Some(other) = other {
                call_with(self.host, other, ARGS).await?;
            }
            let start = now();
            call_with(self.host, self.tool, ARGS).await?;
            times.push(start.elapsed());
        }
        // Outside the timed calls: the next turn starts with an empty queue.
        settle(self.host)?;
        Ok(times)
    }

    /// Calls a second with [`CALLERS`] in flight.
    async fn at_once(&self) -> Result<f64> {
        let caller = |_| {
            let (host, tool) = (self.host.clone(), self.tool);
            tokio::spawn(async move {
                for _ in 0..TURN / CALLERS {
                    call_with(&host, tool, ARGS).await?;
                }
                anyhow::Ok(())
            })
        };
        let start = now();
        for called in (0..CALLERS).map(caller).collect::<Vec<_>>() {
            called.await??;
        }
        let took = start.elapsed();
        settle(self.host)?;
        Ok(TURN as f64 / took.as_secs_f64())
    }
}

/// Calls a second of the bare engine with this many in flight, each in a task of its own.
async fn floor_at_once<I: Imports>(floor: &Arc<Floor<I>>, callers: usize) -> Result<f64> {
    let start = now();
    let caller = |_| {
        let floor = floor.clone();
        tokio::spawn(async move {
            for _ in 0..TURN / callers {
                floor.call().await?;
            }
            anyhow::Ok(())
        })
    };
    for called in (0..callers).map(caller).collect::<Vec<_>>() {
        called.await??;
    }
    Ok(TURN as f64 / start.elapsed().as_secs_f64())
}

/// Page faults of this process that needed no disk.
fn faults_of_process() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name of the program, which may have spaces: the eighth field.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = after_name.split(' ').nth(7).context("/proc/self/stat has no count of page faults")?;
    Ok(field.parse()?)
}
