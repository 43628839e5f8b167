//! What can be seen of the server's process from outside: memory, descriptors, threads, and its compile processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Interval between two looks at the processes. Shorter than the least that a compile process takes.
const LOOK: Duration = Duration::from_millis(10);

/// Ticks of the clock in a second, in which the kernel shows processor time on every platform.
const TICKS_PER_S: u64 = 100;

/// A sample of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Resident memory in MiB, without pages of files.
    pub memory_mib: u64,
    /// Open descriptors, without those of compiled code.
    pub descriptors: usize,
    /// Descriptors of compiled code: those of loaded components, and those that idle slots of the pool keep.
    pub code: usize,
    /// Threads.
    pub threads: usize,
}

impl Sample {
    /// Samples a process.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn of(process: u32) -> anyhow::Result<Sample> {
        // Without pages of files: code is mapped by first calls, and its pages are the kernel's to take back.
        let memory_mib = resident_mib(process, "RssAnon:").context("the process has ended")?;
        let open = std::fs::read_dir(format!("/proc/{process}/fd"))?.flatten();
        // Behind the name of a file that was replaced meanwhile, the kernel writes that it is deleted.
        let is_code = |entry: &std::fs::DirEntry| {
            std::fs::read_link(entry.path()).is_ok_and(|path| path.to_string_lossy().contains(".cwasm"))
        };
        let (code, others): (Vec<_>, Vec<_>) = open.partition(is_code);
        let threads = std::fs::read_dir(format!("/proc/{process}/task"))?.count();
        Ok(Sample { memory_mib, descriptors: others.len(), code: code.len(), threads })
    }

    /// The greater of both, in each part.
    pub fn max(self, other: Sample) -> Sample {
        Sample {
            memory_mib: self.memory_mib.max(other.memory_mib),
            descriptors: self.descriptors.max(other.descriptors),
            code: self.code.max(other.code),
            threads: self.threads.max(other.threads),
        }
    }
}

/// A figure of a process's memory in MiB: `VmRSS:`, `RssAnon:` or `VmHWM:`.
pub fn resident_mib(process: u32, figure: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}

/// What a process holds: the kinds of its descriptors and the names of its threads, each with its number.
pub fn holds(process: u32) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let listed =
        |what: &str| std::fs::read_dir(format!("/proc/{process}/{what}")).into_iter().flatten().flatten();
    let targets = listed("fd").filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let targets = targets.map(|target| target.to_string_lossy().into_owned());
    let names = listed("task").filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    for text in targets.chain(names.map(|name| format!("thread {}", name.trim()))) {
        // Sockets and pipes are numbered.
        *kinds
            .entry(text.trim_end_matches([']', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).to_owned())
            .or_default() += 1;
    }
    let all: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    all.join(", ")
}

/// The processor time that a process has used, in milliseconds.
fn cpu_ms(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program stands in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_S)
}

/// The processes that a process has started, by all of its threads.
fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The compile processes of a server: its children, or those of the child that starts them for a confined one.
fn compiling(server: u32) -> Vec<u32> {
    let is_starter = |child: u32| {
        std::fs::read(format!("/proc/{child}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|arg| arg == b"compile-starter"))
    };
    let of = |child: u32| if is_starter(child) { children(child) } else { vec![child] };
    children(server).into_iter().flat_map(of).collect()
}

/// What the compile processes took at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compiles {
    /// Processes that were seen.
    pub seen: usize,
    /// Processor time of one, in milliseconds.
    pub cpu_ms_max: u64,
    /// Time by the clock of one, in milliseconds.
    pub wall_ms_max: u64,
    /// Peak memory of one, in MiB.
    pub memory_mib_max: u64,
}

/// A thread that looks at a server and its compile processes.
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<(Sample, Compiles)>>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts to look at a process.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(process: u32) -> anyhow::Result<Watch> {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, shared): (_, Arc<Mutex<(Sample, Compiles)>>) = (stop.clone(), Arc::clone(&seen));
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
            let mut since = BTreeMap::new();
            while !stopped.load(Ordering::Acquire) {
                look(process, &mut since, &shared);
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Watch { stop, seen, thread })
    }

    /// Stops, and returns the greatest sample of the server and of its compile processes.
    pub fn stop(self) -> (Sample, Compiles) {
        self.stop.store(true, Ordering::Release);
        // A panic of the thread leaves what it saw.
        let _ = self.thread.join();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(process: u32, since: &mut BTreeMap<u32, Instant>, seen: &Mutex<(Sample, Compiles)>) {
    let running = compiling(process);
    since.retain(|child, _| running.contains(child));
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(sample) = Sample::of(process) {
        seen.0 = seen.0.max(sample);
    }
    for child in running {
        let begun = since.entry(child).or_insert_with(|| {
            seen.1.seen += 1;
            crate::now()
        });
        seen.1.wall_ms_max = seen.1.wall_ms_max.max(begun.elapsed().as_millis() as u64);
        seen.1.cpu_ms_max = seen.1.cpu_ms_max.max(cpu_ms(child).unwrap_or_default());
        seen.1.memory_mib_max = seen.1.memory_mib_max.max(resident_mib(child, "VmHWM:").unwrap_or_default());
    }
}

/// The paths of all files below a folder, relative to it, sorted.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files_below(folder: &Path) -> anyhow::Result<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_children_are_seen() {
        // A test's own memory may be less than one MiB. The pages count only once they are written.
        let written = vec![1_u8; 8 << 20];
        let sample = Sample::of(std::process::id()).unwrap();
        assert!(written.iter().all(|byte| *byte == 1));
        assert!(sample.memory_mib >= 8 && sample.descriptors > 2 && sample.threads > 0, "{sample:?}");
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()), "the kernel lists no children");
        let watch = Watch::start(std::process::id()).unwrap();
        while watch.seen.lock().unwrap().1.seen == 0 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(watch.stop().0.threads > 1);
    }
}
