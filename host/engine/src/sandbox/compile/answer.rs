//! The answer of the compile process: a length in eight bytes (little-endian), JSON of that length, then the code, if it
//! was asked for, to the end.
//!
//! Owns the form, its bounds, and both directions. Neither end trusts the other: the process bounds what it writes, and
//! the host bounds what it reads, because the process has read untrusted bytes. Must not know how a component is
//! compiled.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::CompileError;
use airlock_contract::component::{COMPONENT_INFO_BYTES_MAX, ComponentInfo};
use airlock_types::digest::{Hasher, hex};

/// Size of the chunks in which code is copied.
const CHUNK_BYTES: usize = 64 << 10;

/// Most characters of a reason. Messages of the engine quote names from the component, which may be long.
const REASON_CHARS_MAX: usize = 2_000;

/// What the process answers, and the means of confinement that the kernel lacks: `landlock`, `seccomp`.
#[derive(Debug)]
pub(super) enum Answer {
    /// The component was described.
    Described {
        /// The exports, imports and contract of the component.
        info: Box<ComponentInfo>,
        missing: Vec<String>,
    },
    /// The component was compiled, and its code is in the file.
    Compiled {
        /// SHA-256 of the code as it was received, in hex.
        code_digest: String,
        missing: Vec<String>,
    },
    /// It is refused.
    Refused(Refusal),
}

/// Why a component is refused.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Refusal {
    /// It is not a valid component.
    Invalid(String),
    /// An instance of it is larger than the engine's pool has room for.
    Oversized(String),
    /// It uses features that the engine does not have, and cannot be described either.
    Unsupported(String),
}

impl Refusal {
    /// The reason, cut to its bound.
    fn cut(self) -> Refusal {
        let cut = |reason: String| reason.chars().take(REASON_CHARS_MAX).collect();
        match self {
            Refusal::Invalid(reason) => Refusal::Invalid(cut(reason)),
            Refusal::Oversized(reason) => Refusal::Oversized(cut(reason)),
            Refusal::Unsupported(reason) => Refusal::Unsupported(cut(reason)),
        }
    }
}

impl From<Refusal> for CompileError {
    fn from(refused: Refusal) -> CompileError {
        match refused {
            Refusal::Invalid(reason) => CompileError::Invalid(reason),
            Refusal::Oversized(reason) => CompileError::Oversized(reason),
            Refusal::Unsupported(reason) => CompileError::Unsupported(reason),
        }
    }
}

/// The JSON before the code.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Head {
    Described { info: Box<ComponentInfo>, missing: Vec<String> },
    Compiled { missing: Vec<String> },
    Refused(Refusal),
}

/// Sends a description. One that is too large is sent as a refusal instead.
pub(super) fn send_description(
    mut out: impl Write,
    info: ComponentInfo,
    missing: Vec<String>,
) -> anyhow::Result<()> {
    match bounded(&Head::Described { info: Box::new(info), missing }) {
        Some(head) => {
            write_head(&mut out, &head)?;
            Ok(out.flush()?)
        }
        None => refuse(
            out,
            Refusal::Invalid(format!(
                "what it shows takes more than {COMPONENT_INFO_BYTES_MAX} bytes to describe"
            )),
        ),
    }
}

/// Sends compiled code.
pub(super) fn send_code(mut out: impl Write, missing: Vec<String>, code: &[u8]) -> anyhow::Result<()> {
    write_head(&mut out, &serde_json::to_vec(&Head::Compiled { missing })?)?;
    out.write_all(code)?;
    Ok(out.flush()?)
}

/// Sends a refusal.
pub(super) fn refuse(mut out: impl Write, why: Refusal) -> anyhow::Result<()> {
    write_head(&mut out, &serde_json::to_vec(&Head::Refused(why.cut()))?)?;
    Ok(out.flush()?)
}

fn write_head(out: &mut impl Write, head: &[u8]) -> std::io::Result<()> {
    out.write_all(&(head.len() as u64).to_le_bytes())?;
    out.write_all(head)
}

/// The JSON, or `None` when it is too long. Counted while it is written, so that a long text never exists as a whole.
fn bounded(head: &Head) -> Option<Vec<u8>> {
    struct Bounded(Vec<u8>);
    impl Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() + bytes.len() > COMPONENT_INFO_BYTES_MAX {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut bounded = Bounded(Vec::new());
    serde_json::to_writer(&mut bounded, head).ok()?;
    Some(bounded.0)
}

/// Receives an answer and writes its code, if it has any, to the file `out`, at most `code_bytes_max` bytes. `None` when
/// the process ended before its answer was complete.
///
/// # Errors
/// When the answer exceeds a bound or has another form, or the file cannot be written.
pub(super) async fn receive(
    mut from: impl AsyncRead + Unpin,
    out: Option<&Path>,
    code_bytes_max: u64,
) -> Result<Option<Answer>, CompileError> {
    let mut length = [0; 8];
    if from.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let length = u64::from_le_bytes(length);
    // Before the buffer is allocated: the length is the other end's claim.
    if length > COMPONENT_INFO_BYTES_MAX as u64 {
        return Err(CompileError::Process(format!(
            "its answer has {length} bytes; at most {COMPONENT_INFO_BYTES_MAX}"
        )));
    }
    let mut head = vec![0; usize::try_from(length).unwrap_or(0)];
    if from.read_exact(&mut head).await.is_err() {
        return Ok(None);
    }
    let head = serde_json::from_slice(&head);
    match head.map_err(|err| CompileError::Process(format!("its answer cannot be read: {err}")))? {
        Head::Refused(why) => Ok(Some(Answer::Refused(why.cut()))),
        Head::Described { info, missing } => {
            info.check().map_err(CompileError::Process)?;
            Ok(Some(Answer::Described { info, missing }))
        }
        Head::Compiled { missing } => {
            let out = out.ok_or_else(|| CompileError::Process("it sent code unasked".into()))?;
            let code_digest = store(from, out, code_bytes_max).await?;
            Ok(Some(Answer::Compiled { code_digest, missing }))
        }
    }
}

/// Writes the rest of the stream to a new file that only this user can read. Returns the SHA-256 of what was written.
async fn store(mut from: impl AsyncRead + Unpin, out: &Path, bytes_max: u64) -> Result<String, CompileError> {
    let unwritten =
        |err: std::io::Error| CompileError::Process(format!("`{}` cannot be written: {err}", out.display()));
    let mut options = tokio::fs::OpenOptions::new();
    // `create_new` never follows a link or overwrites a file that another process put there.
    let mut file = options.write(true).create_new(true).mode(0o400).open(out).await.map_err(unwritten)?;
    let mut digest = Hasher::new();
    let mut left = bytes_max;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await.map_err(|err| CompileError::Process(err.to_string()))?;
        if count == 0 {
            break;
        }
        left = left
            .checked_sub(count as u64)
            .ok_or_else(|| CompileError::Process(format!("its code has more than {bytes_max} bytes")))?;
        digest.update(&chunk[..count]);
        file.write_all(&chunk[..count]).await.map_err(unwritten)?;
    }
    // Before the cache renames the file: after a crash the final name must not lead to half of the code.
    file.sync_all().await.map_err(unwritten)?;
    Ok(hex(&digest.finish()))
}
