//! The observations of a run, and the faults in them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::clients::{Tally, Told};
use super::place::Place;
use super::trouble::{Struck, Trouble};
use crate::orders::Orders;
use crate::server::Server;
use crate::soak::Sample;
use crate::soak::load::{api, code};

/// How much more memory a server may hold than the most of the first quarter, in MiB.
const GROWTH_MIB_MAX: u64 = 64;

/// All observations.
#[derive(Debug, Default)]
pub struct Report {
    length: Duration,
    /// Samples of the servers, before and after each trouble.
    pub(super) samples: Vec<Sample>,
    troubles: BTreeMap<Trouble, u64>,
    /// Kinds of trouble that could not be made, with the reason.
    missing: BTreeMap<Trouble, &'static str>,
    answers: BTreeMap<String, u64>,
    cut: u64,
    told: Vec<Told>,
    /// Orders that were applied, and the most often that one was.
    placed: usize,
    most_applied: u32,
    recorded: usize,
    faults: Vec<String>,
}

impl Report {
    pub(super) fn new(length: Duration) -> Report {
        Report { length, ..Report::default() }
    }

    pub(super) fn struck(&mut self, trouble: Trouble, struck: Struck) {
        match struck {
            Struck::Done => *self.troubles.entry(trouble).or_default() += 1,
            Struck::Missing(why) => {
                self.missing.insert(trouble, why);
            }
        }
    }

    pub(super) fn take(&mut self, tally: Tally) {
        for (what, count) in tally.answers {
            *self.answers.entry(what).or_default() += count;
        }
        self.cut += tally.cut;
        self.told.extend(tally.told);
        self.faults.extend(tally.faults);
    }

    /// Compares what callers were told with what happened, and calls every tool once more.
    pub(super) async fn close(
        &mut self,
        server: &Server,
        orders: &Orders,
        place: &Place,
    ) -> anyhow::Result<()> {
        orders.decided().await?;
        let (most, placed) = orders.most_applied();
        (self.placed, self.most_applied) = (placed, most);
        if most > 1 {
            self.faults.push(format!("an order was applied {most} times"));
        }
        let codes = place.codes().await?;
        self.recorded = codes.len();
        for told in &self.told {
            let applied = orders.applied(&told.order);
            if told.is_acknowledged && applied != 1 {
                self.faults.push(format!("acknowledged and applied {applied} times: {told:?}"));
            }
            if told.is_denied && applied != 0 {
                self.faults.push(format!("said not to have happened, and applied: {told:?}"));
            }
            let recorded = codes.get(&told.record);
            if applied > 0 && recorded != Some(&told.code) {
                self.faults.push(format!("applied, and on record as {recorded:?}: {told:?}"));
            }
        }
        for (tool, args) in [
            ("unit_convert", r#"{"value": 3, "from": "km", "to": "m"}"#),
            ("text_digest", r#"{"text": "Jobs grew. Rates fell."}"#),
        ] {
            let last = api(server.call(tool, args)).await?;
            if code(&last) != "ok" {
                self.faults.push(format!("in the end `{tool}` answers {last}"));
            }
        }
        Ok(())
    }

    fn memory(&self) -> (u64, u64) {
        let (first, rest) = self.samples.split_at(self.samples.len().div_ceil(4));
        let most =
            |samples: &[Sample]| samples.iter().map(|sample| sample.memory_mib).max().unwrap_or_default();
        (most(first), most(rest))
    }

    fn acknowledged(&self) -> usize {
        self.told.iter().filter(|told| told.is_acknowledged).count()
    }

    /// All faults; empty if there are none.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let (first, rest) = self.memory();
        if rest > first + GROWTH_MIB_MAX {
            faults.push(format!("memory grew from {first} to {rest} MiB"));
        }
        if self.acknowledged() == 0 {
            faults.push("no order was acknowledged".into());
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: u64 = self.answers.values().sum();
        let seconds = self.length.as_secs();
        writeln!(
            f,
            "{seconds} s: {answers} answers, {} calls cut off by a kill, {} on record",
            self.cut, self.recorded
        )?;
        let (told, acknowledged) = (self.told.len(), self.acknowledged());
        writeln!(
            f,
            "orders: {told} answered, {acknowledged} acknowledged, {} applied, at most {} times each",
            self.placed, self.most_applied
        )?;
        let (first, rest) = self.memory();
        writeln!(f, "memory: at most {first} MiB in the first quarter, {rest} since")?;
        self.troubles.iter().try_for_each(|(what, times)| writeln!(f, "  {what:?}: {times} times"))?;
        self.missing.iter().try_for_each(|(what, why)| writeln!(f, "  {what:?}: SKIPPED, {why}"))?;
        self.answers.iter().try_for_each(|(what, count)| writeln!(f, "  {what}: {count}"))
    }
}
