//! `airlock explain TOOL [ARGS]`: the plan and its worst case, before anything runs.

use std::path::Path;

use super::print::{Printer, Said};
use super::{Ended, open};
use airlock_types::call::{Arguments, Call};
use airlock_types::principal::Principal;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// The arguments, a JSON object; without them the tool's example is taken
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Print the plan as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let host = open::host(registry).await?;
    let visible = host.visible(&Principal::local());
    let tool = visible.resolve(&args.tool).map_err(|unknown| Said(unknown.to_string()))?;
    let text = match (&args.arguments, tool.contract.example()) {
        (Some(text), _) => text.clone(),
        (None, Some(example)) => example.to_string(),
        (None, None) => "{}".to_owned(),
    };
    let raw = Call::new(&args.tool, Arguments::Text(text.into_bytes()));
    let plan = match host.plan(raw) {
        Ok(plan) => plan,
        Err(error) => {
            printer.line(&error.message);
            return Ok(airlock_types::code::Code::ArgsType.facts().exit);
        }
    };
    if args.json {
        printer.json(&plan)?;
    } else {
        printer.line(airlock_types::plan::explain(&plan));
    }
    Ok(0)
}
