//! Measures what a call costs: compared with the bare engine, with other servers, and at scale.
//!
//! Owns the load generator, the floors, the generated registries, the figures and their report. It is a client of the
//! product, not a part of it. `cargo xtask bench` builds and runs it. To add a figure: a field in `figures`, the code
//! that measures it, and its column in `report`.

pub mod client;
pub mod clock;
pub mod echo;
pub mod edges;
pub mod figures;
pub mod floor;
pub mod guests;
pub mod http;
pub mod library;
pub mod listing;
pub mod load;
pub mod memory;
pub mod metering;
pub mod outgoing;
pub mod process;
pub mod recording;
pub mod registry;
pub mod report;
pub mod scale;
pub mod server;
pub mod stats;
