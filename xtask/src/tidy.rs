//! `cargo xtask tidy`: checks the floors of the host in the source text.
//!
//! Owns the order of crates, and of the modules inside each crate, lowest first. The compiler enforces the order of
//! crates; this enforces the order of modules, for which the language has no feature. A textual check is sufficient,
//! because a path must be written to be used. `floors` has the order.

mod floors;
mod library;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use floors::{FLOORS, Floor};

/// Dependencies that only these modules may name, written as `folder/module`.
const ONLY: [(&str, &[&str]); 12] = [
    ("landlock", &["engine/sandbox", "server/confine"]),
    ("seccompiler", &["engine/sandbox", "server/confine"]),
    ("axum", &["server/api", "server/transport"]),
    ("opentelemetry", &["engine/telemetry", "cli/telemetry"]),
    ("prometheus_client", &["engine/telemetry"]),
    // `contract` names the plain value type once; `registry`, `generation` and `host` hold an engine for the sandbox.
    (
        "wasmtime",
        &[
            "contract/lib",
            "engine/capability",
            "engine/generation",
            "engine/host",
            "engine/execute",
            "engine/registry",
            "engine/sandbox",
        ],
    ),
    ("wasmtime_wasi", &["engine/capability"]),
    ("wasmtime_wasi_http", &["engine/capability"]),
    ("wasmtime_wasi_io", &["engine/capability"]),
    // Every wait of a call goes through its environment, so that a call can be replayed. `blocking` and `sandbox` wait
    // for threads and for the compile process, the journal for its disk, the server for clients.
    (
        "tokio::time",
        &[
            "engine/environment",
            "engine/blocking",
            "engine/sandbox",
            "journal/queue",
            "server/lib",
            "server/reload",
            "server/transport",
        ],
    ),
    ("rmcp", &["server/mcp", "server/transport"]),
    (
        "rusqlite",
        &[
            "journal/answers",
            "journal/database",
            "journal/holds",
            "journal/keys",
            "journal/keyvalue",
            "journal/sqlite",
            "journal/store",
            "journal/writer",
        ],
    ),
];

/// Crates, and modules written as `folder/module`, that do no I/O.
const PURE: [&str; 4] = ["types", "contract", "shadow", "engine/policy"];

/// Paths that I/O would use.
const IO: [&str; 4] = ["std::fs", "std::net", "std::process", "tokio::"];

/// Most lines of a source file of the host.
const LINES_MAX: usize = 400;

/// Checks every source file of the host, and the figure in ARCHITECTURE.md.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for floor in &FLOORS {
        let folder = root.join("host").join(floor.folder).join("src");
        for path in sources(&folder)? {
            let text = std::fs::read_to_string(&path)?;
            let relative = path.strip_prefix(&folder)?.to_string_lossy().into_owned();
            let found = look(floor, &relative, &text);
            faults.extend(found.into_iter().map(|fault| format!("{}/{relative}: {fault}", floor.folder)));
        }
    }
    if !std::fs::read_to_string(root.join("ARCHITECTURE.md"))?.contains(&figure()) {
        faults.push(format!("ARCHITECTURE.md does not show the order of floors:\n{}", figure()));
    }
    faults.extend(library::faults(root)?);
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the host is not tidy:\n{}", faults.join("\n"))
}

/// The figure of ARCHITECTURE.md: crates from the top floor down, the modules of each from left to right.
pub(crate) fn figure() -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    for (number, floor) in FLOORS.iter().enumerate().rev() {
        let mut line = format!("{}  {:<9}", number + 1, floor.folder);
        for module in floor.modules {
            if line.len() + module.len() + 1 > WIDTH {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{line}");
                line = " ".repeat(12);
            }
            let _ = write!(line, " {module}");
        }
        let _ = writeln!(out, "{line}");
    }
    out
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    // Sorted, so that the list of faults is the same on every file system.
    found.sort();
    Ok(found)
}

/// The faults of one file.
fn look(floor: &Floor, relative: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if relative.ends_with("mod.rs") {
        faults.push("is a `mod.rs`; write `x.rs` beside `x/`".into());
    }
    if text.lines().count() > LINES_MAX {
        faults.push(format!("has more than {LINES_MAX} lines: it is two ideas"));
    }
    // The root module decides: the files of `x/` belong to `x`.
    let module = relative.split(['/', '.']).next().unwrap_or_default();
    let order = |name: &str| floor.modules.iter().position(|known| *known == name);
    let at = order(module);
    let is_root = module == "lib" || module == "main";
    let is_test = relative.ends_with("tests.rs") || relative.contains("tests/");
    if at.is_none() && !is_root && !is_test {
        faults.push(format!("the module `{module}` has no place in xtask/src/tidy.rs"));
        return faults;
    }
    // Unit tests may import what they need.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    // Comments may name any module.
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let upward = named_modules(relative, line).into_iter().filter(|named| order(named) > at);
        if !is_root && !is_test {
            faults.extend(upward.map(|named| format!("`{module}` is below `{named}`: {}", line.trim())));
        }
        let place = format!("{}/{module}", floor.folder);
        for (krate, only) in ONLY {
            // Tests may use any dependency, for example to look into the database from outside.
            if names(line, krate) && !only.contains(&place.as_str()) && !is_test {
                faults.push(format!("`{place}` must not name `{krate}`: {}", line.trim()));
            }
        }
        if place != "contract/lib" && !is_test && names(line, "wasmtime::component") && has_word(line, "Val")
        {
            faults.push(format!("a component value is `airlock_contract::Val`: {}", line.trim()));
        }
        let pure = PURE.into_iter().find(|pure| *pure == floor.folder || *pure == place);
        if let Some(pure) = pure.filter(|_| !is_test && IO.iter().any(|io| line.contains(io))) {
            faults.push(format!("`{pure}` does no I/O: {}", line.trim()));
        }
    }
    faults
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|part| part == word)
}

/// Whether a line names something of a crate.
fn names(line: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    line.match_indices(&path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

/// The root modules of the crate that a line names: `crate::x::…`, or several in braces. `super::` also leads to the
/// root in a file just below it.
fn named_modules<'l>(relative: &str, line: &'l str) -> Vec<&'l str> {
    let to_root = "super::".repeat(relative.matches('/').count() + 1);
    let mut named = Vec::new();
    for start in ["crate::", &to_root] {
        let paths = line.match_indices(start).filter(|(at, _)| !line[..*at].ends_with("super::"));
        for (at, _) in paths {
            let rest = &line[at + start.len()..];
            let list = rest.strip_prefix('{').unwrap_or(rest);
            let count = if rest.starts_with('{') { usize::MAX } else { 1 };
            let names = list
                .split(',')
                .take(count)
                .filter_map(|part| part.trim().split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next());
            named.extend(names.filter(|name| !name.is_empty()));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &str, relative: &str, line: &str) -> usize {
        let floor = FLOORS.iter().find(|floor| floor.folder == folder).unwrap();
        look(floor, relative, line).len()
    }

    #[test]
    fn finds_an_import_that_goes_up() {
        assert_eq!(check("types", "plan/retry.rs", "use crate::reply::Reply;\n"), 1);
        assert_eq!(check("types", "code.rs", "use super::{plan, reply::Reply};\n"), 2);
        assert_eq!(check("types", "plan/retry.rs", "use super::reply;\n"), 0, "of its own folder");
        assert_eq!(check("types", "reply.rs", "use crate::code::Code;\n"), 0);
        assert_eq!(check("types", "nowhere.rs", ""), 1);
    }

    #[test]
    fn finds_what_a_module_must_not_name() {
        assert_eq!(check("cli", "call.rs", "use wasmtime::Engine;\n"), 1);
        assert_eq!(check("engine", "sandbox/run.rs", "use wasmtime::Engine;\n"), 0);
        assert_eq!(check("types", "grant.rs", "let x = std::fs::read(path);\n"), 1);
        assert_eq!(check("engine", "policy/decide.rs", "let x = std::fs::read(path);\n"), 1);
        assert_eq!(check("engine", "registry/load.rs", "let x = std::fs::read(path);\n"), 0);
        assert_eq!(check("contract", "schema.rs", "use wasmtime::component::Type;\n"), 1);
        assert_eq!(check("engine", "sandbox/run.rs", "use wasmtime::component::{Linker, Val};\n"), 1);
        assert_eq!(check("engine", "sandbox/run.rs", "use wasmtime::component::{Linker, types};\n"), 0);
    }

    #[test]
    fn the_host_is_tidy() {
        run(&crate::root()).unwrap();
    }
}
