//! The limits of one attempt.
//!
//! Owns their names, defaults and how author and operator agree on them. They are applied in
//! `sandbox::store`, where the struct is destructured without `..`: a limit that is accepted is enforced.

use serde::{Deserialize, Serialize};

/// The largest memory that any tool can be granted, in bytes. It is the size of a memory slot of the engine's pool.
pub const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// The largest table that any tool can be granted, in elements. Each table slot of the engine's pool has address space
/// for that many. wasmtime's default of 20,000 rejects large components of Go, Swift and Python.
pub const TABLE_ELEMENTS_MAX: u64 = 100_000;

// A component above one of the next three bounds is refused when it is compiled. The engine's pool has that many slots
// for each call, so every admitted call finds its slots.

/// Core instances of one component, those of its parts included. A component of a WASI toolchain has four or more,
/// one of componentize-py 38.
pub const CORE_INSTANCES_MAX: u32 = 64;

/// Linear memories of one component, those of its parts included. A plain component has one, a composition one for each
/// part. Each takes 4 GiB of address space in the engine's pool for each call that may run.
pub const MEMORIES_MAX: u32 = 8;

/// Tables of one component, those of its parts included. A component of a WASI toolchain has two.
pub const TABLES_MAX: u32 = 32;

// The next four are bounds of the host that no setting changes. An attempt that reaches one ends with `limit.resources`.

/// Most host resources of one attempt at the same time: open files, requests, streams and handles to them. wasmtime's default
/// is a million.
pub const RESOURCES_MAX: usize = 1_024;

/// Most memory of one set of headers that a guest builds, in bytes. A guest can hold about a thousand of them, and few servers
/// accept more than 16 KiB on the wire.
pub const HEADERS_BYTES_MAX: usize = 32 << 10;

/// Most random bytes of one request. wasmtime's default is 64 MiB, which a guest could have the host allocate at once.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Most handles of one attempt at the same time, to resources of the host and of its own. wasmtime's default is 100,000.
pub const HANDLES_MAX: usize = 4_096;

/// What may cross from a guest in one step, as a multiple of `output_bytes_max`: a value in memory is larger than its JSON.
pub const STEP_PER_OUTPUT: u64 = 4;

/// What one attempt may use. All are always on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Fuel: roughly one unit an instruction; 10 to 25 billion are a second.
    pub fuel: u64,
    /// Time by the clock for one attempt, waiting included, in milliseconds.
    pub deadline_ms: u64,
    /// All linear memories together, in bytes.
    pub memory_bytes_max: u64,
    /// Elements of one table.
    pub table_elements_max: u64,
    /// The result, as JSON, in bytes. What crosses from the guest in one step is bounded by four times this.
    pub output_bytes_max: u64,
    /// What the guest logs or prints is kept up to here, in bytes; the rest is counted and dropped.
    pub log_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // 0.4 to 1 s of computing, by the rate above.
            fuel: 10_000_000_000,
            // Includes the guest's waiting, which uses no fuel, so it is longer than the fuel lasts.
            deadline_ms: 10_000,
            memory_bytes_max: 64 << 20,
            // The default of wasmtime's pool.
            table_elements_max: 20_000,
            output_bytes_max: 1 << 20,
            log_bytes_max: 64 << 10,
        }
    }
}

/// Limits as written in a file. A limit that is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `Limits`")]
pub struct PartialLimits {
    pub fuel: Option<u64>,
    pub deadline_ms: Option<u64>,
    pub memory_bytes_max: Option<u64>,
    pub table_elements_max: Option<u64>,
    pub output_bytes_max: Option<u64>,
    pub log_bytes_max: Option<u64>,
}

impl PartialLimits {
    /// These limits, completed by those of `other`.
    pub fn or(&self, other: &PartialLimits) -> PartialLimits {
        PartialLimits {
            // Every field is named: a new limit does not compile until it is merged here and agreed on below.
            fuel: self.fuel.or(other.fuel),
            deadline_ms: self.deadline_ms.or(other.deadline_ms),
            memory_bytes_max: self.memory_bytes_max.or(other.memory_bytes_max),
            table_elements_max: self.table_elements_max.or(other.table_elements_max),
            output_bytes_max: self.output_bytes_max.or(other.output_bytes_max),
            log_bytes_max: self.log_bytes_max.or(other.log_bytes_max),
        }
    }
}

impl Limits {
    /// The limits of an attempt. The operator's value takes precedence. The author's value may lower the default and
    /// never raise it.
    pub fn agree(operator: &PartialLimits, author: &PartialLimits) -> Limits {
        let default = Limits::default();
        let pick = |operator: Option<u64>, author: Option<u64>, default: u64| {
            // The author's file comes with the component, which is not trusted: it cannot raise a limit above the
            // default.
            operator.unwrap_or_else(|| author.map_or(default, |author| author.min(default)))
        };
        Limits {
            fuel: pick(operator.fuel, author.fuel, default.fuel),
            deadline_ms: pick(operator.deadline_ms, author.deadline_ms, default.deadline_ms),
            memory_bytes_max: pick(
                operator.memory_bytes_max,
                author.memory_bytes_max,
                default.memory_bytes_max,
            ),
            table_elements_max: pick(
                operator.table_elements_max,
                author.table_elements_max,
                default.table_elements_max,
            ),
            output_bytes_max: pick(
                operator.output_bytes_max,
                author.output_bytes_max,
                default.output_bytes_max,
            ),
            log_bytes_max: pick(operator.log_bytes_max, author.log_bytes_max, default.log_bytes_max),
        }
    }
}

/// What one compilation may use. The largest components at hand, language runtimes of 12 to 18 MB, need
/// 15–26 s of processor time and 480 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time, in seconds.
    pub cpu_s_max: u64,
    /// Memory, in bytes.
    pub memory_bytes_max: u64,
    /// Time by the clock, in seconds.
    pub wall_s_max: u64,
    /// Size of the component, in bytes.
    pub component_bytes_max: u64,
    /// Compiled code and descriptions that are kept on disk, of all components together, in bytes. What was not used for
    /// longest goes first.
    pub cache_bytes_max: u64,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits {
            // More than twice the need of the largest components. The limit by the clock is longer, since a
            // compilation may have to wait for a processor.
            cpu_s_max: 60,
            memory_bytes_max: 1 << 30,
            wall_s_max: 180,
            component_bytes_max: 64 << 20,
            // Some dozens of the largest components, each of which has about 100 MB of code.
            cache_bytes_max: 4 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_lowers_a_default_and_an_operator_decides() {
        let author = PartialLimits { fuel: Some(5), deadline_ms: Some(99_000), ..PartialLimits::default() };
        let silent = Limits::agree(&PartialLimits::default(), &author);
        assert_eq!((silent.fuel, silent.deadline_ms), (5, 10_000));
        let operator = PartialLimits { deadline_ms: Some(60_000), ..PartialLimits::default() };
        assert_eq!(Limits::agree(&operator, &author).deadline_ms, 60_000);
    }
}
