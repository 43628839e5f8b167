//! Shared code of the end-to-end tests and the demo: paths of the build, servers, clients and sessions.
//!
//! Nothing here is part of the product.

pub mod case;
pub mod chaos;
pub mod conformance;
pub mod door;
pub mod draw;
pub mod orders;
pub mod server;
pub mod services;
pub mod session;
pub mod soak;
pub mod upstream;
pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use airlock_types::reply::Reply;
use serde_json::Value;

/// The root folder of the repository.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().map_or_else(|| here.to_owned(), Path::to_owned)
    })
}

/// The path of the `airlock` program of this build.
pub fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("airlock"));
    beside.into_iter().find(|path| path.is_file()).unwrap_or_else(|| "airlock".into())
}

/// The path of a registry by its short name, `example` or `hostile`; other names are paths below the root.
pub fn registry(name: &str) -> PathBuf {
    match name {
        "example" => root().join("example-tools/airlock.toml"),
        "hostile" => root().join("tests/guests/airlock.toml"),
        other => root().join(other),
    }
}

/// The violations of a reply against its JSON Schema; empty if there are none.
pub fn schema_faults(reply: &Reply) -> Vec<String> {
    static SCHEMA: OnceLock<Option<jsonschema::Validator>> = OnceLock::new();
    let validator = SCHEMA.get_or_init(|| {
        let text = std::fs::read_to_string(root().join("schemas/reply.schema.json")).ok()?;
        jsonschema::draft202012::new(&serde_json::from_str::<Value>(&text).ok()?).ok()
    });
    let Some(validator) = validator else { return vec!["the schema cannot be read".into()] };
    let value = serde_json::to_value(reply).unwrap_or_default();
    validator.iter_errors(&value).map(|err| format!("{}: {err}", err.instance_path())).collect()
}
