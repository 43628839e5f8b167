//! The load generator: an MCP client over stdio that is fast enough not to be the limit.
//!
//! Frames are serialized once and written as bytes; of replies only the id and whether it is an error are looked
//! at. One thread writes and reads, so that nothing is spent on waking another. Must not know which server it
//! talks to.

mod wire;

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::clock::now;
pub use wire::{Frame, Line};

/// The revision that every server at hand speaks.
const REVISION: &str = "2025-06-18";

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A server, and both ends of its pipes.
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    chunk: Box<[u8]>,
    /// What was read and not yet looked at.
    buffer: Vec<u8>,
    /// So much of it holds no end of a line.
    scanned: usize,
    next_id: u64,
}

/// What a pipelined run came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Time from the first frame to the last reply.
    pub took: Duration,
    /// Of each call.
    pub times: Vec<Duration>,
}

impl Client {
    /// Starts a server and shakes hands.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(mut command: Command) -> Result<Client> {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
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
        client.ask("initialize", hello).with_context(|| format!("no answer from {shown}"))?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        client.stdin.write_all(format!("{ready}\n").as_bytes())?;
        Ok(client)
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request, its reply parsed and looked at: for whatever is not measured.
    ///
    /// # Errors
    /// When there is no reply, or an error.
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

    /// Writes a call without waiting for its answer, and forgets it.
    ///
    /// # Errors
    /// When the server has left.
    pub fn send(&mut self, frame: &Frame) -> Result<()> {
        let id = self.take_id();
        let mut bytes = Vec::new();
        frame.write(id, &mut bytes);
        Ok(self.stdin.write_all(&bytes)?)
    }

    /// Makes `calls` calls, at most `window` of them unanswered at a time. Answers to calls that were sent and
    /// forgotten do not count.
    ///
    /// # Errors
    /// When an answer is an error, as an error is not throughput, or when the server has left.
    pub fn run(&mut self, frame: &Frame, calls: usize, window: usize) -> Result<Run> {
        let first = self.next_id;
        self.next_id += calls as u64;
        let mut sent: Vec<Instant> = Vec::with_capacity(calls);
        let mut times = Vec::with_capacity(calls);
        let mut out = Vec::new();
        let start = now();
        while times.len() < calls {
            let room = window - (sent.len() - times.len());
            let more = room.min(calls - sent.len());
            if more > 0 {
                out.clear();
                (0..more).for_each(|i| frame.write(first + (sent.len() + i) as u64, &mut out));
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
                let Some(id) = line.id().filter(|id| *id >= first) else { continue };
                if line.is_error() {
                    bail!("a call was answered with an error: {}", line.shown());
                }
                let index = usize::try_from(id - first)?;
                times.push(at - *sent.get(index).context("an answer to no question")?);
            }
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

    /// The length of the first whole line from here on, its end included.
    fn line_length(&mut self, from: usize) -> Option<usize> {
        let start = self.scanned.max(from);
        let found = self.buffer[start..].iter().position(|byte| *byte == b'\n');
        self.scanned = found.map_or(self.buffer.len(), |at| start + at + 1);
        found.map(|_| self.scanned - from)
    }

    /// Reads what is there, at least one byte.
    fn fill(&mut self) -> Result<()> {
        let read = self.stdout.read(&mut self.chunk)?;
        ensure!(read > 0, "the server has left");
        self.buffer.extend_from_slice(&self.chunk[..read]);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nothing is left running behind; a server that has already left is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
