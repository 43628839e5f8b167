//! `airlock policy diff OLD NEW`: what differs between the grants of two registries. Exits with 3 when the new one allows
//! more. Their components are not read.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::print::Printer;
use crate::{EXIT_WIDER, Ended};
use airlock::config::ConfigFile;
use airlock::policy::compare;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::grant::Change;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The old registry
    old: PathBuf,
    /// The new registry
    new: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, printer: &Printer) -> Ended {
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let changes = compare(&old.config, &new.config);
    let is_wider = changes.iter().any(|change| change.turn.is_wider());
    if args.json {
        printer.json(&json!({"changes": changes, "wider": is_wider}))?;
    } else if changes.is_empty() {
        printer.line("nothing changed");
    }
    for change in changes.iter().filter(|_| !args.json) {
        printer.line(text(change));
    }
    Ok(if is_wider { EXIT_WIDER } else { 0 })
}

/// Reads a registry that is named by its place among the arguments.
fn read(path: &Path) -> Result<ConfigFile, Diagnostics> {
    ConfigFile::read(path).map_err(|Diagnostics(mut problems)| {
        for problem in problems.iter_mut().filter(|problem| problem.file.is_empty()) {
            problem.hint =
                problem.hint.take().map(|_| "name two registries: `airlock policy diff OLD NEW`".into());
        }
        Diagnostics(problems)
    })
}

fn text(Change { turn, place, before, after }: &Change) -> String {
    let mut text = format!("{:<8} {place}", turn.as_str());
    for (sign, side) in [("-", before), ("+", after)] {
        for line in side.iter().flat_map(|side| side.lines()) {
            text.push_str(&format!("\n  {sign} {line}"));
        }
    }
    text
}
