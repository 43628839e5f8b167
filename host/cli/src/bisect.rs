//! `airlock bisect CALL v1.wasm … vN.wasm`: which version of a component changed the answer to a recorded call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::confined::Process;
use super::open::ReplayedOn;
use super::print::{Message, Printer};
use super::replay::ModeName;
use super::{EXIT_CHANGED, Ended, Threads, found, open, sealed, tried};
use airlock::Host;
use airlock::config::ConfigFile;
use airlock::file;
use airlock::replay::{Recorded, ReplayError, Replayed, replay};
use airlock_types::caller::Caller;
use airlock_types::digest::sha256;
use airlock_types::record::Record;
use airlock_types::shorten::shorten;

/// Most characters of an answer that are printed.
const ANSWER_CHARS_MAX: usize = 400;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning
    call: String,
    /// The versions, from the oldest to the newest
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    versions: Vec<PathBuf>,
    /// How imports are answered
    #[arg(long, value_enum, default_value = "stub")]
    mode: ModeName,
    /// The age identity of `journal.recipient`, for cassettes and confidential fields that are encrypted to it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What a version answered, as it is compared: without the fuel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Answer(String);

impl Answer {
    fn of(replayed: &Replayed) -> Answer {
        Answer(match (&replayed.divergence, &replayed.end) {
            (Some(divergence), _) => {
                let asked = divergence.replayed.as_ref().map(|import| format!(", `{}`", import.name));
                format!("stopped: {}{}", divergence.what, asked.unwrap_or_default())
            }
            (None, Some(end)) if end.detail.is_null() => end.kind.clone(),
            (None, Some(end)) => format!("{} {}", end.kind, end.detail),
            (None, None) => "stopped where the recording ends".to_owned(),
        })
    }
}

/// The versions, and what is known of them.
struct Bisection<'a> {
    args: &'a Args,
    file: &'a ConfigFile,
    process: &'a Process,
    recorded: Recorded,
    versions: Vec<PathBuf>,
    known: BTreeMap<usize, Answer>,
    /// The first version that was tried of each content, by its digest.
    tried: BTreeMap<String, usize>,
    /// The function of the oldest version.
    function: Option<String>,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let file = ConfigFile::read(registry)?;
    let identity = args.identity.as_deref().map(sealed::identity).transpose()?;
    let versions: Vec<PathBuf> =
        args.versions.iter().map(|path| tried::absolute(path)).collect::<Result<_, _>>()?;
    open::require_journal(&file)?;
    let process = Process::enter(&tried::reaching(&file, &versions), None)?;
    process.report(&file, printer);
    threads.block_on(async {
        let journal = open::journal(&file)?;
        let record = found::ended(&journal, &args.call, registry)?;
        found::tell_faults(&journal.faults(&record.id)?, &record.id, printer);
        let recorded = last_recorded(&record, identity.as_deref())?;
        let (file, process, known, tried) = (&file, &process, BTreeMap::new(), BTreeMap::new());
        let mut bisection =
            Bisection { args, file, process, recorded, versions, known, tried, function: None };
        let changed = bisection.first_changed(printer).await?;
        bisection.tell(changed, printer)
    })
}

/// The last attempt that can be replayed: the one that answered.
fn last_recorded(record: &Record, identity: Option<&[u8]>) -> anyhow::Result<Recorded> {
    let unseal = |text: &str| sealed::open_with(text, identity);
    let attempts = (1..=record.attempts.len()).rev().map(|number| Recorded::of(record, number, unseal));
    let mut why = format!("the call `{}` ended with `{}` before anything ran", record.id, record.code);
    for attempt in attempts {
        match attempt {
            Ok(recorded) => return Ok(recorded),
            Err(err) => why = err.to_string(),
        }
    }
    Err(Message(why).into())
}

impl Bisection<'_> {
    /// The first version whose answer is not that of the version before it, if the newest answers otherwise than the oldest.
    async fn first_changed(&mut self, printer: &Printer) -> anyhow::Result<Option<usize>> {
        let (mut same, mut changed) = (0, self.versions.len() - 1);
        let first = self.answer(same, printer).await?;
        if self.answer(changed, printer).await? == first {
            return Ok(None);
        }
        while changed - same > 1 {
            let middle = usize::midpoint(same, changed);
            let is_same = self.answer(middle, printer).await? == first;
            *(if is_same { &mut same } else { &mut changed }) = middle;
        }
        Ok(Some(changed))
    }

    async fn answer(&mut self, version: usize, printer: &Printer) -> anyhow::Result<Answer> {
        if let Some(answer) = self.known.get(&version) {
            return Ok(answer.clone());
        }
        // A file that cannot be read is one of its own: the host that opens it says why.
        let bytes =
            file::read(&self.versions[version], self.file.config.compile.limits().component_bytes_max);
        let digest = bytes.ok().map(|bytes| sha256(&bytes));
        let same = digest.as_ref().and_then(|digest| self.tried.get(digest)).copied();
        let answer = match same.and_then(|same| self.known.get(&same)) {
            Some(answer) => answer.clone(),
            None => self.replayed(version).await?,
        };
        if !self.args.json {
            let said = shorten(&answer.0, ANSWER_CHARS_MAX);
            let same = same.map(|same| format!(", the same file as {}", self.name(same))).unwrap_or_default();
            printer.note(format!("{}{same}: {said}", self.name(version)));
        }
        self.known.insert(version, answer.clone());
        if let Some(digest) = digest {
            self.tried.entry(digest).or_insert(version);
        }
        Ok(answer)
    }

    /// What a version answers, as the tool of the recorded call.
    async fn replayed(&mut self, version: usize) -> anyhow::Result<Answer> {
        let file = tried::in_place(self.file, &self.recorded.tool, &self.versions[version]);
        let on = ReplayedOn { is_interpreted: false, is_reading_real: self.args.mode.is_reading_real() };
        let host = open::host_to_replay(self.process, &file, on).await?;
        if let Some(problems) = host.problems() {
            return Err(problems.into());
        }
        self.is_version(version, &host)?;
        // A version that refuses the arguments answers otherwise, too.
        match replay(&host, &self.recorded, self.args.mode.into()).await {
            Ok(replayed) => Ok(Answer::of(&replayed)),
            // Another component, and no version of this one. The registry has the tool: this component took its place.
            Err(ReplayError::NoTool(tool)) => Err(Message(format!(
                "{} is no version of the component of `{tool}`: it has no function that would be this tool",
                self.name(version)
            ))
            .into()),
            Err(err @ ReplayError::Run(_)) => Err(Message(format!("{}: {err}", self.name(version))).into()),
            Err(err) => Ok(Answer(err.to_string())),
        }
    }

    /// Refuses another component: that it answers otherwise says nothing.
    fn is_version(&mut self, version: usize, host: &Host) -> Result<(), Message> {
        let visible = host.visible(&Caller::local());
        let Ok(tool) = visible.resolve(&self.recorded.tool) else { return Ok(()) };
        let function = &tool.contract.function.name;
        let first = self.function.get_or_insert_with(|| function.clone()).clone();
        match first == *function {
            true => Ok(()),
            false => Err(Message(format!(
                "{} is no version of {}: its function is `{function}`, and not `{first}`",
                self.name(version),
                self.name(0)
            ))),
        }
    }

    fn name(&self, version: usize) -> String {
        self.args.versions[version].display().to_string()
    }

    fn tell(&self, changed: Option<usize>, printer: &Printer) -> Ended {
        let exit = if changed.is_some() { EXIT_CHANGED } else { 0 };
        if self.args.json {
            let tried = self
                .known
                .iter()
                .map(|(version, answer)| json!({"version": self.name(*version), "answer": answer}));
            printer.json(&json!({
                "changed_by": changed.map(|version| self.name(version)),
                "tried": tried.collect::<Vec<_>>(),
            }))?;
            return Ok(exit);
        }
        let newest = self.versions.len() - 1;
        match changed {
            Some(version) => printer.line(format!(
                "{} is the first that answers otherwise than {} ({} of {} versions tried)",
                self.name(version),
                self.name(0),
                self.known.len(),
                self.versions.len()
            )),
            None => printer.line(format!("{} answers as {}", self.name(newest), self.name(0))),
        }
        Ok(exit)
    }
}
