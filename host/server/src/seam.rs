//! An entry point for the fuzz targets: how stdio reads a line.
//!
//! Not part of the stable interface.

use crate::transport;

/// The id under which a line is answered, as text, if it has one.
pub fn line_id(line: &[u8]) -> Option<String> {
    transport::stdio::line_id(line).map(|id| id.to_string())
}
