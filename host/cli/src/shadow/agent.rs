//! Runs an agent program with one query, in front of an MCP server that answers from the suite.
//!
//! Owns how the program is started, told of the server, bounded and ended. Must not know what its answer is compared with.
//! It runs before this process is confined, since a confined process starts no other one; and without a thread, which this
//! process may not have yet.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, OFlags, fcntl_getfl, fcntl_setfl, flock};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use super::text::quoted;
use crate::print::Message;
use airlock::environment::World;
use airlock::replay::{NOT_REPEATED, UNRECORDED};
use airlock_journal::Journal;
use airlock_shadow::query::{CALLS_MAX, Call, Did};
use airlock_types::environment::Environment as _;
use airlock_types::shorten::shorten;

/// Most bytes of an answer. An agent that writes more is ended.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Bytes of stderr that are kept, the last ones. The rest is read and dropped, so that the agent never waits for it.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// Most characters of stderr in a sentence.
const STDERR_CHARS_MAX: usize = 400;

/// How often a process is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Time for what an agent has started to end after it, and for the server to write the last calls.
const GRACE: Duration = Duration::from_secs(5);

/// Bound of the journal of one run.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// The files of one run, in a folder that is removed with it.
pub(super) struct Place {
    folder: PathBuf,
    /// Held as long as agents run: they share the folder.
    _lock: File,
}

impl Place {
    /// A new folder in the state folder, which this user alone can read.
    pub(super) fn new(state: &Path) -> Result<Place, Message> {
        let path = state.join("agent");
        let failed = |err: std::io::Error| Message(format!("`{}`: {err}", path.display()));
        let lock = Place::opened(&state.join("agent-lock")).map_err(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let text = format!("another `airlock shadow run --agent` uses `{}` now", path.display());
            return Err(Message(text));
        }
        let made = || {
            // Of a run that was killed.
            let _ = fs::remove_dir_all(&path);
            fs::DirBuilder::new().mode(0o700).create(&path)?;
            path.canonicalize()
        };
        Ok(Place { folder: made().map_err(failed)?, _lock: lock })
    }

    fn opened(path: &Path) -> std::io::Result<File> {
        fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
    }

    /// Where the server records the calls. `shadow serve` is told the folder.
    pub(super) fn journal(folder: &Path) -> PathBuf {
        folder.join("journal.db")
    }

    /// The file that a server holds a lock on as long as it runs.
    pub(super) fn lock(folder: &Path) -> std::io::Result<File> {
        Place::opened(&folder.join("serving"))
    }

    /// Removes what an earlier run left.
    fn clear(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is removed at the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An agent program, and the server that it is offered.
pub(super) struct Agent<'a> {
    /// The command, for `sh`.
    pub(super) command: &'a str,
    /// The program and the arguments of the server, without the folder of the run.
    pub(super) server: Vec<String>,
    pub(super) place: Place,
    pub(super) within: Duration,
}

impl Agent<'_> {
    /// Asks the agent, and waits for its answer.
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn ask(&self, name: &str, query: &str) -> Result<Did, String> {
        let folder = &self.place.folder;
        let failed =
            |err: std::io::Error| format!("its files in `{}` cannot be written: {err}", folder.display());
        self.place.clear().map_err(failed)?;
        let server = [self.server.clone(), vec!["--calls".to_owned(), folder.display().to_string()]].concat();
        let (program, args) = server.split_first().ok_or("there is no server")?;
        let config = folder.join("mcp.json");
        let servers = json!({"mcpServers": {"airlock": {"command": program, "args": args}}});
        let stdin = folder.join("query.txt");
        fs::write(&config, format!("{servers:#}\n"))
            .and_then(|()| fs::write(&stdin, query))
            .map_err(failed)?;
        let words: Vec<String> = server.iter().map(|word| quoted(word)).collect();
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.command);
        command.env("AIRLOCK_MCP_CONFIG", &config).env("AIRLOCK_MCP_COMMAND", words.join(" "));
        command.env("AIRLOCK_QUERY", name);
        // A file and no pipe: nothing waits for an agent that does not read.
        command.stdin(File::open(&stdin).map_err(failed)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).spawn().map_err(|err| format!("`sh` does not start: {err}"))?;
        let answer = Running::new(child)?.answer(self.within)?;
        self.settle()?;
        self.did(answer)
    }

    /// Waits until no server runs any more: its last calls are then on record.
    fn settle(&self) -> Result<(), String> {
        let lock = Place::lock(&self.place.folder).map_err(|err| err.to_string())?;
        let world = World::new();
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            if world.monotonic() > GRACE {
                return Err(
                    "it ended, and its MCP server still runs: an agent closes the server's stdin".to_owned()
                );
            }
            wait(&mut [], TICK);
        }
        Ok(())
    }

    /// What it did: its calls in order, and which of them no recording answered.
    fn did(&self, answer: String) -> Result<Did, String> {
        let path = Place::journal(&self.place.folder);
        let mut did = Did { answer, ..Did::default() };
        // An agent may answer without a tool.
        if !path.exists() {
            return Ok(did);
        }
        let unread = |err: &dyn std::fmt::Display| format!("its calls cannot be read: {err}");
        let journal = Journal::open(&path, JOURNAL_BYTES_MAX).map_err(|err| unread(&err))?;
        for page in journal.pages(0) {
            for record in page.map_err(|err| unread(&err))? {
                let traps = record.attempts.iter().filter_map(|attempt| attempt.trap.as_ref());
                let messages: Vec<&String> = traps.map(|trap| &trap.message).collect();
                let that = |begin: &str| messages.iter().find(|message| message.starts_with(begin));
                // Then the agent did not get what it got, whatever it did: it is not the agent that changed.
                if let Some(message) = that(NOT_REPEATED) {
                    return Err(format!("{message}; the leg `host` of its case says more"));
                }
                did.unrecorded.extend(that(UNRECORDED).map(|message| (*message).clone()));
                did.calls.push(Call { tool: record.tool, args: record.args });
            }
            if did.calls.len() > CALLS_MAX {
                return Err(format!("it made more than {CALLS_MAX} calls, which is the most of a path"));
            }
        }
        Ok(did)
    }
}

/// A running agent.
struct Running {
    child: Child,
    stdout: OwnedFd,
    stderr: OwnedFd,
    answer: Vec<u8>,
    said: Vec<u8>,
}

impl Running {
    fn new(mut child: Child) -> Result<Running, String> {
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).ok_or("it has no output")?;
        let (stdout, stderr) = (OwnedFd::from(stdout), OwnedFd::from(stderr));
        for pipe in [&stdout, &stderr] {
            let set = fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK));
            set.map_err(|err| err.to_string())?;
        }
        Ok(Running { child, stdout, stderr, answer: Vec::new(), said: Vec::new() })
    }

    /// Reads its output until it has ended.
    fn answer(mut self, within: Duration) -> Result<String, String> {
        let ended = self.wait(within);
        self.end_group();
        let status = ended?;
        if !status.success() {
            return Err(format!("it {}{}", ended_by(status), self.last_words()));
        }
        let Ok(answer) = String::from_utf8(std::mem::take(&mut self.answer)) else {
            return Err(format!("its answer is not UTF-8{}", self.last_words()));
        };
        match answer.trim() {
            "" => Err(format!("it ended without an answer on stdout{}", self.last_words())),
            answer => Ok(answer.to_owned()),
        }
    }

    fn wait(&mut self, within: Duration) -> Result<ExitStatus, String> {
        let world = World::new();
        let (mut is_open, mut ended): ([bool; 2], Option<(ExitStatus, Duration)>) = ([true; 2], None);
        loop {
            let now = world.monotonic();
            if let Some((status, at)) = ended
                && (is_open == [false; 2] || now.saturating_sub(at) > GRACE)
            {
                return Ok(status);
            }
            if ended.is_none() && now > within {
                let s = within.as_secs();
                return Err(format!("it did not end within {s} s, and was stopped{}", self.last_words()));
            }
            let pipes = [&self.stdout, &self.stderr];
            let mut open: Vec<PollFd<'_>> = pipes
                .into_iter()
                .zip(is_open)
                .filter(|(_, is_open)| *is_open)
                .map(|(pipe, _)| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
                .collect();
            wait(&mut open, TICK);
            is_open = [
                is_open[0] && drained(&self.stdout, &mut self.answer)?,
                is_open[1] && drained(&self.stderr, &mut self.said)?,
            ];
            if self.answer.len() > ANSWER_BYTES_MAX {
                return Err(format!("it answered more than {} MiB, and was stopped", ANSWER_BYTES_MAX >> 20));
            }
            let too_much = self.said.len().saturating_sub(STDERR_BYTES_MAX);
            self.said.drain(..too_much);
            if ended.is_none() {
                ended = self.child.try_wait().map_err(|err| err.to_string())?.map(|status| (status, now));
            }
        }
    }

    /// Ends the agent, and what it has started and not ended.
    fn end_group(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Of a group without a process there is nothing to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// The end of what it wrote to stderr, in a sentence.
    fn last_words(&self) -> String {
        let said = String::from_utf8_lossy(&self.said);
        let lines: Vec<&str> = said.trim().lines().rev().take(3).collect();
        let said = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
        if said.is_empty() {
            String::new()
        } else {
            format!("; it said: {}", shorten(&said, STDERR_CHARS_MAX))
        }
    }
}

/// Waits until a pipe can be read, but not for longer. An interrupted wait is a short one.
fn wait(pipes: &mut [PollFd<'_>], time: Duration) {
    let time = Timespec::try_from(time).ok();
    let _ = poll(pipes, time.as_ref());
}

/// Reads what there is. Whether the pipe is still open.
fn drained(pipe: &OwnedFd, into: &mut Vec<u8>) -> Result<bool, String> {
    let mut file = File::from(pipe.try_clone().map_err(|err| err.to_string())?);
    let mut part = [0; 16 << 10];
    match file.read(&mut part) {
        Ok(0) => Ok(false),
        Ok(read) => {
            into.extend(part.iter().take(read));
            Ok(true)
        }
        Err(err)
            if matches!(err.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) =>
        {
            Ok(true)
        }
        Err(err) => Err(err.to_string()),
    }
}

fn ended_by(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(127), _) => "could not be found (exit code 127)".to_owned(),
        // As a shell says it.
        (Some(code), _) if code > 128 => format!("was ended by signal {}", code - 128),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}
