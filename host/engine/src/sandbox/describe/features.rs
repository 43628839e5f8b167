//! Features of WebAssembly that the engine does not have.
//!
//! Owns their names, for components that are valid with them: "not valid" would send an author to look for a mistake
//! that is not there. To name another feature: a row in [`NAMED`].

use wasmparser::WasmFeatures;

use super::DescribeError;
use super::outline;
use super::outline::Outline;
use crate::sandbox::engine::FEATURES;
use airlock_types::words;

/// A feature, or several that are used together.
struct Named {
    flags: WasmFeatures,
    name: &'static str,
    /// The version of Airlock that is to run it, where one is.
    planned: Option<&'static str>,
}

const fn named(flags: WasmFeatures, name: &'static str, planned: Option<&'static str>) -> Named {
    Named { flags, name, planned }
}

/// This version.
const THIS: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// The version that is to have the rest of the Component Model: wasmtime calls its WASI 0.3 not ready for production.
const NEXT: Option<&str> = Some("0.2");

const NAMED: &[Named] = &[
    named(
        WasmFeatures::CM_ASYNC
            .union(WasmFeatures::CM_ASYNC_STACKFUL)
            .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
            .union(WasmFeatures::CM_THREADING),
        "async functions, streams and futures (WASI 0.3)",
        NEXT,
    ),
    named(WasmFeatures::CM_ERROR_CONTEXT, "error contexts (WASI 0.3)", NEXT),
    named(WasmFeatures::CM_FIXED_LENGTH_LISTS, "lists of a fixed length (`list<T, N>`)", NEXT),
    named(WasmFeatures::CM_MAP, "maps (`map<K, V>`)", NEXT),
    named(WasmFeatures::CM_IMPLEMENTS, "one interface under several names (`implements`)", None),
    named(WasmFeatures::CM_VALUES, "values as imports or exports", None),
    named(WasmFeatures::CM64.union(WasmFeatures::MEMORY64), "64-bit memories", None),
    named(
        WasmFeatures::GC.union(WasmFeatures::GC_TYPES).union(WasmFeatures::CM_GC),
        "garbage-collected references",
        None,
    ),
    named(WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS), "exceptions", None),
    named(WasmFeatures::THREADS.union(WasmFeatures::SHARED_EVERYTHING_THREADS), "threads", None),
    named(WasmFeatures::STACK_SWITCHING, "stack switching", None),
    named(WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic", None),
    named(WasmFeatures::CUSTOM_PAGE_SIZES, "pages of a size of their own", None),
];

/// Validates a component with the engine's features, or else with those that it uses besides. Also returns what it uses
/// that the engine does not have.
pub(super) fn outline(component: &[u8]) -> Result<(Outline, Option<String>), DescribeError> {
    let mut features = FEATURES;
    let mut used: Vec<&Named> = Vec::new();
    // Each round adds a row, so this ends with the table.
    loop {
        match outline::read(component, features) {
            Ok(outline) => return Ok((outline, (!used.is_empty()).then(|| unsupported(&used)))),
            Err(DescribeError::Invalid(err)) => match missing(&err, features) {
                Some(named) => {
                    features |= named.flags;
                    used.push(named);
                }
                None if used.is_empty() => return Err(err.into()),
                // Drafts of a feature that was finished otherwise: the feature is the news, and the rest may help.
                None => {
                    return Err(DescribeError::Unsupported(format!("{} ({err})", unsupported(&used))));
                }
            },
            Err(err) => return Err(err),
        }
    }
}

/// The feature without which there is this error.
fn missing(err: &wasmparser::BinaryReaderError, features: WasmFeatures) -> Option<&'static Named> {
    let flags = err.missing_wasm_feature()?;
    NAMED.iter().find(|named| named.flags.intersects(flags) && !features.contains(named.flags))
}

fn unsupported(used: &[&Named]) -> String {
    let names = words::list(used.iter().map(|named| named.name));
    let planned = used.iter().filter_map(|named| named.planned).next();
    let planned = planned.map_or_else(String::new, |version| format!("; version {version} is to"));
    format!("{names}, which this version of Airlock ({THIS}) does not run{planned}")
}
