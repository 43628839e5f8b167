//! Memory of a server with its descendants, and commands on fewer cores.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// Interval between two samples of memory under load.
const SAMPLE: Duration = Duration::from_millis(20);

/// Resident memory of a process and its descendants, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let own = std::fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| {
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        kib.and_then(|kib| kib.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    });
    // Helpers that the server started count, too.
    own + children(pid).into_iter().map(resident_bytes).sum::<u64>()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Runs some work, and returns the peak of a process's memory during it.
pub fn peak_bytes<T>(pid: u32, work: impl FnOnce() -> T) -> (T, u64) {
    // Starts with the memory before the work, in case the work ends before the first sample.
    let (peak, stop) = (AtomicU64::new(resident_bytes(pid)), AtomicBool::new(false));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                peak.fetch_max(resident_bytes(pid), Ordering::AcqRel);
                std::thread::sleep(SAMPLE);
            }
        });
        let done = work();
        stop.store(true, Ordering::Release);
        done
    });
    (done, peak.into_inner())
}

/// Ends a process that takes too long, unless this value is dropped first.
#[derive(Debug)]
pub struct Watch {
    _stop: mpsc::Sender<()>,
}

/// Ends a process after a time, so that a reader of its output sees the end of the file.
pub fn watch(pid: u32, patience: Duration) -> Watch {
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        // Dropping `Watch` disconnects the channel, which is another error than the timeout.
        if stopped.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            end(pid);
        }
    });
    Watch { _stop: stop }
}

/// Ends a process with its descendants.
fn end(pid: u32) {
    // Children first: after the end of their parent they would belong to another process and not be found.
    children(pid).into_iter().for_each(end);
    // An error means that it has exited already.
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}

/// Runs some work while this process and a server share one core. Waking an idle virtual core takes longer than a call,
/// and the kernel chooses the core to wake. With one call in flight, that choice would dominate the figures.
///
/// # Errors
/// When a process cannot be bound to cores.
pub fn on_one_core<T>(server: u32, work: impl FnOnce() -> T) -> Result<T> {
    let both = [server, std::process::id()];
    let all = std::thread::available_parallelism()?.get();
    both.iter().try_for_each(|pid| bind(*pid, 1))?;
    let done = work();
    // Also if the work returned an error, so that the following runs use all cores.
    both.iter().try_for_each(|pid| bind(*pid, all))?;
    Ok(done)
}

/// Binds every thread of a process to its first `cores` cores. A thread that ends meanwhile is skipped.
fn bind(pid: u32, cores: usize) -> Result<()> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the server has left")? {
        let task = task?;
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "--pid", &list(cores)]).arg(task.file_name());
        let output = command.output().context("`taskset` cannot be run")?;
        let bound = output.status.success() || !task.path().exists();
        ensure!(bound, "{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

fn list(cores: usize) -> String {
    format!("0-{}", cores.saturating_sub(1))
}

/// A command, bound to this number of cores if one is given.
pub fn command(program: &Path, cores: Option<usize>) -> Command {
    match cores {
        None => Command::new(program),
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &list(cores)]).arg(program);
            command
        }
    }
}
