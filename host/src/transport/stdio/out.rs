//! What is written: whole lines, in the order in which they came, those that wait together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::service::{RoleServer, TxJsonRpcMessage};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Stdout, and what waits for it.
pub(super) struct Out {
    waiting: Mutex<Vec<u8>>,
    /// Nothing once it is closed, or broken.
    pipe: tokio::sync::Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>,
}

impl Out {
    pub(super) fn new(pipe: Box<dyn AsyncWrite + Send + Unpin>) -> Out {
        Out { waiting: Mutex::default(), pipe: Some(pipe).into() }
    }

    /// Puts a message after those that wait. Somebody has to `write` then.
    pub(super) fn put(&self, message: &TxJsonRpcMessage<RoleServer>) -> serde_json::Result<()> {
        let mut waiting = self.waiting();
        let before = waiting.len();
        let put = serde_json::to_writer(&mut *waiting, message);
        match put {
            Ok(()) => waiting.push(b'\n'),
            // Half a message would spoil the next one.
            Err(_) => waiting.truncate(before),
        }
        put
    }

    /// Writes what waits. Whoever finds nothing knows that it was written.
    pub(super) async fn write(&self) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().await;
        let batch = std::mem::take(&mut *self.waiting());
        let open = pipe.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
        if batch.is_empty() {
            return Ok(());
        }
        let written = async {
            open.write_all(&batch).await?;
            open.flush().await
        };
        let written = written.await;
        if written.is_err() {
            // Those whose lines were in this batch shall not take them for written.
            *pipe = None;
        }
        written
    }

    /// Writes a message.
    pub(super) async fn send(&self, message: &TxJsonRpcMessage<RoleServer>) -> std::io::Result<()> {
        self.put(message)?;
        self.write().await
    }

    pub(super) async fn close(&self) -> std::io::Result<()> {
        match self.pipe.lock().await.take() {
            Some(mut pipe) => pipe.shutdown().await,
            None => Ok(()),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
