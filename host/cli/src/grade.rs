//! `airlock grade CALL right|wrong|partly`: says whether an answer was right.

use std::path::Path;

use super::Ended;
use super::print::{Message, Printer};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::host;
use airlock_journal::grade::{Grade, Graded};
use airlock_types::environment::{Environment as _, ms};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning
    call: String,
    /// Whether the answer was right
    #[arg(value_enum)]
    grade: Word,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who says so
    #[arg(long, value_name = "NAME", default_value = "local")]
    by: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Word {
    /// It was right
    Right,
    /// It was wrong
    Wrong,
    /// A part of it was right
    Partly,
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let grade = match args.grade {
        Word::Right => Grade::Right,
        Word::Wrong => Grade::Wrong,
        Word::Partly => Grade::Partly,
    };
    let now_unix_ms = ms(World::new().wall());
    let graded = Graded::new(grade, &args.by, args.note.as_deref(), now_unix_ms).map_err(Message)?;
    let message = |err: airlock_journal::JournalError| Message(err.to_string());
    let journal = host::open_journal(&ConfigFile::read(registry)?).map_err(message)?;
    let Some(record) = journal.find(&args.call).map_err(message)? else {
        let how = format!("no record `{}` in the journal of {}", args.call, registry.display());
        return Err(Message(format!("{how}; the id is the `record` of a reply")).into());
    };
    journal.grade(&record.id, &graded).map_err(message)?;
    printer.line(format!("{} of {} is {}", record.id, record.tool, grade.as_str()));
    Ok(0)
}
