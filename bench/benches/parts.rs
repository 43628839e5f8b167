//! Measures the parts of a call of `unit_convert`, each on its own.
//!
//! `cargo xtask bench` sets `AIRLOCK_BENCH_REGISTRY`. To run it by hand, set it to a registry with `unit_convert`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::execute::Outcome;
use airlock::host::Host;
use airlock::registry::Tool;
use airlock::seam;
use airlock_contract::Val;
use airlock_contract::arguments;
use airlock_contract::check::Context;
use airlock_contract::lift::lift;
use airlock_contract::lower::lower;
use airlock_contract::tool::ValidArgs;
use airlock_journal::Durability;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::json::Json;
use airlock_types::plan;
use airlock_types::plan::Inputs;
use airlock_types::record::Record;
use anyhow::{Context as _, Result, bail};
use criterion::{BatchSize, Criterion};
use tokio::runtime::Runtime;

const ARGS: &[u8] = br#"{"value": 10, "from": "mile", "to": "km"}"#;

/// An open host, and the runtime that its calls need.
struct Bench {
    runtime: Runtime,
    host: Host,
}

impl Bench {
    fn open() -> Result<Bench> {
        #[expect(clippy::disallowed_methods, reason = "criterion owns the arguments")]
        let registry =
            std::env::var("AIRLOCK_BENCH_REGISTRY").context("AIRLOCK_BENCH_REGISTRY is not set")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let file = ConfigFile::read(registry.as_ref())?;
        let host = runtime.block_on(Host::builder().registry(&file).open())?;
        Ok(Bench { runtime, host })
    }

    fn tool(&self) -> Result<Arc<Tool>> {
        Ok(self.host.visible(&Caller::local()).resolve("unit_convert")?.clone())
    }

    fn args(&self) -> Result<ValidArgs> {
        let args =
            arguments::parse(ARGS, &self.host.argument_limits()).map_err(|err| anyhow::anyhow!("{err:?}"))?;
        self.tool()?
            .contract
            .validate(args, None)
            .map_err(|(violations, _)| anyhow::anyhow!("{violations:?}"))
    }

    /// The value that the guest returns.
    fn value(&self, args: &ValidArgs) -> Result<Val> {
        let outcome = self.runtime.block_on(seam::attempt(&self.host, &*self.tool()?, args))?;
        let Outcome::Value(Some(Val::Result(Ok(Some(value))))) = outcome else {
            bail!("the tool did not answer: {outcome:?}");
        };
        Ok(*value)
    }

    /// The record of one call, read back from the journal.
    fn record(&self) -> Result<Record<Json>> {
        let raw = Call::new("unit_convert", Arguments::Text(ARGS.into()));
        let reply = self.runtime.block_on(self.host.call(raw));
        anyhow::ensure!(reply.code == Code::Ok, "{reply:?}");
        let record = self.host.journal().find(&reply.record)?.context("no record")?;
        // Read from the journal as a tree, and converted to the text form that the writer gets.
        Ok(serde_json::from_str(&serde_json::to_string(&record)?)?)
    }

    fn inputs(&self) -> Result<Inputs> {
        let raw = Call::new("unit_convert", Arguments::Text(ARGS.into()));
        let explained = self.host.explain(&raw).map_err(|report| anyhow::anyhow!("{}", report.message))?;
        let plan = explained.plan.context("the tool may not run")?;
        let routes = plan.routes.iter().map(|route| route.input.clone()).collect();
        Ok(Inputs { args_digest: "0".repeat(64), jitter: plan::Jitter::Off, deadline_ms: 30_000, routes })
    }
}

/// The inner door: parsing, validation (which includes lowering), and lowering on its own.
fn inner(criterion: &mut Criterion, bench: &Bench) -> Result<()> {
    let tool = bench.tool()?;
    let limits = bench.host.argument_limits();
    let Ok(args) = arguments::parse(ARGS, &limits) else { bail!("the arguments do not parse") };
    criterion.bench_function("parse", |b| b.iter(|| arguments::parse(black_box(ARGS), &limits).ok()));
    criterion.bench_function("validate", |b| {
        b.iter_batched(|| args.clone(), |args| tool.contract.validate(args, None), BatchSize::SmallInput);
    });
    let params = &tool.contract.function.ty.params;
    criterion.bench_function("lower", |b| {
        b.iter_batched(|| args.clone(), |args| lower(params, args), BatchSize::SmallInput);
    });
    Ok(())
}

/// The plan, and the sandbox without the stages around it.
fn middle(criterion: &mut Criterion, bench: &Bench) -> Result<()> {
    let (tool, args, inputs) = (bench.tool()?, bench.args()?, bench.inputs()?);
    criterion.bench_function("plan", |b| b.iter(|| plan::plan(black_box(inputs.clone()))));
    criterion.bench_function("instantiate-and-run", |b| {
        b.iter(|| bench.runtime.block_on(seam::attempt(&bench.host, &tool, &args)));
    });
    Ok(())
}

/// The outer door and the record.
fn outer(criterion: &mut Criterion, bench: &Bench) -> Result<()> {
    let (tool, args) = (bench.tool()?, bench.args()?);
    let value = bench.value(&args)?;
    let ty = tool.contract.shape.value_ty().context("no result")?;
    criterion.bench_function("lift", |b| b.iter(|| lift(ty, black_box(&value))));
    let context = Context {
        params: &tool.contract.function.ty.params,
        args: args.values(),
        result: &value,
        as_of: None,
        now_unix_ms: 1_700_000_000_000,
    };
    criterion.bench_function("check", |b| b.iter(|| tool.contract.checks.findings(black_box(&context))));
    let record = bench.record()?;
    criterion.bench_function("record-as-json", |b| b.iter(|| serde_json::to_string(black_box(&record))));
    // The queue is full after a while, so on average this is the cost of writing one record of a group.
    criterion.bench_function("record-written", |b| {
        b.iter(|| bench.runtime.block_on(bench.host.journal().seal(record.clone(), Durability::Queued)));
    });
    Ok(())
}

fn main() -> Result<()> {
    let bench = Bench::open()?;
    // Short: the parts are for comparison with each other. The `bench` program measures the totals.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_000))
        .sample_size(20)
        .configure_from_args();
    inner(&mut criterion, &bench)?;
    middle(&mut criterion, &bench)?;
    outer(&mut criterion, &bench)?;
    let raw = || Call::new("unit_convert", Arguments::Text(ARGS.into()));
    criterion.bench_function("whole-call", |b| {
        b.iter(|| bench.runtime.block_on(bench.host.call(raw())));
    });
    criterion.final_summary();
    Ok(())
}
