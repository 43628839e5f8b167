//! `airlock check`: lints the registry. Exits with 1 on a problem; warnings are printed.

use std::path::Path;

use super::confined::Process;
use super::moment::Moment;
use super::print::Printer;
use super::{EXIT_NO, Ended, Threads, open};
use airlock::config::{ConfigFile, Confine};
use airlock_server::confine::Rules;
use airlock_types::words::count;

/// The age of the oldest results that count. Older ones were judged by contracts and data of before.
const SINCE: Moment = Moment::Ago(30 * 86_400_000);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Warnings count as problems, and contracts are tried: on their examples, and on what is on record
    #[arg(long)]
    strict: bool,
    /// With `--strict`: which recorded results count, from `30d` ago if it is not given
    #[arg(long, value_name = "TIME", requires = "strict")]
    since: Option<Moment>,
    /// Name the folders that `serve` and `call` would reach
    #[arg(long)]
    verbose: bool,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let file = ConfigFile::read(registry)?;
    // Compiled code is mapped and linked here, as when it is served.
    let process = Process::enter(&file, None)?;
    threads.block_on(check(args, (registry, &file), &process, printer))
}

async fn check(
    args: &Args,
    (registry, file): (&Path, &ConfigFile),
    process: &Process,
    printer: &Printer,
) -> Ended {
    // Opening a host runs every check of the registry, and each problem is reported with its place in the file.
    let host = open::host_to_check(process, file).await?;
    open::interrupted(&host, printer);
    let (tools, warnings) = host.summary();
    // No warnings: a language's runtime imports more than its programs use.
    for note in host.ungranted().into_iter().chain(file.secret_notes()) {
        printer.note(format!("note: {note}"));
    }
    let empty =
        (file.config.tools.is_empty()).then(|| "the registry has no tools: write `[tools.NAME]`".to_owned());
    let confinement = confinement(file, process, args.verbose, printer);
    let lints = if args.strict { host.lints(args.since.unwrap_or(SINCE).unix_ms())? } else { Vec::new() };
    let warnings = warnings
        .into_iter()
        .chain(empty)
        .chain(nowhere(file))
        .chain(file.webhook_warning())
        .chain(confinement);
    let warnings: Vec<String> = warnings.chain(lints).collect();
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

/// A warning of checkpoints that could not be exported: a server would try each again and again.
fn nowhere(file: &ConfigFile) -> Option<String> {
    let path = file.checkpoint_file()?;
    let folder = path.parent().filter(|folder| !folder.is_dir())?;
    let (path, folder) = (path.display(), folder.display());
    Some(format!(
        "no checkpoint can be appended to `{path}` (`journal.checkpoint.to`): make its folder `{folder}`"
    ))
}

/// Says how `serve` and `call` are confined here, as this process is. Returns warnings of what the kernel lacks, and of how far
/// it reaches.
fn confinement(file: &ConfigFile, process: &Process, verbose: bool, printer: &Printer) -> Vec<String> {
    if file.config.host.confine == Confine::Off {
        printer.note("note: `host.confine` is \"off\": nothing confines `airlock serve` and `airlock call`");
        return Vec::new();
    }
    let (here, rules) = (&process.confinement, Rules::of(file));
    let (read, changed) = rules.folders();
    let lacks = (!here.is_whole()).then(|| format!("this kernel does not confine all of it: {here}"));
    if here.landlock.is_in_force() || here.seccomp.is_in_force() {
        printer.note(format!("note: `airlock serve` and `airlock call` are confined: {here}"));
    }
    if here.landlock.is_in_force() {
        if verbose {
            printer.note(format!("note: they read {}; they change {}", listed(&read), listed(&changed)));
        } else {
            let (read, changed) = (count(read.len() as u64, "place"), count(changed.len() as u64, "place"));
            printer.note(format!(
                "note: they read {read}, and change {changed}: `airlock check --verbose` names them"
            ));
        }
        for note in rules.notes() {
            printer.note(format!("note: {note}"));
        }
    }
    lacks.into_iter().chain(Rules::warnings(file)).collect()
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
