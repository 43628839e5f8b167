//! `cargo xtask fuzz`: runs the fuzz targets of `fuzz/`, seeded from the cases and examples of this repository.
//!
//! Owns how the targets are built and for how long they run. Must not know what they check. The stable compiler
//! instruments for coverage without a sanitizer, as `cargo fuzz run --sanitizer none` does, which works here too. This
//! command instruments only the crates of the workspace, so that their dependencies are those of every other build:
//! `cargo fuzz` compiles all of them once more.

#![expect(clippy::print_stdout, reason = "its progress is what people run it for")]

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{command, program, run_command, target_dir};

/// Memory of one target, in MiB: a component under compilation takes the most.
const MEMORY_MIB_MAX: u32 = 2_048;

/// Seconds of one input. An input within its bounds takes milliseconds; the machine may be shared.
const INPUT_S_MAX: u32 = 20;

/// Size of the largest input, in bytes.
const INPUT_BYTES_MAX: u32 = 64 << 10;

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Targets; all of them when none is named
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 300)]
    seconds: u32,
}

impl Args {
    /// The sample that CI runs.
    pub(crate) fn sample() -> Args {
        Args { targets: Vec::new(), seconds: 20 }
    }
}

/// Checks that the fuzzer can be built: it is written in C++.
pub(crate) fn available(root: &Path) -> Result<()> {
    let compiler = command(root, "c++").arg("--version").output();
    ensure!(
        compiler.is_ok_and(|output| output.status.success()),
        "there is no C++ compiler, which libFuzzer needs: nothing was fuzzed"
    );
    Ok(())
}

/// Builds the targets and runs them one after the other; the first that finds something ends it.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let known = targets(root)?;
    if let Some(unknown) = args.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{unknown}`; there are: {}", known.join(", "));
    }
    build(root, &known)?;
    for target in if args.targets.is_empty() { &known } else { &args.targets } {
        let seeds = seeds::collect(root, target).with_context(|| format!("the seeds of `{target}`"))?;
        let executed = fuzz(root, target, &seeds, args.seconds)?;
        println!("{target}: {executed} inputs");
    }
    Ok(())
}

/// The targets, sorted by name: one binary each. `fuzz/src/lib.rs` says what each checks.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn build(root: &Path, targets: &[String]) -> Result<()> {
    let bins = targets.iter().flat_map(|target| ["--bin".to_owned(), format!("fuzz_{target}")]);
    // With the features of the whole workspace: others would compile the dependencies once more.
    run_command(
        command(root, "cargo")
            .args(["build", "--quiet", "--workspace", "--features", "airlock-fuzz/libfuzzer"])
            .args(bins)
            .env("RUSTC_WORKSPACE_WRAPPER", root.join("fuzz/instrument.sh")),
    )
}

/// Runs one target and returns how many inputs it has executed.
fn fuzz(root: &Path, target: &str, seeds: &Path, seconds: u32) -> Result<u64> {
    let found = folder(root, "artifacts", target)?;
    // What libFuzzer finds worth keeping goes into the first folder, and is a seed of the next run.
    let kept = folder(root, "corpus", target)?;
    let output = command(root, &program(root, &format!("fuzz_{target}")).to_string_lossy())
        .args([&kept, seeds, &root.join("fuzz/corpus").join(target)])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg("-print_final_stats=1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "`{target}` found something:\n{}\nthe input is in `{}`; add it to `fuzz/corpus/{target}` with the mend",
            tail(&log),
            found.display()
        );
    }
    let executed = executed(&log).with_context(|| format!("`{target}` says nothing:\n{}", tail(&log)))?;
    let known = fs::read_dir(seeds)?.count() as u64;
    ensure!(executed > known, "`{target}` executed {executed} inputs, no more than its {known} seeds");
    Ok(executed)
}

fn folder(root: &Path, name: &str, target: &str) -> Result<PathBuf> {
    let folder = target_dir(root).join("fuzz").join(name).join(target);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn executed(log: &str) -> Option<u64> {
    let line = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
