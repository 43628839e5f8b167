//! `airlock serve`: the tools over MCP and HTTP, until the client leaves or the program is told to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::print::{Printer, Said};
use super::{EXIT_HOST, Ended, open};
use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_server::mcp::Server;
use airlock_server::{reload, transport};
use airlock_types::diagnostic::Diagnostics;

/// Time for what is left after the drain time: answers to be sent, records to be written. In good order it takes
/// milliseconds.
const GRACE: Duration = Duration::from_secs(5);

/// What it means that there is no lock.
const NO_LOCK: &str = "note: there is no lock: every tool definition that is there now counts as accepted, and so does \
                       every tool that is new later; one that changes is refused until a restart. `airlock lock` \
                       writes down what is accepted";

/// Where to listen, where nobody says: this machine alone reaches it.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Over stdin and stdout; whoever starts the program is its client
    #[arg(long)]
    stdio: bool,
    /// Over HTTP; without an address, at the one of `http.listen`, or 127.0.0.1:8787
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1)]
    http: Option<Option<SocketAddr>>,
    /// Let whoever reaches the HTTP port call tools, without saying who it is
    #[arg(long, requires = "http")]
    allow_anonymous: bool,
    /// Serve what was read at the start, whatever changes on disk
    #[arg(long)]
    no_reload: bool,
}

impl Args {
    /// The registry's file, with what the command line says on top.
    fn read(&self, registry: &Path) -> Result<ConfigFile, Diagnostics> {
        let mut file = ConfigFile::read(registry)?;
        file.config.http.allow_anonymous |= self.allow_anonymous;
        Ok(file)
    }

    fn address(&self, file: &ConfigFile) -> Option<SocketAddr> {
        let said = self.http?;
        Some(said.or(file.config.http.listen).unwrap_or(LISTEN))
    }
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = args.read(registry)?;
    let address = args.address(&file);
    if !args.stdio && address.is_none() {
        let how = "say how to serve: `airlock serve --stdio`, `airlock serve --http 127.0.0.1:8787`, or both";
        return Err(Said(how.into()).into());
    }
    if address.is_some() && !file.config.can_be_called_over_http() {
        let how = "nobody could call over HTTP: `airlock token new NAME` makes a token for a caller; \
                   `--allow-anonymous` lets everybody in";
        return Err(Said(how.into()).into());
    }
    let host = Arc::new(open::host_of(&file).await?);
    for warning in file.warnings() {
        printer.note(format!("warning: {warning}"));
    }
    if !host.is_locked() {
        printer.note(NO_LOCK);
    }
    let drain = host.drain_time();
    let stop = told_to_stop(drain)?;
    if !args.no_reload {
        let (args, registry) = (args.clone(), registry.to_owned());
        let watching = reload::watch(host.clone(), file, move || args.read(&registry));
        tokio::spawn(async move {
            if let Err(err) = watching.await {
                tracing::error!("changes on disk are not noticed: {err:#}");
            }
        });
    }
    // A file that reaches `ulimit -f` is an error of the write, not the end of the process.
    let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let served = serve(args, host.clone(), address, printer, &stop).await;
    // The last records are written before the program ends, but a disk that does not answer does not keep it.
    end_within(Duration::ZERO);
    host.drain_ends();
    served?;
    Ok(0)
}

async fn serve(
    args: &Args,
    host: Arc<Host>,
    address: Option<SocketAddr>,
    printer: &Printer,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let http = async {
        let Some(address) = address else { return Ok(()) };
        let listener = transport::http::listen(address)
            .await
            .map_err(|err| Said(format!("cannot listen at {address}: {err}")))?;
        if args.allow_anonymous && !address.ip().is_loopback() {
            printer.note(
                "warning: everybody who reaches this address may call, and others than this machine can",
            );
        }
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
    tokio::try_join!(http, stdio)?;
    Ok(())
}

/// A token that is cancelled by SIGTERM and SIGINT. From then on the program has the drain time to end.
///
/// A thread of its own waits for them, with a runtime of its own: the other one may be what hangs.
fn told_to_stop(drain: Duration) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let told = token.clone();
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

/// Ends the program at the latest after this time and [`GRACE`], whatever hangs.
fn end_within(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit.saturating_add(GRACE));
        std::process::exit(i32::from(EXIT_HOST));
    });
}
