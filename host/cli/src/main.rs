//! The `airlock` program: from arguments to an exit code.
//!
//! Owns arguments, printing and exit codes. Nothing else prints. Must not know wasmtime or JSON-RPC. To add a verb: a
//! file with `Args` and `run`, a variant of `Verb` and its arm in `run`.

mod audit;
mod backtest;
mod bisect;
mod call;
mod check;
mod compile;
mod compile_starter;
mod confined;
mod contract;
mod diff;
mod explain;
mod export;
mod found;
mod grade;
mod holds;
mod inspect;
mod journal;
mod lock;
mod log;
mod markup;
mod moment;
mod open;
mod pack;
mod page;
mod policy;
mod print;
mod replay;
mod sealed;
mod secret;
mod serve;
mod shadow;
mod show;
mod sign;
mod telemetry;
mod token;
mod tools;
mod tried;
mod verify;
mod why;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use print::{Message, Printer, Written};

use airlock::blocking::THREADS_MAX;
use telemetry::LogFormat;

/// mimalloc, because the journal's writer frees what calls allocate, and with the system's allocator the two threads
/// wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The registry, unless another one is named.
const REGISTRY: &str = "airlock.toml";

/// Exit codes of verbs. The exit codes of calls are in the table of outcome codes.
const EXIT_NO: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_WIDER: u8 = 3;
/// A version answers otherwise: told apart from a bisection that cannot be made.
const EXIT_CHANGED: u8 = 3;
const EXIT_HOST: u8 = 70;

/// A WebAssembly tool host that makes the tool calls of agents disciplined.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, arg_required_else_help = true)]
struct Arguments {
    /// The registry's file
    #[arg(long, global = true, value_name = "FILE", default_value = REGISTRY)]
    registry: PathBuf,
    /// The least severe messages on stderr: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    log: tracing::level_filters::LevelFilter,
    /// The format of the log
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
    /// Report on each tool for a security reviewer, without running it
    Audit(audit::Args),
    /// Tell what recorded calls would have met under this registry; exits with 3 if a stopped one would pass
    Backtest(backtest::Args),
    /// Tell which version of a component changed the answer to a recorded call
    Bisect(bisect::Args),
    /// Call a tool and print its reply
    Call(call::Args),
    /// Lint the registry: load everything, compare, warn
    Check(check::Args),
    /// Make WIT and contracts of documents that are published already
    #[command(subcommand)]
    Contract(contract::Verb),
    /// Compare the tools of two components, registries or locks
    Diff(diff::Args),
    /// Print what a call would do at most, before anything runs
    Explain(explain::Args),
    /// Print tool definitions in a provider's dialect
    Export(export::Args),
    /// Say whether the answer to a call was right
    Grade(grade::Args),
    /// Decide calls that wait for a person: list, show, approve, edit, reject, respond
    Holds(holds::Args),
    /// Show a tool or a component: exports, schemas, imports, contract, requested and granted capabilities
    Inspect(inspect::Args),
    /// Export, verify and prune the journal
    #[command(subcommand)]
    Journal(journal::Verb),
    /// Write the accepted tool definitions to the lock
    Lock(lock::Args),
    /// List calls: the newest first, or as they end
    Log(log::Args),
    /// Put contract.toml and the WIT's doc comments into a component
    Pack(pack::Args),
    /// Compare, suggest, prune and test what tools are granted
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Run a recorded call again, with its imports answered from what was recorded
    Replay(replay::Args),
    /// Set, list and remove the secrets that the host adds to requests of tools
    #[command(subcommand)]
    Secret(secret::Verb),
    /// Serve the tools over MCP and HTTP
    Serve(serve::Args),
    /// Keep recorded calls as a suite, run it again each night, and say what has changed
    #[command(subcommand)]
    Shadow(shadow::Verb),
    /// Tell one call: what was asked, what the doors found, the route, the cost, what it touched, the reply
    Show(show::Args),
    /// Sign a component: its bytes, what models read of it, and what it requests
    Sign(sign::Args),
    /// Make a bearer token for a caller over HTTP
    #[command(subcommand)]
    Token(token::Verb),
    /// List the tools
    Tools(tools::Args),
    /// Verify the signatures of the registry's components, or of one file
    Verify(verify::Args),
    /// Tell why a call ended as it did: rules, denials, violations, the route
    Why(why::Args),
    /// Compile a component from stdin, in the confined process that the host starts for it
    #[command(hide = true)]
    Compile(compile::Args),
    /// Start compile processes for a host that is confined, as it orders over stdin
    #[command(hide = true)]
    CompileStarter,
}

/// The exit code of a verb, or the error that [`Printer::failed`] turns into one.
type Ended = anyhow::Result<u8>;

fn main() -> ExitCode {
    let printer = Printer::default();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => return told_of_usage(&told, &printer),
    };
    // First, before any thread starts or file opens: the process drops its rights, and threads and open files would
    // keep theirs.
    if let Verb::Compile(args) = &arguments.verb {
        return ended(compile::run(args), &printer);
    }
    let outcome = run(&arguments, &printer);
    // After the verb ended: a call runs to its end and is recorded, even if its output is not read.
    match printer.written() {
        // A reader that has seen enough does not turn a failure into a success.
        Written::Whole | Written::Closed => ended(outcome, &printer),
        Written::Lost(err) => {
            printer.note(format!("error: the output cannot be written to stdout: {err}"));
            ExitCode::from(EXIT_HOST)
        }
    }
}

/// Prints help, the version, or what is wrong with the command line.
fn told_of_usage(told: &clap::Error, printer: &Printer) -> ExitCode {
    let printed = told.print().and_then(|()| std::io::stdout().flush());
    match printed {
        Err(err) if !told.use_stderr() && err.kind() != std::io::ErrorKind::BrokenPipe => {
            printer.note(format!("error: the output cannot be written to stdout: {err}"));
            ExitCode::from(EXIT_HOST)
        }
        Ok(()) | Err(_) => ExitCode::from(if told.use_stderr() { EXIT_USAGE } else { 0 }),
    }
}

fn ended(outcome: Ended, printer: &Printer) -> ExitCode {
    ExitCode::from(outcome.unwrap_or_else(|err| printer.failed(&err)))
}

fn run(arguments: &Arguments, printer: &Printer) -> Ended {
    let registry = &arguments.registry;
    let threads = Threads(arguments);
    match &arguments.verb {
        Verb::Compile(args) => compile::run(args),
        Verb::CompileStarter => threads.log(compile_starter::run),
        Verb::Pack(args) => threads.block_on(pack::run(args, printer)),
        Verb::Audit(args) => threads.block_on(audit::run(args, registry, printer)),
        Verb::Backtest(args) => backtest::run(args, registry, printer, threads),
        Verb::Bisect(args) => bisect::run(args, registry, printer, threads),
        Verb::Call(args) => call::run(args, registry, printer, threads),
        Verb::Check(args) => check::run(args, registry, printer, threads),
        Verb::Contract(verb) => threads.log(|| contract::run(verb, printer)),
        Verb::Diff(args) => threads.block_on(diff::run(args, printer)),
        Verb::Journal(verb) => threads.log(|| journal::run(verb, registry, printer)),
        Verb::Lock(args) => threads.block_on(lock::run(args, registry, printer)),
        Verb::Log(args) => threads.block_on(log::run(args, registry, printer)),
        Verb::Policy(verb) => threads.block_on(policy::run(verb, registry, printer)),
        Verb::Secret(verb) => threads.log(|| secret::run(verb, registry, printer)),
        Verb::Sign(args) => threads.block_on(sign::run(args, printer)),
        Verb::Token(verb) => threads.log(|| token::run(verb, printer)),
        Verb::Explain(args) => threads.block_on(explain::run(args, registry, printer)),
        Verb::Export(args) => threads.block_on(export::run(args, registry, printer)),
        Verb::Grade(args) => threads.log(|| grade::run(args, registry, printer)),
        Verb::Holds(args) => holds::run(args, registry, printer, threads),
        Verb::Inspect(args) => threads.block_on(inspect::run(args, registry, printer)),
        Verb::Serve(args) => serve::run(args, registry, printer, threads),
        Verb::Replay(args) => replay::run(args, registry, printer, threads),
        Verb::Shadow(verb) => shadow::run(verb, registry, printer, threads),
        Verb::Show(args) => threads.block_on(show::run(args, registry, printer)),
        Verb::Tools(args) => threads.block_on(tools::run(args, registry, printer)),
        Verb::Verify(args) => threads.block_on(verify::run(args, registry, printer)),
        Verb::Why(args) => threads.block_on(why::run(args, registry, printer)),
    }
}

/// Time for stuck threads when the program ends. After it the program ends with them, so a file system that does not
/// answer cannot keep it. Everything that must be on disk is written before the verb returns.
const STUCK_MAX: Duration = Duration::from_millis(500);

/// Time after which an idle thread for blocking work ends. tokio gives work to the thread that has been idle longest. With
/// its default of ten seconds, the checks of the disk every few seconds would keep all threads that a burst needed.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// The threads of the program: the exporter's and the runtime's. None runs before one of the methods is called, once, so
/// that a verb can confine the process first.
#[derive(Clone, Copy)]
struct Threads<'a>(&'a Arguments);

impl Threads<'_> {
    /// Does the work of a verb with logs and traces.
    fn log(self, verb: impl FnOnce() -> Ended) -> Ended {
        let Arguments { log, log_format, otlp, .. } = self.0;
        let exporter =
            telemetry::set_up(*log, *log_format, otlp.as_deref()).map_err(|err| Message(err.to_string()))?;
        let ended = verb();
        // On failure, too: the spans of a failed run are the interesting ones.
        if let Some(exporter) = exporter {
            exporter.shut_down();
        }
        ended
    }

    /// Runs a verb on a runtime of its own.
    fn block_on(self, verb: impl Future<Output = Ended>) -> Ended {
        self.log(|| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime =
                runtime.enable_all().max_blocking_threads(THREADS_MAX).thread_keep_alive(IDLE_MAX).build()?;
            let ended = runtime.block_on(verb);
            // Dropping the runtime would wait for blocking threads without a limit.
            runtime.shutdown_timeout(STUCK_MAX);
            ended
        })
    }
}
