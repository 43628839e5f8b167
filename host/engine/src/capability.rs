//! What a guest can reach: one variant and one file for each capability.
//!
//! Owns the table of facts, which is the only place that says what a capability is called, which interfaces it owns and
//! what it makes possible. Every import of a component belongs to a capability here, so that it can be denied and
//! recorded. An import that belongs to none is unknown and stops the component from loading. Must not know who calls.
//!
//! To add a capability: a file under `types/grant/` (request, grant, their intersection, what differs between two
//! requests) and one of the same name here (what is linked, the state of one attempt, what denies), then a variant of
//! [`Capability`] with its facts. The compiler finds the other lines: each match names every variant, and grants and
//! states are destructured without `..`. A program that embeds the host adds one without any of this, by
//! [`Capability::Custom`].

// A match on capabilities must name every variant, so that a new one is a compile error.
#![warn(clippy::wildcard_enum_match_arm)]

pub(crate) mod bound;
pub(crate) mod capture;
mod clock;
mod config;
mod custom;
mod dispatch;
mod env;
mod facts;
pub(crate) mod files;
mod gate;
pub(crate) mod halt;
pub(crate) mod http;
mod imports;
pub(crate) mod keyvalue;
pub(crate) mod limiter;
mod logging;
mod network;
mod noted;
mod program;
mod progress;
mod random;
pub(crate) mod report;
mod seeds;
mod set;
pub(crate) mod state;
mod streams;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use airlock_contract::component::Import;
/// The version of the engine that providers must link with.
pub use wasmtime;
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

pub use self::http::Resolve;
pub use airlock_types::effect::Effect;
use airlock_types::grant;
use airlock_types::grant::{Effective, Grants};
use capture::Capture;
pub(crate) use clock::Clock;
pub use custom::Provider;
pub(crate) use dispatch::Ledger;
pub use dispatch::{Dispatched, EffectDenied};
pub use facts::{Facts, Granting, Versions};
pub(crate) use files::{Folders, GrantError, Reserved, THREADS_ALL_TOOLS, THREADS_PER_TOOL};
pub(crate) use imports::{Binding, declare, link_resources};
pub(crate) use noted::Noted;
pub use set::{Capabilities, CapabilityError};
pub use state::State;

/// Something that a guest can be allowed to reach.
#[derive(Clone)]
pub enum Capability {
    /// Folders of the host.
    Files,
    /// Requests to other hosts.
    Http,
    /// Pairs of keys and values that a tool keeps.
    Keyvalue,
    /// Values of the operator, by key.
    Config,
    /// Variables of the environment.
    Env,
    /// The wall clock and the monotonic clock.
    Clock,
    /// Random bytes.
    Random,
    /// Bytes that are insecure by name, which seed hash tables.
    Seeds,
    /// Streams and pollables, which the other WASI interfaces take and return.
    Streams,
    /// The interfaces of a command-line program: standard streams, exit.
    Program,
    /// Sockets and name lookup.
    Network,
    /// Logging.
    Logging,
    /// Reports of a call's progress.
    Progress,
    /// A capability that the embedding program adds.
    Custom(Arc<dyn Provider>),
}

/// The capabilities of every host.
static BUILT_IN: [Capability; 13] = [
    Capability::Files,
    Capability::Http,
    Capability::Keyvalue,
    Capability::Config,
    Capability::Env,
    Capability::Clock,
    Capability::Random,
    Capability::Seeds,
    Capability::Streams,
    Capability::Program,
    Capability::Network,
    Capability::Logging,
    Capability::Progress,
];

impl Capability {
    /// The facts of the capability. This match is the only table of them.
    pub fn facts(&self) -> Facts {
        match self {
            // Of folders and hosts the strongest effect: grants of reading alone make less possible, see
            // `Capability::effect`. The host's own folders count as a closed world, even when other parties fill them.
            Capability::Files => Facts {
                reach: "reads the folders that are granted, and writes where that is granted",
                ..Facts::granted(grant::files::NAME, files::INTERFACES, Effect::Write)
            },
            Capability::Http => Facts {
                is_open_world: true,
                reach: "sends requests to the hosts that are granted",
                ..Facts::granted(grant::http::NAME, http::INTERFACES, Effect::Write)
            },
            // Nothing but the tool itself changes its pairs.
            Capability::Keyvalue => Facts {
                versions: Versions::Exact(keyvalue::VERSIONS),
                reach: "keeps keys and values of its own",
                ..Facts::granted(grant::keyvalue::NAME, keyvalue::INTERFACES, Effect::Write)
            },
            // Of these two the values are the registry's: as much a part of the tool as its component.
            Capability::Config => Facts {
                versions: Versions::Exact(config::VERSIONS),
                reach: "reads the values that are granted",
                ..Facts::granted(grant::values::CONFIG, config::INTERFACES, Effect::Pure)
            },
            Capability::Env => Facts {
                reach: "reads the variables that are granted",
                ..Facts::granted(grant::values::ENV, env::INTERFACES, Effect::Pure)
            },
            Capability::Clock => Facts {
                reach: "reads the time and waits",
                ..Facts::granted(grant::clock::NAME, clock::INTERFACES, Effect::Read)
            },
            Capability::Random => Facts {
                reach: "draws random bytes",
                ..Facts::granted(grant::random::NAME, random::INTERFACES, Effect::Read)
            },
            Capability::Seeds => Facts {
                reach: "gives the same bytes to every call",
                ..Facts::always("seeds", seeds::INTERFACES, Versions::Wasi02)
            },
            Capability::Streams => Facts::always("streams", streams::INTERFACES, Versions::Wasi02),
            Capability::Program => Facts {
                reach: "prints into the record of the call",
                ..Facts::always("program", program::INTERFACES, Versions::Wasi02)
            },
            Capability::Network => Facts {
                reach: "refuses every connection and lookup",
                ..Facts::always("network", network::INTERFACES, Versions::Wasi02)
            },
            Capability::Logging => Facts {
                reach: "writes into the record of the call",
                ..Facts::always("logging", logging::INTERFACES, Versions::Any)
            },
            Capability::Progress => Facts {
                reach: "tells the caller how far the call is",
                ..Facts::always("progress", progress::INTERFACES, Versions::Any)
            },
            Capability::Custom(provider) => provider.facts(),
        }
    }

    /// The strongest effect that these grants of it make possible, which may be less than its facts say.
    fn effect(&self, effective: &Effective) -> Effect {
        match self {
            Capability::Files => grant::files::effect(&effective.files),
            Capability::Http => grant::http::effect(&effective.http),
            Capability::Keyvalue
            | Capability::Config
            | Capability::Env
            | Capability::Clock
            | Capability::Random
            | Capability::Seeds
            | Capability::Streams
            | Capability::Program
            | Capability::Network
            | Capability::Logging
            | Capability::Progress
            | Capability::Custom(_) => self.facts().effect,
        }
    }

    /// Links one interface that the capability owns, with types, so that the engine compares the component's signatures
    /// with them.
    fn link(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<()> {
        let interface = facts::interface(&import.name);
        match self {
            Capability::Files => files::link(linker, interface),
            Capability::Http => http::link(linker, interface),
            Capability::Keyvalue => keyvalue::link(linker, import),
            Capability::Config => config::link(linker, import),
            Capability::Env => env::link(linker, interface),
            Capability::Clock => clock::link(linker, interface),
            Capability::Random => random::link(linker, interface),
            Capability::Seeds => seeds::link(linker, interface),
            Capability::Streams => streams::link(linker, interface),
            Capability::Program => program::link(linker, interface),
            Capability::Network => network::link(linker, interface),
            Capability::Logging => logging::link(linker, import),
            Capability::Progress => progress::link(linker, import),
            Capability::Custom(provider) => provider.link(linker, import),
        }
    }

    /// The host's type of a resource that one of its interfaces defines.
    fn resource(&self, interface: &str, name: &str) -> Option<ResourceType> {
        match self {
            Capability::Streams => streams::resource(name),
            Capability::Files => files::resource(name),
            Capability::Http => http::resource(name),
            Capability::Keyvalue => keyvalue::resource(name),
            Capability::Program => program::resource(name),
            Capability::Network => network::resource(name),
            Capability::Custom(provider) => provider.resource(interface, name),
            Capability::Config
            | Capability::Env
            | Capability::Clock
            | Capability::Random
            | Capability::Seeds
            | Capability::Logging
            | Capability::Progress => None,
        }
    }

    /// Replaces the functions of an interface that the capability owns by ones that deny. Returns whether there were
    /// any. A denying function accepts any signature, so signatures must be checked first.
    fn deny(&self, linker: &mut Linker<State>, import: &Import) -> wasmtime::Result<bool> {
        match self {
            // Denied by an empty list of folders, which does not end the guest.
            Capability::Files => files::deny(linker, import),
            // Each request, bucket and key asks for a grant, and an environment without one is empty: a guest can do all
            // else without reaching anything.
            Capability::Http | Capability::Keyvalue | Capability::Config | Capability::Env => Ok(false),
            Capability::Custom(provider) => {
                provider.deny(linker, import)?;
                Ok(!import.functions.is_empty())
            }
            Capability::Clock
            | Capability::Random
            | Capability::Seeds
            | Capability::Streams
            | Capability::Program
            | Capability::Network
            | Capability::Logging
            | Capability::Progress => {
                custom::deny_all(linker, import, self.facts().name)?;
                Ok(!import.functions.is_empty())
            }
        }
    }

    /// Whether the state of the capability is part of the context of the engine's library.
    fn is_in_context(&self) -> bool {
        match self {
            Capability::Env
            | Capability::Random
            | Capability::Seeds
            | Capability::Program
            | Capability::Network => true,
            Capability::Files
            | Capability::Http
            | Capability::Keyvalue
            | Capability::Config
            | Capability::Clock
            | Capability::Streams
            | Capability::Logging
            | Capability::Progress
            | Capability::Custom(_) => false,
        }
    }
}

impl std::fmt::Debug for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Capability").field(&self.facts().name).finish()
    }
}

/// The error that ends a guest which used a capability without a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tool used `{capability}` ({function}), which it was not granted")]
pub(crate) struct Denied {
    pub(crate) capability: &'static str,
    pub(crate) function: String,
}

/// The error of a capability that is asked to link an interface that it owns but does not link. A test proves that
/// there is no such interface.
fn unlinked(interface: &str) -> wasmtime::Error {
    wasmtime::format_err!("`{interface}` has an owner that does not link it")
}

/// Links the older form of functions whose type changed without their version, for a component that was built against it.
pub(crate) fn link_older(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    keyvalue::link_older(linker, component)
}

/// The built-in capability that owns an import.
pub(crate) fn built_in(import: &str) -> Option<&'static Capability> {
    BUILT_IN.iter().find(|capability| capability.facts().owns(import))
}

/// The context of the engine's library for one attempt, with what was granted in it.
pub(crate) fn context(
    log: &Capture,
    effective: &Effective,
    seed: [u8; 32],
    drawn: Option<&Arc<AtomicBool>>,
) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    // These have states of their own, outside of the context.
    let Effective { files: _, http: _, keyvalue: _, config: _, clock: _, env, random, custom: _ } = effective;
    program::provide(&mut wasi, log);
    env::provide(&mut wasi, env);
    // Without a grant the functions are denied, so the library's own generator is never used.
    random::provide(&mut wasi, random.and(drawn), seed);
    seeds::provide(&mut wasi);
    network::provide(&mut wasi);
    wasi.build()
}

/// Checks grants against this machine and makes their paths absolute. Relative paths are relative to `folder`. No grant
/// may reach what is `reserved`.
///
/// # Errors
/// When a folder does not exist, cannot be used as granted, or reaches what is reserved. With the name of its setting below
/// the grants.
pub(crate) fn resolve(
    grants: &mut Grants,
    folder: &Path,
    reserved: &Reserved,
) -> Result<(), (String, GrantError)> {
    let Grants { files, http: _, keyvalue: _, config: _, env: _, clock: _, random: _, custom: _ } = grants;
    let setting = |place| format!("{}[{place}]", airlock_types::grant::files::NAME);
    files::resolve(files, folder, reserved).map_err(|(place, err)| (setting(place), err))
}
