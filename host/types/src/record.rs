//! A call on record: the stored form.
//!
//! Owns the versions of the form, each of which is a type of its own that names no live type: a stored record must
//! stay readable whatever becomes of plans and codes. Must not know where records are kept. To change the form: a
//! file `vN.rs` with a `From` of the version before, its arm in [`read`], and a recording under `tests/recordings`.

mod v2;
pub mod v3;

use serde::Deserialize;
pub use v3::{FORMAT, Record};

/// Why a stored record cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It was written by a newer version.
    #[error("the record has format {0}, written by a newer Airlock; this one reads up to {FORMAT}")]
    Newer(u32),
    /// It is not a record.
    #[error("the record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads a stored record of any released format, as one of the newest.
///
/// # Errors
/// When the text is not a record, or one of a newer format.
pub fn read(text: &str) -> Result<Record, ReadError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    // The version is read alone first, since a record of a newer format need not fit any type here.
    let Version { format } = serde_json::from_str(text)?;
    match format {
        0..=2 => Ok(serde_json::from_str::<v2::Record>(text)?.into()),
        FORMAT => Ok(serde_json::from_str(text)?),
        newer => Err(ReadError::Newer(newer)),
    }
}
