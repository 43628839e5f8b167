//! `airlock holds`: the calls that wait for a person, and the decision about each.
//!
//! Owns the verb. Must not know how a hold is told (`holds/told.rs`), nor what follows from a decision. A person who
//! can write to the folder of the host decides as its operator. To add a decision: a variant of `Verb`.

mod told;

use std::path::Path;

use super::confined::Process;
use super::page::Page;
use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, Threads, call, open};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::host::{HoldError, Host};
use airlock_contract::arguments;
use airlock_journal::holds::{self, Found, Holds, Kept};
use airlock_journal::telling::plain;
use airlock_types::caller::Caller;
use airlock_types::environment::{Environment as _, ms};
use airlock_types::hold::{Approver, HOLD_PREFIX_CHARS_MIN, Hold, HoldDecision, Standing};
use serde_json::json;

/// Most holds that are listed.
const LISTED_MAX: usize = 100;

/// Most characters of an id that an error repeats.
const SHOWN_CHARS_MAX: usize = 80;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the calls that wait, the newest first
    List(List),
    /// Show what is asked: the tool, its arguments, the rules with their values, who asks, how long is left
    Show(One),
    /// Approve a call, which runs, or the delivery of a result
    Approve {
        #[command(flatten)]
        one: One,
        /// The digest of the arguments that were seen, as `holds show` has it: if they were edited since, nothing is decided
        #[arg(long, value_name = "DIGEST")]
        args_digest: Option<String>,
    },
    /// Approve a call with other arguments
    Edit {
        #[command(flatten)]
        one: One,
        /// All arguments: a JSON object, or `-` to read it from stdin
        #[arg(value_name = "JSON")]
        arguments: String,
    },
    /// Reject a call: it ends as `policy.denied`
    Reject {
        #[command(flatten)]
        one: One,
        /// Why, for the agent
        #[arg(value_name = "REASON")]
        reason: String,
    },
    /// Answer instead of the tool: the call ends as `refused`, with this text
    Respond {
        #[command(flatten)]
        one: One,
        /// What is said to the agent
        #[arg(value_name = "TEXT")]
        text: String,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Also those that have ended
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The hold's id, or its first characters: eight or more
    // An id can begin with a dash.
    #[arg(value_name = "HOLD", allow_hyphen_values = true)]
    id: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Makes the decision, once there is a host that says how long arguments may be.
type Decides<'d> = &'d dyn Fn(&Host) -> anyhow::Result<HoldDecision>;

pub(super) fn run(args: &Args, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    let file = ConfigFile::read(registry)?;
    let mut seen = None;
    let (one, decision): (_, Decides<'_>) = match &args.verb {
        None => return threads.block_on(async { list(&args.list, &file, printer) }),
        Some(Verb::List(args)) => return threads.block_on(async { list(args, &file, printer) }),
        Some(Verb::Show(one)) => return threads.block_on(async { show(one, &file, printer) }),
        Some(Verb::Approve { one, args_digest }) => {
            seen = args_digest.as_deref();
            (one, &|_| Ok(HoldDecision::Approve))
        }
        Some(Verb::Edit { one, arguments }) => (one, &|host| edit(host, arguments)),
        Some(Verb::Reject { one, reason }) => (one, &|_| Ok(HoldDecision::Reject { reason: reason.clone() })),
        Some(Verb::Respond { one, text }) => (one, &|_| Ok(HoldDecision::Respond { text: text.clone() })),
    };
    let hold = find(&file, &one.id)?.hold;
    let mut needed = file.needed_by(&hold.tool);
    // The call was made: whether strangers may call is for the server to say, and not asked again here.
    needed.config.http.allow_anonymous |= Caller::recorded(&hold.caller).is_anonymous();
    // An approved call runs in this process, as when it is served.
    let process = Process::enter(&needed, None)?;
    process.report(&needed, printer);
    threads.block_on(async {
        let host = open::host_for(&hold.tool, &needed, Some(&process), printer).await?;
        let decided = host.decide_hold(&hold.id, &Approver::Operator, decision(&host)?, seen).await;
        let hold = decided.map_err(refused)?;
        // The program ends with this decision: what is told of it is told now, or not at all.
        host.told_of_holds().await;
        open::untold(&host, &needed, "this decision", printer);
        // Before printing, for the same reason: a queued record is written now or lost.
        host.journal().close();
        tell(one, &hold, &host, printer)
    })
}

/// Prints what became of a decision.
fn tell(one: &One, hold: &Hold, host: &Host, printer: &Printer) -> Ended {
    if one.json {
        printer.json(hold)?;
        return Ok(done(hold));
    }
    let record = hold.ended_by.as_deref().map(|id| host.journal().find(id)).transpose()?.flatten();
    printer.line(told::decided(hold, record.as_ref()));
    Ok(done(hold))
}

/// The exit code of a decision: one that came to nothing is told from one that was carried out.
fn done(hold: &Hold) -> u8 {
    match hold.standing {
        Standing::Void | Standing::Expired => EXIT_NO,
        Standing::Open | Standing::Running | Standing::Done | Standing::Rejected | Standing::Responded => 0,
    }
}

fn list(args: &List, file: &ConfigFile, printer: &Printer) -> Ended {
    let now_unix_ms = now_unix_ms();
    let mut holds = match store(file)? {
        Some(store) => store.list(!args.all, LISTED_MAX)?,
        None => Vec::new(),
    };
    holds.iter_mut().for_each(|hold| expire(hold, now_unix_ms));
    holds.retain(|hold| args.all || matches!(hold.standing, Standing::Open | Standing::Running));
    if args.json {
        printer.json(&json!({ "holds": holds }))?;
        return Ok(0);
    }
    let mut page = Page::new(printer);
    for (tone, line) in told::lines(&holds, now_unix_ms) {
        page.line(tone, &line);
    }
    page.end();
    if holds.is_empty() {
        printer.note(if args.all { "note: no call was held" } else { "note: no call waits for a person" });
    }
    if holds.len() == LISTED_MAX {
        printer.note(format!("note: the newest {LISTED_MAX} are listed"));
    }
    Ok(0)
}

fn show(one: &One, file: &ConfigFile, printer: &Printer) -> Ended {
    let Kept { hold, reply, .. } = find(file, &one.id)?;
    if one.json {
        let mut shown = serde_json::to_value(&hold)?;
        reply.into_iter().for_each(|reply| shown["waiting"] = reply);
        printer.json(&shown)?;
        return Ok(0);
    }
    let mut page = Page::new(printer);
    page.told(&told::whole(&hold, reply.as_ref(), now_unix_ms()));
    page.end();
    Ok(0)
}

/// The hold with this id, or the only one whose id begins so. It is looked up without a host: what waits can be read even if a
/// component of the registry is broken.
fn find(file: &ConfigFile, id: &str) -> anyhow::Result<Kept> {
    if id.chars().count() < HOLD_PREFIX_CHARS_MIN {
        let how = format!(
            "give {HOLD_PREFIX_CHARS_MIN} characters or more; `airlock holds list --all` has the ids"
        );
        return Err(Message(format!(
            "`{}` is too short for the id of a hold: {how}",
            plain(id, SHOWN_CHARS_MAX)
        ))
        .into());
    }
    let found = store(file)?.map_or(Ok(Found::Nothing), |store| store.find(id))?;
    let mut kept = match found {
        Found::One(kept) => *kept,
        Found::Nothing => return Err(refused(HoldError::Unknown)),
        Found::Several => return Err(refused(HoldError::Ambiguous)),
    };
    expire(&mut kept.hold, now_unix_ms());
    Ok(kept)
}

/// The holds of a registry. `None` where no call was held yet: the file is not made.
fn store(file: &ConfigFile) -> anyhow::Result<Option<Holds>> {
    let path = file.state().join(holds::FILE);
    Ok(path.try_exists()?.then(|| Holds::at(&path)))
}

/// The file still says open when no request came since its time was over.
fn expire(hold: &mut Hold, now_unix_ms: u64) {
    if hold.is_due(now_unix_ms) {
        hold.standing = Standing::Expired;
    }
}

fn edit(host: &Host, text: &str) -> anyhow::Result<HoldDecision> {
    let limits = host.argument_limits();
    let text = call::arguments(text, &limits)?;
    let arguments = arguments::parse(&text, &limits).map_err(|violation| {
        Message(format!("the arguments: expected {}, got {}", violation.expected, violation.got))
    })?;
    Ok(HoldDecision::Edit { arguments })
}

fn refused(err: HoldError) -> anyhow::Error {
    match err {
        HoldError::Unusable => err.into(),
        HoldError::Invalid(failure) => Message(failure.to_approver()).into(),
        err => Message(err.to_string()).into(),
    }
}

fn now_unix_ms() -> u64 {
    ms(World::new().wall())
}
