//! The custom section that makes one `.wasm` the whole delivery.
//!
//! Owns the section's name and form, and how it is put into a component and found again. Must not know what
//! a contract says.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasm_encoder::Encode as _;
use wasmparser::{BinaryReader, Parser};

use crate::contract::surface::FunctionDocs;

/// The section's name. The number is the version of its form.
pub(crate) const SECTION: &str = "airlock:contract/1";

/// What `airlock pack` puts into a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    /// The text of `contract.toml`.
    pub contract: Option<String>,
    /// Doc comments of the WIT source, by function.
    #[serde(default)]
    pub docs: BTreeMap<String, FunctionDocs>,
}

/// Why bytes cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Not WebAssembly, or cut off.
    #[error("this is not a whole WebAssembly file: {0}")]
    Malformed(String),
    /// A core module.
    #[error("this is a core module, not a component")]
    CoreModule,
}

/// The component with the section in it; one that was there is replaced.
pub fn embed(component: &[u8], packed: &Packed) -> Result<Vec<u8>, PackError> {
    if Parser::is_core_wasm(component) {
        return Err(PackError::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(PackError::Malformed("it does not begin as one".into()));
    }
    let malformed = |err: wasmparser::BinaryReaderError| PackError::Malformed(err.to_string());
    let mut out = component[..HEADER_BYTES].to_vec();
    for section in sections(component).map_err(malformed)? {
        if section.custom != Some(SECTION) {
            out.extend_from_slice(&component[section.whole]);
        }
    }
    let data = serde_json::to_vec(packed).map_err(|err| PackError::Malformed(err.to_string()))?;
    out.push(CUSTOM);
    wasm_encoder::CustomSection { name: SECTION.into(), data: data.into() }.encode(&mut out);
    Ok(out)
}

/// Reads what `embed` wrote.
pub(crate) fn decode(data: &[u8]) -> serde_json::Result<Packed> {
    serde_json::from_slice(data)
}

/// The data of a custom section of the component itself, not of a module inside it.
pub(crate) fn section(component: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = sections(component).ok()?.into_iter().find(|section| section.custom == Some(name))?;
    Some(component[found.data].to_vec())
}

const HEADER_BYTES: usize = 8;
const CUSTOM: u8 = 0;

struct Section<'a> {
    /// The name of a custom section.
    custom: Option<&'a str>,
    /// With its header.
    whole: Range<usize>,
    /// Without header and name.
    data: Range<usize>,
}

fn sections(component: &[u8]) -> wasmparser::Result<Vec<Section<'_>>> {
    let mut reader = BinaryReader::new(component.get(HEADER_BYTES..).unwrap_or_default(), HEADER_BYTES);
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8()?;
        let mut body = reader.read_reader()?;
        let end = reader.original_position();
        let custom = if id == CUSTOM { Some(body.read_string()?) } else { None };
        sections.push(Section { custom, whole: start..end, data: body.original_position()..end });
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_packed_component_gives_back_what_went_in_and_packing_again_replaces_it() {
        let first = Packed { contract: Some("effects = \"pure\"".into()), ..Packed::default() };
        let second = Packed { contract: Some("effects = \"read\"".into()), ..Packed::default() };
        let once = embed(EMPTY, &first).unwrap();
        let twice = embed(&once, &second).unwrap();
        assert_eq!(decode(&section(&twice, SECTION).unwrap()).unwrap(), second);
        assert_eq!(once.len(), twice.len());
    }

    #[test]
    fn refuses_what_is_no_component() {
        let packed = Packed::default();
        assert!(matches!(embed(b"\0asm\x01\0\0\0", &packed), Err(PackError::CoreModule)));
        assert!(matches!(embed(b"hello", &packed), Err(PackError::Malformed(_))));
        assert!(matches!(embed(&[EMPTY, &[0, 200]].concat(), &packed), Err(PackError::Malformed(_))));
    }
}
