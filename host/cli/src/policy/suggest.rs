//! `airlock policy suggest`: the least grants that cover what tools used. It prints and changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use super::records::{Entries, Since, observed};
use crate::Ended;
use crate::print::{Message, Printer};
use airlock::policy::{Standing, Suggested, WILDCARD_FROM, suggest};
use airlock_types::words::{count, did_you_mean};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these entries, by their keys or by the names of their tools
    tools: Vec<String>,
    /// Only records of this span of time until now: `30d`, `12h`
    #[arg(long, value_name = "SPAN")]
    since: Option<Since>,
    /// Distinct hosts from which on a granted wildcard is kept
    #[arg(long, value_name = "HOSTS", default_value_t = WILDCARD_FROM)]
    wildcard_from: usize,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let Entries { entries, keys } = observed(registry, args.since, printer).await?;
    let named = args.tools.iter().map(|name| match keys.get(name) {
        Some(key) => Ok(key),
        None if entries.contains_key(name) => Ok(name),
        None => {
            let near = did_you_mean(name, entries.keys().chain(keys.keys()).map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; {near}"));
            Err(Message(format!("the registry has no entry `tools.{name}`, and no tool of that name{near}")))
        }
    });
    let named: BTreeSet<&String> = named.collect::<Result<_, Message>>()?;
    let chosen = entries.iter().filter(|(key, _)| named.is_empty() || named.contains(key));
    for (key, (source, observed)) in chosen {
        if observed.attempts == 0 {
            printer.line(format!("# tools.{key}: no record; its grants stay as they are"));
            continue;
        }
        let suggestion = suggest(source, observed, args.wildcard_from);
        printer.line(format!("# tools.{key}: from {}", count(observed.attempts, "attempt")));
        for Suggested { line, uses, standing } in &suggestion.parts {
            let seen = uses.map_or_else(|| "not seen in records".to_owned(), |uses| count(uses, "use"));
            let mark = match standing {
                Standing::Granted => "",
                Standing::Tried => " (tried under report)",
                Standing::NotGranted => " (not granted now, and left out)",
            };
            printer.line(format!("#   {seen}: {line}{mark}"));
        }
        printer.line(format!("[tools.{key}]"));
        let lines = suggestion.grants.lines();
        if lines.is_empty() {
            printer.line("# nothing that is granted was used: leave `grants` out");
        }
        for line in lines {
            printer.line(line);
        }
    }
    Ok(0)
}
