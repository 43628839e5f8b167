//! Confinement of the process that makes calls: which files it can reach, and which system calls it can make.
//!
//! Owns the rules, and that they hold for the whole process: they are set while it has one thread, and every thread that
//! starts later has them. A bug in the engine, in a parser or in a library then gives an attacker a process that starts
//! no program, reads and writes only beneath folders that the registry needs, and reaches no other process. Must not know
//! tools. To deny another system call: its line in `confine/calls.rs`, and nothing else, since a test tries each line.

mod calls;
mod files;
mod rights;
mod rules;
mod system;

use airlock::confinement::{Confinement, Means};

pub use airlock::sandbox::compile::close_inherited;
pub use calls::{denied, denied_to_starter};
use files::Ports;
use rights::{Kept, drop_capabilities};
pub use rules::Rules;

/// Confines this process by the rules. They cannot be taken back.
///
/// `listens_at` is the port that the process will listen at; 0 stands for one that the system selects. Once it listens,
/// [`stop_listening`] is to be called.
///
/// What the kernel lacks is left out, and the returned value says so.
pub fn enter(rules: &Rules, listens_at: Option<u16>) -> Confinement {
    if let Err(why) = alone() {
        return Confinement::none(&why);
    }
    rights::forbid_core_dumps();
    // The files come first: their folders are opened for it, which is a lot of system calls.
    let landlock = files::restrict(rules, Ports::Served(listens_at));
    let dropped = drop_capabilities(Kept::of_server(listens_at));
    let denied = calls::deny(calls::Starts::Threads);
    let denied = if listens_at.is_none() { denied.and_then(|()| calls::deny_listening()) } else { denied };
    Confinement { landlock, seccomp: of_calls(denied, dropped) }
}

/// Takes from a confined process, whose threads may run by now, the right to listen at an address. Those that it listens at
/// go on.
///
/// # Errors
/// When the kernel does not do it.
pub fn stop_listening() -> Result<(), String> {
    calls::deny_listening()
}

/// Confines the process that starts compile processes for one that is confined: it reaches this program and its
/// libraries, and makes no socket.
pub fn enter_as_starter() -> Confinement {
    if let Err(why) = alone() {
        return Confinement::none(&why);
    }
    rights::forbid_core_dumps();
    let landlock = files::restrict(&Rules::of_starter(), Ports::None);
    let dropped = drop_capabilities(Kept::of_starter());
    Confinement { landlock, seccomp: of_calls(calls::deny(calls::Starts::Programs), dropped) }
}

/// What [`enter`] would have the kernel enforce here. Changes nothing.
pub fn available() -> Confinement {
    Confinement { landlock: files::available(), seccomp: of_calls(calls::available(), Ok(())) }
}

/// Rules for files hold for the thread that sets them and for those that it starts, so there must be no other one.
fn alone() -> Result<(), String> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        Ok(threads) => {
            Err(format!("{threads} threads ran already when it was to be confined, a fault of the program"))
        }
        Err(err) => Err(format!("its threads cannot be counted: {err}")),
    }
}

/// The filter of system calls keeps a process from changing its rights, so what remains of them is a part that is missing.
fn of_calls(denied: Result<(), String>, dropped: Result<(), String>) -> Means {
    match (denied, dropped) {
        (Err(why), _) => Means::Missing(why),
        (Ok(()), Err(why)) => Means::InPart(why),
        (Ok(()), Ok(())) => Means::Enforced,
    }
}
