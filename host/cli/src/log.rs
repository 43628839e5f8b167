//! `airlock log`: lists calls, newest first, or as they end.

use std::path::Path;
use std::time::Duration;

use super::Ended;
use super::found;
use super::moment::Moment;
use super::open;
use super::page::Page;
use super::print::{Message, Printer};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock_journal::Journal;
use airlock_journal::listing::{Filter, Listed};
use airlock_journal::telling::{Tone, moment as time_of, plain, tone};
use airlock_types::code::Code;
use airlock_types::environment::Environment as _;
use airlock_types::words::{count, did_you_mean};

/// Lines that are read and aligned together.
const PAGE_CALLS: u32 = 256;

/// Between two looks at the journal that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Characters of an id that tell it apart: its time, and 26 random bits.
const ID_CHARS: usize = 23;

/// Most characters of a name: callers can make them up.
const NAME_CHARS_MAX: usize = 48;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only calls that ended so: a code such as `limit.fuel`, or a status such as `failed`; several times for any of them
    #[arg(long, value_name = "CODE|STATUS")]
    outcome: Vec<String>,
    /// Only calls of this caller
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Only calls of this session: its digest, as a record has it
    #[arg(long, value_name = "DIGEST")]
    session: Option<String>,
    /// Only calls that came at this time or later: `90m` ago, or `2026-11-26T22:30:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only calls that came before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only calls before this one: the last of a list begins the next
    #[arg(long, value_name = "CALL", conflicts_with = "follow")]
    before: Option<String>,
    /// Most calls of the list; with --follow, of its beginning
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print calls as they end, until Ctrl-C, oldest first
    #[arg(long, short)]
    follow: bool,
    /// Print each call as a line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let filter = args.filter()?;
    if let Some(before) = &args.before {
        found::check(before)?;
    }
    let journal = open::journal(&ConfigFile::read(registry)?)?;
    if args.follow {
        follow(args, &filter, &journal, printer).await
    } else {
        list(args, &filter, &journal, printer)
    }
}

fn list(args: &Args, filter: &Filter, journal: &Journal, printer: &Printer) -> Ended {
    let mut lines = Lines::new(args, Page::new(printer), printer);
    let mut before = args.before.clone();
    let mut left = args.limit;
    while left > 0 && !lines.is_closed() {
        let calls = journal.list(filter, before.as_deref(), left.min(PAGE_CALLS))?;
        let Some(last) = calls.last() else { break };
        before = Some(last.id.clone());
        left = left.saturating_sub(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        lines.write(&calls)?;
    }
    lines.page.end();
    if let Some(before) = before.filter(|_| left == 0) {
        let many = count(u64::from(args.limit), "call");
        printer.note(format!("note: {many} listed; those before: `--before {before}`"));
    }
    let open = journal.open_intents()?;
    if let Some(first) = open.first() {
        let many = count(open.len() as u64, "call");
        printer.note(format!(
            "note: {many} began and did not end, and are in no list; the oldest: `airlock show {first}`"
        ));
    }
    Ok(0)
}

async fn follow(args: &Args, filter: &Filter, journal: &Journal, printer: &Printer) -> Ended {
    let mut lines = Lines::new(args, Page::unpaged(printer), printer);
    let (mut calls, mut tail) = journal.newest(filter, args.limit)?;
    calls.reverse();
    let world = World::new();
    loop {
        lines.write(&calls)?;
        if lines.is_closed() {
            return Ok(0);
        }
        world.sleep(LOOK_EVERY).await;
        (calls, tail) = journal.follow(filter, tail)?;
    }
}

impl Args {
    fn filter(&self) -> Result<Filter, Message> {
        let mut codes = Vec::new();
        for outcome in &self.outcome {
            codes.extend(codes_of(outcome)?);
        }
        Ok(Filter {
            tool: self.tool.clone(),
            codes,
            caller: self.caller.clone(),
            session: self.session.clone(),
            since_unix_ms: self.since.map(Moment::unix_ms),
            until_unix_ms: self.until.map(Moment::unix_ms),
        })
    }
}

/// The codes of an outcome: one code, or all of a status.
fn codes_of(outcome: &str) -> Result<Vec<Code>, Message> {
    let of_status = |code: &Code| code.facts().status.as_str() == outcome;
    let is = |code: &Code| code.as_str() == outcome;
    let codes: Vec<Code> = Code::ALL.into_iter().filter(|code| of_status(code) || is(code)).collect();
    if !codes.is_empty() {
        return Ok(codes);
    }
    let known = Code::ALL.into_iter().flat_map(|code| [code.as_str(), code.facts().status.as_str()]);
    let near = did_you_mean(outcome, known);
    let near =
        near.unwrap_or_else(|| "write a code such as `limit.fuel`, or a status such as `failed`".into());
    Err(Message(format!("`{}` is no outcome: {near}", plain(outcome, NAME_CHARS_MAX))))
}

/// The lines of calls, in columns that grow with what they hold.
struct Lines<'p> {
    page: Page<'p>,
    printer: &'p Printer,
    is_json: bool,
    widths: [usize; 3],
}

impl<'p> Lines<'p> {
    fn new(args: &Args, page: Page<'p>, printer: &'p Printer) -> Lines<'p> {
        Lines { page, printer, is_json: args.json, widths: [0; 3] }
    }

    fn is_closed(&self) -> bool {
        self.page.is_closed()
    }

    fn write(&mut self, calls: &[Listed]) -> anyhow::Result<()> {
        if self.is_json {
            return calls.iter().try_for_each(|call| self.printer.json_line(call));
        }
        let cells: Vec<[String; 3]> = calls.iter().map(cells).collect();
        for cells in &cells {
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let [tools, codes, times] = self.widths;
        for (call, [tool, code, ms]) in calls.iter().zip(&cells) {
            let at = time_of(call.started_unix_ms);
            let at = at.get(..19).unwrap_or(&at);
            let (id, caller) = (plain(&call.id, ID_CHARS + 1), plain(&call.caller, NAME_CHARS_MAX));
            let id = id.get(..ID_CHARS).unwrap_or(&id);
            let line = format!("{at}  {id:ID_CHARS$}  {tool:tools$}  {code:codes$}  {ms:>times$}  {caller}");
            self.page.line(shade(&call.code), &line);
        }
        Ok(())
    }
}

fn cells(call: &Listed) -> [String; 3] {
    [plain(&call.tool, NAME_CHARS_MAX), plain(&call.code, NAME_CHARS_MAX), format!("{} ms", call.ms)]
}

/// The tone of a line. Most calls end well: these are plain, and the others stand out.
fn shade(code: &str) -> Tone {
    match tone(code) {
        Tone::Good => Tone::Plain,
        other => other,
    }
}
