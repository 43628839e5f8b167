//! `airlock export --for DIALECT`: prints tool definitions in the form that a provider expects.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, open};
use airlock::registry::Tool;
use airlock_contract::export::{Dialect, definition, exceeded};
use airlock_types::caller::Caller;
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// openai, openai-strict, anthropic, anthropic-strict, gemini, gemini-openapi or llama-cpp
    #[arg(long = "for", value_name = "DIALECT")]
    dialect: Dialect,
    /// Print which published limits of the provider the tools exceed together, and no definitions
    #[arg(long)]
    check: bool,
    /// The tools to export; all that the local caller may call if none is named
    #[arg(value_name = "TOOL")]
    tools: Vec<String>,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let host = open::host(registry, printer).await?;
    // Only what the local caller may call, as in `airlock tools`.
    let visible = host.visible(&Caller::local());
    // Each once: a provider refuses two definitions of one name.
    let names: BTreeSet<&String> = args.tools.iter().collect();
    let named = names.into_iter().map(|name| visible.resolve(name));
    // A name that no tool has is an error: its client would miss the tool.
    let named: Vec<_> = named.collect::<Result<_, _>>().map_err(|unknown| Message(unknown.to_string()))?;
    let chosen: Vec<_> = if named.is_empty() { visible.offered().collect() } else { named };
    if args.check {
        return Ok(check(args.dialect, &chosen, printer));
    }
    let definitions = chosen.iter().map(|tool| {
        let contract = &tool.contract;
        definition(args.dialect, &tool.name, &tool.description(), &contract.input_schema())
    });
    printer.json(&definitions.collect::<Vec<Value>>())?;
    Ok(0)
}

fn check(dialect: Dialect, tools: &[&Arc<Tool>], printer: &Printer) -> u8 {
    let schemas: Vec<_> = tools.iter().map(|tool| (&*tool.name, tool.contract.input_schema())).collect();
    let exceeded = exceeded(dialect, schemas.iter().map(|(name, schema)| (*name, schema)));
    for limit in &exceeded {
        printer.line(limit);
    }
    if !exceeded.is_empty() {
        return EXIT_NO;
    }
    printer.line(format!(
        "{} within the published limits of {}",
        count(tools.len() as u64, "tool"),
        dialect.as_str()
    ));
    0
}
