//! The load generator: an MCP client over stdio that is faster than the servers it measures.
//!
//! Frames are serialized once and written as bytes. Of a reply only the id and an error flag are read. One thread
//! writes and reads, so that no time is spent on waking another. Must not know which server it talks to.

mod wire;

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::clock::now;
pub use wire::{Frame, Line};

/// The protocol revision that every measured server speaks.
const REVISION: &str = "2025-06-18";

/// Size of one read in bytes: large enough that the client is not the limit.
const CHUNK: usize = 256 << 10;

/// A running server, and both ends of its pipes.
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    chunk: Box<[u8]>,
    /// Bytes that were read and not processed.
    buffer: Vec<u8>,
    /// Length of the prefix of `buffer` that is known to contain no line end.
    scanned: usize,
    next_id: u64,
}

/// The result of a pipelined run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Time from the first frame to the last reply.
    pub took: Duration,
    /// Time of each call, in the order of the answers.
    pub times: Vec<Duration>,
}

impl Client {
    /// Starts a server and performs the handshake.
    ///
    /// # Errors
    /// When the server does not start or does not answer.
    pub fn start(mut command: Command) -> Result<Client> {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Discarded, because an unread pipe would fill up and block the server.
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = (stdin.context("no stdin")?, stdout.context("no stdout")?);
        let mut client = Client {
            child,
            stdin,
            stdout,
            chunk: vec![0; CHUNK].into(),
            buffer: Vec::with_capacity(CHUNK),
            scanned: 0,
            next_id: 1,
        };
        let info = json!({"name": "airlock-bench", "version": "1"});
        let hello = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": info});
        // The handshake era: all measured servers speak it.
        client.ask("initialize", hello).with_context(|| format!("no answer from {shown}"))?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        client.stdin.write_all(format!("{ready}\n").as_bytes())?;
        Ok(client)
    }

    /// The id of the server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends one request and parses its reply. For requests that are not measured.
    ///
    /// # Errors
    /// When there is no reply, or the reply is an error.
    pub fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.take_id();
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.stdin.write_all(format!("{frame}\n").as_bytes())?;
        loop {
            let line = self.line()?;
            let reply: Value = serde_json::from_slice(&line).context("a line is no JSON")?;
            if reply["id"] == id {
                ensure!(reply["error"].is_null(), "{method}: {}", reply["error"]);
                ensure!(reply["result"]["isError"] != true, "{method}: {}", reply["result"]);
                return Ok(reply["result"].clone());
            }
        }
    }

    /// Writes a call without waiting for its answer, which is ignored later.
    ///
    /// # Errors
    /// When the server has exited.
    pub fn send(&mut self, frame: &Frame) -> Result<()> {
        let id = self.take_id();
        let mut bytes = Vec::new();
        frame.write(id, &mut bytes);
        Ok(self.stdin.write_all(&bytes)?)
    }

    /// Makes `calls` calls, with at most `window` of them unanswered at a time. Answers to calls of [`Client::send`]
    /// are not counted.
    ///
    /// # Errors
    /// When an answer is an error, which must not count as throughput, or when the server has exited.
    pub fn run(&mut self, frame: &Frame, calls: usize, window: usize) -> Result<Run> {
        let first = self.next_id;
        // Ids of a run are consecutive, so an answer's id is an index into `sent`.
        self.next_id += calls as u64;
        // Allocated before the clock starts.
        let mut sent: Vec<Instant> = Vec::with_capacity(calls);
        let mut times = Vec::with_capacity(calls);
        let mut out = Vec::new();
        let start = now();
        while times.len() < calls {
            let room = window - (sent.len() - times.len());
            let more = room.min(calls - sent.len());
            if more > 0 {
                // All frames of a batch in one write, so that the client makes one system call for them.
                out.clear();
                (0..more).for_each(|i| frame.write(first + (sent.len() + i) as u64, &mut out));
                // One time for the whole batch: reading the clock for each frame would count as load.
                let at = now();
                sent.extend(std::iter::repeat_n(at, more));
                self.stdin.write_all(&out)?;
            }
            self.fill()?;
            let at = now();
            let mut used = 0;
            while let Some(length) = self.line_length(used) {
                let line = Line(&self.buffer[used..used + length]);
                used += length;
                // Notifications, and answers to calls before this run.
                let Some(id) = line.id().filter(|id| *id >= first) else { continue };
                if line.is_error() {
                    bail!("a call was answered with an error: {}", line.shown());
                }
                let index = usize::try_from(id - first)?;
                times.push(at - *sent.get(index).context("an answer to no question")?);
            }
            // Once per read and not per line: each drain moves the rest of the buffer.
            self.buffer.drain(..used);
            self.scanned -= used;
        }
        Ok(Run { took: start.elapsed(), times })
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(length) = self.line_length(0) {
                self.scanned = 0;
                return Ok(self.buffer.drain(..length).collect());
            }
            self.fill()?;
        }
    }

    /// The length of the first whole line from `from` on, with its line end.
    fn line_length(&mut self, from: usize) -> Option<usize> {
        let start = self.scanned.max(from);
        let found = self.buffer[start..].iter().position(|byte| *byte == b'\n');
        self.scanned = found.map_or(self.buffer.len(), |at| start + at + 1);
        found.map(|_| self.scanned - from)
    }

    /// Reads the available bytes, at least one.
    fn fill(&mut self) -> Result<()> {
        let read = self.stdout.read(&mut self.chunk)?;
        ensure!(read > 0, "the server has left");
        self.buffer.extend_from_slice(&self.chunk[..read]);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The server must not outlive the client. An error means that it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
