//! `airlock check`: lints the registry. Exits with 1 on a problem; warnings are printed.

use std::path::Path;

use super::print::Printer;
use super::{EXIT_NO, Ended, open};
use airlock::config::ConfigFile;
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
