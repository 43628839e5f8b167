//! Airlock: a WebAssembly tool host that makes the tool calls of agents disciplined.
//!
//! A tool is an exported function of a component; its types are its WIT. Arguments are checked before it starts,
//! it runs alone in a fresh sandbox with limits, what it returns is checked before anyone sees it, and
//! declared policy decides what follows when it fails. Every call ends in one [`Reply`](airlock_types::reply::Reply)
//! and leaves a record.
//!
//! ```no_run
//! use airlock_types::call::{Arguments, Call};
//! use airlock::host::Host;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::builder().registry("example-tools/airlock.toml").open().await?;
//! let args = br#"{"value": 10, "from": "km", "to": "mile"}"#.to_vec();
//! let reply = host.call(Call::new("unit_convert", Arguments::Text(args))).await;
//! assert_eq!(reply.code, airlock_types::code::Code::Ok);
//! # Ok(())
//! # }
//! ```

pub mod admission;
pub mod blocking;
pub mod call;
pub mod caller;
pub mod capability;
pub mod config;
pub mod diff;
pub mod environment;
pub mod execute;
pub mod file;
mod generation;
pub mod host;
pub mod lock;
pub mod policy;
pub mod registry;
pub mod sandbox;
#[doc(hidden)]
pub mod seam;
pub mod telemetry;
