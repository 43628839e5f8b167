//! A server that answers every request at once with the same result: the upper bound of what the client can measure.

use std::io::{BufRead as _, BufReader, Write as _};

fn main() -> std::io::Result<()> {
    let mut input = BufReader::with_capacity(256 << 10, std::io::stdin().lock());
    let mut output = std::io::stdout().lock();
    let mut answers = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(id) = id(&line) {
            answer(id, &mut answers);
        }
        // Requests that were read together are answered in one write.
        if !input.buffer().contains(&b'\n') {
            output.write_all(&answers)?;
            output.flush()?;
            answers.clear();
        }
    }
}

/// The id of a request; notifications have none.
fn id(line: &[u8]) -> Option<&[u8]> {
    // No parse: the server shows what the client can reach, so it does as little as possible.
    let at = line.windows(5).position(|bytes| bytes == b"\"id\":")? + 5;
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some(&line[at..at + digits])
}

fn answer(id: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"16.09344\"}]}}\n");
}
