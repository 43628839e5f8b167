//! The load generator: connections that are kept, with one request in flight on each, from one thread.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::request::Request;
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
    /// Sends a request again and again.
    ///
    /// # Errors
    /// When an answer is not the expected one: it must not count as throughput.
    pub(super) fn run(self, request: &Request) -> Result<Run> {
        if self.connections == 1 { self.alone(request) } else { self.together(request) }
    }

    /// With one connection, without a poll between the server's answer and this thread.
    fn alone(self, request: &Request) -> Result<Run> {
        let mut stream = connect(self.port)?;
        let bytes = request.bytes(0);
        let (start, mut times) = (now(), Vec::new());
        while start.elapsed() < self.time {
            let at = now();
            stream.write_all(&bytes)?;
            check(&answer(&mut stream)?, request)?;
            times.push(at.elapsed());
        }
        Ok(Run { times, took: start.elapsed() })
    }

    fn together(self, request: &Request) -> Result<Run> {
        // A thread of its own: the caller may run inside a runtime, which must not block on another.
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let start = now();
                    let until = start + self.time;
                    let each = (0..self.connections).map(|i| one_of_many(self.port, request, i, until));
                    let times = futures::future::try_join_all(each).await?.concat();
                    Ok(Run { times, took: start.elapsed() })
                })
            });
            run.join().map_err(|_| anyhow::anyhow!("the load generator failed"))?
        })
    }
}

async fn one_of_many(port: u16, request: &Request, number: usize, until: Instant) -> Result<Vec<Duration>> {
    let stream = connect(port)?;
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(CHUNK));
    let bytes = request.bytes(number);
    loop {
        let at = now();
        if at >= until {
            return Ok(times);
        }
        stream.write_all(&bytes).await?;
        buffer.clear();
        while !is_whole(&buffer) {
            let read =
                tokio::time::timeout(PATIENCE, stream.read_buf(&mut buffer)).await.context("no answer")??;
            ensure!(read > 0, "the server closed the connection: {}", String::from_utf8_lossy(&buffer));
        }
        check(&buffer, request)?;
        times.push(at.elapsed());
    }
}

/// Opens connections that made one request each, and then nothing.
pub(super) fn idle(port: u16, request: &Request, count: usize) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let mut stream = connect(port)?;
        stream.write_all(&request.bytes(0))?;
        check(&answer(&mut stream)?, request)?;
        Ok(stream)
    };
    (0..count).map(one).collect()
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer, head and body.
pub(super) fn answer(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let (mut whole, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    while !is_whole(&whole) {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "the server closed the connection: {}", String::from_utf8_lossy(&whole));
        whole.extend_from_slice(&chunk[..read]);
    }
    Ok(whole)
}

/// Whether bytes are a whole answer. Its length stands in its head, or its chunks end with an empty one.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = find(bytes, b"\r\n\r\n") else { return false };
    let (head, body) = (&bytes[..head], &bytes[head + 4..]);
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        is_length.then(|| std::str::from_utf8(&value[1..]).ok()?.trim().parse::<usize>().ok()).flatten()
    });
    match length {
        Some(length) => body.len() >= length,
        None => body.ends_with(b"0\r\n\r\n") || head.starts_with(b"HTTP/1.1 202"),
    }
}

fn check(answer: &[u8], request: &Request) -> Result<()> {
    let is_good = answer.starts_with(b"HTTP/1.1 200") && find(answer, request.expect).is_some();
    ensure!(is_good, "not the expected answer: {}", String::from_utf8_lossy(answer));
    Ok(())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_length_or_its_last_chunk() {
        for (text, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
            ("HTTP/1.1 202 Accepted\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n", false),
        ] {
            assert_eq!(is_whole(text.as_bytes()), whole, "{text}");
        }
    }
}
