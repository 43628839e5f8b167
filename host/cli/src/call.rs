//! `airlock call TOOL [JSON|-]`: calls one tool. The exit code is that of the reply's outcome code.

use std::io::Read as _;
use std::path::Path;

use super::confined::Process;
use super::print::Printer;
use super::{Ended, Threads, open};
use airlock::config::ConfigFile;
use airlock_types::call::{Arguments, Call};
use airlock_types::finding::Finding;
use airlock_types::reply::Reply;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// The arguments: a JSON object, or `-` to read it from stdin
    #[arg(value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// Print the whole envelope as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let file = ConfigFile::read(registry)?.needed_by(&args.tool);
    // The component runs in this process, as when it is served.
    let process = Process::enter(&file, None)?;
    process.report(&file, printer);
    threads.block_on(call(args, &file, &process, printer))
}

async fn call(args: &Args, file: &ConfigFile, process: &Process, printer: &Printer) -> Ended {
    let host = open::host_for(&args.tool, file, Some(process), printer).await?;
    let text = if args.arguments == "-" {
        read_stdin(host.argument_limits().bytes_max)?
    } else {
        args.arguments.clone().into_bytes()
    };
    let mut reply = host.call(Call::new(&args.tool, Arguments::Text(text.into()))).await;
    // Before printing: the program ends with this call, so a queued record is written now or lost.
    if !host.journal().close() {
        reply.findings.push(Finding::record_lost());
    }
    if args.json {
        printer.json(&reply)?;
    } else {
        print(printer, &reply)?;
    }
    Ok(reply.code.facts().exit)
}

/// Reads stdin up to one byte more than arguments may have. The extra byte lets the call report that they are too
/// large.
fn read_stdin(bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().take(bytes_max as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Prints the reply: the result or the error to stdout, usage to stderr.
fn print(printer: &Printer, reply: &Reply) -> anyhow::Result<()> {
    if let Some(error) = &reply.error {
        printer.line(&error.message);
    } else {
        printer.json(&reply.compact())?;
    }
    let usage = &reply.usage;
    if reply.findings.contains(&Finding::record_lost()) {
        printer.note("warning: the journal could not be written, and this call is not on record");
    }
    // On stderr, so that stdout holds the result alone.
    printer.note(format!(
        "{} · {} attempt{} · {} µs · {} fuel · {} KiB · record {}",
        reply.code,
        usage.attempts,
        if usage.attempts == 1 { "" } else { "s" },
        usage.wall_us,
        usage.fuel,
        usage.memory_bytes / 1024,
        reply.record,
    ));
    Ok(())
}
