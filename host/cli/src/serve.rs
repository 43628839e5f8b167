//! `airlock serve`: serves the tools over MCP and HTTP, until the client disconnects or a signal ends the program.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::confined::Process;
use super::print::{Message, Printer};
use super::{EXIT_HOST, EXIT_USAGE, Ended, Threads, open};
use airlock::config::{ConfigFile, listen_address};
use airlock::host::Host;
use airlock::registry::OutOfReach;
use airlock_journal::{JournalView, Standing};
use airlock_server::mcp::Server;
use airlock_server::reload::Baseline;
use airlock_server::{checkpoint, expiry, reload, retention, transport};
use airlock_types::diagnostic::Diagnostics;
use airlock_types::environment::within;

/// Time at the end to tell the webhook of holds.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Time after the drain time in which answers are sent and records are written. Normally this takes milliseconds.
const GRACE: Duration = Duration::from_secs(5);

/// The note when no lock was written.
const NO_LOCK: &str = "note: there is no lock: the current tool definitions count as accepted, and so do tools that are \
                       added later; a definition that changes is refused until a restart. `airlock lock` writes the \
                       accepted definitions to a file";

/// The default address. Only this machine can reach it.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Serve over stdin and stdout; the process that starts this one is the client
    #[arg(long)]
    stdio: bool,
    /// Serve over HTTP; without an address, at `http.listen` or 127.0.0.1:8787
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, value_parser = listen_address)]
    http: Option<Option<SocketAddr>>,
    /// Let clients that reach the HTTP port call tools without a token
    #[arg(long, requires = "http")]
    allow_anonymous: bool,
    /// Do not start when an entry of the registry is broken; without this the others are served
    #[arg(long)]
    strict: bool,
    /// Do not reload when files change on disk
    #[arg(long)]
    no_reload: bool,
}

impl Args {
    /// Reads the registry's file. Settings of the command line take precedence, also after a reload.
    fn read(&self, registry: &Path) -> Result<ConfigFile, Diagnostics> {
        let mut file = ConfigFile::read(registry)?;
        // The flag only adds: the file may already allow it.
        file.config.http.allow_anonymous |= self.allow_anonymous;
        Ok(file)
    }

    fn address(&self, file: &ConfigFile) -> Option<SocketAddr> {
        let said = self.http?;
        Some(said.or(file.config.http.listen).unwrap_or(LISTEN))
    }
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    // Each before what it covers is read: a change in between is then found, and reloaded.
    let baseline = Baseline::of_registry(registry);
    let file = args.read(registry)?;
    let address = args.address(&file);
    if !args.stdio && address.is_none() {
        let how = "say how to serve: `airlock serve --stdio`, `airlock serve --http 127.0.0.1:8787`, or both";
        printer.note(format!("error: {how}"));
        return Ok(EXIT_USAGE);
    }
    // An error and not a warning: such a server would reject every request.
    if address.is_some() && !file.config.can_be_called_over_http() {
        let how = "no caller could authenticate over HTTP: `airlock token new NAME` makes a token for a caller; \
                   `--allow-anonymous` admits clients without a token";
        return Err(Message(how.into()).into());
    }
    let process = Process::enter(&file, address.map(|address| address.port()))?;
    process.report(&file, printer);
    let mut kept = None;
    let read = Read { baseline, file, address, process };
    let ended = threads.block_on(served(args, registry, printer, read, &mut kept));
    // Behind the runtime, which records the calls that it drops. What could not be written is told.
    let unwritten =
        kept.filter(|host| !host.journal().close()).and_then(|host| Unwritten::of(&host.journal().view()));
    match unwritten {
        None => ended,
        Some(unwritten) => {
            printer.note(&unwritten);
            // An error of serving is told by who called this, and has a code of its own.
            ended.map(|code| unwritten.code().unwrap_or(code))
        }
    }
}

/// What is missing in a journal that was closed and had not written everything.
#[derive(Debug, PartialEq)]
enum Unwritten {
    /// This many records are lost.
    Lost(u64),
    /// It could not be written in time. Whether these are lost is decided by the disk, after this program.
    Failing(usize),
    /// Calls that ended neither by themselves nor with the runtime, or records of which nothing is known yet.
    Running(usize),
}

impl Unwritten {
    fn of(view: &JournalView) -> Option<Unwritten> {
        match (view.lost, view.waiting, view.standing) {
            (0, 0, _) => None,
            (0, waiting, Standing::Failing) => Some(Unwritten::Failing(waiting)),
            (0, waiting, Standing::Writing | Standing::Full) => Some(Unwritten::Running(waiting)),
            (lost, ..) => Some(Unwritten::Lost(lost)),
        }
    }

    /// The exit code, if this is a failure.
    fn code(&self) -> Option<u8> {
        match self {
            Unwritten::Lost(_) | Unwritten::Failing(_) => Some(EXIT_HOST),
            Unwritten::Running(_) => None,
        }
    }
}

impl std::fmt::Display for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unwritten::Lost(lost) => write!(
                f,
                "error: the journal could not be written; records of calls that are lost: {lost}. Its log says so once it \
                 can be written again"
            ),
            Unwritten::Failing(waiting) => write!(
                f,
                "error: the journal could not be written in time; records that waited: {waiting}. Its log says \
                 how many are missing once it can be written again"
            ),
            // Places are counted, of which a call can have several: their number would be wrong.
            Unwritten::Running(_) => f.write_str(
                "warning: when the program ended, calls still ran or were not recorded in time: one with effects is on record as \
                 interrupted, any other is not on record",
            ),
        }
    }
}

/// A registry that was read, and the process that is confined to what it names.
struct Read {
    baseline: Baseline,
    file: ConfigFile,
    address: Option<SocketAddr>,
    process: Process,
}

/// Serves until the end. `kept` gets the host, whose journal is closed by who called this.
async fn served(
    args: &Args,
    registry: &Path,
    printer: &Printer,
    read: Read,
    kept: &mut Option<Arc<Host>>,
) -> Ended {
    let Read { baseline, file, address, process } = read;
    let baseline = baseline.with_named(&file).await;
    // Loading comes before listening, so that a client never meets a server without tools.
    let host = kept.insert(Arc::new(open::host_in(&process, &file).await?)).clone();
    // Before anything can fail: they are reported once.
    open::interrupted(&host, printer);
    match host.problems() {
        Some(problems) if args.strict => return Err(problems.into()),
        _ => open::report(&host, printer)?,
    }
    for warning in file.warnings().into_iter().chain(host.trials()) {
        printer.note(format!("warning: {warning}"));
    }
    if !host.is_locked() {
        printer.note(NO_LOCK);
    }
    // Ends with the runtime: each of its steps is a transaction.
    tokio::spawn(retention::apply(host.clone()));
    tokio::spawn(expiry::apply(host.clone()));
    tokio::spawn(checkpoint::apply(host.clone(), file.folder().to_owned()));
    let drain = host.drain_time();
    // Before anything is served, so that an early signal is not missed.
    let stop = told_to_stop(drain)?;
    if !args.no_reload {
        let registry = Reloaded { args: args.clone(), path: registry.to_owned(), process: process.clone() };
        // A task of its own: if watching fails, the server continues with the tools that it has.
        let watching = reload::watch(host.clone(), file, baseline, registry);
        tokio::spawn(async move {
            if let Err(err) = watching.await {
                tracing::error!("changes on disk are not noticed: {err:#}");
            }
        });
    }
    // With a handler, a write beyond `ulimit -f` returns an error; without one, SIGXFSZ ends the process.
    let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let served = serve(args, host.clone(), address.map(|address| (address, process)), printer, &stop).await;
    // From here the program ends within `GRACE`: the last records are written if the disk answers.
    end_within(Duration::ZERO);
    // A message that does not arrive in this time is lost; the hold is not.
    let until = host.environment().monotonic().saturating_add(TOLD_WITHIN);
    let _ = within(&**host.environment(), until, host.told_of_holds()).await;
    // Also after an error of a transport: the journal then closes within the rest of the drain time.
    host.drain_ends(GRACE / 2);
    served?;
    Ok(0)
}

/// The registry's file, read again with the options of the program.
struct Reloaded {
    args: Args,
    path: PathBuf,
    process: Process,
}

impl reload::Registry for Reloaded {
    fn read(&self) -> Result<ConfigFile, Diagnostics> {
        self.process.covers_registry(&self.path)?;
        self.args.read(&self.path)
    }

    fn out_of_reach(&self, file: &ConfigFile) -> Result<OutOfReach, Diagnostics> {
        self.process.out_of_reach(file)
    }
}

async fn serve(
    args: &Args,
    host: Arc<Host>,
    listens: Option<(SocketAddr, Process)>,
    printer: &Printer,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let http = async {
        let Some((address, process)) = listens else { return Ok(()) };
        let listener = transport::http::listen(address)
            .await
            .map_err(|err| Message(format!("cannot listen at {address}: {err}")))?;
        process.listens()?;
        if args.allow_anonymous && !address.ip().is_loopback() {
            printer.note(
                "warning: every client that reaches this address may call, and other machines can reach it",
            );
        }
        // On stderr, since stdout belongs to the client over stdio. The address is read back, because port 0 selects
        // one.
        printer.note(format!("listening on http://{}", listener.local_addr()?));
        let handler = {
            let host = host.clone();
            move || Server::new(host.clone())
        };
        transport::http::serve(host.clone(), listener, handler, stop.cancelled()).await?;
        anyhow::Ok(())
    };
    let stdio = async {
        if args.stdio { transport::stdio::serve(host.clone(), stop.cancelled()).await } else { Ok(()) }
    };
    // Both transports share the host; the first error ends both.
    tokio::try_join!(http, stdio)?;
    Ok(())
}

/// A token that SIGTERM and SIGINT cancel. From then on the program has the drain time to end.
///
/// A separate thread with its own runtime waits for the signals, because the main runtime may be what hangs.
///
/// # Errors
/// When the signals cannot be waited for.
pub(super) fn told_to_stop(drain: Duration) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let told = token.clone();
    // Signals are registered before the thread starts, so none is missed in between.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut term, mut int) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        });
        told.cancel();
        end_within(drain);
    })?;
    Ok(token)
}

/// Ends the program after `limit` and [`GRACE`] at the latest, even if everything else hangs.
fn end_within(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit.saturating_add(GRACE));
        std::process::exit(i32::from(EXIT_HOST));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_lost_is_told_as_lost() {
        let of = |lost, waiting, standing| {
            Unwritten::of(&JournalView { standing, waiting, lost, removed: 0, intents: 0, commits: 0 })
        };
        assert_eq!(of(0, 0, Standing::Writing), None);
        let lost = of(3, 1, Standing::Failing).unwrap();
        assert!(lost.to_string().contains("lost: 3."), "{lost}");
        assert_eq!(lost.code(), Some(EXIT_HOST));
        // A call that still runs is no failure of the journal.
        let running = of(0, 2, Standing::Writing).unwrap();
        assert!(running.to_string().starts_with("warning: when the program ended"), "{running}");
        assert_eq!(running.code(), None);
        let failing = of(0, 2, Standing::Failing).unwrap();
        assert!(failing.to_string().contains("in time; records that waited: 2."), "{failing}");
        assert_eq!(failing.code(), Some(EXIT_HOST));
    }
}
