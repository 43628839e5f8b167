//! What the compile process gives up before it reads a component.
//!
//! Owns the confinement of a process that reads untrusted bytes: its limits, its end with the parent, its open
//! descriptors, and the system calls that remain. Everything here is irrevocable for the calling process. Must not know
//! what the process works on.

use std::collections::BTreeMap;
use std::io;

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rlimit::Resource;
use rustix::process::{Pid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// The limits of a confined process, and the parent that it ends with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confinement {
    /// Process id of the parent.
    pub(crate) parent: u32,
    /// Limit of processor time, in seconds.
    pub(crate) cpu_s_max: u64,
    /// Limit of writable memory, in bytes.
    pub(crate) memory_bytes_max: u64,
}

/// Why a process could not be confined. It must then end without reading any input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    /// A limit, an attribute of the process or its table of descriptors could not be set. Holds what it was.
    #[error("cannot give up {0}: {1}")]
    Os(&'static str, io::Error),
    /// The parent ended before it could be watched.
    #[error("the process that started this one has ended")]
    Orphan,
}

/// Number of descriptors that stay open: stdin, stdout and stderr.
const DESCRIPTORS: libc::c_uint = 3;

/// Confines this process, which must have one thread.
///
/// Returns the kernel's means that could not be used (`landlock`, `seccomp`). An old kernel or a container may lack
/// them; the limits hold without them.
///
/// # Errors
/// Fails when a limit cannot be set. The caller must not continue.
pub(crate) fn confine(confinement: &Confinement) -> Result<Vec<String>, ConfineError> {
    // The order matters, because each step removes rights that earlier steps needed: descriptors may have to be listed in
    // /proc before landlock denies files; landlock and seccomp need `no_new_privs` when the process has no privileges; the
    // filter comes last, because it allows neither prctl nor setrlimit.
    die_with(confinement.parent)?;
    close_inherited().map_err(|err| ConfineError::Os("inherited descriptors", err))?;
    rustix::thread::set_no_new_privs(true).map_err(|err| ConfineError::Os("privileges", err.into()))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(|err| ConfineError::Os("capabilities", err.into()))?;
    let landlock = deny_files_and_network();
    limit(confinement).map_err(|err| ConfineError::Os("resources", err))?;
    let seccomp = filter_calls();
    let missing = [("landlock", landlock), ("seccomp", seccomp)];
    Ok(missing.into_iter().filter(|(_, enforced)| !enforced).map(|(name, _)| name.to_owned()).collect())
}

/// Ends this process when its parent ends for any reason.
fn die_with(parent: u32) -> Result<(), ConfineError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|err| ConfineError::Os("an end of its own", err.into()))?;
    // A parent that ended before the call above sends no signal. The process then has another parent already.
    let now = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if now.is_some_and(|now| u32::try_from(now.get()) == Ok(parent)) {
        Ok(())
    } else {
        Err(ConfineError::Orphan)
    }
}

/// Closes every descriptor of this process but stdin, stdout and stderr. The host's own descriptors close on exec, but those
/// that it inherited from its own parent may not. To be called before the process opens any.
///
/// # Errors
/// When they cannot be closed.
pub fn close_inherited() -> io::Result<()> {
    // A process that reaches no `/proc` cannot list them. Before Linux 5.9, and where a container forbids the call, they
    // are closed one by one.
    if close_from(DESCRIPTORS).is_ok() { Ok(()) } else { close_listed() }
}

#[expect(
    unsafe_code,
    reason = "the call has no safe wrapper: it can close what others use; see the proof inside"
)]
fn close_from(first: libc::c_uint) -> io::Result<()> {
    // SAFETY: the call takes three numbers and no pointer. It is made when a process begins, before it opens anything, so
    // that no object owns one of these descriptors: they are its parent's.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn close_listed() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    // The list includes the listing's own descriptor, which is closed by now. Closing it again fails, which is ignored.
    for fd in open.into_iter().filter(|fd| fd.cast_unsigned() >= DESCRIPTORS) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

fn limit(confinement: &Confinement) -> io::Result<()> {
    let Confinement { parent: _, cpu_s_max, memory_bytes_max } = *confinement;
    // Exceeding the soft limit raises SIGXCPU, which tells the host which limit was hit. The hard limit, a second
    // later, cannot be caught.
    Resource::CPU.set(cpu_s_max, cpu_s_max.saturating_add(1))?;
    // Counts writable private memory, since Linux 4.7 mappings as well. Reserved address space is free.
    Resource::DATA.set(memory_bytes_max, memory_bytes_max)?;
    // All input and output goes through pipes, which this limit does not affect.
    Resource::FSIZE.set(0, 0)?;
    // The three pipes stay open, and no further descriptor can be made.
    Resource::NOFILE.set(DESCRIPTORS.into(), DESCRIPTORS.into())?;
    // Neither a process nor a thread: the compiler of the engine runs on this one.
    Resource::NPROC.set(0, 0)?;
    // A core dump would write untrusted content to the disk, or hand it to the program of `core_pattern`. The kernel starts
    // none at a limit of one byte, and does at zero.
    Resource::CORE.set(1, 1)?;
    Resource::MEMLOCK.set(0, 0)?;
    Resource::MSGQUEUE.set(0, 0)
}

/// Denies all files, TCP, abstract sockets and signals to other processes. Returns whether the kernel enforces it.
fn deny_files_and_network() -> bool {
    // Rights are handled and no rule allows any, so all are denied. On an older kernel the crate leaves out what that
    // kernel does not know.
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self());
    restricted.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// Allows only the system calls of a compiler. Others fail. Returns whether the kernel enforces it.
fn filter_calls() -> bool {
    let Ok(arch) = std::env::consts::ARCH.try_into() else { return false };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // An abort sends a signal to its own process. Signals to other processes stay refused.
    let own =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(std::process::id()));
    let Ok(own) = own.and_then(|own| SeccompRule::new(vec![own])) else { return false };
    rules.insert(libc::SYS_tgkill, vec![own]);
    // A refused call fails with EPERM instead of ending the process: libraries make optional calls, such as reading the
    // number of processors, and continue without them.
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch);
    let program = filter.and_then(BpfProgram::try_from);
    program.is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
}

/// The allowed system calls: memory, the three pipes, signal handling, clocks and exit. None of them opens, connects,
/// starts or traces anything.
const CALLS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_membarrier,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Tries what a confined process must not be able to do. Returns each attempt with its result.
pub(crate) fn probe(parent: u32) -> Vec<(&'static str, Result<(), String>)> {
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    let outcome = |result: io::Result<()>| result.map_err(|err| err.to_string());
    let kill = || {
        let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
        let parent = parent.ok_or_else(|| io::Error::other("no parent"))?;
        Ok(rustix::process::test_kill_process(parent)?)
    };
    vec![
        ("read a file", outcome(std::fs::File::open("/etc/passwd").map(drop))),
        ("read its folder", outcome(std::fs::read_dir(".").map(drop))),
        ("write a file", outcome(std::fs::write("probe", "x"))),
        ("make a folder", outcome(std::fs::create_dir("probe"))),
        ("look at a file", outcome(std::fs::metadata("/etc/passwd").map(drop))),
        ("connect over TCP", outcome(TcpStream::connect("127.0.0.1:1").map(drop))),
        ("open a UDP socket", outcome(UdpSocket::bind("127.0.0.1:0").map(drop))),
        ("open a local socket", outcome(UnixDatagram::unbound().map(drop))),
        ("start a program", outcome(std::process::Command::new("/bin/true").status().map(drop))),
        ("start a thread", outcome(std::thread::Builder::new().spawn(|| ()).map(drop))),
        ("copy a descriptor", outcome(rustix::io::dup(io::stdin()).map(drop).map_err(io::Error::from))),
        ("signal its parent", outcome(kill())),
        ("raise a limit", outcome(Resource::NOFILE.set(1_024, 1_024))),
    ]
}
