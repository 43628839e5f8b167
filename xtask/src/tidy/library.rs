//! Checks what the library depends on: a program that embeds the host gets no server, no command line and no exporter.
//! `hyper` is there as the HTTP client of tools.
//!
//! Reads only manifests and the lock file, so it needs neither a build nor a network. The lock file does not tell which
//! build needs a dependency, so a dependency counts as reached if any build of the workspace reaches it. An optional one
//! of the workspace's own crates is reached from its feature, which is a node of the graph: `airlock-types/schema`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

/// The package name of the library.
const LIBRARY: &str = "airlock";

/// Packages that the library must not reach, directly or through others.
const NEVER: [&str; 9] =
    ["age", "axum", "clap", "mimalloc", "notify", "opentelemetry-otlp", "reqwest", "rmcp", "schemars"];

/// The feature that lets a program compile in its own process. No manifest here may enable it: cargo unifies features,
/// so one dependent would enable it for the `airlock` program as well.
const FEATURE: &str = "in-process-compiler";

/// Which packages and features each package or feature depends on, by name.
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
        graph.extend(features(&name, &table));
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

/// The name of a package, and its dependencies outside of tests, with the features that it asks for.
fn normal(manifest: &Table) -> (String, BTreeSet<String>) {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let dependencies = manifest.get("dependencies").and_then(Value::as_table);
    let name = name.unwrap_or_default().to_owned();
    let mut names = BTreeSet::from([format!("{name}/default")]);
    for (dependency, how) in dependencies.into_iter().flatten() {
        if how.get("optional").and_then(Value::as_bool) != Some(true) {
            names.insert(dependency.clone());
            names.extend(texts(how.get("features")).map(|feature| format!("{dependency}/{feature}")));
        }
    }
    (name, names)
}

/// The features of a package, each with what it enables.
fn features(name: &str, manifest: &Table) -> Graph {
    let features = manifest.get("features").and_then(Value::as_table).into_iter().flatten();
    let enabled = |enabled: &str| match enabled.strip_prefix("dep:") {
        Some(dependency) => dependency.to_owned(),
        None if enabled.contains('/') => enabled.replace('?', ""),
        None => format!("{name}/{enabled}"),
    };
    features
        .map(|(feature, enables)| (format!("{name}/{feature}"), texts(Some(enables)).map(enabled).collect()))
        .collect()
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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

    #[test]
    fn an_optional_dependency_is_reached_through_its_feature() {
        let helper = "[package]\nname = \"helper\"\n[features]\ndoor = [\"dep:axum\"]\nall = [\"door\"]\n\
                      [dependencies]\naxum = { version = \"1\", optional = true }\n";
        let with = |dependency: &str| {
            let airlock = format!("[package]\nname = \"airlock\"\n[dependencies]\nhelper = {dependency}\n");
            let mut graph = Graph::new();
            for manifest in [helper, &airlock] {
                let manifest: Table = manifest.parse().unwrap();
                let (name, dependencies) = normal(&manifest);
                graph.extend(features(&name, &manifest));
                graph.insert(name, dependencies);
            }
            way(&graph, "airlock", "axum").is_some()
        };
        assert!(!with("\"1\""));
        assert!(with("{ version = \"1\", features = [\"door\"] }"));
        assert!(with("{ version = \"1\", features = [\"all\"] }"));
    }
}
