//! `airlock export --for DIALECT`: prints tool definitions in the form that a provider expects.

use std::path::Path;

use serde_json::Value;

use super::print::Printer;
use super::{Ended, open};
use airlock_contract::export::{Dialect, definition};
use airlock_types::caller::Caller;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// openai, openai-strict, anthropic, anthropic-strict, gemini or gemini-openapi
    #[arg(long = "for", value_name = "DIALECT")]
    dialect: Dialect,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let host = open::host(registry, printer).await?;
    let tools: Vec<Value> = host
        // Only what the local caller may call, as in `airlock tools`.
        .visible(&Caller::local())
        .offered()
        .map(|tool| {
            let contract = &tool.contract;
            definition(args.dialect, &tool.name, &contract.description, &contract.input_schema)
        })
        .collect();
    printer.json(&tools)?;
    Ok(0)
}
