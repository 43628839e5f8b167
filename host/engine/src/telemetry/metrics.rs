//! Metrics in the text format of Prometheus.
//!
//! Owns the list of metrics and their labels. Labels have few values: a tool's public name, an outcome code, a kind of
//! finding. A requested name without a tool is never a label. Must not know what a call does.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A count that code elsewhere adds to.
pub(crate) type Count = Counter;

/// The load of a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionView {
    /// Guests or calls that hold a slot.
    pub running: u32,
    /// Guests or calls that wait for a slot.
    pub waiting: u32,
}

/// The state of a tool.
#[derive(Clone, Debug)]
pub struct StandingView {
    /// The tool's public name.
    pub tool: String,
    /// The load of the tool's gate.
    pub admission: AdmissionView,
    /// Whether the breaker for all callers is open or lets only probes through.
    pub is_open: bool,
    /// Number of callers for which the tool is paused individually.
    pub paused_callers: usize,
}

/// The state of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalCounts {
    /// Whether records can be written, and so whether calls with effects can start.
    pub is_writable: bool,
    /// Records that are not committed yet.
    pub waiting: usize,
    /// Records that could not be written.
    pub lost: u64,
    /// Records that were removed to stay within `journal.bytes_max`.
    pub removed: u64,
}

/// The contribution of one call.
#[derive(Clone, Debug)]
pub struct CallView<'a> {
    /// The tool's public name; empty for a requested name without a tool.
    pub tool: &'a str,
    /// The outcome code.
    pub outcome: &'static str,
    /// Time from request to reply, in seconds.
    pub seconds: f64,
    /// Units of fuel that all attempts used.
    pub fuel: u64,
    /// Number of attempts.
    pub attempts: u32,
    /// The kind of each finding in the reply.
    pub findings: Vec<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    tool: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabels {
    tool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    tool: String,
    kind: String,
}

type Histograms = Family<ToolLabels, Histogram, fn() -> Histogram>;

/// All metrics of a host.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<OutcomeLabels, Counter>,
    attempts: Family<ToolLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    seconds: Histograms,
    fuel: Histograms,
    running: Family<ToolLabels, Gauge>,
    waiting: Family<ToolLabels, Gauge>,
    breaker: Family<ToolLabels, Gauge>,
    paused: Family<ToolLabels, Gauge>,
    all_running: Gauge,
    all_waiting: Gauge,
    journal_writable: Gauge,
    journal_waiting: Gauge,
    journal_lost: Counter,
    journal_removed: Counter,
    webhook_failed: Counter,
}

/// The counters of one tool, looked up once and kept.
#[derive(Debug)]
pub struct ToolMetrics {
    /// Counters by outcome code. Only outcomes that occurred have one.
    outcomes: Mutex<BTreeMap<&'static str, Counter>>,
    attempts: Counter,
    seconds: Histogram,
    fuel: Histogram,
    calls: Family<OutcomeLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
}

impl ToolMetrics {
    /// Counts one call of the tool.
    pub fn count(&self, call: &CallView<'_>) {
        let CallView { tool, outcome, seconds, fuel, attempts, findings } = call;
        self.outcome(tool, outcome).inc();
        self.attempts.inc_by(u64::from(*attempts));
        self.seconds.observe(*seconds);
        #[expect(clippy::cast_precision_loss, reason = "a histogram's buckets are coarser")]
        self.fuel.observe(*fuel as f64);
        for kind in findings {
            let labels = FindingLabels { tool: (*tool).to_owned(), kind: (*kind).to_owned() };
            self.findings.get_or_create(&labels).inc();
        }
    }

    fn outcome(&self, tool: &str, outcome: &'static str) -> Counter {
        // The family's own map is locked by all tools. This one is locked by calls of one tool only.
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = || self.calls.get_or_create_owned(&OutcomeLabels { tool: tool.to_owned(), outcome });
        outcomes.entry(outcome).or_insert_with(count).clone()
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("airlock"),
            calls: Family::default(),
            attempts: Family::default(),
            findings: Family::default(),
            // Buckets from 50 µs to 26 s.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_05, 2.0, 20))),
            // Buckets from 1,000 to 16 billion units.
            fuel: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1_000.0, 4.0, 13))),
            running: Family::default(),
            waiting: Family::default(),
            breaker: Family::default(),
            paused: Family::default(),
            all_running: Gauge::default(),
            all_waiting: Gauge::default(),
            journal_writable: Gauge::default(),
            journal_waiting: Gauge::default(),
            journal_lost: Counter::default(),
            journal_removed: Counter::default(),
            webhook_failed: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("calls", "Calls by tool and outcome", self.calls.clone());
        registry.register("attempts", "Attempts, retries and fallbacks included", self.attempts.clone());
        registry.register("findings", "What the outer door found", self.findings.clone());
        registry.register("call_duration_seconds", "From request to reply", self.seconds.clone());
        registry.register("call_fuel", "Fuel of a call, all attempts", self.fuel.clone());
        registry.register("tool_running", "Guests of a tool that run", self.running.clone());
        registry.register("tool_waiting", "Attempts that wait for a slot of the tool", self.waiting.clone());
        registry.register(
            "breaker_open",
            "1 while a tool's breaker for all callers is not closed",
            self.breaker.clone(),
        );
        registry.register(
            "paused_callers",
            "Callers for which a tool is paused individually",
            self.paused.clone(),
        );
        registry.register("running", "Guests that run", self.all_running.clone());
        registry.register("waiting", "Attempts that wait for a slot of the host", self.all_waiting.clone());
        registry.register(
            "webhook_failed",
            "Messages that the webhook of the registry did not take",
            self.webhook_failed.clone(),
        );
        let journal = registry.sub_registry_with_prefix("journal");
        journal.register(
            "writable",
            "1 while calls with effects can be put on record",
            self.journal_writable.clone(),
        );
        journal.register("waiting", "Records that are not committed yet", self.journal_waiting.clone());
        journal.register("lost", "Records that could not be committed", self.journal_lost.clone());
        journal.register(
            "removed",
            "Records that were removed to stay within journal.bytes_max",
            self.journal_removed.clone(),
        );
    }

    /// The counters of one tool, to be kept by the caller: looking them up locks a map that all tools share.
    pub fn of(&self, tool: &str) -> ToolMetrics {
        let labels = ToolLabels { tool: tool.to_owned() };
        ToolMetrics {
            outcomes: Mutex::default(),
            attempts: self.attempts.get_or_create_owned(&labels),
            seconds: self.seconds.get_or_create_owned(&labels),
            fuel: self.fuel.get_or_create_owned(&labels),
            calls: self.calls.clone(),
            findings: self.findings.clone(),
        }
    }

    /// Counts messages that the webhook did not take.
    pub(crate) fn webhook_failed(&self) -> &Count {
        &self.webhook_failed
    }

    /// All metrics, in the text format of Prometheus.
    pub fn text(&self, all: &AdmissionView, tools: &[StandingView], journal: &JournalCounts) -> String {
        let JournalCounts { is_writable, waiting, lost, removed } = *journal;
        self.journal_writable.set(i64::from(is_writable));
        self.journal_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        // Stored, not incremented: the journal counts, and a scrape copies its figures. `Relaxed`, because no other
        // memory is read by them.
        self.journal_lost.inner().store(lost, Ordering::Relaxed);
        self.journal_removed.inner().store(removed, Ordering::Relaxed);
        self.all_running.set(i64::from(all.running));
        self.all_waiting.set(i64::from(all.waiting));
        // Gauges are rebuilt on each scrape, so that a tool that is gone leaves no stale series.
        self.running.clear();
        self.waiting.clear();
        self.breaker.clear();
        self.paused.clear();
        for StandingView { tool, admission, is_open, paused_callers } in tools {
            let labels = ToolLabels { tool: tool.clone() };
            self.running.get_or_create(&labels).set(i64::from(admission.running));
            self.waiting.get_or_create(&labels).set(i64::from(admission.waiting));
            self.breaker.get_or_create(&labels).set(i64::from(*is_open));
            self.paused.get_or_create(&labels).set(i64::try_from(*paused_callers).unwrap_or(i64::MAX));
        }
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// Keeps the lines about tools that `shows` admits, and the comments. Lines that name no tool are about the host as a
/// whole and would tell a caller what other callers do.
pub fn only(text: &str, shows: impl Fn(&str) -> bool) -> String {
    let is_shown = |line: &&str| {
        let tool = line.split_once("tool=\"").and_then(|(_, rest)| rest.split('"').next());
        line.starts_with('#') || tool.is_some_and(&shows)
    };
    text.split_inclusive('\n').filter(is_shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_calls_by_tool_and_outcome_and_drops_removed_tools() {
        let metrics = Metrics::default();
        let call = CallView {
            tool: "t",
            outcome: "ok.degraded",
            seconds: 0.001,
            fuel: 5_000,
            attempts: 2,
            findings: vec!["range"],
        };
        metrics.of("t").count(&call);
        let standing = |tool: &str| StandingView {
            tool: tool.into(),
            admission: AdmissionView::default(),
            is_open: true,
            paused_callers: 3,
        };
        let journal = JournalCounts { is_writable: true, waiting: 2, lost: 3, removed: 4 };
        let text = metrics.text(
            &AdmissionView { running: 1, waiting: 0 },
            &[standing("t"), standing("old")],
            &journal,
        );
        for line in [
            "airlock_calls_total{tool=\"t\",outcome=\"ok.degraded\"} 1",
            "airlock_attempts_total{tool=\"t\"} 2",
            "airlock_findings_total{tool=\"t\",kind=\"range\"} 1",
            "airlock_breaker_open{tool=\"old\"} 1",
            "airlock_paused_callers{tool=\"t\"} 3",
            "airlock_running 1",
            "airlock_journal_writable 1",
            "airlock_journal_waiting 2",
            "airlock_journal_lost_total 3",
            "airlock_journal_removed_total 4",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!metrics.text(&AdmissionView::default(), &[standing("t")], &journal).contains("old"));
        let shown = only(&text, |tool| tool == "old");
        assert!(!shown.contains("\"t\"") && shown.contains("breaker_open{tool=\"old\"} 1"), "{shown}");
        assert!(!shown.contains("airlock_running 1") && shown.ends_with("# EOF\n"), "{shown}");
    }
}
