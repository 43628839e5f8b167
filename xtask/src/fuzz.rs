//! `cargo xtask fuzz`: the HTTP API against its own OpenAPI document, by schemathesis.
//!
//! Every answer must be one that the document names, and none a fault of the server's.

#![expect(clippy::print_stdout, reason = "its result is what people run it for")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::python;
use crate::run::command;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// How thoroughly.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Requests for each operation and phase
    #[arg(long, default_value_t = 200)]
    pub(crate) examples: u32,
}

/// Whether schemathesis is there, or can be had.
pub(crate) fn available(root: &Path) -> Result<()> {
    python::environment(root, "fuzz", &[SCHEMATHESIS]).map(drop)
}

/// Starts the example registry with one caller, and asks it whatever its document allows, and more.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let bin = python::environment(root, "fuzz", &[SCHEMATHESIS])?;
    let folder = root.join("target/fuzz/registry");
    std::fs::create_dir_all(&folder)?;
    let token = registry(root, &folder)?;
    let (mut server, url) = serve(root, &folder)?;
    let status = command(root, &bin.join("schemathesis").to_string_lossy())
        .arg("run")
        .arg(format!("{url}/v1/openapi.json"))
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .args(["--max-examples", &args.examples.to_string()])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        // A tool may refuse what is valid, and no document can say which handles are open.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["-H", "Airlock-Session: new"])
        .current_dir(&folder)
        .status();
    let lives = server.try_wait()?.is_none();
    server.kill()?;
    server.wait()?;
    ensure!(status?.success(), "schemathesis found answers that the document does not allow");
    ensure!(lives, "the server died");
    println!("the API answers as its document says");
    Ok(())
}

/// A copy of the example registry with one caller; its token.
fn registry(root: &Path, folder: &Path) -> Result<String> {
    let made = command(root, &root.join("target/debug/airlock").to_string_lossy())
        .args(["token", "new", "fuzz"])
        .output()?;
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    let said = String::from_utf8(made.stderr)?;
    let entry = said.lines().filter(|line| line.starts_with("[callers") || line.contains(" = ["));
    let entry: String = entry.map(|line| format!("{line}\n")).collect();
    let example = root.join("example-tools");
    let text = std::fs::read_to_string(example.join("airlock.toml"))?
        .replace("\"build/", &format!("\"{}/build/", example.display()))
        .replace("host = \"data\"", &format!("host = \"{}/data\"", example.display()));
    std::fs::write(folder.join("airlock.toml"), format!("{text}\n{entry}"))?;
    Ok(token)
}

fn serve(root: &Path, folder: &Path) -> Result<(Child, String)> {
    let mut server = command(root, &root.join("target/debug/airlock").to_string_lossy())
        .arg("--registry")
        .arg(folder.join("airlock.toml"))
        .args(["serve", "--http", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .context("build the host first: `cargo build --workspace`")?;
    let mut lines = BufReader::new(server.stderr.take().context("no stderr")?).lines();
    let url = loop {
        let Some(line) = lines.next().transpose()? else { bail!("the server did not start") };
        if let Some(url) = line.strip_prefix("listening on ") {
            break url.to_owned();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    Ok((server, url))
}
