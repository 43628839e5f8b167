//! `cargo xtask test`: runs everything that CI runs, the quick checks first.

#![expect(clippy::print_stdout, reason = "its progress is what people run it for")]

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::run::{cargo, command, program, run_command, target_dir};
use crate::{clients, conformance, deny, fuzz, fuzz_api, guests, hostile, soak, tidy};

/// Programs under `examples/`.
const EXAMPLES: [&str; 3] = ["custom_capability", "embed", "precompile"];

/// Runs all checks; the first failure ends it.
pub(crate) fn run(root: &Path) -> Result<()> {
    step("format", || cargo(root, &["fmt", "--all", "--check"]))?;
    step("format of guests", || {
        for folder in guests::WORKSPACES {
            cargo(&root.join(folder), &["fmt", "--all", "--check"])?;
        }
        Ok(())
    })?;
    step("tidy", || tidy::run(root))?;
    // Before the guests, which are packed by the program, and before the tests, which start it.
    step("build", || cargo(root, &["build", "--workspace", "--all-targets"]))?;
    step("guests", || guests::run(root, &guests::Args::default()))?;
    step("clippy", || {
        cargo(root, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
    })?;
    step("tests", || cargo(root, &["test", "--workspace"]))?;
    step("examples", || examples(root))?;
    step("tests of example tools", || {
        let to = target_dir(root).join("guests");
        cargo(&root.join("example-tools"), &["test", "--quiet", "--target-dir", &to.to_string_lossy()])
    })?;
    step("documentation", || {
        run_command(
            command(root, "cargo")
                .args(["doc", "--quiet", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })?;
    // From here on the steps start the built program.
    step("demo", || run_command(&mut command(root, &program(root, "demo").to_string_lossy())))?;
    step("conformance", || conformance(root))?;
    step("sample of the soak", || {
        soak::run(root, &soak::Args { minutes: 2, chaos: false, kills: None, seed: 1 })
    })?;
    step("sample of the chaos", || {
        soak::run(root, &soak::Args { minutes: 2, chaos: true, kills: None, seed: 1 })
    })?;
    step("sample of the hostile components and clients", || hostile::run(root, &hostile::Args::sample()))?;
    step("sample of the clients", || clients::run(root, &clients::Args { only: "python".into() }))?;
    step("sample of the fuzz", || match fuzz::available(root) {
        Ok(()) => fuzz::run(root, &fuzz::Args::sample()),
        Err(err) => skip(&err),
    })?;
    step("sample of the API fuzz", || match fuzz_api::available(root) {
        Ok(()) => fuzz_api::run(root, &fuzz_api::Args { examples: 40 }),
        Err(err) => skip(&err),
    })?;
    step("dependencies", || deny::run(root, &deny::Args::default()))?;
    println!("not part of this: `cargo xtask interop`, which needs Node, Python and the network");
    println!("all checks passed");
    Ok(())
}

/// The programs that embed the host. They are built with the workspace's features and one more, so that only the
/// library is compiled again.
fn examples(root: &Path) -> Result<()> {
    // The examples must compile their components, so the cache of an earlier run is removed.
    let state = target_dir(root).join("examples");
    if state.exists() {
        std::fs::remove_dir_all(&state)?;
    }
    let all = ["--quiet", "--workspace", "--examples", "--features", "airlock/in-process-compiler"];
    cargo(root, &[&["clippy"], &all[..], &["--", "-D", "warnings"]].concat())?;
    cargo(root, &[&["build"], &all[..]].concat())?;
    for name in EXAMPLES {
        let program = target_dir(root).join("debug/examples").join(name);
        run_command(&mut command(root, &program.to_string_lossy()))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a step's duration is for people, and decides nothing")]
fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    let done = work();
    println!("== {name}: {} in {} s", if done.is_ok() { "ok" } else { "FAILED" }, start.elapsed().as_secs());
    done
}

/// Reports a step that was skipped, because it needs a network that is not there.
#[expect(clippy::unnecessary_wraps, reason = "it stands in for a step")]
fn skip(why: &anyhow::Error) -> Result<()> {
    println!("SKIPPED: {why:#}");
    Ok(())
}

/// Runs the conformance suite. It comes from package registries; when they cannot be reached, the step is skipped with
/// a message.
fn conformance(root: &Path) -> Result<()> {
    match conformance::Suite::install(root) {
        Ok(suite) => conformance::check(root, &suite),
        Err(err) => skip(&err.context("the conformance suite cannot be installed, so nothing was checked")),
    }
}
