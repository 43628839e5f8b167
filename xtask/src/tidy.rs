//! `cargo xtask tidy`: what each module of the host must not know, held by a look at the source.
//!
//! A textual check is enough: a path has to be written down to be used. To give a module more, add to its row.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The crate's modules that each module may name; itself is always allowed.
const MAY_KNOW: [(&str, &[&str]); 27] = [
    ("api", &["call", "caller", "config", "contract", "host", "registry"]),
    ("blocking", &[]),
    (
        "call",
        &[
            "caller",
            "check",
            "contract",
            "environment",
            "host",
            "journal",
            "plan",
            "policy",
            "registry",
            "sandbox",
            "telemetry",
        ],
    ),
    ("caller", &["call", "config"]),
    ("capability", &["blocking", "contract", "environment", "policy", "sandbox"]),
    ("check", &["call", "contract"]),
    (
        "cli",
        &[
            "blocking",
            "call",
            "caller",
            "capability",
            "config",
            "contract",
            "diagnostic",
            "diff",
            "environment",
            "file",
            "host",
            "lock",
            "mcp",
            "plan",
            "registry",
            "reload",
            "sandbox",
            "telemetry",
            "text",
            "transport",
        ],
    ),
    ("config", &["caller", "contract", "diagnostic", "file", "policy", "sandbox"]),
    ("contract", &["call", "check", "diagnostic", "policy", "text"]),
    ("diagnostic", &["text"]),
    ("diff", &["contract", "policy", "registry", "text"]),
    ("environment", &[]),
    ("file", &[]),
    (
        "host",
        &[
            "blocking",
            "call",
            "caller",
            "config",
            "contract",
            "diagnostic",
            "environment",
            "journal",
            "lock",
            "plan",
            "registry",
            "sandbox",
            "state",
            "telemetry",
        ],
    ),
    ("journal", &["call", "caller", "environment", "plan", "state"]),
    ("lock", &["config", "contract", "diff", "file", "registry"]),
    ("mcp", &["call", "caller", "contract", "host", "registry"]),
    ("plan", &["call", "contract"]),
    ("policy", &["contract"]),
    (
        "registry",
        &["blocking", "capability", "config", "contract", "diagnostic", "file", "plan", "policy", "sandbox"],
    ),
    (
        "sandbox",
        &[
            "blocking",
            "call",
            "capability",
            "contract",
            "diagnostic",
            "environment",
            "file",
            "policy",
            "registry",
            "state",
        ],
    ),
    ("reload", &["blocking", "config", "diagnostic", "host", "lock"]),
    ("state", &[]),
    ("seam", &["contract", "host", "policy", "registry", "sandbox"]),
    ("telemetry", &["text"]),
    ("text", &[]),
    ("transport", &["api", "blocking", "caller", "config", "environment", "file", "host", "mcp"]),
];

/// Crates that only these modules may name.
const ONLY: [(&str, &[&str]); 7] = [
    ("axum", &["api", "transport"]),
    ("opentelemetry", &["telemetry"]),
    ("prometheus_client", &["telemetry"]),
    // `contract` takes the plain value enum; `registry` and `host` hold an engine for the sandbox.
    ("wasmtime", &["sandbox", "capability", "contract", "registry", "host"]),
    ("wasmtime_wasi", &["sandbox", "capability"]),
    ("rmcp", &["mcp", "transport"]),
    ("rusqlite", &["journal"]),
];

/// Modules that do no I/O, and what doing it would look like.
const PURE: [&str; 3] = ["contract", "plan", "policy"];
const IO: [&str; 4] = ["std::fs", "std::net", "std::process", "tokio::"];

const LINES_MAX: usize = 400;

/// Looks at every source file of the host.
pub(crate) fn run(root: &Path) -> Result<()> {
    let folder = root.join("host/src");
    let mut faults = Vec::new();
    for path in sources(&folder)? {
        let text = std::fs::read_to_string(&path)?;
        let relative = path.strip_prefix(&folder)?.to_string_lossy().into_owned();
        faults.extend(look(&relative, &text).into_iter().map(|fault| format!("{relative}: {fault}")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the host is not tidy:\n{}", faults.join("\n"))
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
    found.sort();
    Ok(found)
}

/// What is wrong with one file.
fn look(relative: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if relative.ends_with("mod.rs") {
        faults.push("is a `mod.rs`; write `x.rs` beside `x/`".into());
    }
    if text.lines().count() > LINES_MAX {
        faults.push(format!("has more than {LINES_MAX} lines: it is two ideas"));
    }
    let module = relative.split(['/', '.']).next().unwrap_or_default();
    if module == "lib" || module == "main" {
        return faults;
    }
    let Some((_, may_know)) = MAY_KNOW.iter().find(|(name, _)| *name == module) else {
        faults.push(format!("the module `{module}` has no row in xtask/src/tidy.rs"));
        return faults;
    };
    let test = relative.ends_with("tests.rs");
    // Unit tests may do what they need to.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for named in named_modules(line) {
            if named != module && !may_know.contains(&named) {
                faults.push(format!("`{module}` must not know `{named}`: {}", line.trim()));
            }
        }
        for (krate, only) in ONLY {
            if line.contains(&format!("{krate}::")) && !only.contains(&module) {
                faults.push(format!("`{module}` must not name `{krate}`: {}", line.trim()));
            }
        }
        if !test && PURE.contains(&module) && IO.iter().any(|io| line.contains(io)) {
            faults.push(format!("`{module}` does no I/O: {}", line.trim()));
        }
    }
    faults
}

/// The modules of the crate that a line names: `crate::x::…`, or several in braces.
fn named_modules(line: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map_or(rest, |list| list);
        let several = rest.starts_with('{');
        for part in list.split(',').take(if several { usize::MAX } else { 1 }) {
            let name = part.trim().split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next();
            named.extend(
                name.filter(|name| !name.is_empty() && !part.trim().starts_with(|c: char| c.is_uppercase())),
            );
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_module_that_knows_too_much() {
        assert_eq!(look("plan/retry.rs", "use crate::host::Host;\n").len(), 1);
        assert_eq!(look("plan/retry.rs", "use crate::contract::ty::Ty;\n"), Vec::<String>::new());
        assert_eq!(look("cli/call.rs", "use wasmtime::Engine;\n").len(), 1);
        assert_eq!(look("policy/grant.rs", "let x = std::fs::read(path);\n").len(), 1);
        assert_eq!(look("nowhere.rs", "").len(), 1);
    }

    #[test]
    fn the_host_is_tidy() {
        run(&crate::root()).unwrap();
    }
}
