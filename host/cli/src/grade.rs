//! `airlock grade`: says whether an answer was right, of one call or of all in a file.
//!
//! Owns the verb. Must not know what is in a file of grades (`grade/file.rs`), nor what follows from a grade.

mod file;

use std::path::{Path, PathBuf};

use super::print::{Message, Printer, is_no};
use super::{Ended, found, open};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock_journal::grade::{Grade, Graded};
use airlock_types::environment::{Environment as _, ms};
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning
    #[arg(required_unless_present = "from")]
    call: Option<String>,
    /// Whether the answer was right
    #[arg(value_enum, required_unless_present = "from")]
    grade: Option<Word>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who says so; for a file, who says what its lines leave open
    #[arg(long, value_name = "NAME", default_value = "local")]
    by: String,
    /// Reads the grades of many calls: `.jsonl` or `.csv`, with call, grade and perhaps note and by
    #[arg(long, value_name = "FILE", conflicts_with_all = ["call", "grade", "note"])]
    from: Option<PathBuf>,
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

impl Word {
    fn grade(self) -> Grade {
        match self {
            Word::Right => Grade::Right,
            Word::Wrong => Grade::Wrong,
            Word::Partly => Grade::Partly,
        }
    }
}

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let now_unix_ms = ms(World::new().wall());
    let config = ConfigFile::read(registry)?;
    match (&args.call, args.grade, &args.from) {
        (Some(call), Some(word), _) => {
            let grade = word.grade();
            let graded = Graded::new(grade, &args.by, args.note.as_deref(), now_unix_ms).map_err(Message)?;
            let journal = open::journal(&config)?;
            let record = found::ended(&journal, call, registry)?;
            journal.grade(&record.id, &graded)?;
            printer.line(format!("{} of {} is {}", record.id, record.tool, grade.as_str()));
        }
        (_, _, Some(from)) => {
            let rows = file::rows(from, &args.by, now_unix_ms).map_err(Message)?;
            let journal = open::journal(&config)?;
            let find = |call: &str| match found::ended(&journal, call, registry) {
                Ok(record) => Ok(Ok(record.id)),
                // Of this line; a journal that cannot be read is none of the file's.
                Err(err) if is_no(&err) => Ok(Err(err.to_string())),
                Err(err) => Err(err),
            };
            let grades = file::resolve(from, rows, find)?.map_err(Message)?;
            let new = journal.grade_all(&grades)?;
            let were = if new == 1 { "was" } else { "were" };
            let appended = count(new as u64, "grade");
            printer.line(format!("{appended} {were} appended; {} there already", grades.len() - new));
        }
        // The parser of arguments asks for one or the other.
        (_, _, None) => return Err(Message("name a call and its grade, or a file".to_owned()).into()),
    }
    Ok(0)
}
