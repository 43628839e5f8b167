//! The load generator: connections that are kept, with one request in flight on each, from one thread.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::answer;
use super::request::{Request, Sent};
use crate::clock::now;

/// Size of one read in bytes.
const CHUNK: usize = 64 << 10;

/// The time without an answer after which a run is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Load for a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) port: u16,
    pub(super) connections: usize,
    pub(super) time: Duration,
    /// Requests that one connection makes in any case.
    pub(super) least: usize,
}

/// What a run measured.
pub(super) struct Run {
    /// The time of each request.
    pub(super) times: Vec<Duration>,
    took: Duration,
}

impl Run {
    /// Requests a second.
    pub(super) fn per_s(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }
}

impl Load {
    /// Sends requests again and again, the connections in turn one of these each.
    ///
    /// # Errors
    /// When an answer is not the expected one: it must not count as throughput.
    pub(super) fn run(self, requests: &[Request]) -> Result<Run> {
        match requests {
            [] => anyhow::bail!("there is no request"),
            [first, ..] if self.connections == 1 => self.alone(first),
            many => self.together(many),
        }
    }

    /// With one connection, without a poll between the server's answer and this thread.
    fn alone(self, request: &Request) -> Result<Run> {
        let (mut link, mut sent) = (Link::new(self.port), request.on(0));
        let (start, mut times) = (now(), Vec::new());
        while times.len() < self.least || start.elapsed() < self.time {
            let at = now();
            let bytes = sent.next();
            let answer = link.exchange(bytes)?;
            sent.check(answer)?;
            times.push(at.elapsed());
        }
        Ok(Run { times, took: start.elapsed() })
    }

    fn together(self, requests: &[Request]) -> Result<Run> {
        // A thread of its own: the caller may run inside a runtime, which must not block on another.
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let start = now();
                    let until = start + self.time;
                    let each = (0..self.connections).map(|i| {
                        let sent = requests[i % requests.len()].on(i);
                        one_of_many(self.port, sent, until)
                    });
                    let times = futures::future::try_join_all(each).await?.concat();
                    Ok(Run { times, took: start.elapsed() })
                })
            });
            run.join().map_err(|_| anyhow::anyhow!("the load generator failed"))?
        })
    }
}

async fn one_of_many(port: u16, mut sent: Sent<'_>, until: Instant) -> Result<Vec<Duration>> {
    let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(CHUNK));
    let mut stream = connect_async(port)?;
    loop {
        let at = now();
        if at >= until {
            return Ok(times);
        }
        let bytes = sent.next();
        stream.write_all(bytes).await?;
        buffer.clear();
        while !answer::is_whole(&buffer, false) {
            let read =
                tokio::time::timeout(PATIENCE, stream.read_buf(&mut buffer)).await.context("no answer")??;
            if read == 0 {
                closed(&buffer)?;
                break;
            }
        }
        sent.check(&buffer)?;
        if answer::closes(&buffer) {
            stream = connect_async(port)?;
        }
        times.push(at.elapsed());
    }
}

/// Opens connections that made one request each, and then nothing.
pub(super) fn idle(port: u16, request: &Request, count: usize) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let (mut link, mut sent) = (Link::new(port), request.on(0));
        let bytes = sent.next();
        let answer = link.exchange(bytes)?;
        sent.check(answer)?;
        link.stream.context("the server closed an idle connection")
    };
    (0..count).map(one).collect()
}

/// A kept connection. A server may close it after any answer; then the next request opens another.
pub(super) struct Link {
    port: u16,
    stream: Option<TcpStream>,
    answer: Vec<u8>,
    chunk: Box<[u8]>,
}

impl Link {
    pub(super) fn new(port: u16) -> Link {
        Link { port, stream: None, answer: Vec::new(), chunk: vec![0; CHUNK].into() }
    }

    /// Sends a request and reads its answer, head and body.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        let mut stream = self.stream.take().map_or_else(|| connect(self.port), Ok)?;
        stream.write_all(request)?;
        self.answer.clear();
        while !answer::is_whole(&self.answer, false) {
            let read = stream.read(&mut self.chunk).context("no answer")?;
            if read == 0 {
                closed(&self.answer)?;
                break;
            }
            self.answer.extend_from_slice(&self.chunk[..read]);
        }
        self.stream = (!answer::closes(&self.answer)).then_some(stream);
        Ok(&self.answer)
    }
}

/// Fails unless the answer may end with its connection.
fn closed(answer: &[u8]) -> Result<()> {
    ensure!(answer::is_whole(answer, true), "the server closed the connection: {}", answer::shown(answer));
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn connect_async(port: u16) -> Result<tokio::net::TcpStream> {
    let stream = connect(port)?;
    stream.set_nonblocking(true)?;
    Ok(tokio::net::TcpStream::from_std(stream)?)
}
