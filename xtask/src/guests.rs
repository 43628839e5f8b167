//! `cargo xtask guests`: builds the workspaces of guests from source into components.
//!
//! Owns the folders of guests and of their components; `component` turns one module into one component. Must not know
//! what a guest does. To add a workspace: a line in `WORKSPACES`. To add a guest: a folder with `wit/` in one of them.

mod component;
pub(crate) mod languages;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::run::{program, target_dir};
use crate::toolchain::{self, TARGET, Toolchain};

/// Folders that each hold a cargo workspace of guests.
pub(crate) const WORKSPACES: [&str; 3] = ["example-tools", "tests/conformance", "tests/guests"];

/// One target folder for all workspaces, below that of the host, so that the generator of bindings is built once.
const FOLDER: &str = "guests";

/// Options of the command.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Prints each component's size, imports and exports
    #[arg(long)]
    list: bool,
    /// Builds the guest `adder` in other languages, too, where their tools can be installed
    #[arg(long)]
    languages: bool,
    /// The airlock binary that packs contracts: by default that of the debug build. Where it is missing guests are not packed
    #[arg(long)]
    airlock: Option<PathBuf>,
}

impl Args {
    /// Builds all guests and packs them with this `airlock`.
    pub(crate) fn packed_by(airlock: impl Into<PathBuf>) -> Args {
        Args { airlock: Some(airlock.into()), ..Args::default() }
    }
}

/// The folder of a guest, its module and its component.
struct Guest {
    folder: PathBuf,
    module: PathBuf,
    component: PathBuf,
}

/// Builds all guests. A component that is newer than all its inputs is kept.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let toolchain = toolchain::ensure_target(root)?;
    // Optional: the first build of guests may come before the program exists.
    let airlock = args.airlock.as_ref().map_or_else(|| program(root, "airlock"), |path| root.join(path));
    let airlock = Some(airlock).filter(|path| path.is_file());
    for workspace in WORKSPACES {
        compile(root, &root.join(workspace), &toolchain)?;
        for guest in guests(root, &root.join(workspace))? {
            make(&guest, airlock.as_deref())
                .with_context(|| format!("guest `{}`", guest.folder.display()))?;
            if args.list {
                component::list(&guest.component)?;
            }
        }
    }
    if args.languages { languages::build(root) } else { Ok(()) }
}

fn compile(root: &Path, workspace: &Path, toolchain: &Toolchain) -> Result<()> {
    let status = toolchain
        .cargo()
        .args(["build", "--locked", "--release", "--quiet", "--target", TARGET, "--target-dir"])
        .arg(target_dir(root).join(FOLDER))
        .current_dir(workspace)
        .status()
        .context("cannot run cargo for the guests")?;
    ensure!(status.success(), "the guests in `{}` do not build", workspace.display());
    Ok(())
}

/// The guests of a workspace, sorted by name: the folders with a WIT world.
fn guests(root: &Path, workspace: &Path) -> Result<Vec<Guest>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(workspace)
        .with_context(|| format!("cannot list `{}`", workspace.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.retain(|folder| folder.join("wit/world.wit").is_file());
    folders.sort();
    Ok(folders.into_iter().map(|folder| guest(root, workspace, folder)).collect())
}

fn guest(root: &Path, workspace: &Path, folder: PathBuf) -> Guest {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let modules = target_dir(root).join(FOLDER).join(TARGET).join("release");
    Guest {
        module: modules.join(name.replace('-', "_")).with_extension("wasm"),
        component: workspace.join("build").join(name).with_extension("wasm"),
        folder,
    }
}

/// Makes a component from a module and packs it, if any of its inputs is newer than the component.
fn make(guest: &Guest, airlock: Option<&Path>) -> Result<()> {
    let contract = Some(guest.folder.join("contract.toml")).filter(|path| path.is_file());
    let wit = guest.folder.join("wit");
    // The packing program is an input, too: a new form of the contract section must reach every component.
    let sources = [Some(guest.module.as_path()), contract.as_deref(), Some(wit.as_path()), airlock];
    if component::is_newer(&guest.component, sources.into_iter().flatten())? {
        return Ok(());
    }
    // Encoded anew each time, because packing replaces the component in place.
    component::encode(&guest.module, &guest.component)?;
    match (airlock, contract) {
        (Some(airlock), Some(contract)) => component::pack(airlock, &guest.component, &wit, &contract),
        (None, _) | (_, None) => Ok(()),
    }
}
