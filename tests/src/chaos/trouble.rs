//! What goes wrong. Each trouble lasts a few seconds and undoes itself.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use super::place::Place;
use super::server;
use crate::server::Server;

/// How long a trouble lasts.
const LASTS: Duration = Duration::from_secs(5);

/// How long the journal is held: longer than the server waits for it.
const HELD: Duration = Duration::from_secs(7);

/// Reloads in one storm, and the time between two.
const RELOADS: u64 = 40;
const BETWEEN: Duration = Duration::from_millis(100);

/// The delay of each flush to the disk, in microseconds.
const FLUSH_US: u64 = 150_000;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    FullDisk,
    SlowDisk,
    HeldJournal,
    KilledChildren,
    ReloadStorm,
    Killed,
}

/// Whether a trouble could be made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Struck {
    Done,
    Missing(&'static str),
}

impl Trouble {
    pub(super) const ALL: [Trouble; 6] = [
        Trouble::FullDisk,
        Trouble::SlowDisk,
        Trouble::HeldJournal,
        Trouble::KilledChildren,
        Trouble::ReloadStorm,
        Trouble::Killed,
    ];

    pub(super) async fn strike(
        self,
        place: &Place,
        turn: &watch::Sender<Option<Arc<Server>>>,
    ) -> anyhow::Result<Struck> {
        match self {
            Trouble::FullDisk => fill(place).await,
            Trouble::SlowDisk => slow(server(turn)?.id()).await,
            Trouble::HeldJournal => place.hold(HELD).await.map(|()| Struck::Done),
            Trouble::KilledChildren => kill_children(place, server(turn)?.id()).await,
            Trouble::ReloadStorm => storm(place).await,
            Trouble::Killed => restart(place, turn).await.map(|()| Struck::Done),
        }
    }
}

/// Fills the disk to its last byte, and empties it again.
async fn fill(place: &Place) -> anyhow::Result<Struck> {
    let Some(folder) = place.disk() else { return Ok(Struck::Missing("no file system can be mounted")) };
    let path = folder.join("filler");
    let mut filler = File::create(&path)?;
    let block = [0; 4096];
    while filler.write_all(&block).is_ok() {}
    tokio::time::sleep(LASTS).await;
    drop(filler);
    std::fs::remove_file(path)?;
    Ok(Struck::Done)
}

/// Delays each flush of the server to its disk.
async fn slow(process: u32) -> anyhow::Result<Struck> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    command.args([
        "-e",
        &format!("inject=fsync,fdatasync:delay_exit={FLUSH_US}"),
        "-p",
        &process.to_string(),
    ]);
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut strace) = spawned else { return Ok(Struck::Missing("`strace` is not installed")) };
    tokio::time::sleep(LASTS).await;
    if strace.try_wait()?.is_some() {
        return Ok(Struck::Missing("`strace` may not follow another process"));
    }
    // It lets go of the server, and is not killed while it holds it.
    signal("INT", strace.id())?;
    tokio::task::spawn_blocking(move || strace.wait()).await??;
    Ok(Struck::Done)
}

/// Loads new versions of a component, and kills each process of the server that would read or compile one.
async fn kill_children(place: &Place, process: u32) -> anyhow::Result<Struck> {
    place.reload()?;
    for nth in 0..50 {
        if nth % 10 == 9 {
            place.reload()?;
        }
        for child in children(process).into_iter().filter(|child| !starts_others(*child)) {
            // One that has ended meanwhile is as good as killed.
            let _ = signal("KILL", child);
        }
        tokio::time::sleep(BETWEEN).await;
    }
    // The last version is one that nobody hinders.
    place.reload()?;
    Ok(Struck::Done)
}

/// Whether a process is the one that starts compile processes. A server that is confined cannot make another one, and says
/// that it must be restarted.
fn starts_others(process: u32) -> bool {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|argument| argument == b"compile-starter")
}

async fn storm(place: &Place) -> anyhow::Result<Struck> {
    for _ in 0..RELOADS {
        place.reload()?;
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(Struck::Done)
}

/// Kills the server and starts another one on the same files.
pub(super) async fn restart(place: &Place, turn: &watch::Sender<Option<Arc<Server>>>) -> anyhow::Result<()> {
    // First, so that clients know why they get no answer.
    let old = turn.send_replace(None).context("no server runs")?;
    signal("KILL", old.id())?;
    let stat = format!("/proc/{}/stat", old.id());
    // It keeps its place in the table until it is waited for, as one that has ended.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(old);
    turn.send_replace(Some(Arc::new(place.start()?)));
    Ok(())
}

fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "{name} cannot be sent to {process}");
    Ok(())
}

/// The processes below a process, which it or one of them started.
fn children(process: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries.filter_map(|entry| parent(&entry.path())).collect();
    let mut found = vec![process];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

/// A process and its parent, from its folder in `/proc`.
fn parent(folder: &Path) -> Option<(u32, u32)> {
    let child = folder.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may itself have some. After it come the state and the parent.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some((child, parent))
}
