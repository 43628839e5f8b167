//! seccomp: the system calls that the process cannot make.
//!
//! Owns the list. It says what is denied, and not what is allowed: the process runs an engine, a database, a resolver and
//! the C library, whose calls differ by version, and one that an allow list has forgotten would end a call of a tool. The
//! compile process, which does one thing, has an allow list. What is newer than this list does not exist for the process.
//! A denied call fails and does not end the process, since libraries try some of them and go on without. Must not know
//! files.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

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

/// Starting programs and other processes, and signals to them.
const PROCESSES: &[(&str, c_long)] = calls! {
    SYS_execve SYS_execveat
    SYS_tkill SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_pidfd_send_signal
};

/// What no part of the program needs.
const OTHERS: &[(&str, c_long)] = calls! {
    // The memory and descriptors of other processes.
    SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_process_madvise SYS_process_mrelease SYS_pidfd_getfd
    SYS_kcmp SYS_move_pages SYS_migrate_pages
    // Mounts and namespaces.
    SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount
    SYS_fspick SYS_mount_setattr SYS_setns SYS_unshare
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
    SYS_capset SYS_personality
    // The machine.
    SYS_reboot SYS_swapon SYS_swapoff SYS_acct SYS_quotactl SYS_quotactl_fd SYS_sethostname SYS_setdomainname
    SYS_settimeofday SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_vhangup SYS_nfsservctl
};

/// What only this architecture has: former ways to start processes, and the rest.
#[cfg(target_arch = "x86_64")]
const FORMER_PROCESSES: &[(&str, c_long)] = calls! { SYS_fork SYS_vfork };
#[cfg(target_arch = "x86_64")]
const FORMER: &[(&str, c_long)] = calls! {
    SYS_iopl SYS_ioperm SYS_modify_ldt SYS_uselib SYS__sysctl SYS_ustat SYS_sysfs SYS_mknod
};
#[cfg(not(target_arch = "x86_64"))]
const FORMER_PROCESSES: &[(&str, c_long)] = &[];
#[cfg(not(target_arch = "x86_64"))]
const FORMER: &[(&str, c_long)] = &[];

/// Every system call that fails whatever its arguments are, with its name, for a test that tries each.
pub fn denied() -> impl Iterator<Item = (&'static str, c_long)> {
    [PROCESSES, FORMER_PROCESSES].into_iter().flatten().copied().chain(denied_to_all())
}

/// The calls that a process which starts programs does not need either.
fn denied_to_all() -> impl Iterator<Item = (&'static str, c_long)> {
    [OTHERS, FORMER].into_iter().flatten().copied()
}

/// Denies these calls to all threads of the process.
pub(super) fn deny(starts: Starts) -> Result<(), String> {
    let failed = |err: seccompiler::Error| format!("the kernel does not take the filter: {err}");
    let filter = filter(starts).map_err(|err| format!("the filter cannot be made: {err}"))?;
    seccompiler::apply_filter_all_threads(&filter).map_err(failed)?;
    seccompiler::apply_filter_all_threads(&missing(starts)).map_err(failed)
}

/// Whether this kernel has filters.
pub(super) fn available() -> Result<(), String> {
    match std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) if actions.split_whitespace().any(|action| action == "errno") => Ok(()),
        Ok(_) | Err(_) => Err("the kernel has none".into()),
    }
}

fn filter(starts: Starts) -> Result<BpfProgram, BackendError> {
    let always = match starts {
        Starts::Threads => denied().collect::<Vec<_>>(),
        Starts::Programs => denied_to_all().collect(),
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        always.into_iter().map(|(_, call)| (call, Vec::new())).collect();
    rules.extend(of_devices_and_sockets()?);
    if starts == Starts::Threads {
        rules.extend(of_processes()?);
    }
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into()?;
    BpfProgram::try_from(SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?)
}

/// Calls that are denied with some arguments. Of the conditions of a rule all must hold, and one rule is enough.
fn of_devices_and_sockets() -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    let family = |family: i32| argument(0, SeccompCmpOp::Eq, family);
    let other = |family: i32| argument(0, SeccompCmpOp::Ne, family);
    let kind = |kind: i32| argument(1, SeccompCmpOp::MaskedEq(0xf), kind);
    let socket = vec![
        // The resolver of the C library asks netlink for the addresses of this machine.
        all([other(libc::AF_UNIX), other(libc::AF_INET), other(libc::AF_INET6), other(libc::AF_NETLINK)])?,
        all([family(libc::AF_NETLINK), argument(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE)])?,
        all([family(libc::AF_INET), kind(libc::SOCK_RAW)])?,
        all([family(libc::AF_INET6), kind(libc::SOCK_RAW)])?,
        all([kind(SOCK_PACKET)])?,
    ];
    let command = |command: u32| argument(1, SeccompCmpOp::Eq, command.cast_signed());
    // Typing into the terminal that the process was started from, whose shell is not confined.
    let ioctl = vec![all([command(TIOCSTI)])?, all([command(TIOCLINUX)])?];
    Ok(vec![(libc::SYS_socket, socket), (libc::SYS_ioctl, ioctl)])
}

/// The former way to the packets of a network interface, beside its family.
const SOCK_PACKET: i32 = 10;

/// Makes a character of input of a terminal, and does what the console's mouse does.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

fn of_processes() -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    // A new thread, and not a process or a namespace.
    let clone = all([argument(0, SeccompCmpOp::MaskedEq(bits(libc::CLONE_THREAD)), 0)])?;
    // An abort sends a signal to its own process.
    let own = std::process::id().cast_signed();
    let elsewhere = || all([argument(0, SeccompCmpOp::Ne, own)]);
    let limits = all([argument(0, SeccompCmpOp::Ne, own), argument(0, SeccompCmpOp::Ne, 0)])?;
    Ok(vec![
        (libc::SYS_clone, vec![clone]),
        (libc::SYS_kill, vec![elsewhere()?]),
        (libc::SYS_tgkill, vec![elsewhere()?]),
        (libc::SYS_prlimit64, vec![limits]),
    ])
}

fn bits(flags: i32) -> u64 {
    u64::from(flags.cast_unsigned())
}

fn argument(place: u8, operator: SeccompCmpOp, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, bits(value))
}

fn all<const N: usize>(
    conditions: [Result<SeccompCondition, BackendError>; N],
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

/// The filter after which some calls do not exist: newer ones, and `clone3`, whose arguments a filter cannot read. The C
/// library then starts threads with `clone`.
fn missing(starts: Starts) -> BpfProgram {
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    let is_clone3 =
        step(libc::BPF_JMP | libc::BPF_JEQ, clone3, if starts == Starts::Threads { 1 } else { 0 });
    vec![
        // The number of the call stands first.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGT, NEWEST, 2),
        is_clone3,
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
        let mut calls: Vec<_> = denied().map(|(_, call)| call).collect();
        let listed = calls.len();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), listed);
        assert!(calls.iter().all(|call| *call <= i64::from(NEWEST)));
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
        let (host, starter) = (missing(Starts::Threads), missing(Starts::Programs));
        let clone3 = u32::try_from(libc::SYS_clone3).unwrap();
        let none = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
        for call in [0, clone3 - 1, clone3 + 1, NEWEST] {
            assert_eq!(ruled(&host, call), libc::SECCOMP_RET_ALLOW, "{call}");
        }
        // The last is `execve` in the numbering of x32.
        for call in [NEWEST + 1, u32::MAX, 0x4000_0000 + 520] {
            assert_eq!((ruled(&host, call), ruled(&starter, call)), (none, none), "{call}");
        }
        assert_eq!((ruled(&host, clone3), ruled(&starter, clone3)), (none, libc::SECCOMP_RET_ALLOW));
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
