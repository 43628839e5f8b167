//! The system calls that are denied with some arguments.
//!
//! Owns the conditions. Of the conditions of a rule all must hold, and one rule is enough for a call to be denied. Must not
//! know the calls that are denied whatever their arguments are.

use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::Starts;

/// The rules of one call, by its number.
type Rules = (i64, Vec<SeccompRule>);

/// The former way to the packets of a network interface, beside its family.
const SOCK_PACKET: i32 = 10;

/// Makes a character of input of a terminal, does what the console's mouse does, and takes the console's output.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCCONS: u32 = 0x541d;

/// Takes a terminal for this process, has the kernel interpret its bytes in another way, and hangs it up.
const TIOCSCTTY: u32 = 0x540e;
const TIOCSETD: u32 = 0x5423;
const TIOCVHANGUP: u32 = 0x5437;

/// What the commands of a console's keyboard and of its screens begin with.
const CONSOLE: [u32; 2] = [0x4b00, 0x5600];

/// The flags with which a thread or process has a namespace of its own.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Whose priority is set, in two calls: of a process.
const PRIO_PROCESS: i32 = 0;
const IOPRIO_WHO_PROCESS: i32 = 1;

/// What stands for the calling thread where the descriptor of a process is asked for, since Linux 6.14.
const PIDFD_SELF: i32 = -10_000;

pub(super) fn rules(starts: Starts) -> Result<Vec<Rules>, BackendError> {
    let own = match starts {
        Starts::Threads => [sockets()?, signals()?].concat(),
        Starts::Programs => Vec::new(),
    };
    let all = [own, vec![pairs()?, terminals()?, clones(starts)?, advice()?], schedules()?];
    Ok(all.concat())
}

/// Which sockets can be made. None to other programs on this machine: their sockets in folders are not covered by rules for
/// files. The resolver of the C library goes on to the name servers when its own helpers do not answer.
fn sockets() -> Result<Vec<Rules>, BackendError> {
    let mut rules = vec![
        // The resolver of the C library asks netlink for the addresses of this machine.
        all([differs(0, libc::AF_INET), differs(0, libc::AF_INET6), differs(0, libc::AF_NETLINK)])?,
        all([is(0, libc::AF_NETLINK), differs(2, libc::NETLINK_ROUTE)])?,
        all([kind(SOCK_PACKET)])?,
    ];
    for family in [libc::AF_INET, libc::AF_INET6] {
        rules.push(all([is(0, family), kind(libc::SOCK_RAW)])?);
        // Others than TCP and UDP have ports of their own, which no rule covers, or reach the network itself.
        let others = [libc::IPPROTO_IP, libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|known| differs(2, known));
        rules.push(all([is(0, family)].into_iter().chain(others))?);
    }
    Ok(vec![(libc::SYS_socket, rules)])
}

/// Which pairs of sockets can be made: those that stay with each other. One of a pair of datagrams can send to any name.
fn pairs() -> Result<Rules, BackendError> {
    let rules = [vec![differs(0, libc::AF_UNIX)], vec![kind(libc::SOCK_DGRAM)], vec![kind(libc::SOCK_RAW)]];
    Ok((libc::SYS_socketpair, rules.into_iter().map(all).collect::<Result<_, _>>()?))
}

/// Typing into the terminal that the process was started from, whose shell is not confined, and what else changes it for
/// others.
fn terminals() -> Result<Rules, BackendError> {
    let commands = [TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSCTTY, TIOCSETD, TIOCVHANGUP];
    let commands = commands.map(|command| is(1, command.cast_signed()));
    let of_console = CONSOLE.map(|first| masked(1, !0xff, first));
    let rules = commands.into_iter().chain(of_console).map(|condition| all([condition]));
    Ok((libc::SYS_ioctl, rules.collect::<Result<_, _>>()?))
}

/// A new thread or, where programs are started, a new process; without a namespace of its own.
fn clones(starts: Starts) -> Result<Rules, BackendError> {
    let process = match starts {
        Starts::Threads => Some(masked(0, bits(libc::CLONE_THREAD), 0)),
        Starts::Programs => None,
    };
    let namespaces = NAMESPACES.map(|flag| masked(0, bits(flag), bits(flag)));
    let rules = process.into_iter().chain(namespaces).map(|condition| all([condition]));
    Ok((libc::SYS_clone, rules.collect::<Result<_, _>>()?))
}

/// Advice on the memory of other processes. The engine gives the memory of guests that ended back with it, many at once: one by
/// one, each would interrupt the other processors.
fn advice() -> Result<Rules, BackendError> {
    Ok((libc::SYS_process_madvise, vec![all([differs(0, PIDFD_SELF)])?]))
}

/// An abort sends a signal to its own process.
fn signals() -> Result<Vec<Rules>, BackendError> {
    let elsewhere = || all([differs(0, own())]);
    Ok(vec![(libc::SYS_kill, vec![elsewhere()?]), (libc::SYS_tgkill, vec![elsewhere()?])])
}

/// The limits, the priority and the processors of other processes.
fn schedules() -> Result<Vec<Rules>, BackendError> {
    let of_process = |place: u8| all([differs(place, own()), differs(place, 0)]);
    let calls = [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
    ];
    let mut rules = Vec::new();
    for call in calls {
        rules.push((call, vec![of_process(0)?]));
    }
    for (call, process) in [(libc::SYS_setpriority, PRIO_PROCESS), (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS)]
    {
        rules.push((call, vec![all([differs(0, process)])?, of_process(1)?]));
    }
    Ok(rules)
}

/// The id of this process. A confined process starts none of its own kind.
fn own() -> i32 {
    std::process::id().cast_signed()
}

/// The kind of a socket. Its flags stand above.
fn kind(kind: i32) -> Result<SeccompCondition, BackendError> {
    masked(1, 0xf, bits(kind))
}

fn is(place: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    argument(place, SeccompCmpOp::Eq, bits(value))
}

fn differs(place: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    argument(place, SeccompCmpOp::Ne, bits(value))
}

fn masked(place: u8, mask: u32, value: u32) -> Result<SeccompCondition, BackendError> {
    argument(place, SeccompCmpOp::MaskedEq(u64::from(mask)), value)
}

fn bits(value: i32) -> u32 {
    value.cast_unsigned()
}

/// The kernel takes the lower half of these arguments, and so does the filter.
fn argument(place: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, u64::from(value))
}

fn all(
    conditions: impl IntoIterator<Item = Result<SeccompCondition, BackendError>>,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}
