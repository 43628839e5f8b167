//! The library for tools of the Airlock host.
//!
//! A tool is three files: `wit/world.wit` states its types, `contract.toml` states what they mean, and `src/lib.rs`
//! computes. This is a complete tool; its WIT is `export convert: func(value: f64, from: unit, to: unit) ->
//! result<converted, failure>`:
//!
//! ```ignore
#![doc = include_str!("../../example-tools/unit-convert/src/lib.rs")]
//! ```
//!
//! - `?` turns any error into a permanent [`Failure`]; [`transient`], [`throttled`] and [`unavailable`] make other
//!   kinds.
//! - [`Refusal`], [`Clarify`] and [`Assessment`] have builders.
//! - [`clock`], [`config`], [`files`], [`http`], [`keyvalue`], [`log`], [`progress`] and [`random`] are one interface each. A component imports only what
//!   its code calls, so a tool that asks for nothing can do nothing. There are no cargo features: cargo would unite
//!   them across a workspace, and one tool would import what another one needs.
//! - A panic is logged with its place before the component traps, unless the tool is declared `silent`.
//!
//! Knows `wit/` and must not know the host. To add a capability: a module that generates the bindings of its interface.

mod answer;
pub mod clock;
pub mod config;
pub mod files;
pub mod http;
pub mod keyvalue;
pub mod log;
pub mod progress;
pub mod random;

pub use answer::{throttled, transient, unavailable};
pub use types::{AsOf, Assessment, Body, Choice, Clarify, Content, Embedded, Failure, Refusal, Retry};
#[doc(hidden)]
pub use wit_bindgen;

mod bindings {
    #![expect(missing_docs, reason = "generated; documented in the WIT")]
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk; world types { import airlock:tool/types@0.1.0; }",
        additional_derives: [PartialEq],
        generate_unused_types: true,
        generate_all,
    });
}

/// The Rust form of `airlock:tool/types`: one set of types for the SDK and every tool.
pub mod types {
    pub use crate::bindings::airlock::tool::types::*;
}

/// Generates the bindings of the WIT in the folder `wit` and exports the given type as the tool.
///
/// ```ignore
/// airlock_sdk::tool!(Greeter);
/// airlock_sdk::tool!(Greeter, with: { "acme:shared/types@1.0.0": acme_shared::types });
/// airlock_sdk::tool!(Greeter, silent); // panics are not logged: nothing is imported that the code does not call
/// ```
///
/// The functions of the world must use `airlock:tool/types`. Write a tool without these types with `wit_bindgen` alone.
#[macro_export]
macro_rules! tool {
    ($tool:ident, silent) => {
        $crate::tool!(@export $tool);
    };
    ($tool:ident $(, with: { $($name:literal : $($path:ident)::+),* $(,)? })?) => {
        $crate::tool!(@export $tool $($($name: $($path)::+),*)?);

        /// Runs once, when the component is instantiated.
        #[unsafe(export_name = "_initialize")]
        extern "C" fn initialize() {
            $crate::log::panics();
        }
    };
    (@export $tool:ident $($name:literal : $($path:ident)::+),*) => {
        $crate::wit_bindgen::generate!({
            path: "wit",
            runtime_path: "airlock_sdk::wit_bindgen::rt",
            bitflags_path: "airlock_sdk::wit_bindgen::bitflags",
            with: {
                "airlock:tool/types@0.1.0": airlock_sdk::types,
                $($name: $($path)::+),*
            },
        });
        export!($tool);
    };
}
