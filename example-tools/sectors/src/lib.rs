//! Shared code of the sector tools: the WIT types, and the steps from a table to a report.
//!
//! `series` reads a table, `period` reads the requested period, `report` compares. Nothing here imports an interface:
//! the tools decide where the table comes from and what time it is.

mod period;
mod report;
mod series;

pub use period::{Period, read as read_period};
pub use report::{Request, report};
pub use series::{Month, Series, date};

mod bindings {
    airlock_sdk::wit_bindgen::generate!({
        inline: "package airlock-examples:sectors-sdk; world types { import airlock-examples:sectors/types@0.1.0; }",
        path: "wit",
        runtime_path: "airlock_sdk::wit_bindgen::rt",
        additional_derives: [PartialEq],
        generate_unused_types: true,
        with: {
            "airlock:tool/types@0.1.0": airlock_sdk::types,
            "airlock-examples:sectors/types@0.1.0": generate,
        },
    });
}

/// The Rust form of `airlock-examples:sectors/types`, shared by the tools.
pub mod types {
    pub use crate::bindings::airlock_examples::sectors::types::*;
}
