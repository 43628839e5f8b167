//! Confinement of the process that makes calls: which files it can reach, and which system calls it can make.
//!
//! Owns the rules, and that they hold for the whole process: they are set while it has one thread, and every thread that
//! starts later has them. A bug in the engine, in a parser or in a library then gives an attacker a process that starts
//! no program, reads and writes only beneath folders that the registry needs, and reaches no other process. Must not know
//! tools. To deny another system call: its line in `confine/calls.rs`, and nothing else, since a test tries each line.

mod calls;
mod files;
mod rules;
mod system;

use airlock::confinement::{Confinement, Means};

pub use calls::denied;
use files::Ports;
pub use rules::Rules;

/// Confines this process by the rules. They cannot be taken back.
///
/// `listens_at` is the port that the process will listen at; 0 stands for one that the system selects.
///
/// What the kernel lacks is left out, and the returned value says so.
pub fn enter(rules: &Rules, listens_at: Option<u16>) -> Confinement {
    if let Err(why) = alone() {
        return Confinement::none(&why);
    }
    // A core dump would write arguments and secrets to the disk. If it cannot be limited, the rest holds all the same.
    let _ = rlimit::Resource::CORE.set(0, 0);
    // The files come first: their folders are opened for it, which is a lot of system calls.
    let landlock = means(files::restrict(rules, Ports::Served(listens_at)));
    Confinement { landlock, seccomp: means(calls::deny(calls::Starts::Threads)) }
}

/// Confines the process that starts compile processes for one that is confined: it reaches this program and its
/// libraries, and no network.
pub fn enter_as_starter() -> Confinement {
    if let Err(why) = alone() {
        return Confinement::none(&why);
    }
    let landlock = means(files::restrict(&Rules::of_starter(), Ports::None));
    Confinement { landlock, seccomp: means(calls::deny(calls::Starts::Programs)) }
}

/// What [`enter`] would have the kernel enforce here. Changes nothing.
pub fn available() -> Confinement {
    Confinement { landlock: means(files::available()), seccomp: means(calls::available()) }
}

/// Rules for files hold for the thread that sets them and for those that it starts, so there must be no other one.
fn alone() -> Result<(), String> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        Ok(threads) => Err(format!("{threads} threads run already")),
        Err(err) => Err(format!("its threads cannot be counted: {err}")),
    }
}

fn means(done: Result<(), String>) -> Means {
    match done {
        Ok(()) => Means::Enforced,
        Err(why) => Means::Missing(why),
    }
}
