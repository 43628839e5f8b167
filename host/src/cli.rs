//! The command line.
//!
//! Owns arguments, printing and exit codes: the only place that prints. Must not know wasmtime or JSON-RPC.
//! To add a verb: one file, one arm of `Verb`.

mod call;
mod check;
mod compile;
mod explain;
mod export;
mod inspect;
mod open;
mod pack;
mod print;
mod serve;
mod show;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use print::Printer;

/// Exit codes that are not a call's. A call's are in the table of outcome codes.
const EXIT_NO: u8 = 1;
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
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Call a tool and print its reply
    Call(call::Args),
    /// Lint the registry: load everything, compare, warn
    Check(check::Args),
    /// Print what a call would do at most, before anything runs
    Explain(explain::Args),
    /// Print tool definitions in a provider's dialect
    Export(export::Args),
    /// Show a tool or a component: exports, schemas, imports, contract, what is asked for and granted
    Inspect(inspect::Args),
    /// Put contract.toml and the WIT's doc comments into a component
    Pack(pack::Args),
    /// Serve the tools over MCP
    Serve(serve::Args),
    /// Show the record of a call
    Show(show::Args),
    /// List the tools
    Tools(tools::Args),
    /// Compile a component from stdin: the limited process that the host starts for itself
    #[command(hide = true)]
    Compile(compile::Args),
}

/// What a verb ends with.
type Ended = anyhow::Result<u8>;

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .init();
    let printer = Printer::default();
    let ended = run(&arguments, &printer);
    if printer.closed() {
        return ExitCode::SUCCESS;
    }
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(err) => ExitCode::from(printer.failed(&err)),
    }
}

fn run(arguments: &Arguments, printer: &Printer) -> Ended {
    let registry = &arguments.registry;
    match &arguments.verb {
        Verb::Compile(args) => compile::run(args),
        Verb::Pack(args) => block_on(pack::run(args, printer)),
        Verb::Call(args) => block_on(call::run(args, registry, printer)),
        Verb::Check(args) => block_on(check::run(args, registry, printer)),
        Verb::Explain(args) => block_on(explain::run(args, registry, printer)),
        Verb::Export(args) => block_on(export::run(args, registry, printer)),
        Verb::Inspect(args) => block_on(inspect::run(args, registry, printer)),
        Verb::Serve(args) => block_on(serve::run(args, registry, printer)),
        Verb::Show(args) => block_on(show::run(args, registry, printer)),
        Verb::Tools(args) => block_on(tools::run(args, registry, printer)),
    }
}

fn block_on(verb: impl Future<Output = Ended>) -> Ended {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(verb)
}
