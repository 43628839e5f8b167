//! `airlock replay CALL`: runs recorded attempts again, with their imports answered from what was recorded.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::confined::Process;
use super::moment::Moment;
use super::open::ReplayedOn;
use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, Threads, found, open, sealed, tried};
use airlock::Host;
use airlock::config::ConfigFile;
use airlock::replay::{Divergence, Import, Mode, Recorded, ReplayError, Replayed, replay};
use airlock_types::record::Record;
use airlock_types::shorten::apart;
use airlock_types::words::count;
use serde_json::json;

/// Most characters of the arguments of an import that are printed.
const ARGS_CHARS_MAX: usize = 400;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["call", "since"]))]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning
    call: Option<String>,
    /// All calls that came at this time or later: `7d` ago, or `2026-11-26T22:30:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only calls of this tool, of those since a time
    #[arg(long, value_name = "TOOL", conflicts_with = "call")]
    tool: Option<String>,
    /// Run this component in the place of the registry's
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// How imports are answered
    #[arg(long, value_enum, default_value = "strict")]
    mode: ModeName,
    /// What runs the guest: an interpreter repeats results without the code generator
    #[arg(long, value_enum, default_value = "native")]
    engine: EngineName,
    /// The age identity of `journal.recipient`, for cassettes and confidential fields that are encrypted to it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print one JSON document for each attempt
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum ModeName {
    /// In the recorded order: any other import is a divergence
    Strict,
    /// By import and arguments, in whatever order
    Stub,
    /// Reading is real; what may change something is answered from the record, or refused
    LiveShadow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EngineName {
    /// Compiled code, as when the call was answered
    Native,
    /// The engine's interpreter
    Pulley,
}

impl ModeName {
    /// Whether the world is read, and not the record.
    pub(super) fn is_reading_real(self) -> bool {
        matches!(self, ModeName::LiveShadow)
    }
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Mode {
        match name {
            ModeName::Strict => Mode::Strict,
            ModeName::Stub => Mode::Stub,
            ModeName::LiveShadow => Mode::LiveShadow,
        }
    }
}

/// How the attempts went.
#[derive(Default)]
struct Counts {
    same: u64,
    different: u64,
    not_replayable: u64,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let file = ConfigFile::read(registry)?;
    open::require_journal(&file)?;
    let identity = args.identity.as_deref().map(sealed::identity).transpose()?;
    // Components run in this process, as when they are served. The one to try must be within its reach.
    let component = args.component.as_deref().map(tried::absolute).transpose()?;
    let process = Process::enter(&tried::reaching(&file, component.as_slice()), None)?;
    process.report(&file, printer);
    threads.block_on(run_all(args, identity.as_deref(), (registry, &file), &process, printer))
}

async fn run_all(
    args: &Args,
    identity: Option<&[u8]>,
    (registry, file): (&Path, &ConfigFile),
    process: &Process,
    printer: &Printer,
) -> Ended {
    let journal = open::journal(file)?;
    let mut counts = Counts::default();
    let mut hosts = Hosts { args, file, process, printer, host: None };
    match &args.call {
        Some(call) => {
            let record = found::ended(&journal, call, registry)?;
            found::tell_faults(&journal.faults(&record.id)?, &record.id, printer);
            of_call(args, identity, &record, &mut hosts, (&mut counts, printer)).await?;
        }
        None => {
            for page in journal.pages(args.since.map_or(0, Moment::unix_ms)) {
                let page = page?;
                let is_asked = |record: &&Record| args.tool.as_ref().is_none_or(|tool| record.tool == *tool);
                for record in page.iter().filter(is_asked) {
                    found::tell_faults(&journal.faults(&record.id)?, &record.id, printer);
                    of_call(args, identity, record, &mut hosts, (&mut counts, printer)).await?;
                }
            }
        }
    }
    let Counts { same, different, not_replayable } = counts;
    tried::known(args.tool.as_deref(), same + different + not_replayable, &[file])?;
    printer.note(format!("{same} the same · {different} different · {not_replayable} not replayable"));
    let is_single = args.call.is_some();
    Ok(if different > 0 || (is_single && not_replayable > 0) { EXIT_NO } else { 0 })
}

/// The host of a replay, which is opened for the first attempt that can be replayed.
struct Hosts<'a> {
    args: &'a Args,
    file: &'a ConfigFile,
    process: &'a Process,
    printer: &'a Printer,
    host: Option<(String, Host)>,
}

impl Hosts<'_> {
    /// The host with a tool. Of a component that is tried, it has the tools of that entry alone.
    async fn of(&mut self, tool: &str) -> anyhow::Result<&Host> {
        let is_open = |(of, _): &(String, Host)| self.args.component.is_none() || of == tool;
        if !self.host.as_ref().is_some_and(is_open) {
            let file = self.registry(tool)?;
            let on = ReplayedOn {
                is_interpreted: self.args.engine == EngineName::Pulley,
                is_reading_real: self.args.mode.is_reading_real(),
            };
            let host = open::host_to_replay(self.process, &file, on).await?;
            // A tool that the registry does not have may be one whose entry did not load.
            if let Some(problems) = host.problems() {
                self.printer.problems(&problems);
            }
            self.host = Some((tool.to_owned(), host));
        }
        self.host.as_ref().map(|(_, host)| host).ok_or_else(|| Message("no host".to_owned()).into())
    }

    async fn replay(&mut self, recorded: &Recorded) -> anyhow::Result<Replayed> {
        let mode = self.args.mode.into();
        replay(self.of(&recorded.tool).await?, recorded, mode).await.map_err(|err| match err {
            ReplayError::Run(err) => err.into(),
            // Also what later versions refuse.
            no @ (ReplayError::NoTool(_) | ReplayError::Arguments { .. } | ReplayError::Denied(_) | _) => {
                Message(no.to_string()).into()
            }
        })
    }

    fn registry(&self, tool: &str) -> anyhow::Result<ConfigFile> {
        let Some(component) = &self.args.component else {
            // Of one call, its tool alone: the others may be broken, and would be compiled for nothing.
            return Ok(if self.args.call.is_some() { self.file.needed_by(tool) } else { self.file.clone() });
        };
        Ok(tried::in_place(self.file, tool, &tried::absolute(component)?))
    }
}

/// Replays the attempts of a call.
async fn of_call(
    args: &Args,
    identity: Option<&[u8]>,
    record: &Record,
    hosts: &mut Hosts<'_>,
    (counts, printer): (&mut Counts, &Printer),
) -> anyhow::Result<()> {
    for number in 1..=record.attempts.len() {
        let unseal = |text: &str| sealed::open_with(text, identity);
        match Recorded::of(record, number, unseal) {
            Ok(recorded) => match hosts.replay(&recorded).await {
                Ok(replayed) => {
                    let is_same = replayed.is_same();
                    *(if is_same { &mut counts.same } else { &mut counts.different }) += 1;
                    tell(args, (record, number), &recorded, &replayed, printer)?;
                }
                // Of many, one that does not run is no reason to leave out the others.
                Err(why) if args.call.is_none() => {
                    counts.not_replayable += 1;
                    tell_why(args, (record, number), &why, printer)?;
                }
                Err(why) => return Err(why),
            },
            Err(why) => {
                counts.not_replayable += 1;
                tell_why(args, (record, number), &why, printer)?;
            }
        }
    }
    if record.attempts.is_empty() && args.call.is_some() {
        counts.not_replayable += 1;
        let what = match &*record.code {
            "outcome-unknown" => "its process ended while it ran, and nothing of it was recorded".to_owned(),
            code => format!("it ended with `{code}` before anything ran"),
        };
        printer.line(format!("{}: {what}", record.id));
    }
    Ok(())
}

fn tell_why(
    args: &Args,
    (record, number): (&Record, usize),
    why: &dyn Display,
    printer: &Printer,
) -> anyhow::Result<()> {
    if args.json {
        printer.json_line(&json!({"call": record.id, "attempt": number, "not_replayable": why.to_string()}))
    } else {
        printer.line(format!("{} attempt {number}: {why}", record.id));
        Ok(())
    }
}

/// Prints what a replay came to.
fn tell(
    args: &Args,
    (record, number): (&Record, usize),
    recorded: &Recorded,
    replayed: &Replayed,
    printer: &Printer,
) -> anyhow::Result<()> {
    if args.json {
        let told = |import: &Import| json!({"import": import.name, "args": import.args, "fuel": import.fuel});
        let divergence = replayed.divergence.as_ref().map(|Divergence { at, recorded, replayed, what, .. }| {
            json!({"at": at, "what": what, "recorded": recorded.as_ref().map(told), "replayed": replayed.as_ref().map(told)})
        });
        return printer.json_line(&json!({
            "call": record.id,
            "attempt": number,
            "tool": recorded.tool,
            "same": replayed.is_same(),
            "divergence": divergence,
            "differences": replayed.differences,
            "end": replayed.end,
            "fuel": replayed.fuel,
            "effects": replayed.effects.iter().map(told).collect::<Vec<_>>(),
            "notes": replayed.notes,
        }));
    }
    let verdict = if replayed.is_same() { "the same" } else { "different" };
    printer.line(format!(
        "{} attempt {number}, `{}`: {verdict} · {} fuel · {}",
        record.id,
        recorded.tool,
        replayed.fuel,
        count(replayed.effects.len() as u64, "effect")
    ));
    for note in &replayed.notes {
        printer.line(format!("  {note}"));
    }
    for difference in &replayed.differences {
        printer.line(format!("  {difference}"));
    }
    if let Some(divergence) = &replayed.divergence {
        printer.line(diverged(divergence));
    }
    Ok(())
}

/// Where a guest left its cassette, with both sides.
fn diverged(Divergence { at, recorded, replayed, what, .. }: &Divergence) -> String {
    let args =
        |import: &Option<Import>| import.as_ref().map_or_else(String::new, |import| import.args.to_string());
    let (was, is) = apart(&args(recorded), &args(replayed), ARGS_CHARS_MAX);
    let side = |import: &Option<Import>, args: &str| match import {
        Some(import) => format!("{} {args}", import.name),
        None => "nothing".to_owned(),
    };
    // Without an order there is no place, and nothing that was recorded there.
    let Some(at) = at else { return format!("  {what}\n    replayed: {}", side(replayed, &is)) };
    format!(
        "  at import {at}: {what}\n    recorded: {}\n    replayed: {}",
        side(recorded, &was),
        side(replayed, &is)
    )
}
