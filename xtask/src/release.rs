//! `cargo xtask release`: builds the program as it is shipped.
//!
//! A start and a call run a small part of a large program, and that part is scattered. The system maps 64 KiB around
//! each touched address, which was two thirds of the memory of an idle server. The program is therefore linked twice:
//! once to see which functions run, and again with these functions next to each other. Owns the session that is
//! observed, and the resulting order.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::guests;
use crate::run::{cargo, command, run_command, target_dir};

/// The folder of the order, below the target folder, with a subfolder for each profile.
const FOLDER: &str = "order";

/// Calls of each tool in the observed session.
const CALLS: u64 = 50;

/// The tools of the observed session, each with its component.
const TOOLS: [(&str, &str); 2] = [("unit_convert", "unit-convert.wasm"), ("text_digest", "text-digest.wasm")];

/// Options of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Observes the running functions again instead of using the stored order
    #[arg(long)]
    anew: bool,
}

/// Builds `target/release/airlock`.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    if args.anew {
        // A missing folder is the normal case on a new clone.
        fs::remove_dir_all(target_dir(root).join(FOLDER)).or_else(|err| match err.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(err).context("cannot forget what was seen before"),
        })?;
    }
    build(root, "release")
}

/// Builds the program of a profile with its functions in the stored order. Without a stored order one is observed
/// first. Functions that are newer than the order keep their ordinary places.
pub(crate) fn build(root: &Path, profile: &str) -> Result<()> {
    let folder = target_dir(root).join(FOLDER).join(profile);
    let order = folder.join("symbols.txt");
    // An empty file is left by a run that stopped between the two links.
    if fs::metadata(&order).map_or(0, |file| file.len()) == 0 {
        fs::create_dir_all(&folder)?;
        // The compiler's arguments enter the mangled names of functions, so this link must have the same arguments as
        // the second one. The order file is empty until then.
        fs::write(&order, "").context("cannot write the order")?;
        let program = link(root, profile, &order)?;
        guests::run(root, &guests::Args::packed_by(program.clone()))?;
        let seen = watch(root, profile, &folder, &program)?;
        // Before the order is written: a run that stops here starts anew next time.
        unlink(&program)?;
        fs::write(&order, seen.join("\n")).context("cannot write the order")?;
    }
    let program = link(root, profile, &order)?;
    run_command(command(root, &program.to_string_lossy()).arg("--version").stdout(Stdio::null()))
        .context("the program was linked, but does not run here")
}

/// Compiles and links the program of a profile with a file of symbol names in order.
fn link(root: &Path, profile: &str, order: &Path) -> Result<PathBuf> {
    let ordered = format!("-Clink-arg=-Wl,--symbol-ordering-file={}", order.display());
    let quiet = "-Clink-arg=-Wl,--no-warn-symbol-ordering";
    // Relative relocations: otherwise each start reads a megabyte of addresses to make them absolute.
    let pack = "-Clink-arg=-Wl,-z,pack-relative-relocs";
    let what = ["--profile", profile, "--package", "airlock-cli", "--bin", "airlock"];
    cargo(root, &[&["rustc"], &what[..], &["--", &ordered, quiet, pack]].concat())?;
    Ok(target_dir(root).join(profile).join("airlock"))
}

/// Removes a program under each of its names, because cargo links again only when the file is missing.
fn unlink(program: &Path) -> Result<()> {
    let inode = fs::metadata(program)?.ino();
    for entry in fs::read_dir(program.with_file_name("deps"))? {
        let entry = entry?;
        if entry.metadata()?.ino() == inode {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(program).context("cannot remove the program that was watched")
}

/// The functions that a session runs, the most expensive first.
fn watch(root: &Path, profile: &str, folder: &Path, program: &Path) -> Result<Vec<String>> {
    let installed = command(root, "valgrind").arg("--version").output();
    ensure!(
        installed.is_ok_and(|out| out.status.success()),
        "what runs is seen with valgrind, which is not installed"
    );
    let registry = folder.join("airlock.toml");
    // One after the other: each compilation reserves the addresses of a pool, and a profiler has room for two of them.
    for tool in TOOLS {
        fs::write(&registry, watched(root, folder, &[tool]))?;
        precompile(root, profile, &registry)?;
    }
    fs::write(&registry, watched(root, folder, &TOOLS))?;
    let out = folder.join("callgrind.out");
    session(root, program, &registry, &out)?;
    let seen = functions(&fs::read_to_string(&out)?);
    ensure!(!seen.is_empty(), "`{}` names no function of the program", out.display());
    Ok(seen)
}

/// Fills the cache of a registry for the processor that valgrind emulates, which differs from the machine's. The
/// program does not compile for it: its confined compile process gives up rights, which valgrind refuses.
pub(crate) fn precompile(root: &Path, profile: &str, registry: &Path) -> Result<()> {
    let example = ["--package", "airlock", "--example", "precompile", "--features", "in-process-compiler"];
    cargo(root, &[&["build", "--profile", profile], &example[..]].concat())?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let program = target_dir(root).join(folder).join("examples/precompile");
    run_command(command(root, "valgrind").args(["--tool=none", "--quiet"]).arg(program).arg(registry))
        .context("the components were not compiled under valgrind")
}

/// A registry with one slot, because a profiler has little address space.
fn watched(root: &Path, folder: &Path, tools: &[(&str, &str)]) -> String {
    let tool = |(name, file): &(&str, &str)| {
        let component = root.join("example-tools/build").join(file);
        format!("\n[tools.{name}]\ncomponent = {component:?}\nbulkhead = {{ run = 1, wait = 64 }}\n")
    };
    let tools: String = tools.iter().map(tool).collect();
    format!("[host]\nstate = {:?}\ncalls_max = 1\n{tools}", folder.join("state"))
}

/// The calls of the session: good ones, and one with invalid arguments.
fn questions() -> Vec<Value> {
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let good = call("unit_convert", json!({"value": 10, "from": "mile", "to": "km"}));
    let text = call("text_digest", json!({"text": "One sentence. And another one."}));
    // The invalid call comes first and once: its path belongs to the order, but far behind that of good calls.
    let mut questions = vec![call("unit_convert", json!({"value": "10", "form": "km"}))];
    (0..CALLS).for_each(|_| questions.extend([good.clone(), text.clone()]));
    questions
}

/// Runs a session over stdio: calls one after the other, then all at once.
fn session(root: &Path, program: &Path, registry: &Path, out: &Path) -> Result<()> {
    let mut child = command(root, "valgrind")
        .args(["--tool=callgrind", "--demangle=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg("--registry")
        .arg(registry)
        .args(["serve", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let mut answer = || lines.next().context("the server has left")?.map_err(anyhow::Error::from);
    let info = json!({"name": "xtask", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
    let request = |id: usize, method: &str, params: &Value| {
        format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    };
    stdin.write_all(request(0, "initialize", &hello).as_bytes())?;
    answer()?;
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    stdin.write_all(format!("{ready}\n{}", request(1, "tools/list", &json!({}))).as_bytes())?;
    answer()?;
    let calls: Vec<String> = questions().iter().map(|params| request(2, "tools/call", params)).collect();
    for call in &calls {
        stdin.write_all(call.as_bytes())?;
        answer()?;
    }
    // All at once, so that the path for concurrent calls is observed, too.
    stdin.write_all(calls.concat().as_bytes())?;
    calls.iter().try_for_each(|_| answer().map(drop))?;
    drop(stdin);
    let status = child.wait()?;
    ensure!(status.success(), "the session that was to be watched ended with {status}");
    Ok(())
}

/// The functions of the program in callgrind's output, the most expensive first. The output defines a number for a name
/// at its first use, and uses the number alone later.
fn functions(said: &str) -> Vec<String> {
    let (mut objects, mut names) = (BTreeMap::new(), BTreeMap::new());
    let (mut object, mut function) = (String::new(), String::new());
    let mut costs: BTreeMap<String, u64> = BTreeMap::new();
    let mut inclusive = false;
    for line in said.lines() {
        match line.split_once('=') {
            Some(("ob", name)) => object = named(&mut objects, name),
            Some(("cob", name)) => drop(named(&mut objects, name)),
            Some(("fn", name)) => function = named(&mut names, name),
            Some(("cfn", name)) => drop(named(&mut names, name)),
            Some(("calls", _)) => inclusive = true,
            Some(_) => {}
            // The line after `calls` is the inclusive cost of the callee, which has its own lines.
            None if std::mem::take(&mut inclusive) => {}
            None => {
                let (place, cost) = line.rsplit_once(' ').unwrap_or_default();
                let is_cost = place.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c));
                let cost = cost.parse::<u64>().ok().filter(|_| is_cost);
                if let Some(cost) = cost.filter(|_| object.ends_with("/airlock")) {
                    // Callgrind appends the depth of recursion to the name.
                    let name = function.split('\'').next().unwrap_or_default();
                    *costs.entry(name.to_owned()).or_default() += cost;
                }
            }
        }
    }
    let mut costs: Vec<(String, u64)> =
        costs.into_iter().filter(|(name, _)| !name.starts_with("0x")).collect();
    costs.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    costs.into_iter().map(|(name, _)| name).collect()
}

/// The name of an entry, which either defines a number or uses one.
fn named(known: &mut BTreeMap<String, String>, said: &str) -> String {
    match said.split_once(' ') {
        Some((number, name)) => {
            known.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
        None => known.get(said).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_program_are_sorted_by_their_own_cost() {
        let said = "ob=(1) /x/airlock\nfn=(1) main\n12 5\ncob=(2) /lib/libc.so\ncfn=(2) free\ncalls=3 0\n12 900\n\
                    fn=(3) hot'2\n7 40\n+1 10\nob=(2)\nfn=(2)\n1 700\nob=(1)\nfn=(4) 0x0000\n1 1\nfn=(1)\n* 2\n\ntotals: 999\n";
        assert_eq!(functions(said), ["hot", "main"]);
    }
}
