//! What was seen, what was measured, and what was wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::case::{Case, REFUSED};
use crate::ground::{COMPILE_CPU_S_MAX, COMPILE_WALL_S_MAX};
use crate::observe::{Compiles, Sample};

/// What memory may have grown by in the end, in MiB: caches, and what slots of the pool keep of guests that ran in them, hostile
/// ones to their bound. Runs of two minutes were seen to keep 56.
pub const GROWTH_MIB_MAX: u64 = 96;

/// Slots of the engine's pool that stay warm when nothing runs. Each may keep the file of the code that it ran last.
const WARM_SLOTS: u64 = 64;

/// A second is what the kernel allows a process beyond its limit before it kills it.
const GRACE_MS: u64 = 1_500;

/// Most faults that are kept; a broken host would fill the memory with them.
const FAULTS_MAX: usize = 200;

/// Characters of a text in a fault.
const TEXT_MAX: usize = 400;

/// All observations of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Attacks by kind and end.
    pub ends: BTreeMap<String, u64>,
    /// Cases of hostile components, and inputs of generators.
    pub components: (usize, usize),
    /// Cases of hostile clients.
    pub clients: usize,
    /// The server before the attacks, at most meanwhile, and in the end.
    pub samples: (Sample, Sample, Sample),
    /// What the server holds before the attacks and in the end, by kind.
    pub holds: (String, String),
    /// The compile processes.
    pub compiles: Compiles,
    /// Time past the deadline of loops without other load, and of hostile components.
    pub late_alone: Vec<Duration>,
    /// Time past the deadline of hostile components.
    pub late: Vec<Duration>,
    /// Waits of the honest neighbor alone, and by kind of attack.
    pub waits: BTreeMap<&'static str, Vec<Duration>>,
    /// Greatest growth of a server over stdio, in MiB.
    pub stdio_growth_mib: u64,
    /// Files that are left.
    pub left: Vec<String>,
    /// Each with the number of times that it was seen.
    faults: BTreeMap<String, u64>,
}

impl Report {
    /// Adds a fault.
    pub fn fault(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        if self.faults.len() < FAULTS_MAX || self.faults.contains_key(&fault) {
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    /// Adds how the attack of a component ended: code, time past the deadline, and the reply or the log.
    pub fn ended(
        &mut self,
        name: &str,
        case: Option<&Case>,
        (code, late, text): (String, Option<Duration>, String),
    ) {
        let kind = if case.is_some() { "case" } else { name.split('_').next().unwrap_or(name) };
        *self.ends.entry(format!("{kind} {code}")).or_default() += 1;
        self.late.extend(late);
        let short: String = text.chars().take(TEXT_MAX).collect();
        let Some(case) = case else {
            self.components.1 += 1;
            if code.starts_with("host.") {
                self.fault(format!("`{name}` ended in {code}: {short}"));
            }
            return;
        };
        self.components.0 += 1;
        if !case.ends.contains(&code) {
            self.fault(format!("`{name}` ended in {code}, not in {}: {short}", case.ends.join(" or ")));
        }
        for piece in case.says.iter().filter(|piece| !text.contains(*piece)) {
            self.fault(format!("`{name}` does not say {piece:?}: {short}"));
        }
        if code == REFUSED && text.is_empty() {
            self.fault(format!("`{name}` is not loaded, and the log does not say why"));
        }
    }

    /// Adds the end of an attack of a client.
    pub fn client(&mut self, what: &str, end: &str) {
        *self.ends.entry(format!("{what} {end}")).or_default() += 1;
    }

    /// All faults; empty if there are none.
    pub fn faults(&self) -> Vec<String> {
        let seen = self.faults.iter().map(|(fault, times)| format!("{fault} ({times} times)"));
        let mut faults: Vec<String> = seen.collect();
        let (before, _, after) = self.samples;
        let mut grew = |what: &str, before: u64, after: u64, allowed: u64| {
            if after > before + allowed {
                faults.push(format!("{what}: {before} before, {after} in the end"));
            }
        };
        grew("memory in MiB", before.memory_mib, after.memory_mib, GROWTH_MIB_MAX);
        let held = |what: &str| format!("{what} (before: {}; in the end: {})", self.holds.0, self.holds.1);
        grew(&held("descriptors"), before.descriptors as u64, after.descriptors as u64, 0);
        grew(&held("descriptors of code"), before.code as u64, after.code as u64, WARM_SLOTS);
        grew(&held("threads"), before.threads as u64, after.threads as u64, 0);
        grew(
            "processor time of a compile process in ms",
            COMPILE_CPU_S_MAX * 1_000,
            self.compiles.cpu_ms_max,
            GRACE_MS,
        );
        grew(
            "time of a compile process in ms",
            COMPILE_WALL_S_MAX * 1_000,
            self.compiles.wall_ms_max,
            GRACE_MS,
        );
        grew("memory of a server over stdio in MiB", 0, self.stdio_growth_mib, GROWTH_MIB_MAX);
        faults.extend(self.left.iter().map(|file| format!("a file is left: {file}")));
        faults
    }
}

/// The value below which this share of durations lies, in milliseconds.
fn quantile_ms(durations: &[Duration], share: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, most, after) = self.samples;
        writeln!(
            f,
            "{} cases of components, {} random components, {} cases of clients",
            self.components.0, self.components.1, self.clients
        )?;
        writeln!(f, "server      before  at most  in the end")?;
        let mut row = |what, before, most, after| writeln!(f, "{what:<11} {before:>6} {most:>8} {after:>11}");
        row("memory MiB", before.memory_mib, most.memory_mib, after.memory_mib)?;
        row("descriptors", before.descriptors as u64, most.descriptors as u64, after.descriptors as u64)?;
        row("code files", before.code as u64, most.code as u64, after.code as u64)?;
        row("threads", before.threads as u64, most.threads as u64, after.threads as u64)?;
        let Compiles { seen, cpu_ms_max, wall_ms_max, memory_mib_max } = self.compiles;
        writeln!(
            f,
            "compile processes: {seen} seen, one at most {cpu_ms_max} ms of processor time, {wall_ms_max} ms by the \
             clock, {memory_mib_max} MiB"
        )?;
        for (what, late) in [("alone", &self.late_alone), ("under attack", &self.late)] {
            let (middle, most) = (quantile_ms(late, 0.5), quantile_ms(late, 1.0));
            writeln!(
                f,
                "past the deadline, {what}: p50 {middle:.0} ms, most {most:.0} ms of {}",
                late.len()
            )?;
        }
        for (what, waits) in &self.waits {
            let (middle, high) = (quantile_ms(waits, 0.5), quantile_ms(waits, 0.99));
            writeln!(
                f,
                "the neighbor, {what}: p50 {middle:.1} ms, p99 {high:.1} ms of {} calls",
                waits.len()
            )?;
        }
        writeln!(f, "a server over stdio grew by {} MiB at most", self.stdio_growth_mib)?;
        self.ends.iter().try_for_each(|(what, count)| writeln!(f, "  {what}: {count}"))
    }
}
