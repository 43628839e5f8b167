//! The observations of a soak, and the faults in them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::load::{Tally, api, code};
use crate::server::Server;

/// Allowed growth of memory after the first quarter, in MiB: caches, and pool slots that were never used before.
const GROWTH_MIB_MAX: u64 = 64;

/// Allowed growth of the number of descriptors.
const GROWTH_FDS_MAX: usize = 64;

/// A sample of the server's process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Resident memory in MiB.
    pub memory_mib: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Sample {
    /// Samples a process.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn of(process: u32) -> anyhow::Result<Sample> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok());
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Sample { memory_mib: kib.unwrap_or_default() / 1024, descriptors })
    }
}

/// All observations of a soak.
#[derive(Debug, Default)]
pub struct Report {
    length: Duration,
    /// Samples of the server, in order.
    pub samples: Vec<Sample>,
    /// Number of changes of the registry.
    pub reloads: u32,
    answers: BTreeMap<String, u64>,
    abandoned: u64,
    faults: Vec<String>,
    /// Whether the server exited cleanly on SIGTERM.
    pub left: bool,
    /// Number of calls in the journal at the end.
    pub recorded: u64,
    /// Number of reads of the journal from another process.
    looks: u64,
}

impl Report {
    pub(super) fn new(length: Duration) -> Report {
        Report { length, ..Report::default() }
    }

    pub(super) fn take(&mut self, tally: Tally) {
        for (what, count) in tally.answers {
            *self.answers.entry(what).or_default() += count;
        }
        self.abandoned += tally.left;
        self.faults.extend(tally.faults);
    }

    /// Adds the observations of the reader of the journal.
    pub(super) fn outside(&mut self, (looks, faults): (u64, Vec<String>)) {
        self.looks = looks;
        self.faults.extend(faults);
        if looks == 0 {
            self.faults.push("the journal was never read from outside".into());
        }
    }

    /// Calls every tool once more: each must still answer.
    pub(super) async fn last_words(&mut self, server: &Server) -> anyhow::Result<()> {
        let calls = [
            ("unit_convert", r#"{"value": 3, "from": "km", "to": "m"}"#),
            ("sector_metrics", r#"{"period": "2009-10"}"#),
            ("text_digest", r#"{"text": "Jobs grew. Rates fell."}"#),
            ("hostile_allocate", r#"{"bytes": 10}"#),
        ];
        for (tool, args) in calls {
            let mut last = String::new();
            // The last reload may take a moment to be noticed.
            for _ in 0..50 {
                last = code(&api(server.call(tool, args)).await?).to_owned();
                if last.starts_with("ok") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            *self.answers.entry(format!("last {tool} {last}")).or_default() += 1;
            if !last.starts_with("ok") {
                self.faults.push(format!("in the end `{tool}` answers {last}"));
            }
        }
        Ok(())
    }

    fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// The sample after the first quarter, and the maxima since.
    fn growth(&self) -> (Sample, Sample) {
        let rest = &self.samples[self.samples.len() / 4..];
        let most = Sample {
            memory_mib: rest.iter().map(|sample| sample.memory_mib).max().unwrap_or_default(),
            descriptors: rest.iter().map(|sample| sample.descriptors).max().unwrap_or_default(),
        };
        (rest.first().copied().unwrap_or_default(), most)
    }

    /// All faults; empty if there are none.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let (settled, most) = self.growth();
        if most.memory_mib > settled.memory_mib + GROWTH_MIB_MAX {
            faults.push(format!("memory grew from {} to {} MiB", settled.memory_mib, most.memory_mib));
        }
        if most.descriptors > settled.descriptors + GROWTH_FDS_MAX {
            faults.push(format!("descriptors grew from {} to {}", settled.descriptors, most.descriptors));
        }
        if !self.left {
            faults.push("the server did not leave as it was told to".into());
        }
        if self.recorded < self.answered() {
            faults.push(format!("{} answers, and only {} records", self.answered(), self.recorded));
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settled, most) = self.growth();
        writeln!(
            f,
            "{} s: {} answers, {} calls abandoned, {} on record, looked at {} times from outside, {} reloads",
            self.length.as_secs(),
            self.answered(),
            self.abandoned,
            self.recorded,
            self.looks,
            self.reloads
        )?;
        writeln!(
            f,
            "memory: {} MiB after the first quarter, at most {} since",
            settled.memory_mib, most.memory_mib
        )?;
        writeln!(
            f,
            "descriptors: {} after the first quarter, at most {} since",
            settled.descriptors, most.descriptors
        )?;
        self.answers.iter().try_for_each(|(what, count)| writeln!(f, "  {what}: {count}"))
    }
}
