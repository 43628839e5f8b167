//! Opens a host or a registry for a verb, with progress on a terminal.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::confined::Process;
use super::print::{Message, Printer};
use super::sealed::Age;
use airlock::Journal;
use airlock::config::ConfigFile;
use airlock::host;
use airlock::host::{Host, HostBuilder, OpenError};
use airlock::registry::{LoadEvent, Registry, Tool, UnknownTool};
use airlock_types::caller::Caller;
use airlock_types::words::quoted_list;

/// Reads a registry and opens a host on it. The problems of entries that are left out are printed.
pub(super) async fn host(registry: &Path, printer: &Printer) -> anyhow::Result<Host> {
    let host = host_of(&ConfigFile::read(registry)?).await?;
    // Before anything can fail: they are reported once.
    interrupted(&host, printer);
    report(&host, printer)?;
    Ok(host)
}

/// Most interrupted calls that are listed. Each is on record.
const INTERRUPTED_MAX: usize = 20;

/// Prints the calls that an earlier process left without an outcome.
pub(super) fn interrupted(host: &Host, printer: &Printer) {
    let calls = host.interrupted();
    for call in calls.iter().take(INTERRUPTED_MAX) {
        printer.note(format!(
            "warning: outcome-unknown: a call of `{}` by {} was interrupted when its process ended, and may have changed \
             something; find out before you repeat it: `airlock show {}`",
            call.tool, call.caller, call.id
        ));
    }
    if calls.len() > INTERRUPTED_MAX {
        let more = calls.len() - INTERRUPTED_MAX;
        printer
            .note(format!("warning: outcome-unknown: {more} more calls were interrupted, and are on record"));
    }
}

/// Prints the problems of entries that are left out. They are an error if no tool is left: a client would
/// otherwise see an empty list, without the reason.
pub(super) fn report(host: &Host, printer: &Printer) -> anyhow::Result<()> {
    match host.problems() {
        Some(problems) if host.summary().0 == 0 => return Err(problems.into()),
        Some(problems) => printer.problems(&problems),
        None => {}
    }
    Ok(())
}

/// Opens a host with the tools that a call of one needs. Without a process, none is called.
pub(super) async fn host_for(
    tool: &str,
    file: &ConfigFile,
    process: Option<&Process>,
    printer: &Printer,
) -> anyhow::Result<Host> {
    let host = match process {
        Some(process) => host_in(process, file).await?,
        None => host_of(file).await?,
    };
    interrupted(&host, printer);
    // The called tool itself is broken: its problem is the answer.
    let visible = host.visible(&Caller::local());
    if let (Err(_), Some(problems)) = (visible.resolve(tool), host.problems()) {
        return Err(problems.into());
    }
    report(&host, printer)?;
    // What an agent is told of an unknown name is less than what an operator may know.
    if visible.resolve(tool).is_err_and(|unknown| unknown.nearest.is_none()) {
        let whole = registry(&ConfigFile::read(&file.path)?).await?;
        printer.note(format!("note: {}", there_are(tool, &whole)));
    }
    Ok(host)
}

/// Says that the webhook of the registry is not told, where its secret cannot be read here.
pub(super) fn untold(host: &Host, file: &ConfigFile, what: &str, printer: &Printer) {
    if file.config.approval.webhook.is_some() && !host.has_webhook() {
        printer.note(format!(
            "warning: the webhook is not told of {what}, since its secret cannot be read here: run this in the environment of \
             the server"
        ));
    }
}

/// The error of a name that is no tool's, for an operator: what it is instead, or which tools there are.
pub(super) fn unknown(unknown: &UnknownTool, name: &str, registry: &Registry) -> Message {
    match unknown.nearest {
        Some(_) => Message(unknown.to_string()),
        None => Message(format!("{unknown}; {}", there_are(name, registry))),
    }
}

/// The tools of an entry, if that is what is named, or else those of the registry.
fn there_are(name: &str, registry: &Registry) -> String {
    let names = |of: &dyn Fn(&Tool) -> bool| -> Vec<String> {
        registry.tools().filter(|tool| of(tool)).map(|tool| tool.name.to_string()).collect()
    };
    let of_entry = names(&|tool| tool.key == name);
    let (what, names) = match of_entry.is_empty() {
        true => ("the tools are", names(&|_| true)),
        false => ("it is an entry, and its tools are", of_entry),
    };
    if names.is_empty() {
        return "the registry has no tools".to_owned();
    }
    format!("{what} {}", quoted_list(names.iter().map(String::as_str)))
}

/// Opens a host on a registry that was read already, whose tools are not called.
pub(super) async fn host_of(file: &ConfigFile) -> anyhow::Result<Host> {
    built(without_new_journal(equipped(Host::builder().without_calls()), file), file).await
}

/// Opens a host whose tools are called, in a process that is confined as the registry says.
pub(super) async fn host_in(process: &Process, file: &ConfigFile) -> anyhow::Result<Host> {
    built(in_process(process), file).await
}

/// Opens a host with all code mapped and linked, for a check of the registry.
pub(super) async fn host_to_check(process: &Process, file: &ConfigFile) -> anyhow::Result<Host> {
    built(without_new_journal(in_process(process).prove_code(), file), file).await
}

/// How tools are run again.
#[derive(Clone, Copy)]
pub(super) struct ReplayedOn {
    /// Whether by the engine's interpreter.
    pub(super) is_interpreted: bool,
    /// Whether what they read is real, the pairs that they keep as well.
    pub(super) is_reading_real: bool,
}

/// Opens a host whose tools are run again, in a process that is confined as the registry says. Nothing of it is recorded,
/// and the lock is not asked: what is tried was not accepted yet.
pub(super) async fn host_to_replay(
    process: &Process,
    file: &ConfigFile,
    ReplayedOn { is_interpreted, is_reading_real }: ReplayedOn,
) -> anyhow::Result<Host> {
    let builder = in_process(process).journal(Journal::memory());
    let builder = if is_interpreted { builder.interpreted() } else { builder };
    let builder = if is_reading_real { builder.reading_pairs() } else { builder };
    built(builder.without_lock(), file).await
}

/// A host of this program, in a process that is confined as the registry says.
pub(super) fn in_process(process: &Process) -> HostBuilder<'static> {
    let Process { confinement, compiler, .. } = process.clone();
    equipped(Host::builder().confinement(confinement).compiler(compiler))
}

/// What each host of this program has.
fn equipped(builder: HostBuilder<'static>) -> HostBuilder<'static> {
    builder.unseal(Arc::new(Age)).seal(Arc::new(Age)).leave_out_broken()
}

async fn built(builder: HostBuilder<'static>, file: &ConfigFile) -> anyhow::Result<Host> {
    let progress = Progress::new(file.config.tools.len());
    let watch = |event| progress.show(&event);
    let host = builder.registry(file).watch(&watch).open().await;
    // Before the error is printed, which the bar would overwrite.
    progress.bar.finish_and_clear();
    host.map_err(no)
}

/// Loads all tools of a registry for inspection. They cannot be called.
///
/// # Errors
/// When an entry is broken, too: what is compared or written must not lack its tools.
pub(super) async fn whole_registry(file: &ConfigFile) -> anyhow::Result<Registry> {
    let registry = registry(file).await?;
    match registry.problems() {
        Some(problems) => Err(problems.into()),
        None => Ok(registry),
    }
}

/// Loads the tools of a registry for inspection, without those of broken entries.
pub(super) async fn registry(file: &ConfigFile) -> anyhow::Result<Registry> {
    let progress = Progress::new(file.config.tools.len());
    let registry = host::load_registry(file, &|event| progress.show(&event)).await;
    progress.bar.finish_and_clear();
    registry.map_err(no)
}

/// Tells problems of the registry (exit 1) from failures of the host (exit 70).
fn no(err: OpenError) -> anyhow::Error {
    match err {
        OpenError::Registry(diagnostics) => diagnostics.into(),
        refusal if refusal.is_refusal() => Message(refusal.to_string()).into(),
        failure => failure.into(),
    }
}

/// The journal of a registry, for verbs that read records. One that is not there is not made: a verb that reads must not turn
/// a wrong folder into an empty journal, and a process that is confined may not be able to make one.
///
/// # Errors
/// When it is not there, or cannot be read.
pub(super) fn journal(file: &ConfigFile) -> anyhow::Result<Journal> {
    require_journal(file)?;
    Ok(host::open_journal(file)?)
}

/// Checks that there is a journal to read. For verbs that confine their process first, which makes the state folder.
///
/// # Errors
/// When there is none, with its path.
pub(super) fn require_journal(file: &ConfigFile) -> Result<(), Message> {
    if has_journal(file) {
        return Ok(());
    }
    let path = std::path::absolute(file.state().join(host::JOURNAL_FILE));
    let path = path.unwrap_or_else(|_| file.state().join(host::JOURNAL_FILE));
    Err(Message(format!(
        "there is no journal at `{}`: no call was recorded there; name another folder as `host.state` in the registry, or another \
         registry with `--registry`",
        path.display()
    )))
}

/// Whether the registry has a journal. What is wrong with one is found when it is opened.
pub(super) fn has_journal(file: &ConfigFile) -> bool {
    !airlock::file::is_absent(&file.state().join(host::JOURNAL_FILE))
}

/// A host for a verb that makes no calls, with the journal that is there. It makes none.
fn without_new_journal(builder: HostBuilder<'static>, file: &ConfigFile) -> HostBuilder<'static> {
    if has_journal(file) { builder } else { builder.journal(Journal::memory()) }
}

struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A progress bar, hidden when stderr is not a terminal.
    fn new(tools: usize) -> Progress {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(tools as u64)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} tools  {msg}") {
            bar.set_style(style);
        }
        // A thread ticks the bar: compiling one component can take seconds without an event.
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar }
    }

    fn show(&self, event: &LoadEvent) {
        match event {
            LoadEvent::Started(name) => self.bar.set_message(format!("reading {name}")),
            LoadEvent::Compiling(name) => self.bar.set_message(format!("compiling {name}")),
            LoadEvent::Ready { name, cached } => {
                self.bar.inc(1);
                let how = if *cached { "from the cache" } else { "compiled" };
                self.bar.set_message(format!("{name} {how}"));
            }
        }
    }
}
