//! A server that answers every request with the same response, as soon as its last byte has arrived: the upper bound of what
//! the load generator can measure over HTTP.

#![expect(clippy::print_stderr, reason = "a program that starts it reads its address there")]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{\"value\":16.09344}";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    while stream.read_buf(&mut buffer).await? > 0 {
        // No parse: requests of the load generator end with a body, and their last byte is its closing brace.
        if buffer.ends_with(b"}") {
            stream.write_all(ANSWER).await?;
            buffer.clear();
        }
    }
    Ok(())
}
