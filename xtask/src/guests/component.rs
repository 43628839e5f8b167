//! Steps for one guest: encode the core module as a component, pack its contract, list it.
//!
//! Must not know where guests are.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// Encodes a core module, which carries its WIT in a custom section, as a validated component.
pub(crate) fn encode(module: &Path, component: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    let encoded = ComponentEncoder::default().validate(true).module(&bytes)?.encode()?;
    if let Some(folder) = component.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(component, encoded).with_context(|| format!("cannot write `{}`", component.display()))
}

/// Embeds the contract and the WIT's doc comments in a component, in place.
pub(crate) fn pack(airlock: &Path, component: &Path, wit: &Path, contract: &Path) -> Result<()> {
    // Into another file, so that a failure leaves no half-written component.
    let packed = component.with_extension("packed.wasm");
    let output = Command::new(airlock)
        .arg("pack")
        .arg(component)
        .arg("--wit")
        .arg(wit)
        .arg("--contract")
        .arg(contract)
        .arg("-o")
        .arg(&packed)
        .output()
        .with_context(|| format!("cannot run `{}`", airlock.display()))?;
    if !output.status.success() {
        // The unpacked component would look up to date in the next run.
        fs::remove_file(component)?;
        bail!("`airlock pack` said no:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    ensure!(packed.is_file(), "`airlock pack` wrote nothing");
    Ok(fs::rename(packed, component)?)
}

/// Whether the component exists and is newer than all of these files and folders.
pub(crate) fn is_newer<'a>(component: &Path, sources: impl Iterator<Item = &'a Path>) -> Result<bool> {
    let Ok(built) = modified(component) else { return Ok(false) };
    for source in sources {
        // An equal time counts as changed: a file system may store whole seconds.
        if modified(source)? >= built {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The latest change of a file, or of anything in a folder. Links are followed.
fn modified(path: &Path) -> Result<SystemTime> {
    let facts = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut newest = facts.modified()?;
    if facts.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(modified(&entry?.path())?);
        }
    }
    Ok(newest)
}

/// Prints a component's size, and its imports and exports with their functions.
#[expect(clippy::print_stdout, reason = "this is what `--list` is for")]
pub(crate) fn list(component: &Path) -> Result<()> {
    let bytes = fs::read(component).with_context(|| format!("cannot read `{}`", component.display()))?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes)? else {
        bail!("`{}` is a WIT package", component.display());
    };
    println!("{} ({} bytes)", component.display(), bytes.len());
    let world = &resolve.worlds[world];
    for (word, items) in [("import", &world.imports), ("export", &world.exports)] {
        for (key, item) in items {
            println!("  {word} {}", describe(&resolve, key, item));
        }
    }
    Ok(())
}

fn describe(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> String {
    let name = resolve.name_world_key(key);
    match item {
        WorldItem::Interface { id, .. } => {
            let functions: Vec<&str> = resolve.interfaces[*id].functions.keys().map(String::as_str).collect();
            if functions.is_empty() {
                format!("{name} (types only)")
            } else {
                format!("{name}: {}", functions.join(", "))
            }
        }
        WorldItem::Function(_) => format!("function {name}"),
        WorldItem::Type { .. } => format!("type {name}"),
    }
}
