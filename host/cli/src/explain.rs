//! `airlock explain TOOL [ARGS]`: prints policy's decision, then the plan and its worst case, without running anything.

use std::path::Path;

use super::print::{Message, Printer};
use super::{Ended, open};
use airlock::config::ConfigFile;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::{ANONYMOUS, Caller, LOCAL};
use airlock_types::code::Code;
use airlock_types::decision::Ruling;
use airlock_types::words::{did_you_mean, quoted_list};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// The arguments, a JSON object; without them the tool's example is used
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Who makes the call: a caller of the registry, or `anonymous`
    #[arg(long, value_name = "NAME", default_value = LOCAL)]
    caller: String,
    /// Print the decision and the plan as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?.needed_by(&args.tool);
    let host = open::host_for(&args.tool, &file, None, printer).await?;
    let caller = caller(&args.caller, &file)?;
    let visible = host.visible(&caller);
    let tool = match visible.resolve(&args.tool) {
        Ok(tool) => tool,
        Err(unknown) => {
            let is_hidden = host.visible(&Caller::local()).resolve(&args.tool).is_ok();
            let hidden = || format!("`{}` is not a tool that `{caller}` may call", args.tool);
            let what = if is_hidden { hidden() } else { unknown.to_string() };
            printer.note(format!("error: {what}"));
            // As a call of it ends.
            return Ok(Code::Unknown.facts().exit);
        }
    };
    if file.config.holds.iter().any(|rule| rule.get_ref().caller.is_some()) {
        printer.note(format!(
            "note: rules over callers are judged for `{caller}`; `--caller NAME` names another"
        ));
    }
    let text = match (&args.arguments, tool.contract.example()) {
        (Some(text), _) => text.clone(),
        (None, Some(example)) => example.to_string(),
        (None, None) => "{}".to_owned(),
    };
    let call = Call { caller, ..Call::new(&args.tool, Arguments::Text(text.into())) };
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

/// The caller with this name.
fn caller(name: &str, file: &ConfigFile) -> Result<Caller, Message> {
    let names = || file.config.callers.keys().map(|name| name.get_ref().as_str()).chain([LOCAL, ANONYMOUS]);
    if names().any(|known| known == name) {
        return Ok(Caller::named(name));
    }
    let near = did_you_mean(name, names()).unwrap_or_else(|| format!("there are {}", quoted_list(names())));
    Err(Message(format!("the registry has no caller `{name}`; {near}")))
}
