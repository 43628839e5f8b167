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
    /// Name the folders that `serve` and `call` would reach
    #[arg(long)]
    verbose: bool,
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
    let empty =
        (file.config.tools.is_empty()).then(|| "the registry has no tools: write `[tools.NAME]`".to_owned());
    let warnings: Vec<String> =
        warnings.into_iter().chain(empty).chain(confinement(&file, args.verbose, printer)?).collect();
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
fn confinement(file: &ConfigFile, verbose: bool, printer: &Printer) -> anyhow::Result<Option<String>> {
    if file.config.host.confine == Confine::Off {
        printer.note("note: `host.confine` is \"off\": nothing confines `airlock serve` and `airlock call`");
        return Ok(None);
    }
    let (here, rules) = (confine::available(), Rules::of(file));
    let (read, changed) = rules.folders();
    printer.note(format!("note: `airlock serve` and `airlock call` are confined: {here}"));
    if verbose {
        printer.note(format!("note: they read {}; they change {}", listed(&read), listed(&changed)));
    } else {
        let (read, changed) = (count(read.len() as u64, "place"), count(changed.len() as u64, "place"));
        printer.note(format!(
            "note: they read {read}, and change {changed}: `airlock check --verbose` names them"
        ));
    }
    match file.config.host.confine {
        Confine::Require if !here.is_whole() => Err(Message(OpenError::Unconfined(here).to_string()).into()),
        _ if here.is_whole() => Ok(None),
        _ => Ok(Some(format!("this kernel does not confine all of it: {here}"))),
    }
}

fn listed(paths: &[&Path]) -> String {
    // The same text with every run: the folder of this process has its number.
    let own = format!("/proc/{}", std::process::id());
    let name = |path: &&Path| match path.strip_prefix(&own) {
        Ok(rest) => Path::new("/proc/self").join(rest).display().to_string(),
        Err(_) => path.display().to_string(),
    };
    paths.iter().map(name).collect::<Vec<_>>().join(", ")
}
