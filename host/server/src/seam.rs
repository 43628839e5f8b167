//! An entry point for the fuzz targets: how stdio reads a line.
//!
//! Not part of the stable interface.

use crate::transport;

/// The id under which a line is answered, in its JSON form. `None` if the line gets no answer.
pub fn line_id(line: &[u8]) -> Option<String> {
    transport::stdio::line_id(line)
}
