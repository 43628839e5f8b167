//! `cargo xtask bench`: builds the benchmarks with optimizations, runs them, and writes `docs/performance.md`.
//!
//! Owns the order of the runs and the paths; the crate `bench` measures. Must not know figures. To add a run: a variant
//! of `Part` and its subcommand in `bench`.

mod count;
mod rivals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::guests;
use crate::release;
use crate::run::{cargo, command, run_command, target_dir};

/// The profile in the workspace's `Cargo.toml`, which is also the name of its folder.
const PROFILE: &str = "bench-run";

/// The benchmark programs, and the servers that they start beside the product.
const MEASURING: [&str; 5] = ["-p", "airlock-bench", "--bins", "--bench", "parts"];

/// The folder for registries, state and the files of criterion, below the target folder.
const SCRATCH: &str = "bench";

/// The choice of runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A short run, for rough figures
    #[arg(long)]
    quick: bool,
    /// Measures the dev build and writes below `target/`, for work on the benchmark itself
    #[arg(long)]
    dev: bool,
    /// Installs other servers below `target/` and measures them beside this one, over stdio and HTTP
    #[arg(long)]
    rivals: bool,
    /// Compares the instructions of one call with the stored count
    #[arg(long, conflicts_with = "rivals")]
    check: bool,
    /// With --check, stores the count with this reason instead of comparing it
    #[arg(long, requires = "check", value_name = "REASON")]
    bless: Option<String>,
    /// Only these runs: parts, library, stdio, memory, scale, guests, http, edges, outgoing, listing, recording; with --rivals
    /// stdio and http
    #[arg(long, value_delimiter = ',', conflicts_with = "check")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Parts,
    Library,
    Stdio,
    Memory,
    Scale,
    Guests,
    Http,
    Edges,
    Outgoing,
    Listing,
    Recording,
}

const ALL: [Part; 11] = [
    Part::Parts,
    Part::Library,
    Part::Stdio,
    Part::Memory,
    Part::Scale,
    Part::Guests,
    Part::Http,
    Part::Edges,
    Part::Outgoing,
    Part::Listing,
    Part::Recording,
];

/// The paths and settings of a run.
struct Bench<'r> {
    root: &'r Path,
    quick: bool,
    profile: &'static str,
    /// The folder of the page.
    docs: PathBuf,
}

/// Builds and measures. The page is written last, from the figures of this and of earlier runs.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    if args.rivals {
        let is_of_rivals = |part: &Part| matches!(part, Part::Stdio | Part::Http);
        ensure!(args.only.iter().all(is_of_rivals), "--rivals measures `stdio` and `http` only");
    }
    let (profile, docs) =
        if args.dev { ("dev", target_dir(root).join(SCRATCH)) } else { (PROFILE, root.join("docs")) };
    let bench = Bench { root, quick: args.quick, profile, docs };
    // Always built first: figures of an old build must not be taken for those of this source.
    bench.build()?;
    if args.check {
        return count::check(&bench, args.bless.as_deref());
    }
    if args.rivals {
        bench.rivals(&args.only)?;
    } else {
        let chosen = if args.only.is_empty() { &ALL[..] } else { &args.only };
        chosen.iter().try_for_each(|part| bench.part(*part))?;
    }
    // The report reads stored figures, so runs that were not chosen keep their earlier ones.
    bench.measure(&["report"])
}

impl Bench<'_> {
    fn build(&self) -> Result<()> {
        let what = [&["build", "--profile", self.profile], &MEASURING[..]].concat();
        // The measured program is the shipped one, whose functions are linked in order.
        if self.profile == PROFILE {
            cargo(self.root, &what)?;
            release::build(self.root, self.profile)?;
        } else {
            cargo(self.root, &[&what[..], &["-p", "airlock-cli"]].concat())?;
        }
        // Packed by the program that is measured: guests from another build could differ.
        guests::run(self.root, &guests::Args::packed_by(self.programs().join("airlock")))?;
        fs::create_dir_all(self.scratch()).context("cannot make a folder for what is measured")
    }

    fn part(&self, part: Part) -> Result<()> {
        match part {
            Part::Parts => self.parts(),
            Part::Library => self.measure(&["library"]),
            Part::Stdio => self.measure(&["stdio"]),
            Part::Memory => self.measure(&["memory"]),
            Part::Scale => self.measure(&["scale"]),
            Part::Guests => {
                guests::languages::build(self.root)?;
                self.measure(&["guests"])
            }
            Part::Http => self.measure(&["http"]),
            Part::Edges => self.measure(&["edges"]),
            Part::Outgoing => self.measure(&["outgoing"]),
            Part::Listing => self.measure(&["listing"]),
            Part::Recording => self.measure(&["recording"]),
        }
    }

    /// Measures other servers beside the product: over stdio, over HTTP, or both.
    fn rivals(&self, only: &[Part]) -> Result<()> {
        let chosen = |part| only.is_empty() || only.contains(&part);
        let stdio = chosen(Part::Stdio);
        let servers = rivals::install(self.root, &self.scratch(), stdio)?;
        let servers = servers.to_string_lossy();
        if stdio {
            self.measure(&["rivals", &servers])?;
        }
        if chosen(Part::Http) {
            self.measure(&["rivals-http", &servers])?;
        }
        Ok(())
    }

    /// Measures the parts of a call with criterion.
    fn parts(&self) -> Result<()> {
        let (registry, criterion) = (self.scratch().join("parts.toml"), self.scratch().join("criterion"));
        self.measure(&["registry", &registry.to_string_lossy()])?;
        let mut command = command(self.root, "cargo");
        command
            .arg("bench")
            .args([
                "-p",
                "airlock-bench",
                "--quiet",
                "--bench",
                "parts",
                "--profile",
                PROFILE,
                "--",
                "--noplot",
            ])
            .env("AIRLOCK_BENCH_REGISTRY", &registry)
            .env("CRITERION_HOME", &criterion);
        if self.quick {
            command.args(["--measurement-time", "0.2"]);
        }
        run_command(&mut command)?;
        self.measure(&["parts", &criterion.to_string_lossy()])
    }

    fn measure(&self, args: &[&str]) -> Result<()> {
        run_command(self.program("bench").args(self.own_args()).args(args))
    }

    fn program(&self, name: &str) -> Command {
        command(self.root, &self.programs().join(name).to_string_lossy())
    }

    fn programs(&self) -> PathBuf {
        target_dir(self.root).join(if self.profile == "dev" { "debug" } else { self.profile })
    }

    fn own_args(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args = vec!["--root".into(), text(self.root), "--docs".into(), text(&self.docs)];
        args.extend(["--scratch".into(), text(&self.scratch())]);
        args.extend(self.quick.then(|| "--quick".to_owned()));
        args
    }

    fn scratch(&self) -> PathBuf {
        target_dir(self.root).join(SCRATCH)
    }
}
