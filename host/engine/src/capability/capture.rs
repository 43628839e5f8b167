//! The output of a guest: what it prints and logs.
//!
//! Owns one bounded buffer for each attempt, shared by stdout, stderr and the logging interface. The buffer goes into
//! the record, never to the host's own stdout, which may carry a protocol. A full buffer drops further bytes silently:
//! an error would abort a guest that uses Rust's `println!`. Must not know who reads the record.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Most bytes in one write. It also bounds what a guest can make the host allocate for `write-zeroes`.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A bounded buffer that several streams share.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    bytes_max: usize,
    kept: Arc<Mutex<Captured>>,
}

#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    total: u64,
}

impl Capture {
    pub(crate) fn new(bytes_max: u64) -> Capture {
        Capture { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX), kept: Arc::default() }
    }

    pub(crate) fn put(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.bytes_max.saturating_sub(kept.bytes.len());
        kept.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        // Dropped bytes count, too, so that the record shows that output was cut.
        kept.total += bytes.len() as u64;
    }

    /// Takes the kept bytes as text, and the count of all bytes written.
    pub(crate) fn take(&self) -> (String, u64) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        // Guests may print any bytes, and the cut may split a character.
        (String::from_utf8_lossy(&kept.bytes).into_owned(), kept.total)
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Capture {
    // Always ready: nothing here waits for a reader.
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl tokio::io::AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.put(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
