//! `airlock policy suggest`: the least grants that cover what tools used. It prints and changes nothing.

use std::path::Path;

use super::records::{Since, observed};
use crate::Ended;
use crate::print::{Message, Printer};
use airlock::policy::{Suggested, WILDCARD_FROM, suggest};
use airlock_types::words::did_you_mean;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these tools, by the keys of their entries
    tools: Vec<String>,
    /// Only records of this span of time until now: `30d`, `12h`
    #[arg(long, value_name = "SPAN")]
    since: Option<Since>,
    /// Distinct hosts from which on a granted wildcard is kept
    #[arg(long, value_name = "HOSTS", default_value_t = WILDCARD_FROM)]
    wildcard_from: usize,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let entries = observed(registry, args.since, printer).await?;
    if let Some(unknown) = args.tools.iter().find(|tool| !entries.contains_key(*tool)) {
        let near = did_you_mean(unknown, entries.keys().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; {near}"));
        return Err(Message(format!("the registry has no entry `tools.{unknown}`{near}")).into());
    }
    let chosen = entries.iter().filter(|(key, _)| args.tools.is_empty() || args.tools.contains(key));
    for (key, (source, observed)) in chosen {
        if observed.attempts == 0 {
            printer.line(format!("# tools.{key}: no record; its grants stay as they are"));
            continue;
        }
        let suggestion = suggest(source, observed, args.wildcard_from);
        printer.line(format!("# tools.{key}: from {} attempts", observed.attempts));
        for Suggested { line, uses } in &suggestion.parts {
            let seen = uses.map_or_else(|| "not seen in records".to_owned(), |uses| format!("{uses} uses"));
            printer.line(format!("#   {seen}: {line}"));
        }
        printer.line(format!("[tools.{key}]"));
        let lines = suggestion.grants.lines();
        if lines.is_empty() {
            printer.line("# nothing was used: leave `grants` out");
        }
        for line in lines {
            printer.line(line);
        }
    }
    Ok(0)
}
