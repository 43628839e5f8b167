//! `airlock journal export`: prints records, for those who keep their own store.

use std::path::Path;

use super::otel;
use crate::Ended;
use crate::print::{Message, Printer};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::host;
use airlock_types::duration;
use airlock_types::environment::{Environment as _, ms};
use airlock_types::record::Record;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format of a line
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Only calls that came within this time: `1h`, `7d`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
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
    let since_unix_ms = args.since.as_deref().map_or(Ok(0), since)?;
    let file = ConfigFile::read(registry)?;
    let journal = host::open_journal(&file).map_err(|err| Message(err.to_string()))?;
    let mut after = String::new();
    loop {
        let page = journal.page(&after, since_unix_ms).map_err(|err| Message(err.to_string()))?;
        let Some(last) = page.last() else { return Ok(0) };
        after.clone_from(&last.id);
        for record in page.iter().filter(|record| args.tool.as_ref().is_none_or(|tool| *tool == record.tool))
        {
            print(record, args.format, printer)?;
        }
        // A reader that has enough, as `head`.
        if printer.is_closed() {
            return Ok(0);
        }
    }
}

fn print(record: &Record, format: Format, printer: &Printer) -> anyhow::Result<()> {
    match format {
        Format::Jsonl => printer.json_line(record),
        Format::Otel => printer.json_line(&otel::line(record)),
    }
}

fn since(text: &str) -> Result<u64, Message> {
    let age_ms = duration::parse(text).ok_or_else(|| {
        Message(format!("`{text}` is not a time: a number with `s`, `m`, `h` or `d`, such as `7d`"))
    })?;
    Ok(ms(World::new().wall()).saturating_sub(age_ms))
}
