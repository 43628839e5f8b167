//! How the kernel confines the process of a host, as the program that confined it says.
//!
//! Owns the form of that statement, which probes and `airlock check` repeat. Confining a process is the matter of the
//! program, not of this library: it concerns all threads of the process, and the library does not know what else they do.
//! Must not know how a process is confined.

use std::fmt;

use serde::{Serialize, Serializer};

/// What the kernel enforces on this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confinement {
    /// Which files can be reached, and which ports can be listened at.
    pub landlock: Means,
    /// Which system calls can be made.
    pub seccomp: Means,
}

/// Whether one means of confinement is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// For all threads, and for the rest of the process.
    Enforced,
    /// So it is, and a part is missing. Holds what, as a fragment.
    InPart(String),
    /// It is not. Holds the reason, as a fragment.
    Missing(String),
}

impl Confinement {
    /// No confinement, for this reason.
    pub fn none(why: &str) -> Confinement {
        Confinement { landlock: Means::Missing(why.to_owned()), seccomp: Means::Missing(why.to_owned()) }
    }

    /// Whether every part is in force.
    pub fn is_whole(&self) -> bool {
        let Confinement { landlock, seccomp } = self;
        [landlock, seccomp].into_iter().all(|means| *means == Means::Enforced)
    }
}

impl Means {
    /// Whether the kernel enforces anything of it.
    pub fn is_in_force(&self) -> bool {
        match self {
            Means::Enforced | Means::InPart(_) => true,
            Means::Missing(_) => false,
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "landlock: {}, seccomp: {}", self.landlock, self.seccomp)
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Means::Enforced => f.write_str("enforced"),
            Means::InPart(missing) => write!(f, "in part: {missing}"),
            Means::Missing(why) => f.write_str(why),
        }
    }
}

impl Serialize for Means {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
