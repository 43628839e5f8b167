//! `airlock journal export`: prints records, for those who keep their own store.

use std::path::Path;

use super::otel;
use crate::moment::Moment;
use crate::print::Printer;
use crate::{Ended, open};
use airlock::config::ConfigFile;
use airlock_types::record::Record;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format of a line
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Only calls that came at this time or later: `90m` ago, or `2026-11-26T22:30:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// A record, whole, in the form in which it is stored
    Jsonl,
    /// A span in OTLP/JSON, without arguments and results
    Otel,
}

pub(crate) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let since_unix_ms = args.since.map_or(0, Moment::unix_ms);
    let file = ConfigFile::read(registry)?;
    let journal = open::journal(&file)?;
    for page in journal.pages(since_unix_ms) {
        for record in page?.iter().filter(|record| args.tool.as_ref().is_none_or(|tool| *tool == record.tool))
        {
            print(record, args.format, printer)?;
        }
        // A reader that has enough, as `head`.
        if printer.is_closed() {
            break;
        }
    }
    Ok(0)
}

fn print(record: &Record, format: Format, printer: &Printer) -> anyhow::Result<()> {
    match format {
        Format::Jsonl => printer.json_line(record),
        Format::Otel => printer.json_line(&otel::line(record)),
    }
}
