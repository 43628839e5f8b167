//! `airlock check`: lints the registry. Exits with 1 on a problem; warnings are printed.

use std::path::Path;

use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, open};
use airlock::config::{ConfigFile, Confine};
use airlock::host::OpenError;
use airlock_server::confine::{self, Rules};
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Warnings count as problems
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    // Opening a host runs every check of the registry, and each problem is reported with its place in the file.
    let file = ConfigFile::read(registry)?;
    let host = open::host_of(&file).await?;
    open::interrupted(&host, printer);
    let (tools, warnings) = host.summary();
    // No warnings: a language's runtime imports more than its programs use.
    for note in host.ungranted().into_iter().chain(file.secret_notes()) {
        printer.note(format!("note: {note}"));
    }
    let warnings: Vec<String> = warnings.into_iter().chain(confinement(&file, printer)?).collect();
    for warning in &warnings {
        printer.note(format!("warning: {warning}"));
    }
    if let Some(problems) = host.problems() {
        return Err(problems.into());
    }
    printer.line(format!(
        "{}: {}, {}",
        registry.display(),
        count(tools as u64, "tool"),
        count(warnings.len() as u64, "warning")
    ));
    Ok(if args.strict && !warnings.is_empty() { EXIT_NO } else { 0 })
}

/// Says how `serve` and `call` would be confined here. Returns a warning if the kernel lacks a part of it.
///
/// # Errors
/// When the registry requires what the kernel lacks.
fn confinement(file: &ConfigFile, printer: &Printer) -> anyhow::Result<Option<String>> {
    if file.config.host.confine == Confine::Off {
        printer.note("note: `host.confine` is \"off\": nothing confines `airlock serve` and `airlock call`");
        return Ok(None);
    }
    let (here, rules) = (confine::available(), Rules::of(file));
    let (read, changed) = rules.folders();
    printer.note(format!("note: `airlock serve` and `airlock call` are confined: {here}"));
    printer.note(format!("note: they read {}; they change {}", listed(&read), listed(&changed)));
    match file.config.host.confine {
        Confine::Require if !here.is_whole() => Err(Message(OpenError::Unconfined(here).to_string()).into()),
        _ if here.is_whole() => Ok(None),
        _ => Ok(Some(format!("this kernel does not confine all of it: {here}"))),
    }
}

fn listed(paths: &[&Path]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
