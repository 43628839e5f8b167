//! Landlock: the files that the process can reach, the port that it can listen at, and no other process.
//!
//! Owns the kernel's means. Must not know why a folder is reached.

use std::os::fd::AsFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope,
};

use airlock::confinement::Means;

use super::rules::{Reach, Rules};

/// The newest version whose rights are handled: the first that knows signals and abstract sockets.
const VERSION: ABI = ABI::V6;

/// Why there is nothing of it.
const NONE: &str = "the kernel has none, or does not let this process use it";

/// What is missing on a kernel that has the means, and not all of it.
const IN_PART: &str =
    "Linux 6.12 or newer confines files, ports and signals, and this kernel not all of these";

/// Why a kernel's older version is not used.
const TOO_OLD: &str = "the kernel's is too old: that of Linux 5.13 to 5.18 forbids to move files between folders, which tools \
                       may do, so none of it is used";

/// Which ports can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// None.
    None,
    /// This one can be listened at, where 0 stands for one that the system selects. Connections are not limited: grants
    /// name the hosts and change with a reload, and the address of each connection is checked where it is made.
    Served(Option<u16>),
}

/// Restricts the calling thread and those that it will start.
pub(super) fn restrict(rules: &Rules, ports: Ports) -> Means {
    let restricted = ruleset(CompatLevel::BestEffort, ports)
        .and_then(|ruleset| with_files(ruleset, rules))
        .and_then(|ruleset| match ports {
            Ports::Served(Some(port)) => ruleset.add_rule(NetPort::new(port, AccessNet::BindTcp)),
            Ports::Served(None) | Ports::None => Ok(ruleset),
        })
        .and_then(RulesetCreated::restrict_self);
    match restricted {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Means::Enforced,
            RulesetStatus::PartiallyEnforced => Means::InPart(IN_PART.into()),
            RulesetStatus::NotEnforced => Means::Missing(NONE.into()),
        },
        Err(err) => Means::Missing(why(&err)),
    }
}

/// Whether this kernel enforces all of it.
pub(super) fn available() -> Means {
    match ruleset(CompatLevel::HardRequirement, Ports::None) {
        Ok(_) => Means::Enforced,
        Err(_) if ruleset(CompatLevel::BestEffort, Ports::None).is_ok() => Means::InPart(IN_PART.into()),
        Err(err) => Means::Missing(why(&err)),
    }
}

/// The rights that are denied unless a rule gives them.
fn ruleset(level: CompatLevel, ports: Ports) -> Result<RulesetCreated, RulesetError> {
    let net = match ports {
        Ports::None => AccessNet::from_all(VERSION),
        Ports::Served(_) => AccessNet::BindTcp.into(),
    };
    Ruleset::default()
        // The first version forbids to move files between folders at all, which tools may do: better none of it.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V2))?
        .set_compatibility(level)
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(net)?
        .scope(Scope::from_all(VERSION))?
        .create()
}

fn with_files(mut ruleset: RulesetCreated, rules: &Rules) -> Result<RulesetCreated, RulesetError> {
    for rule in rules.iter() {
        // One that is gone since it was looked up is covered by no rule, and found missing where it is used.
        let Ok(opened) = PathFd::new(&rule.path) else { continue };
        let rights = rights(rule.reach, &opened);
        ruleset = ruleset.add_rule(PathBeneath::new(opened, rights))?;
    }
    Ok(ruleset)
}

fn rights(reach: Reach, opened: &PathFd) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rights = match reach {
        Reach::Read => read,
        Reach::ReadFiles => AccessFs::ReadFile.into(),
        Reach::Execute => read | AccessFs::Execute,
        // No devices, pipes or sockets: tools cannot make these either.
        Reach::Change => {
            read | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::MakeReg
                | AccessFs::MakeDir
                | AccessFs::MakeSym
                | AccessFs::RemoveFile
                | AccessFs::RemoveDir
                | AccessFs::Refer
        }
    };
    // The kernel refuses rights of folders on a file.
    let is_folder = rustix::fs::fstat(opened.as_fd())
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir());
    if is_folder { rights } else { rights & AccessFs::from_file(VERSION) }
}

fn why(err: &RulesetError) -> String {
    // The crate's texts name its own types.
    let missing =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::ReadFile);
    if missing.and_then(|rules| rules.create()).is_err() {
        return NONE.to_owned();
    }
    match err {
        RulesetError::HandleAccesses(_) => TOO_OLD.to_owned(),
        err => format!("the kernel does not take the rules: {err}"),
    }
}
