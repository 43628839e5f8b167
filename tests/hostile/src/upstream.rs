//! An upstream that lies: it answers every request with the bytes of its case, then floods, stalls or closes.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::case;
use crate::template::expand;

/// A running upstream, which ends with this value.
pub(crate) struct Upstream {
    /// Its port on loopback.
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

struct Script {
    sends: Vec<u8>,
    floods: Option<Vec<u8>>,
    stalls: bool,
}

impl Upstream {
    pub(crate) async fn start(case: &case::Upstream) -> anyhow::Result<Upstream> {
        let floods = case.floods.as_deref().map(expand).transpose()?;
        let script = Arc::new(Script { sends: expand(&case.sends)?, floods, stalls: case.stalls });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no upstream")?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = script.clone();
                // An error is the end of the connection, which is what the host should make of it.
                tokio::spawn(async move { drop(answer(stream, &script).await) });
            }
        });
        Ok(Upstream { port, task })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, script: &Script) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(&script.sends).await?;
    if let Some(flood) = &script.floods {
        loop {
            stream.write_all(flood).await?;
        }
    }
    if script.stalls {
        // Ends when the host closes the connection.
        while stream.read_buf(&mut head).await? > 0 {
            head.clear();
        }
    }
    Ok(())
}
