//! `airlock lock`: writes the accepted definitions, or prints how they differ from the current ones.

use std::path::Path;

use super::print::{Message, Printer};
use super::{EXIT_NO, EXIT_WIDER, Ended, open};
use airlock::config::ConfigFile;
use airlock::diff::Changes;
use airlock::lock::{Lock, Pin};
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// When a definition changes: refuse it, ask for the digest of the change, or accept it
    #[arg(long, value_enum)]
    pin: Option<PinWord>,
    /// Accept exactly the change with this digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "rewrite")]
    accept: Option<String>,
    /// Accept the current definitions, whatever changed
    #[arg(long)]
    rewrite: bool,
}

/// The words of the command line for [`Pin`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PinWord {
    Refuse,
    Ask,
    Accept,
}

impl From<PinWord> for Pin {
    fn from(word: PinWord) -> Pin {
        match word {
            PinWord::Refuse => Pin::Refuse,
            PinWord::Ask => Pin::Ask,
            PinWord::Accept => Pin::Accept,
        }
    }
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?;
    let now = open::whole_registry(&file).await?;
    // `--rewrite` replaces the lock, so it need not be readable.
    let lock = match Lock::read(&file) {
        Err(_) if args.rewrite => Lock::none(&file),
        lock => lock.map_err(|err| Message(err.to_string()))?,
    };
    let pin = args.pin.map_or(lock.pin(), Pin::from);
    let changes = lock.changes(&now);
    let accepted = args.accept.as_deref().is_some_and(|digest| digest == changes.digest());
    // The digest names the change that was reviewed. If the definitions changed again since, nothing is accepted.
    if let Some(digest) = args.accept.as_deref().filter(|_| !accepted) {
        return Err(Message(not_accepted(digest, &lock, &changes)).into());
    }
    // Without a lock there is nothing to compare with, so the first run accepts the current definitions.
    if lock.exists() && !changes.is_empty() && !accepted && !args.rewrite {
        printer.line(format!("{changes}"));
        printer.note(lock.how_to_accept(&changes));
        return Ok(if changes.is_wider() { EXIT_WIDER } else { EXIT_NO });
    }
    let lock = if args.rewrite { Lock::none(&file) } else { lock };
    for name in lock.absent(&now) {
        printer.note(format!(
            "note: `{name}` is not in the registry, and stays accepted: `airlock lock --rewrite` forgets it"
        ));
    }
    lock.write(pin, &now).map_err(|err| Message(err.to_string()))?;
    let tools = count(now.tools().count() as u64, "tool");
    printer.line(format!("{}: {tools}, pin = \"{}\"", lock.path().display(), pin.as_str()));
    Ok(0)
}

/// Digits of a digest.
const DIGITS: usize = 64;

/// Why a digest accepts nothing.
fn not_accepted(digest: &str, lock: &Lock, changes: &Changes) -> String {
    if !lock.exists() {
        return "there is no lock yet, so that nothing waits: `airlock lock` writes one of the current definitions".into();
    }
    if changes.is_empty() {
        return "nothing waits: the definitions are those that were accepted".into();
    }
    let digits = digest.chars().count();
    let short = if digits == DIGITS {
        String::new()
    } else {
        format!(", which has {DIGITS} digits, and not {digits}")
    };
    let now = lock.how_to_accept(changes);
    format!("that is not the digest of what changed{short}; nothing was accepted\n{changes}\n{now}")
}
