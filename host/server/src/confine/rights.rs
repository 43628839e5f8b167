//! The rights of a process beside files and system calls: the capabilities of Linux, and core dumps.
//!
//! Owns which capabilities are kept, each with its reason. Must not know registries.

use rlimit::Resource;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Ports below this one are privileged.
const PORT_FREE: u16 = 1_024;

/// The capabilities that a process keeps, if it has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept(CapabilitySet);

impl Kept {
    pub(super) fn of_server(listens_at: Option<u16>) -> Kept {
        let is_privileged = listens_at.is_some_and(|port| (1..PORT_FREE).contains(&port));
        let listen = if is_privileged { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
        // A granted folder may belong to another user than root, as a volume of a container does.
        Kept(CapabilitySet::DAC_OVERRIDE | listen)
    }

    pub(super) fn of_starter() -> Kept {
        // The program may belong to another user than root, and be executable for that one alone.
        Kept(CapabilitySet::DAC_OVERRIDE)
    }
}

/// Drops the other capabilities, for this thread and those that it will start. A user other than root has none.
///
/// # Errors
/// When some remain, as a fragment.
pub(super) fn drop_capabilities(Kept(kept): Kept) -> Result<(), String> {
    let now = capabilities(None).map_err(|err| format!("its capabilities cannot be read: {err}"))?;
    let CapabilitySets { effective, permitted, inheritable: _ } = now;
    let sets = CapabilitySets {
        effective: effective & kept,
        permitted: permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(|err| format!("its capabilities cannot be dropped: {err}"))
}

/// A core dump would write arguments and secrets to the disk, or hand them to the program of `core_pattern`, for which the
/// kernel ignores a limit of zero. A limit of one byte is too small for a file, and its sign to start no such program
/// (`do_coredump`). If it cannot be set, the rest holds all the same.
pub(super) fn forbid_core_dumps() {
    let _ = Resource::CORE.set(1, 1);
}
