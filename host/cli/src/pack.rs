//! `airlock pack`: embeds the contract and the doc comments in the component, so that one `.wasm` file is the whole
//! delivery.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Ended;
use super::print::{Message, Printer};
use airlock::file;
use airlock::host;
use airlock::registry::{self, Unpacked};
use airlock_contract::component::{ComponentInfo, FunctionDocs, said_of};
use airlock_contract::docs;
use airlock_contract::manifest::Manifest;
use airlock_contract::package::{Packed, SECTION_BYTES_MAX, embed};
use airlock_contract::tool::Contract;
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's file
    component: PathBuf,
    /// The contract [default: `contract.toml` beside the WIT, which may be absent if the component has none embedded]
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The WIT source that the doc comments are read from: a file or a folder [default: embedded ones are kept]
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,
    /// The world, if the WIT has several
    #[arg(long)]
    world: Option<String>,
    /// The packed component's file [default: replaces the component]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, printer: &Printer) -> Ended {
    let said = |text: String| anyhow::Error::from(Message(text));
    let cache = host::user_cache()?;
    // The embedded contract is not read: it is replaced, even if it is invalid.
    let Unpacked { bytes, component, had_contract, docs: embedded } =
        registry::unpacked(&args.component, &cache)
            .await
            .map_err(|err| said(format!("`{}`: {err}", args.component.display())))?;
    let mut docs = match &args.wit {
        Some(wit) => docs(wit, args.world.as_deref())?,
        // Only the contract is replaced. Nothing else could bring the comments back: they are in no other file of a delivery.
        None => embedded.unwrap_or_else(|err| {
            printer.note(format!(
                "warning: `{}`: doc comments that were embedded cannot be read and are not kept ({err}); `--wit` reads \
                 them again",
                args.component.display()
            ));
            BTreeMap::new()
        }),
    };
    left_out(&mut docs, &component.info, printer);
    let contract = contract(args)?;
    if let Some((path, text)) = &contract {
        let manifest = Manifest::parse(text, &path.display().to_string())?;
        // The contract is prepared as the host would prepare it, so that its errors show here and not at load.
        let mut tools = manifest.bind(&component.info.functions)?;
        for function in &component.info.functions {
            let none = Default::default();
            let docs =
                said_of(function, &component.info.functions, |address| docs.get(address)).unwrap_or(&none);
            let said_of = tools.remove(&function.address()).unwrap_or_default();
            Contract::of(&manifest, function, said_of, docs)?;
        }
    }
    if contract.is_none() && args.wit.is_none() {
        // Packing would remove what is embedded and put nothing in its place.
        return Err(said("nothing to pack: give `--wit`, `--contract` or both".into()));
    }
    if contract.is_none() && had_contract {
        return Err(said(lost(args)));
    }
    let packed = Packed { contract: contract.map(|(_, text)| text), docs };
    // The component itself by default, so that a build step can pack its output in place.
    let out = args.out.as_ref().unwrap_or(&args.component);
    let bytes =
        embed(&bytes, &packed).map_err(|err| said(format!("`{}`: {err}", args.component.display())))?;
    file::replace(out, &bytes, None)
        .map_err(|err| said(format!("cannot write `{}`: {err}", out.display())))?;
    printer.line(format!(
        "{}: {}, {}, contract {}, doc comments of {}",
        out.display(),
        count(component.info.functions.len() as u64, "function"),
        count(bytes.len() as u64, "byte"),
        if packed.contract.is_some() { "embedded" } else { "none" },
        count(packed.docs.len() as u64, "function"),
    ));
    Ok(0)
}

/// Removes the comments of functions that no tool of the component has, and names them: the WIT may be that of another one.
fn left_out(docs: &mut BTreeMap<String, FunctionDocs>, info: &ComponentInfo, printer: &Printer) {
    // By address, in the way in which a tool finds its comments.
    let addresses: BTreeMap<String, String> = docs.keys().map(|key| (key.clone(), key.clone())).collect();
    let own: BTreeSet<&String> = info
        .functions
        .iter()
        .filter_map(|function| said_of(function, &info.functions, |address| addresses.get(address)))
        .collect();
    let foreign: Vec<String> =
        docs.keys().filter(|key| !own.contains(key)).map(|key| format!("`{key}`")).collect();
    docs.retain(|key, _| own.contains(key));
    if !foreign.is_empty() {
        printer.note(format!(
            "warning: the component exports no function that can be a tool for {}, whose doc comments are left out: is this the WIT that \
             it was built from?",
            foreign.join(", ")
        ));
    }
}

/// The doc comments of a WIT file or folder, by function.
fn docs(wit: &Path, world: Option<&str>) -> anyhow::Result<BTreeMap<String, FunctionDocs>> {
    let read = source::read(wit).and_then(|source| docs::read(&source, world));
    Ok(read.map_err(|err| Message(err.to_string()))?)
}

fn contract(args: &Args) -> anyhow::Result<Option<(PathBuf, String)>> {
    let path = match (&args.contract, &args.wit) {
        (Some(path), _) => path.clone(),
        (None, Some(wit)) => beside(wit)?,
        (None, None) => return Ok(None),
    };
    if args.contract.is_none() && file::is_absent(&path) {
        return Ok(None);
    }
    let text = file::read_text(&path, SECTION_BYTES_MAX as u64)
        .map_err(|err| Message(format!("`{}` cannot be read: {err}", path.display())))?;
    Ok(Some((path, text)))
}

/// The usual layout of a guest: `contract.toml` beside the folder `wit`.
fn beside(wit: &Path) -> anyhow::Result<PathBuf> {
    let folder = match wit.file_name() {
        Some(_) => wit.parent().map(Path::to_owned),
        // The parent of `.` and of `..` is not in their text.
        None => {
            let real = wit.canonicalize();
            let real = real.map_err(|err| Message(format!("`{}` cannot be read: {err}", wit.display())))?;
            Some(real.parent().unwrap_or(&real).to_owned())
        }
    };
    Ok(folder.unwrap_or_default().join("contract.toml"))
}

/// Why a component keeps the contract that it has.
fn lost(args: &Args) -> String {
    let wit = args.wit.as_deref().unwrap_or(Path::new("."));
    format!(
        "`{}`: its embedded contract would be removed, since no `contract.toml` is beside `{}`: name the contract with \
         `--contract`, an empty file for none",
        args.component.display(),
        wit.display(),
    )
}
