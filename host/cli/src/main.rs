//! The `airlock` program: arguments → exit code.
//!
//! Owns arguments, printing and exit codes: the only place that prints. Must not know wasmtime or JSON-RPC.
//! To add a verb: one file, one arm of `Verb`.

mod call;
mod check;
mod compile;
mod diff;
mod explain;
mod export;
mod inspect;
mod lock;
mod open;
mod pack;
mod print;
mod serve;
mod show;
mod telemetry;
mod token;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use print::{Printer, Said};

use airlock::blocking::THREADS_MAX;
use telemetry::LogFormat;

/// Records are freed by another thread than the one that made them, which the system's allocator has them wait for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes that are not a call's. A call's are in the table of outcome codes.
const EXIT_NO: u8 = 1;
const EXIT_WIDER: u8 = 3;
const EXIT_HOST: u8 = 70;

/// A WebAssembly tool host that makes the tool calls of agents disciplined.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, arg_required_else_help = true)]
struct Arguments {
    /// The registry of tools
    #[arg(long, global = true, value_name = "FILE", default_value = "airlock.toml")]
    registry: PathBuf,
    /// What goes to stderr: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    log: tracing::level_filters::LevelFilter,
    /// The form of the log
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Send traces to this OTLP/HTTP endpoint: `http://127.0.0.1:4318`
    #[arg(long, global = true, value_name = "URL")]
    otlp: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Call a tool and print its reply
    Call(call::Args),
    /// Lint the registry: load everything, compare, warn
    Check(check::Args),
    /// Compare the tools of two components, registries or locks
    Diff(diff::Args),
    /// Print what a call would do at most, before anything runs
    Explain(explain::Args),
    /// Print tool definitions in a provider's dialect
    Export(export::Args),
    /// Show a tool or a component: exports, schemas, imports, contract, what is asked for and granted
    Inspect(inspect::Args),
    /// Write down the tool definitions that are accepted
    Lock(lock::Args),
    /// Put contract.toml and the WIT's doc comments into a component
    Pack(pack::Args),
    /// Serve the tools over MCP and HTTP
    Serve(serve::Args),
    /// Show the record of a call
    Show(show::Args),
    /// Make a bearer token for a caller over HTTP
    #[command(subcommand)]
    Token(token::Verb),
    /// List the tools
    Tools(tools::Args),
    /// Compile a component from stdin: the limited process that the host starts for itself
    #[command(hide = true)]
    Compile(compile::Args),
}

/// What a verb ends with.
type Ended = anyhow::Result<u8>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::default();
    // Alone and before anything is set up: it gives up most of what a process may do, which threads and open files
    // would keep.
    if let Verb::Compile(args) = &arguments.verb {
        return ended(compile::run(args), &printer);
    }
    let set_up = telemetry::set_up(arguments.log, arguments.log_format, arguments.otlp.as_deref());
    let exporter = match set_up {
        Ok(exporter) => exporter,
        Err(err) => return ExitCode::from(printer.failed(&Said(err.to_string()).into())),
    };
    let outcome = run(&arguments, &printer);
    if let Some(exporter) = exporter {
        exporter.shut_down();
    }
    if printer.closed() {
        return ExitCode::SUCCESS;
    }
    ended(outcome, &printer)
}

fn ended(outcome: Ended, printer: &Printer) -> ExitCode {
    ExitCode::from(outcome.unwrap_or_else(|err| printer.failed(&err)))
}

fn run(arguments: &Arguments, printer: &Printer) -> Ended {
    let registry = &arguments.registry;
    match &arguments.verb {
        Verb::Compile(args) => compile::run(args),
        Verb::Pack(args) => block_on(pack::run(args, printer)),
        Verb::Call(args) => block_on(call::run(args, registry, printer)),
        Verb::Check(args) => block_on(check::run(args, registry, printer)),
        Verb::Diff(args) => block_on(diff::run(args, printer)),
        Verb::Lock(args) => block_on(lock::run(args, registry, printer)),
        Verb::Token(verb) => token::run(verb, printer),
        Verb::Explain(args) => block_on(explain::run(args, registry, printer)),
        Verb::Export(args) => block_on(export::run(args, registry, printer)),
        Verb::Inspect(args) => block_on(inspect::run(args, registry, printer)),
        Verb::Serve(args) => block_on(serve::run(args, registry, printer)),
        Verb::Show(args) => block_on(show::run(args, registry, printer)),
        Verb::Tools(args) => block_on(tools::run(args, registry, printer)),
    }
}

/// Threads that are stuck in a file system do not keep the program from ending: they have so long, and then end with
/// it. What has to be on disk is there when the verb is over.
const STUCK_MAX: Duration = Duration::from_millis(500);

fn block_on(verb: impl Future<Output = Ended>) -> Ended {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(THREADS_MAX).build()?;
    let ended = runtime.block_on(verb);
    runtime.shutdown_timeout(STUCK_MAX);
    ended
}
