//! Tries from inside what a confined process can do and what it cannot.
//!
//! `confined host|starter|free REGISTRY OUTSIDE PARENT SOCKET` confines itself as `airlock serve` does for that registry,
//! as the process does that starts compile processes, or not at all. Then it prints a line for each attempt: a name, a tab,
//! and `done` or the number of the error. OUTSIDE is a folder that no rule covers, with the file `secret` and the sockets
//! `stream` and `datagrams`, PARENT a process
//! that is not confined, and SOCKET the name of its abstract socket. To add an attempt: its line here and in
//! `tests/confined/attempts.rs`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use airlock::config::ConfigFile;
use airlock_server::confine::{self, Rules};
use anyhow::Context as _;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The number of a call that the libc names, which is not made if a filter denies it. Arguments are zero.
type Call = libc::c_long;

struct Places {
    /// The folder of the registry, with a folder `read` and a folder `changed` that are granted.
    own: PathBuf,
    outside: PathBuf,
    parent: u32,
    socket: String,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("confined host|starter|free REGISTRY OUTSIDE PARENT SOCKET");
    let role = next()?;
    if role == "without-landlock" {
        return without_landlock(&next()?, arguments);
    }
    let registry = PathBuf::from(next()?);
    let own = registry.parent().context("the registry has no folder")?.to_owned();
    let places = Places { own, outside: next()?.into(), parent: next()?.parse()?, socket: next()? };
    let file = ConfigFile::read(&registry).map_err(|err| anyhow::anyhow!("{err}"))?;
    let confinement = match role.as_str() {
        "host" => Some(confine::enter(&Rules::of(&file), Some(0))),
        "starter" => Some(confine::enter_as_starter()),
        _ => None,
    };
    if let Some(confinement) = &confinement {
        say("confinement", confinement);
    }
    files(&places);
    others(&places);
    network(&places);
    needed(&places);
    sockets();
    calls(&places);
    // Without a filter some of them would end the machine.
    let denied: Vec<(&str, Call)> = match role.as_str() {
        "host" => confine::denied().collect(),
        "starter" => confine::denied_to_starter().collect(),
        _ => Vec::new(),
    };
    for (name, call) in denied {
        attempt(name, || made(call, [0; 3]));
    }
    if role == "host" {
        confine::stop_listening().map_err(anyhow::Error::msg)?;
    }
    later();
    Ok(())
}

fn without_landlock(program: &str, arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let calls =
        [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let rules = calls.map(|call| (call, Vec::new())).into_iter().collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, missing, std::env::consts::ARCH.try_into()?)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Err(Command::new(program).args(arguments).exec().into())
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn say(name: &str, outcome: impl std::fmt::Display) {
    println!("{name}\t{outcome}");
}

fn attempt<T>(name: &str, work: impl FnOnce() -> io::Result<T>) {
    match work() {
        Ok(_) => say(name, "done"),
        Err(err) => {
            say(name, err.raw_os_error().map_or_else(|| err.to_string(), |number| number.to_string()))
        }
    }
}

/// Files that the registry does not name, and rights that it does not give.
fn files(Places { own, outside, .. }: &Places) {
    let at = |name: &str| outside.join(name);
    let write = |path: PathBuf| OpenOptions::new().write(true).open(path);
    attempt("read a file outside", || fs::read(at("secret")));
    attempt("list a folder outside", || fs::read_dir(outside));
    attempt("write to a file outside", || write(at("secret")));
    attempt("truncate a file outside", || File::create(at("secret")));
    attempt("change the mode of a file outside", || {
        fs::set_permissions(at("secret"), Permissions::from_mode(0o644))
    });
    attempt("change the owner of a file outside", || chown(at("secret"), None, None));
    attempt("change the mode of an open file", || {
        File::open(own.join("changed/file"))?.set_permissions(Permissions::from_mode(0o600))
    });
    attempt("make a file outside", || File::create_new(at("new")));
    attempt("make a folder outside", || fs::create_dir(at("folder")));
    attempt("make a link outside", || symlink("secret", at("link")));
    attempt("move a file outside", || fs::rename(at("secret"), at("moved")));
    attempt("remove a file outside", || fs::remove_file(at("moved")));
    attempt("read through a link", || fs::read(own.join("read/link")));
    attempt("write to the registry", || write(own.join("airlock.toml")));
    attempt("read a file beside the registry", || fs::read(own.join("beside")));
    attempt("read the roots of the variable", || fs::read(at("roots.pem")));
    attempt("write to a component", || write(own.join("tool.wasm")));
    attempt("make a file beside the registry", || File::create_new(own.join("new")));
    attempt("make a file where a tool reads", || File::create_new(own.join("read/new")));
    attempt("move a file out", || fs::rename(own.join("changed/file"), at("file")));
    attempt("make a socket", || UnixListener::bind(own.join("changed/socket")));
}

/// Other processes, and programs.
fn others(Places { parent, .. }: &Places) {
    let of_parent = |name: &str| Path::new("/proc").join(parent.to_string()).join(name);
    attempt("read the memory of another process", || File::open(of_parent("mem")));
    attempt("read the variables of another process", || fs::read(of_parent("environ")));
    attempt("read the command of the first process", || fs::read("/proc/1/cmdline"));
    attempt("read the symbols of the kernel", || File::open("/proc/kallsyms"));
    attempt("signal another process", || Ok(rustix::process::test_kill_process(id(*parent)?)?));
    attempt("start a program", || Command::new("/bin/true").status());
}

fn id(process: u32) -> io::Result<rustix::process::Pid> {
    let raw = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    raw.ok_or_else(|| io::Error::other("no process"))
}

fn network(Places { outside, socket, .. }: &Places) {
    // A port of its own choice, as a way in for another machine.
    attempt("listen at another port", || TcpListener::bind("127.0.0.1:38787"));
    attempt("connect to another program's abstract socket", || {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(socket)?)
    });
    attempt("connect to another program's socket in a folder", || {
        UnixStream::connect(outside.join("stream"))
    });
    attempt("send to another program's socket in a folder", || {
        UnixDatagram::pair()?.0.send_to(b"x", outside.join("datagrams"))
    });
    attempt("make a pair of sockets", UnixStream::pair);
    attempt("listen at the port", || TcpListener::bind("127.0.0.1:0"));
    attempt("connect over TCP", connect);
    attempt("send a datagram", || UdpSocket::bind("127.0.0.1:0"));
}

/// Nothing listens at this port, so that a refusal is an answer from there.
fn connect() -> io::Result<()> {
    match TcpStream::connect("127.0.0.1:1") {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        connected => connected.map(drop),
    }
}

/// What a server has given up once it listens.
fn later() {
    attempt("listen at the port later", || TcpListener::bind("127.0.0.1:0"));
    attempt("listen without an address later", || {
        let socket = made(libc::SYS_socket, [libc::AF_INET, libc::SOCK_STREAM, 0].map(i64::from))?;
        made(libc::SYS_listen, [socket, 1, 0])
    });
    attempt("take a port of datagrams later", || UdpSocket::bind("127.0.0.1:0"));
    attempt("connect over TCP later", connect);
}

/// What a server needs.
fn needed(Places { own, .. }: &Places) {
    attempt("read the registry", || fs::read(own.join("airlock.toml")));
    attempt("read where a tool reads", || fs::read(own.join("read/file")));
    attempt("change where a tool changes", || {
        let folder = own.join("changed");
        fs::create_dir(folder.join("sub"))?;
        fs::rename(folder.join("file"), folder.join("sub/file"))?;
        symlink("file", folder.join("sub/link"))?;
        OpenOptions::new().write(true).truncate(true).open(folder.join("sub/file"))?;
        fs::remove_dir_all(folder.join("sub"))
    });
    attempt("change the state folder", || {
        let file = own.join(".airlock/file");
        fs::write(&file, "x")?;
        fs::remove_file(file)
    });
    attempt("read the name servers", || fs::read("/etc/resolv.conf"));
    attempt("resolve a name", || Ok(("localhost", 1).to_socket_addrs()?.count()));
    attempt("read the trusted roots", || fs::read_dir("/etc/ssl/certs"));
    attempt("start a thread", || {
        let started = std::thread::Builder::new().spawn(|| fs::read("/proc/self/maps").is_ok())?;
        started.join().map_err(|_| io::Error::other("it panicked"))
    });
    attempt("signal itself", || Ok(rustix::process::test_kill_process(rustix::process::getpid())?));
}

/// Sockets of other kinds than a server needs.
fn sockets() {
    let socket = |family: i32, kind: i32, protocol: i32| {
        made(libc::SYS_socket, [i64::from(family), i64::from(kind), i64::from(protocol)])
    };
    attempt("open a socket of packets", || socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0));
    attempt("open a socket of cryptography", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0));
    attempt("open a socket of a virtual machine", || socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0));
    attempt("open a raw socket", || socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP));
    attempt("open a raw socket of IPv6", || socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6));
    attempt("open a former socket of packets", || socket(libc::AF_INET, 10, 0));
    attempt("open a socket of TCP over several ways", || {
        socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)
    });
    attempt("open a socket of another protocol", || {
        socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_SCTP)
    });
    attempt("open a socket of pings", || socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP));
    attempt("open a socket of this machine", || socket(libc::AF_UNIX, libc::SOCK_STREAM, 0));
    attempt("listen to the kernel's events", || {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT)
    });
    attempt("ask for the addresses of this machine", || {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
    });
}

/// System calls that are denied with some arguments.
fn calls(Places { parent, .. }: &Places) {
    let parent = i64::from(*parent);
    // Invalid combinations, so that nothing is made where it is not denied.
    let clone = |flags: i32| made(libc::SYS_clone, [i64::from(flags), 0, 0]);
    attempt("make a process", || clone(libc::CLONE_SIGHAND));
    attempt("make a thread with a network of its own", || clone(libc::CLONE_THREAD | libc::CLONE_NEWNET));
    attempt("make a thread with mounts of its own", || clone(libc::CLONE_THREAD | libc::CLONE_NEWNS));
    attempt("make a thread with users of its own", || clone(libc::CLONE_THREAD | libc::CLONE_NEWUSER));
    attempt("make a process in the new way", || made(libc::SYS_clone3, [0; 3]));
    attempt("signal another thread", || made(libc::SYS_tgkill, [parent, parent, 0]));
    attempt("read the limits of another process", || made(libc::SYS_prlimit64, [parent, 0, 0]));
    attempt("read its own limits", || made(libc::SYS_prlimit64, [0; 3]));
    // No range of memory, of what is no descriptor of a process.
    attempt("advise on the memory of another process", || made(libc::SYS_process_madvise, [0, 0, 0]));
    attempt("advise on its own memory", || match made(libc::SYS_process_madvise, [-10_000, 0, 0]) {
        Err(err) if err.raw_os_error() == Some(libc::EPERM) => Err(err),
        // An older kernel does not know itself by this number.
        Err(_) | Ok(_) => Ok(()),
    });
    // To none, to a policy without its parameters, to what they are, and of a user that is not there.
    attempt("set the processors of another process", || made(libc::SYS_sched_setaffinity, [parent, 0, 0]));
    attempt("set the schedule of another process", || made(libc::SYS_sched_setscheduler, [parent, 0, 0]));
    attempt("set the priority of another process", || made(libc::SYS_setpriority, [0, parent, 0]));
    attempt("set the priority of a user", || made(libc::SYS_setpriority, [2, 54_321, 0]));
    attempt("set the place of another process at the disk", || made(libc::SYS_ioprio_set, [1, parent, 0]));
    // Stdin is no terminal, so that nothing is typed where it is not denied.
    let command = |command: i64| made(libc::SYS_ioctl, [0, command, 0]);
    attempt("type into the terminal", || command(0x5412));
    attempt("use the console", || command(0x541c));
    attempt("take the output of the console", || command(0x541d));
    attempt("have the terminal read in another way", || command(0x5423));
    attempt("change the keys of the console", || command(0x4b47));
    attempt("have capabilities", || {
        // What is kept for folders of other users.
        let left =
            rustix::thread::capabilities(None)?.effective - rustix::thread::CapabilitySet::DAC_OVERRIDE;
        if left.is_empty() { Err(io::Error::other("none")) } else { Ok(()) }
    });
}

/// Makes a system call as it is.
#[expect(unsafe_code, reason = "a denied call has no safe wrapper; see the proof inside")]
fn made(call: Call, [first, second, third]: [i64; 3]) -> io::Result<libc::c_long> {
    // SAFETY: no argument is a valid pointer: each is zero, a small number or the id of a process, so the kernel writes
    // to no memory of this process. Calls that would end or replace it with such arguments are made only where a filter
    // denies them.
    let returned = unsafe { libc::syscall(call, first, second, third, 0_i64, 0_i64, 0_i64) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
