//! seccomp: the system calls that the process cannot make.
//!
//! Owns the list. It says what is denied, and not what is allowed: the process runs an engine, a database, a resolver and
//! the C library, whose calls differ by version, and one that an allow list has forgotten would end a call of a tool. The
//! compile process, which does one thing, has an allow list. What is newer than this list does not exist for the process.
//! A denied call fails and does not end the process, since libraries try some of them and go on without. Must not know
//! files.

mod arguments;

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, sock_filter};

/// What the process may still start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// Threads of itself.
    Threads,
    /// Threads and programs.
    Programs,
}

/// The newest system call that this list was made with: `file_setattr` of Linux 6.17. Libraries take a newer one for
/// missing, as on an older kernel. So do calls in the numbering of x32, which are far beyond it.
const NEWEST: u32 = 469;

macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Starting programs and other processes, signals to them, and what these need before they begin.
const PROCESSES: &[(&str, c_long)] = calls! {
    SYS_execve SYS_execveat
    SYS_tkill SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_pidfd_send_signal
    // A compile process drops what its starter has kept.
    SYS_capset
};

/// What no part of the program needs.
const OTHERS: &[(&str, c_long)] = calls! {
    // The memory and descriptors of other processes.
    SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_process_mrelease SYS_pidfd_getfd SYS_kcmp
    SYS_move_pages SYS_migrate_pages
    // Mounts and namespaces.
    SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount
    SYS_fspick SYS_mount_setattr SYS_setns SYS_unshare
    // Memory, semaphores and queues that other programs share by a number or a name, which no rule for files covers.
    SYS_shmget SYS_shmat SYS_shmctl SYS_semget SYS_semop SYS_semctl SYS_semtimedop SYS_msgget SYS_msgsnd SYS_msgrcv
    SYS_msgctl SYS_mq_open SYS_mq_unlink SYS_mq_timedsend SYS_mq_timedreceive SYS_mq_notify SYS_mq_getsetattr
    // Owners, modes and attributes of files by their paths, which no rule for files covers either. Of an open file they
    // can be changed.
    SYS_fchmodat SYS_fchownat SYS_setxattr SYS_lsetxattr SYS_removexattr SYS_lremovexattr
    // Files by handles, which no path leads to, and devices.
    SYS_open_by_handle_at SYS_fanotify_init SYS_mknodat
    // The kernel, its programs and its observation.
    SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load SYS_kexec_file_load SYS_bpf SYS_perf_event_open
    SYS_userfaultfd SYS_syslog SYS_lookup_dcookie
    // A second way to most calls, which this list does not see.
    SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register
    // Keys of the kernel.
    SYS_keyctl SYS_add_key SYS_request_key
    // Another user, and more rights.
    SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setfsuid SYS_setfsgid SYS_setgroups
    SYS_personality
    // The machine.
    SYS_reboot SYS_swapon SYS_swapoff SYS_acct SYS_quotactl SYS_quotactl_fd SYS_sethostname SYS_setdomainname
    SYS_settimeofday SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_vhangup SYS_nfsservctl
};

/// Newer ones, which have the same number on every architecture and not all a name in the C library's list.
const NEWER: &[(&str, c_long)] = &[
    ("SYS_fchmodat2", 452),
    ("SYS_statmount", 457),
    ("SYS_listmount", 458),
    ("SYS_setxattrat", 463),
    ("SYS_removexattrat", 466),
    ("SYS_open_tree_attr", 467),
    ("SYS_file_setattr", 469),
];

/// The ways to the network and to other programs, for a process that needs none. The sockets that it was given go on.
const SOCKETS: &[(&str, c_long)] =
    calls! { SYS_socket SYS_connect SYS_bind SYS_listen SYS_accept SYS_accept4 };

/// What a server needs until it listens.
const LISTENING: &[(&str, c_long)] = calls! { SYS_bind SYS_listen };

/// What only this architecture has: former ways to start processes, and the rest.
#[cfg(target_arch = "x86_64")]
const FORMER_PROCESSES: &[(&str, c_long)] = calls! { SYS_fork SYS_vfork };
#[cfg(target_arch = "x86_64")]
const FORMER: &[(&str, c_long)] = calls! {
    SYS_iopl SYS_ioperm SYS_modify_ldt SYS_uselib SYS__sysctl SYS_ustat SYS_sysfs SYS_mknod
    SYS_chmod SYS_chown SYS_lchown
};
#[cfg(not(target_arch = "x86_64"))]
const FORMER_PROCESSES: &[(&str, c_long)] = &[];
#[cfg(not(target_arch = "x86_64"))]
const FORMER: &[(&str, c_long)] = &[];

/// Every system call that fails whatever its arguments are in the process that makes calls, with its name, for a test that
/// tries each.
pub fn denied() -> impl Iterator<Item = (&'static str, c_long)> {
    always(Starts::Threads)
}

/// The same of the process that starts compile processes.
pub fn denied_to_starter() -> impl Iterator<Item = (&'static str, c_long)> {
    always(Starts::Programs)
}

fn always(starts: Starts) -> impl Iterator<Item = (&'static str, c_long)> {
    let own: [&[_]; 2] = match starts {
        Starts::Threads => [PROCESSES, FORMER_PROCESSES],
        Starts::Programs => [SOCKETS, &[]],
    };
    own.into_iter().chain([OTHERS, NEWER, FORMER]).flatten().copied()
}

/// Denies these calls to all threads of the process.
pub(super) fn deny(starts: Starts) -> Result<(), String> {
    apply(filter(starts))?;
    seccompiler::apply_filter_all_threads(&missing()).map_err(|err| not_taken(&err))
}

/// Denies all threads of the process to bind and listen from now on.
pub(super) fn deny_listening() -> Result<(), String> {
    apply(program(LISTENING.iter().map(|(_, call)| (*call, Vec::new())).collect()))
}

/// Whether this kernel has filters.
pub(super) fn available() -> Result<(), String> {
    match std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) if actions.split_whitespace().any(|action| action == "errno") => Ok(()),
        Ok(_) | Err(_) => Err("the kernel has none".into()),
    }
}

fn apply(filter: Result<BpfProgram, BackendError>) -> Result<(), String> {
    let filter = filter.map_err(|err| format!("the filter cannot be made: {err}"))?;
    seccompiler::apply_filter_all_threads(&filter).map_err(|err| not_taken(&err))
}

fn not_taken(err: &seccompiler::Error) -> String {
    format!("the kernel does not take the filter: {err}")
}

fn filter(starts: Starts) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = arguments::rules(starts)?.into_iter().collect();
    // Later, since a call that is denied whatever its arguments are has no rules.
    rules.extend(always(starts).map(|(_, call)| (call, Vec::new())));
    program(rules)
}

/// The filter that denies calls to which one of their rules applies, or that have none.
fn program(denied: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, BackendError> {
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into()?;
    BpfProgram::try_from(SeccompFilter::new(denied, SeccompAction::Allow, refused, architecture)?)
}

/// The filter after which some calls do not exist: newer ones, and `clone3`, whose arguments a filter cannot read. The C
/// library then starts threads and programs with `clone`.
fn missing() -> BpfProgram {
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    vec![
        // The number of the call stands first.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGT, NEWEST, 2),
        step(libc::BPF_JMP | libc::BPF_JEQ, clone3, 1),
        step(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, 0),
        step(libc::BPF_RET, missing, 0),
    ]
}

/// One step of a filter, with the number of steps that it skips if it holds.
fn step(code: u32, value: u32, skipped: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code | libc::BPF_K).unwrap_or(0), jt: skipped, jf: 0, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_listed_twice_or_newer_than_the_newest() {
        for starts in [Starts::Threads, Starts::Programs] {
            let mut calls: Vec<_> = always(starts).map(|(_, call)| call).collect();
            let listed = calls.len();
            calls.sort_unstable();
            calls.dedup();
            assert_eq!(calls.len(), listed);
            assert!(calls.iter().all(|call| *call <= i64::from(NEWEST)));
        }
    }

    /// What a filter of these steps returns for a call.
    fn ruled(filter: &[sock_filter], call: u32) -> u32 {
        let mut at = 0;
        loop {
            let step = &filter[at];
            let code = u32::from(step.code);
            if code == libc::BPF_RET {
                return step.k;
            }
            let holds = if code & 0xf0 == libc::BPF_JGT { call > step.k } else { call == step.k };
            let jumps = code & 0x07 == libc::BPF_JMP;
            at += 1 + usize::from(if jumps && holds { step.jt } else { 0 });
        }
    }

    #[test]
    fn newer_calls_other_numberings_and_clone3_do_not_exist() {
        let filter = missing();
        let clone3 = u32::try_from(libc::SYS_clone3).unwrap();
        let none = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
        for call in [0, clone3 - 1, clone3 + 1, NEWEST] {
            assert_eq!(ruled(&filter, call), libc::SECCOMP_RET_ALLOW, "{call}");
        }
        // The last is `execve` in the numbering of x32.
        for call in [clone3, NEWEST + 1, u32::MAX, 0x4000_0000 + 520] {
            assert_eq!(ruled(&filter, call), none, "{call}");
        }
    }

    #[test]
    fn a_starter_may_start_programs() {
        let (host, starter) = (filter(Starts::Threads).unwrap(), filter(Starts::Programs).unwrap());
        let names =
            |filter: &[sock_filter], call: c_long| filter.iter().any(|step| i64::from(step.k) == call);
        assert!(names(&host, libc::SYS_execveat) && !names(&starter, libc::SYS_execveat));
        assert!(names(&host, libc::SYS_bpf) && names(&starter, libc::SYS_bpf));
    }
}
