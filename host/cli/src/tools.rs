//! `airlock tools`: lists the tools that the local caller may call.

use std::path::Path;

use serde_json::{Value, json};

use super::print::Printer;
use super::{Ended, open};
use airlock_server::output::describe;
use airlock_types::caller::Caller;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let host = open::host(registry, printer).await?;
    let visible = host.visible(&Caller::local());
    if args.json {
        let tools: Vec<Value> = visible.tools().map(|tool| describe(&visible, tool)).collect();
        printer.json(&json!({ "tools": tools }))?;
        return Ok(0);
    }
    for tool in visible.tools() {
        // One line for each tool. `airlock inspect` shows the rest.
        let description = tool.description();
        let first = description.lines().next().unwrap_or_default();
        printer.line(format!("{:<28} {:<12} {first}", tool.name, tool.effect.as_str()));
    }
    Ok(0)
}
