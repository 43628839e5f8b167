//! `airlock diff OLD NEW`: compares two components, registries or locks, for a reviewer. Exits with 3 when the new one
//! allows more than the old one, with `--strict` also when a text changed that models read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use toml::Spanned;

use super::print::{Message, Printer};
use super::{EXIT_WIDER, Ended, open};
use airlock::config::ConfigFile;
use airlock::diff::{Change, Note, changes, escaped_json};
use airlock::lock::Lock;
use airlock::registry::Definition;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The old side: a component, a registry (`.toml`) or a lock (`.lock`)
    old: PathBuf,
    /// The new side
    new: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Exit with 3 also for changed texts that models read
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(args: &Args, printer: &Printer) -> Ended {
    let changes = changes(&definitions(&args.old).await?, &definitions(&args.new).await?);
    if args.json {
        let one = |change: &Change| {
            json!({
                "tool": change.tool, "path": change.path,
                "before": change.before, "after": change.after, "wider": change.wider,
                "note": change.note.map(Note::text),
            })
        };
        let list: Vec<_> = changes.0.iter().map(one).collect();
        let document = json!({"changes": list, "wider": changes.is_wider(), "review": changes.has_texts(), "digest": changes.digest()});
        // Invisible characters are escaped in JSON, too: a reviewer may read it on a terminal.
        printer.line(escaped_json(&serde_json::to_string_pretty(&document)?));
    } else if changes.is_empty() {
        printer.line("nothing changed");
    } else {
        printer.line(changes.to_string().trim_end());
    }
    Ok(if changes.is_wider() || args.strict && changes.has_texts() { EXIT_WIDER } else { 0 })
}

/// The definitions in a file, by its extension. A registry is loaded, so its components are compiled if needed.
async fn definitions(path: &Path) -> anyhow::Result<BTreeMap<String, Definition>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("lock") => {
            let lock = Lock::read_at(path).map_err(|err| Message(err.to_string()))?;
            // A missing lock is an error: as an empty side it would report every tool as new.
            if !lock.exists() {
                return Err(Message(format!("there is no lock `{}`", path.display())).into());
            }
            Ok(lock.accepted())
        }
        Some("toml") => Ok(Definition::all(&open::whole_registry(&ConfigFile::read(path)?).await?)),
        _ => component(path).await,
    }
}

/// The definitions of a component on its own, as in a registry that names it and grants nothing. Both sides get the
/// same tool name, so that only real differences are reported.
async fn component(path: &Path) -> anyhow::Result<BTreeMap<String, Definition>> {
    let absolute = path.canonicalize().map_err(|err| Message(format!("`{}`: {err}", path.display())))?;
    let quoted = toml::Value::from(absolute.to_string_lossy().into_owned());
    let state = airlock::host::user_folder();
    let text = format!(
        "[host]\nstate = {}\n[tools.component]\ncomponent = {quoted}\n",
        toml::Value::from(state.to_string_lossy().into_owned())
    );
    let mut file = ConfigFile::parse(&text, &absolute.with_extension("toml"))?;
    // A registry must declare imports that the host does not provide. Here they are declared as traps, so that a
    // component that is in no registry can be compared.
    let cache = airlock::host::user_cache()?;
    let shown = airlock::registry::inspect(&absolute, &cache).await;
    let shown = shown.map_err(|err| Message(format!("`{}`: {err}", path.display())))?;
    for import in airlock::capability::Capabilities::default().unknown(&shown.info) {
        let trap = airlock::config::ImportConfig::Word(airlock::config::ImportWord::Trap);
        for tool in file.config.tools.values_mut() {
            tool.imports.insert(Spanned::new(0..0, import.name.clone()), trap.clone());
        }
    }
    Ok(Definition::all(&open::whole_registry(&file).await?))
}
