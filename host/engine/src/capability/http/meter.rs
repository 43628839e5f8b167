//! The bytes that come in on a connection, counted where they are read: heads of all responses, informational ones too,
//! bodies, and what frames them. Over TLS they are counted decrypted.
//!
//! Must not know HTTP: a service that sends what no response has is counted like any other.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchange::Exchange;

/// Whose bytes come in on a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// Weak: a connection does not keep a request alive that its guest has dropped.
    exchange: Arc<Mutex<Weak<Exchange>>>,
}

impl Meter {
    fn exchange(&self) -> MutexGuard<'_, Weak<Exchange>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what comes in is of this exchange.
    pub(super) fn begin(&self, exchange: &Arc<Exchange>) {
        *self.exchange() = Arc::downgrade(exchange);
    }

    /// From now on the connection is idle. What comes in then ends it.
    pub(super) fn end(&self) {
        *self.exchange() = Weak::new();
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// When they are more than the bound of the grant.
    fn count(&self, bytes: usize) -> io::Result<()> {
        let exchange = self.exchange().upgrade();
        match exchange.is_none_or(|exchange| exchange.down(bytes as u64)) {
            true => Ok(()),
            false => Err(io::Error::other("more than granted was received")),
        }
    }
}

/// A connection with its meter.
pub(super) struct Metered<I> {
    io: I,
    meter: Meter,
}

impl<I> Metered<I> {
    pub(super) fn new(io: I, meter: Meter) -> Metered<I> {
        Metered { io, meter }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        Poll::Ready(self.meter.count(buffer.filled().len() - before))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
