//! `airlock explain TOOL [ARGS]`: prints policy's decision, then the plan and its worst case, without running anything.

use std::path::Path;

use super::print::{Message, Printer};
use super::{Ended, open};
use airlock::config::ConfigFile;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::decision::Ruling;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// The arguments, a JSON object; without them the tool's example is used
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Print the decision and the plan as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?.needed_by(&args.tool);
    let host = open::host_for(&args.tool, &file, None, printer).await?;
    // As the local caller, like `airlock call`: a tool that a call could not reach has no plan.
    let visible = host.visible(&Caller::local());
    let tool = visible.resolve(&args.tool).map_err(|unknown| Message(unknown.to_string()))?;
    let text = match (&args.arguments, tool.contract.example()) {
        (Some(text), _) => text.clone(),
        (None, Some(example)) => example.to_string(),
        (None, None) => "{}".to_owned(),
    };
    let call = Call::new(&args.tool, Arguments::Text(text.into()));
    let explained = match host.explain(&call) {
        Ok(explained) => explained,
        Err(error) => {
            printer.line(&error.message);
            // All argument codes share this exit code.
            return Ok(Code::ArgsType.facts().exit);
        }
    };
    if args.json {
        printer.json(&explained)?;
    } else {
        printer.line(&explained);
    }
    Ok(match explained.ruling {
        Ruling::Allow => 0,
        Ruling::Deny => Code::PolicyDenied.facts().exit,
        Ruling::Hold => Code::PolicyHeld.facts().exit,
    })
}
