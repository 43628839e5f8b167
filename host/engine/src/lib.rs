//! Airlock: a WebAssembly tool host that makes the tool calls of agents disciplined.
//!
//! A tool is an exported function of a component; its types are its WIT. Arguments are checked before it starts,
//! it runs alone in a fresh sandbox with limits, its result is checked before it is delivered, and declared policy
//! decides what follows when it fails. Every call ends in one [`Reply`] and leaves a record.
//!
//! ```no_run
//! use airlock::{Arguments, Call, Code, Host, Journal};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host =
//!     Host::builder().registry("example-tools/airlock.toml").journal(Journal::memory()).open().await?;
//! let args = r#"{"value": 10, "from": "km", "to": "mile"}"#;
//! let reply = host.call(Call::new("unit_convert", Arguments::Text(args.into()))).await;
//! assert_eq!(reply.code, Code::Ok);
//! # Ok(())
//! # }
//! ```
//!
//! # What is stable
//!
//! The names at the root of this crate, which a program that embeds the host needs, and the names in [`capability`] for
//! programs that add a capability: `Provider`, `Facts`, `State`, `Import`, `Effect`. The other modules exist for the
//! server, the program and the benchmarks of this repository, and change with any version.

// A test compares these names with tests/names.txt, because every change to them reaches embedding programs.
pub use crate::capability::Capability;
pub use crate::execute::Execute;
pub use crate::host::{Host, HostBuilder, OpenError};
pub use crate::sandbox::compiler::Compiler;
pub use airlock_contract::Val;
pub use airlock_journal::Journal;
pub use airlock_types::call::{Arguments, Call};
pub use airlock_types::caller::Caller;
pub use airlock_types::code::{Code, Status};
pub use airlock_types::environment::Environment;
pub use airlock_types::record::Record;
pub use airlock_types::reply::{Failure, Reply};

mod admission;
pub mod audit;
pub mod backtest;
pub mod blocking;
mod call;
pub mod caller;
pub mod capability;
pub mod config;
pub mod confinement;
pub mod diff;
pub mod environment;
pub mod execute;
pub mod file;
mod generation;
pub mod host;
pub mod lock;
pub mod policy;
pub mod registry;
pub mod replay;
pub mod sandbox;
#[doc(hidden)]
pub mod seam;
pub mod secret;
pub mod signature;
mod tape;
pub mod telemetry;
mod webhook;
