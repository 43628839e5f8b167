//! `cargo xtask fuzz-api`: tests the HTTP API against its own OpenAPI document with schemathesis.
//!
//! Every answer must be one that the document declares, and none may be a server error.

#![expect(clippy::print_stdout, reason = "its result is what people run it for")]

use std::path::Path;

use anyhow::{Result, ensure};

use crate::python;
use crate::run::{command, target_dir};
use crate::serve::{Served, airlock, registry};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The extent of the test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Requests for each operation and phase
    #[arg(long, default_value_t = 200)]
    pub(crate) examples: u32,
}

/// Checks that schemathesis is installed or can be installed.
pub(crate) fn available(root: &Path) -> Result<()> {
    python::environment(root, "fuzz-api", &[SCHEMATHESIS]).map(drop)
}

/// Serves the example registry with one caller and sends it valid and invalid requests.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let bin = python::environment(root, "fuzz-api", &[SCHEMATHESIS])?;
    let folder = target_dir(root).join("fuzz-api/registry");
    let token = registry(root, &folder, "")?;
    let mut server = Served::start(
        command(root, &airlock(root).to_string_lossy())
            .arg("--registry")
            .arg(folder.join("airlock.toml"))
            .args(["serve", "--http", "127.0.0.1:0"]),
    )?;
    let status = command(root, &bin.join("schemathesis").to_string_lossy())
        .arg("run")
        .arg(format!("{}/v1/openapi.json", server.url))
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .args(["--max-examples", &args.examples.to_string()])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        // Excluded: a tool may refuse valid arguments, and the document cannot state which session handles are open.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["-H", "Airlock-Session: new"])
        .current_dir(&folder)
        .status();
    ensure!(status?.success(), "schemathesis found answers that the document does not allow");
    ensure!(server.lives(), "the server died");
    println!("the API answers as its document says");
    Ok(())
}
