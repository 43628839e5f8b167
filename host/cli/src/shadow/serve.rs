//! `airlock shadow serve SUITE`: serves the tools of a suite over MCP, answered from its recordings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::agent::Place;
use super::folder::Folder;
use super::hosts;
use crate::confined::Process;
use crate::print::{Message, Printer};
use crate::{Ended, Threads, open, sealed, serve};
use airlock::Journal;
use airlock::config::ConfigFile;
use airlock::replay::{Recorded, stubbed};
use airlock_server::transport;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the suite
    suite: PathBuf,
    /// Record the calls in a journal in this folder. Without it they are recorded nowhere
    #[arg(long, value_name = "FOLDER")]
    calls: Option<PathBuf>,
    /// The age identity of `journal.recipient`, for cassettes that are encrypted to it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let (file, folder) = (ConfigFile::read(registry)?, Folder::at(&args.suite));
    folder.existing()?;
    let identity = args.identity.as_deref().map(sealed::identity).transpose()?;
    let (file, cases) = hosts::answering(&file, &folder, folder.read_cases()?)?;
    let calls = args.calls.as_deref().map(Path::canonicalize).transpose();
    let calls = calls.map_err(|err| Message(format!("the folder of `--calls`: {err}")))?;
    // Components run in this process, as when they are served.
    let process = Process::enter(&file, None)?;
    process.report(&file, printer);
    // Held until the process ends: by then the last call is on record.
    let _serving = calls.as_deref().map(serving).transpose()?;
    threads.block_on(async {
        let mut recorded = Vec::new();
        for case in &cases {
            let unseal = |text: &str| sealed::open_with(text, identity.as_deref());
            match Recorded::of(&case.record, 1, unseal) {
                Ok(one) => recorded.push(one),
                Err(why) => printer.note(format!("warning: `{}` answers no call: {why}", case.name())),
            }
        }
        let builder = open::in_process(&process).registry(file);
        let builder = match &calls {
            Some(folder) => builder.journal(Place::journal(folder).as_path()),
            None => builder.journal(Journal::memory()),
        };
        let host = stubbed(builder, recorded).await.map_err(|err| Message(err.to_string()))?;
        open::report(&host, printer)?;
        let host = Arc::new(host);
        let stop = serve::told_to_stop(host.drain_time())?;
        let served = transport::stdio::serve(host.clone(), stop.cancelled()).await;
        host.drain_ends(Duration::MAX);
        served?;
        Ok(0)
    })
}

/// Says to who waits for the calls that a server is running.
fn serving(folder: &Path) -> anyhow::Result<std::fs::File> {
    let lock = Place::lock(folder)?;
    flock(&lock, FlockOperation::LockShared)?;
    Ok(lock)
}
