//! `airlock inspect TOOL|FILE.wasm`: shows the exports, imports and contract of a component, and a tool's grants.

use std::path::Path;

use serde_json::{Value, json};

use super::print::{Message, Printer};
use super::{Ended, open};
use airlock::capability::Capabilities;
use airlock::config::ConfigFile;
use airlock::host;
use airlock::registry;
use airlock::registry::{Component, Tool, describe};
use airlock::signature::Signed;
use airlock_contract::answer::Shape;
use airlock_contract::component::Import;
use airlock_contract::manifest::{HoldAsks, Manifest};
use airlock_contract::schema;
use airlock_server::output::output_schema;
use airlock_types::duration;
use airlock_types::effect::Effect;
use airlock_types::finding::Verdict;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A tool of the registry, or a component's file
    what: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let path = Path::new(&args.what);
    // Names of tools have no extension, so anything with one is a file. A folder may have the name of a tool.
    if path.extension().is_some() || path.metadata().is_ok_and(|found| !found.is_dir()) {
        let component = component(path).await?;
        return if args.json {
            printer.json(&component_json(&component)).map(|()| 0)
        } else {
            component_text(printer, &component);
            Ok(0)
        };
    }
    // The registry and not a host: a reviewer may look at tools that are not accepted yet, or that no caller may see.
    let registry = open::registry(&ConfigFile::read(registry)?.needed_by(&args.what)).await?;
    let tool = match (registry.resolve(&args.what), registry.problems()) {
        (Ok(tool), _) => tool,
        (Err(_), Some(problems)) => return Err(problems.into()),
        (Err(unknown), None) => return Err(open::unknown(&unknown, &args.what, &registry).into()),
    };
    if args.json {
        // The operator also sees fallbacks that are hidden from callers.
        let mut value = describe(tool, |_| true);
        value["output_schema"] = output_schema(&tool.contract);
        value["limits"] = json!(tool.limits());
        value["granted"] = json!(tool.allowance.effective());
        value["missing"] = json!(tool.allowance.missing());
        value["provenance"] = component_json(&tool.component);
        value["provenance"]["signed"] = json!({
            "state": tool.component.signed.state(),
            "signers": tool.component.signed.signers().iter()
                .map(|signer| json!({"key": signer.key, "serial": signer.serial, "expires": signer.expires}))
                .collect::<Vec<_>>(),
        });
        printer.json(&value)?;
    } else {
        component_text(printer, &tool.component);
        tool_text(printer, tool)?;
    }
    Ok(0)
}

async fn component(path: &Path) -> anyhow::Result<Component> {
    let cache = host::user_cache()?;
    registry::inspect(path, &cache)
        .await
        .map_err(|err| Message(format!("`{}`: {err}", path.display())).into())
}

fn component_json(component: &Component) -> Value {
    let info = &component.info;
    let functions: Vec<Value> = info
        .functions
        .iter()
        .map(|function| {
            let result = Shape::of(&function.ty).value_ty().map(schema::output);
            json!({
                "interface": function.interface,
                "name": function.name,
                "type": function.ty.to_string(),
                "input_schema": schema::input(&function.ty.params),
                "result_schema": result,
                "docs": info.docs_of(function),
            })
        })
        .collect();
    let imports: Vec<Value> = info
        .imports
        .iter()
        .map(|import| {
            json!({
                "name": import.name,
                "functions": import.functions.keys().collect::<Vec<_>>(),
                "provided": standing(import),
            })
        })
        .collect();
    json!({
        "file": component.path,
        "digest": component.digest,
        "exports": functions,
        "hidden": info.hidden,
        "imports": imports,
        "contract": info.contract,
        "unsupported": info.unsupported,
    })
}

/// How the host provides an import, in words.
fn standing(import: &Import) -> String {
    // An interface with types alone needs no implementation.
    if import.functions.is_empty() {
        return "types only".into();
    }
    match Capabilities::default().owner(&import.name) {
        Some(owner) => owner.facts().standing(),
        None => "not provided: declare it in the registry".into(),
    }
}

/// Who signed a component, in words.
fn signed(signed: &Signed) -> String {
    let signers: Vec<String> = signed
        .signers()
        .iter()
        .map(|signer| format!("by {}, serial {}", signer.key, signer.serial))
        .collect();
    [&[signed.state().to_owned()][..], &signers].concat().join(" ")
}

/// Columns of a line that shows a type.
const COLUMNS: usize = 100;

/// A long type on several lines, broken behind commas.
fn wrapped(text: &str) -> String {
    let (mut out, mut columns) = (String::new(), 0);
    for part in text.split_inclusive(", ") {
        let width = part.chars().count();
        if columns > 0 && columns + width > COLUMNS {
            out.truncate(out.trim_end().len());
            out.push_str("\n      ");
            columns = "      ".len();
        }
        out.push_str(part);
        columns += width;
    }
    out
}

fn component_text(printer: &Printer, component: &Component) {
    let info = &component.info;
    printer.line(format!("component  {}", component.path.display()));
    printer.line(format!("sha256     {}", component.digest));
    if let Some(unsupported) = &info.unsupported {
        printer.line(format!("not run    it uses {unsupported}"));
    }
    printer.line("\nexports");
    for function in &info.functions {
        printer.line(wrapped(&format!("  {}: {}", function.address(), function.ty)));
    }
    for hidden in &info.hidden {
        printer.line(format!("  {} (hidden: {})", hidden.name, hidden.reason));
    }
    printer.line("\nimports");
    if info.imports.is_empty() {
        printer.line("  none: it can compute, and nothing else");
    }
    for import in &info.imports {
        printer.line(format!("  {}  {}", import.name, standing(import)));
    }
    let Some(contract) = &info.contract else {
        printer.line("\ncontract   none: schema from its types alone");
        return;
    };
    printer.line("\ncontract   embedded");
    // One that cannot be read has its problems shown where the component is loaded.
    let requests = Manifest::parse(contract, "contract.toml").unwrap_or_default().capabilities.entries();
    for (capability, lines) in requests {
        lines.iter().for_each(|line| printer.line(format!("requests   {capability}  {line}")));
    }
}

fn tool_text(printer: &Printer, tool: &Tool) -> anyhow::Result<()> {
    printer.line(format!("\ntool       {}  ({})", tool.name, tool.effect.as_str()));
    printer.line(format!("signed     {}", signed(&tool.component.signed)));
    printer.line(format!("limits     {}", serde_json::to_string(tool.limits())?));
    printer.line(format!("granted    {}", serde_json::to_string(tool.allowance.effective())?));
    for missing in tool.allowance.missing() {
        printer.line(format!(
            "missing    {}: {}; to grant it: {}",
            missing.asked, missing.reason, missing.grant
        ));
    }
    if !tool.fallback.is_empty() {
        let fallbacks: Vec<String> = tool.fallback.iter().map(ToString::to_string).collect();
        printer.line(format!("fallback   {}", fallbacks.join(", then ")));
    }
    if let (Some(by), Some(verify)) = (&tool.verify, &tool.contract.verify) {
        printer
            .line(format!("verify     {by}, {} ms after an effect that was not answered", verify.after_ms));
    }
    if !tool.contract.confidential.is_empty() {
        let fields = tool.contract.confidential.fields().join(", ");
        printer.line(format!("sealed     {fields}: never on record in the clear"));
    }
    for line in tool.contract.facts.iter().flat_map(|facts| facts.told()) {
        printer.line(format!("facts      {line}"));
    }
    tool.contract.holds().for_each(|hold| printer.line(held(hold)));
    if tool.must_be_approved() {
        printer
            .line("holds      each call, unless another rule does: what it does cannot be undone".to_owned());
    } else if tool.effect == Effect::Irreversible {
        printer.line(
            "holds      no call for what cannot be undone: the registry waives the approval".to_owned(),
        );
    }
    tool.contract.checks.told().iter().filter_map(escalating).for_each(|line| printer.line(line));
    if let Some(ms) = tool.contract.cache_ms_max {
        printer.line(format!(
            "cache      the same call of a session has its answer again for {}",
            duration::print(ms)
        ));
    }
    printer.line("\narguments");
    printer.json(&tool.contract.input_schema())?;
    printer.line("result");
    printer.json(&tool.contract.result_schema())
}

/// A rule that holds calls.
fn held((when, asks): (&str, &HoldAsks)) -> String {
    let HoldAsks { message, approvals, approvers, is_authors } = asks;
    let whose = if *is_authors { "the contract" } else { "the registry" };
    let who = if approvers.is_empty() { String::new() } else { format!(" of {}", approvers.join(", ")) };
    let said = message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default();
    format!("holds      {when}{said}: {approvals} to approve{who}, by {whose}")
}

/// A check that holds results. None for another one.
fn escalating(told: &Value) -> Option<String> {
    let is_held = told["verdict"] == json!(Verdict::Escalate);
    let mut check = told.as_object().filter(|_| is_held)?.clone();
    check.remove("verdict");
    Some(format!("holds      the result, where this check finds a fault: {}", Value::Object(check)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_type_is_broken_behind_commas_and_is_the_same_text() {
        let fields: Vec<String> = (0..40).map(|n| format!("field-{n}: option<string>")).collect();
        let text = format!("  f: func(a: record {{ {} }}) -> string", fields.join(", "));
        let lines = wrapped(&text);
        assert!(
            lines.lines().count() > 3 && lines.lines().all(|line| line.chars().count() <= COLUMNS),
            "{lines}"
        );
        assert_eq!(lines.replace("\n     ", ""), text);
        assert_eq!(wrapped("  f: func() -> s32"), "  f: func() -> s32");
    }
}
