//! `cargo xtask bench --check`: counts the instructions of one call, which are stable where times are not.
//!
//! Callgrind counts two runs that differ only in their number of calls. The difference does not contain the cost of
//! opening a host.

#![expect(clippy::print_stdout, reason = "the verdict is what people run it for")]

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::Bench;
use crate::release;
use crate::run::command;

/// The file of the stored counts, below the folder of the page: a line for each that was stored, with its reason.
const STORED: &str = "performance/instructions.txt";

/// The registry of the counted calls, which `bench calls` writes into the scratch folder.
const REGISTRY: &str = "narrow.toml";

/// Relative difference from the stored count that fails the check. More is a regression; less is a reason to store the
/// new count.
const TOLERANCE: f64 = 0.03;

/// Relative growth since the first stored count that fails the check: small growth that is stored again and again adds
/// up.
const GROWTH: f64 = 0.05;

/// Calls of the two runs that are compared.
const FEW: u32 = 200;
const MANY: u32 = 1_200;

/// Counts the instructions of one call and compares them with the stored count, or stores them.
pub(super) fn check(bench: &Bench<'_>, bless: Option<&str>) -> Result<()> {
    // Before the long run, so that a missing tool is reported at once.
    let installed = command(bench.root, "valgrind").arg("--version").output();
    ensure!(
        installed.is_ok_and(|out| out.status.success()),
        "the check cannot run: it counts with valgrind, which is not installed"
    );
    // Not counted: it writes the registry.
    bench.measure(&["calls", "1"])?;
    release::precompile(bench.root, bench.profile, &bench.scratch().join(REGISTRY))?;
    let per_call = (count(bench, MANY)? - count(bench, FEW)?) / f64::from(MANY - FEW);
    let path = bench.docs.join(STORED);
    println!("{per_call:.0} instructions for one call");
    let text = fs::read_to_string(&path);
    if let Some(reason) = bless {
        fs::create_dir_all(path.parent().context("no folder")?)?;
        // A missing file is the normal case before the first count.
        return Ok(fs::write(&path, format!("{}{per_call:.0} {reason}\n", text.unwrap_or_default()))?);
    }
    // Missing is an error: a check that compares with nothing would always pass.
    let text = text.with_context(|| {
        format!("`{STORED}` is missing; `cargo xtask bench --check --bless REASON` writes it")
    })?;
    let stored = stored(&text)?;
    let (first, last) = stored.first().zip(stored.last()).with_context(|| format!("`{STORED}` is empty"))?;
    verdict(per_call, *last)?;
    if per_call > first * (1.0 + GROWTH) {
        bail!("more than {:.0} % above the first stored count, {first:.0}", GROWTH * 100.0);
    }
    Ok(())
}

/// The stored counts, the oldest first.
fn stored(text: &str) -> Result<Vec<f64>> {
    let count = |line: &str| line.split(' ').next().unwrap_or_default().parse::<f64>();
    text.lines()
        .map(|line| count(line).with_context(|| format!("`{STORED}`: no number in `{line}`")))
        .collect()
}

fn verdict(per_call: f64, stored: f64) -> Result<()> {
    let change = per_call / stored - 1.0;
    let shown = format!("{:+.1} % against the stored {stored:.0}", change * 100.0);
    if change.abs() > TOLERANCE {
        bail!("{shown}: more than {:.0} %. If it is meant, store it with --bless REASON", TOLERANCE * 100.0);
    }
    println!("{shown}");
    Ok(())
}

/// The instructions of a run with this number of calls.
fn count(bench: &Bench<'_>, calls: u32) -> Result<f64> {
    let output = command(bench.root, "valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(bench.program("bench").get_program())
        .args(bench.own_args())
        .args(["calls", &calls.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the run under valgrind failed:\n{said}");
    collected(&said).with_context(|| format!("valgrind counted nothing:\n{said}"))
}

fn collected(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callgrind_says() {
        let said = "==9== Events    : Ir\n==9== Collected : 429969877\n==9== \n";
        assert_eq!(collected(said), Some(429_969_877.0));
        assert_eq!(collected("==9== nothing"), None);
    }

    #[test]
    fn a_change_in_either_direction_fails() {
        assert!(verdict(102.0, 100.0).is_ok());
        assert!(verdict(104.0, 100.0).is_err());
        assert!(verdict(96.0, 100.0).is_err());
    }

    #[test]
    fn each_line_is_a_count_with_its_reason() {
        assert_eq!(stored("100 at first\n104 more checks\n").unwrap(), [100.0, 104.0]);
        assert!(stored("many\n").is_err());
    }
}
