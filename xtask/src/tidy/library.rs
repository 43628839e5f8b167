//! Checks what the library depends on: a program that embeds the host gets no server, no command line and no exporter.
//!
//! Reads only manifests and the lock file, so it needs neither a build nor a network. The lock file does not tell which
//! build needs a dependency, so a dependency counts as reached if any build of the workspace reaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

/// The package name of the library.
const LIBRARY: &str = "airlock";

/// Packages that the library must not reach, directly or through others.
const NEVER: [&str; 9] =
    ["axum", "clap", "hyper", "mimalloc", "notify", "opentelemetry-otlp", "reqwest", "rmcp", "utoipa"];

/// The feature that lets a program compile in its own process. No manifest here may enable it: cargo unifies features,
/// so one dependent would enable it for the `airlock` program as well.
const FEATURE: &str = "in-process-compiler";

/// Which packages each package depends on, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The faults in the dependencies of the library.
pub(super) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut graph = locked(&table(&root.join("Cargo.lock"))?);
    let mut faults = Vec::new();
    for manifest in manifests(root)? {
        let text = std::fs::read_to_string(&manifest)?;
        let table: Table = text.parse().with_context(|| manifest.display().to_string())?;
        let (name, dependencies) = normal(&table);
        if name != LIBRARY && text.contains(FEATURE) {
            faults.push(format!("{}: nothing here may ask for `{FEATURE}`", manifest.display()));
        }
        // Replaces the entry from the lock file, which includes the dependencies of tests.
        graph.insert(name, dependencies);
    }
    let reached = NEVER.iter().filter_map(|never| way(&graph, LIBRARY, never));
    faults.extend(reached.map(|way| format!("the library must not reach this: {}", way.join(" → "))));
    Ok(faults)
}

fn table(path: &Path) -> Result<Table> {
    std::fs::read_to_string(path)?.parse().with_context(|| path.display().to_string())
}

/// The manifests of all workspace members.
fn manifests(root: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found: Vec<_> = ["bench", "tests", "xtask"].map(|folder| root.join(folder)).into();
    for entry in std::fs::read_dir(root.join("host"))? {
        found.push(entry?.path());
    }
    Ok(found.into_iter().map(|folder| folder.join("Cargo.toml")).filter(|path| path.is_file()).collect())
}

/// The name of a package, and its dependencies outside of tests.
fn normal(manifest: &Table) -> (String, BTreeSet<String>) {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let dependencies = manifest.get("dependencies").and_then(Value::as_table);
    let names = dependencies.map(|table| table.keys().cloned().collect());
    (name.unwrap_or_default().to_owned(), names.unwrap_or_default())
}

/// The dependencies of all packages of a lock file. All versions of a package share one entry.
fn locked(lock: &Table) -> Graph {
    let mut graph = Graph::new();
    for package in lock.get("package").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = package.get("name").and_then(Value::as_str) else { continue };
        let dependencies = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let names = dependencies.filter_map(|dependency| dependency.as_str()?.split(' ').next());
        graph.entry(name.to_owned()).or_default().extend(names.map(str::to_owned));
    }
    graph
}

/// The path from one package to a dependency, for the message. `None` if it is not reached.
fn way<'g>(graph: &'g Graph, from: &'g str, to: &str) -> Option<Vec<&'g str>> {
    // Each package is visited once: the graph has cycles through dependencies of tests.
    let mut seen = BTreeSet::from([from]);
    let mut ways = vec![vec![from]];
    while let Some(way) = ways.pop() {
        let last = way.last().copied()?;
        if last == to {
            return Some(way);
        }
        for next in graph.get(last).into_iter().flatten() {
            if seen.insert(next) {
                ways.push([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        [[package]]
        name = "airlock"
        version = "0.1.0"
        dependencies = ["tokio", "clap 4.0.0"]

        [[package]]
        name = "helper"
        version = "1.0.0"
        dependencies = ["axum"]
    "#;

    #[test]
    fn finds_the_way_to_what_must_not_be_reached() {
        let mut graph = locked(&LOCK.parse().unwrap());
        assert_eq!(way(&graph, "airlock", "clap"), Some(vec!["airlock", "clap"]));
        let manifest = "[package]\nname = \"airlock\"\n[dependencies]\nhelper = \"1\"\n[dev-dependencies]\nclap = \"4\"\n";
        let (name, dependencies) = normal(&manifest.parse().unwrap());
        graph.insert(name, dependencies);
        assert_eq!(way(&graph, "airlock", "clap"), None, "of tests alone");
        assert_eq!(way(&graph, "airlock", "axum"), Some(vec!["airlock", "helper", "axum"]));
    }
}
