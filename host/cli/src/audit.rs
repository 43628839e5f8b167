//! `airlock audit [TOOL]`: what a security reviewer must know of each tool, as text, HTML, Markdown, SARIF or JSON. Exits with
//! 1 if a tool is left out, or one of its doubts is an error.

mod html;
mod markdown;
mod sarif;
mod text;

use std::path::Path;

use super::print::{Message, Printer};
use super::{EXIT_NO, Ended, open};
use airlock::audit::{Asked, Audit, AuditedCaller, AuditedTool, Level, Unloaded, Uses};
use airlock::config::ConfigFile;
use airlock::host;
use airlock::registry;
use airlock::registry::Registry;
use airlock_types::grant::values::ENV;
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool, or an entry of the registry by its key [default: all]
    tool: Option<String>,
    /// The form of the report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// One page without scripts or links to other files
    Html,
    /// For a review or a repository
    Md,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Everything, for programs
    Json,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?;
    let loaded = open::registry(&file).await?;
    if let Some(tool) = &args.tool {
        let is_key = loaded.tools().any(|other| other.key == *tool);
        match (loaded.resolve(tool), loaded.problems()) {
            _ if is_key => {}
            (Ok(_), _) => {}
            (Err(_), Some(problems)) => return Err(problems.into()),
            (Err(unknown), None) => return Err(open::unknown(&unknown, tool, &loaded).into()),
        }
    }
    let unloaded = unloaded(&file, &loaded, args.tool.as_deref()).await?;
    let uses = uses(&file)?;
    let audit = Audit::of(&file, &loaded, &uses, args.tool.as_deref());
    let audit = audit.map_err(|err| Message(err.to_string()))?.with_unloaded(unloaded);
    match args.format {
        Format::Text => printer.line(text::report(&audit).trim_end()),
        Format::Html => printer.line(html::page(&audit).trim_end()),
        Format::Md => printer.line(markdown::report(&audit).trim_end()),
        Format::Sarif => printer.json(&sarif::log(&audit))?,
        Format::Json => printer.json(&audit)?,
    }
    let errors = audit.counts().get(&Level::Error).copied().unwrap_or_default();
    Ok(if errors > 0 || !audit.left_out.is_empty() { EXIT_NO } else { 0 })
}

/// What the components of entries that are left out would reach for.
async fn unloaded(file: &ConfigFile, loaded: &Registry, only: Option<&str>) -> anyhow::Result<Vec<Unloaded>> {
    let cache = host::user_cache()?;
    let mut unloaded = Vec::new();
    for (key, config) in &file.config.tools {
        let key = key.get_ref();
        let is_loaded = loaded.tools().any(|tool| tool.key == *key);
        if is_loaded || only.is_some_and(|only| only != key) {
            continue;
        }
        let path = file.folder().join(config.component.get_ref());
        if let Ok(component) = registry::inspect(&path, &cache).await {
            unloaded.push(Unloaded::of(key, &component));
        }
    }
    Ok(unloaded)
}

/// What an entry that is left out would reach for, in lines.
fn reaches(Unloaded { requests, imports, .. }: &Unloaded) -> Vec<String> {
    let requests = requests
        .iter()
        .flat_map(|(name, lines)| lines.iter().map(move |line| format!("requests {name}: {line}")));
    let imports = imports.iter().map(|import| format!("imports {import}"));
    requests.chain(imports).collect()
}

/// What is on record. A registry that never ran a call has no journal, and gets none here.
fn uses(file: &ConfigFile) -> anyhow::Result<Uses> {
    if !open::has_journal(file) {
        return Ok(Uses::default());
    }
    let journal = host::open_journal(file)?;
    Ok(Uses::of_journal(&journal)?)
}

/// The limits of one attempt, for people.
fn limits(tool: &AuditedTool) -> String {
    let limits = tool.limits.as_object().into_iter().flatten();
    limits.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" · ")
}

/// What is on record of a tool's calls.
fn calls(tool: &AuditedTool) -> String {
    let calls = tool.calls;
    format!("{}, {} ok, {}", calls.calls, calls.ok, count(calls.attempts, "attempt"))
}

/// Who may call a tool.
fn callers(tool: &AuditedTool) -> Vec<String> {
    tool.callers.iter().map(AuditedCaller::text).collect()
}

/// What a cell says of an empty list.
fn or_nothing(lines: &[String]) -> Vec<&str> {
    if lines.is_empty() { vec!["nothing"] } else { lines.iter().map(String::as_str).collect() }
}

/// What is granted of a capability, and what is tried.
fn granted(asked: &Asked) -> Vec<String> {
    let tried = asked.tried.iter().map(|line| format!("tried: {line}"));
    asked.granted.iter().cloned().chain(tried).collect()
}

/// What was used of a capability, and how often it was denied.
fn used(asked: &Asked) -> Vec<String> {
    let denied = (asked.denied > 0).then(|| format!("denied in {}", count(asked.denied, "attempt")));
    let used = asked.used.iter().cloned();
    // A runtime reads all variables at once.
    let unseen = (asked.used.is_empty() && asked.name == ENV).then(|| "not seen in records".to_owned());
    used.chain(unseen).chain(denied).collect()
}
