//! `airlock call TOOL [JSON|-]`: calls one tool. The exit code is that of the reply's outcome code.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::time::Duration;

use super::confined::Process;
use super::print::{Message, Printer};
use super::{Ended, Threads, open};
use airlock::config::ConfigFile;
use airlock::host::{Held, Host};
use airlock_contract::arguments::ArgumentLimits;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::duration;
use airlock_types::environment::ms;
use airlock_types::finding::Finding;
use airlock_types::hold::HeldAt;
use airlock_types::reply::Reply;

/// Characters of a hold's id that are shown, which are enough to name it.
const ID_CHARS: usize = 12;

/// After the time of a hold, for its end to be written.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// The arguments: a JSON object, or `-` to read it from stdin
    #[arg(value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// With this key the same call is made once, in whatever process: its repeats get the reply of the first one
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the whole envelope as one JSON document
    #[arg(long)]
    json: bool,
    /// How long to wait for a person when the call is held: `15m`, or `0`. On a terminal until the hold's time is over,
    /// else not at all
    #[arg(long, value_name = "TIME", value_parser = wait)]
    wait: Option<Duration>,
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait_ms = if text == "0" { Some(0) } else { duration::parse(text) };
    wait_ms
        .map(Duration::from_millis)
        .ok_or_else(|| "a time is a whole number with a unit: `30s`, `15m`".to_owned())
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
    let text = arguments(&args.arguments, &host.argument_limits())?;
    let call = Call::new(&args.tool, Arguments::Text(text.into()));
    let call = Call { idempotency: args.idempotency_key.clone(), ..call };
    let reply = host.call(call).await;
    let mut reply = waited(args, &host, reply, printer).await?;
    // The program ends with this call: a person is told of a hold now, or not at all.
    host.told_of_holds().await;
    if reply.hold.is_some() {
        open::untold(&host, file, "this hold", printer);
    }
    // Before printing, for the same reason: a queued record is written now or lost.
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

/// The text of arguments: that of the command line, or for `-` that of stdin.
pub(super) fn arguments(text: &str, limits: &ArgumentLimits) -> Result<Vec<u8>, Message> {
    match text {
        "-" => read_stdin(limits.bytes_max).map_err(|err| Message::of_stdin(&err)),
        text => Ok(text.as_bytes().to_vec()),
    }
}

/// Waits for the person who decides about a held call. Returns the reply that followed, or the same one.
async fn waited(args: &Args, host: &Host, mut reply: Reply, printer: &Printer) -> anyhow::Result<Reply> {
    let environment = host.environment();
    let began = environment.monotonic();
    // Its result may be held, too.
    while let Some(held) = &reply.hold {
        let now_unix_ms = ms(environment.wall());
        let until_end =
            Duration::from_millis(held.expires_unix_ms.saturating_sub(now_unix_ms)).saturating_add(LATE);
        let default = if std::io::stderr().is_terminal() { until_end } else { Duration::ZERO };
        let waited = environment.monotonic().saturating_sub(began);
        let left = args.wait.unwrap_or(default).saturating_sub(waited).min(until_end);
        printer.note(hint(held, left));
        match host.held_reply(&Caller::local(), &held.id, left).await? {
            Held::Ended(ended) => reply = *ended,
            Held::Waiting(_) => break,
        }
    }
    Ok(reply)
}

/// How a person decides about a held call.
fn hint(held: &HeldAt, wait: Duration) -> String {
    let id = held.id.get(..ID_CHARS).unwrap_or(&held.id);
    let waits = match wait.is_zero() {
        true => String::new(),
        false => format!("; waiting {} at most", duration::about(ms(wait))),
    };
    format!(
        "held: `airlock holds show {id}` says what is asked, `airlock holds approve {id}` lets it run{waits}"
    )
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
