//! Airlock: a WebAssembly tool host that makes the tool calls of agents disciplined.
//!
//! A tool is an exported function of a component; its types are its WIT. Arguments are checked before it starts,
//! it runs alone in a fresh sandbox with limits, what it returns is checked before anyone sees it, and
//! declared policy decides what follows when it fails. Every call ends in one [`Reply`](call::reply::Reply)
//! and leaves a record.
//!
//! ```no_run
//! use airlock::call::raw::{Arguments, RawCall};
//! use airlock::config::ConfigFile;
//! use airlock::host::{Host, Options};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let file = ConfigFile::read("example-tools/airlock.toml".as_ref())?;
//! let host = Host::open(&file, &Options::default()).await?;
//! let args = br#"{"value": 10, "from": "km", "to": "mile"}"#.to_vec();
//! let reply = host.call(RawCall::new("unit_convert", Arguments::Text(args))).await;
//! assert_eq!(reply.code, airlock::call::code::Code::Ok);
//! # Ok(())
//! # }
//! ```

mod api;
mod blocking;
pub mod call;
pub mod caller;
mod capability;
pub mod check;
pub mod cli;
pub mod config;
pub mod contract;
pub mod diagnostic;
pub mod diff;
pub mod environment;
pub mod file;
pub mod host;
pub mod journal;
pub mod lock;
pub mod mcp;
pub mod plan;
pub mod policy;
pub mod registry;
pub mod reload;
pub mod sandbox;
#[doc(hidden)]
pub mod seam;
pub mod state;
pub mod telemetry;
pub mod text;
pub mod transport;
