//! The custom section that makes one `.wasm` file the whole delivery.
//!
//! Owns the name and form of the section, and how it is embedded and found. Must not know the content of a contract.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasm_encoder::Encode as _;
use wasmparser::{BinaryReader, Parser};

use crate::component::FunctionDocs;

/// The section's name. The number is the version of its form.
pub const SECTION: &str = "airlock:contract/1";

/// Size in bytes of the largest section, and so of the largest contract: thirty times the longest of the examples in
/// this repository.
pub const SECTION_BYTES_MAX: usize = 256 << 10;

/// Bytes from the start of a custom section in which the name is searched for. Our name with its length prefix is
/// shorter.
const HEAD_BYTES: usize = 64;

/// Number of bytes in which a name can differ from ours and still count as ours: as that of another version, or as a
/// damaged one.
const NAME_DAMAGE_MAX: usize = 2;

/// What `airlock pack` puts into a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// The text of `contract.toml`. The key is always present, also for `None`: if a missing key meant no contract, a
    /// damaged key would hide the contract, and the component would request whatever is granted.
    #[serde(deserialize_with = "Option::deserialize")]
    pub contract: Option<String>,
    /// Doc comments of the WIT source, by function.
    #[serde(default)]
    pub docs: BTreeMap<String, FunctionDocs>,
}

/// Why a component cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Not WebAssembly, or cut off.
    #[error("this is not a whole WebAssembly file: {0}")]
    Malformed(String),
    /// A core module.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// Larger than hosts accept.
    #[error(
        "contract and documentation take {0} bytes; at most {SECTION_BYTES_MAX}: shorten descriptions and comments"
    )]
    TooLarge(usize),
}

/// Why an embedded contract is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The list of sections is malformed.
    #[error("its custom sections cannot be read: {0}")]
    Sections(wasmparser::BinaryReaderError),
    /// A version that this host does not read, or a damaged name.
    #[error(
        "its section `{0}` is not one that this host reads, which is `{SECTION}`: pack the component again"
    )]
    Name(String),
    /// Several sections. None of them can be preferred.
    #[error("it has several sections `{SECTION}`: pack the component again")]
    Several,
    /// Too large.
    #[error("its section `{SECTION}` has {0} bytes; at most {SECTION_BYTES_MAX}")]
    TooLarge(usize),
    /// Not what `airlock pack` writes.
    #[error("its section `{SECTION}` is damaged: {0}; pack the component again")]
    Damaged(serde_json::Error),
}

/// Embeds the section. An existing one is replaced.
///
/// # Errors
/// When the bytes are not a whole component, or the section would be too large.
pub fn embed(component: &[u8], packed: &Packed) -> Result<Vec<u8>, PackError> {
    // Apart from the next check, because a core module is the usual mistake and has its own text.
    if Parser::is_core_wasm(component) {
        return Err(PackError::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(PackError::Malformed("it does not begin as one".into()));
    }
    let data = serde_json::to_vec(packed).map_err(|err| PackError::Malformed(err.to_string()))?;
    if data.len() > SECTION_BYTES_MAX {
        return Err(PackError::TooLarge(data.len()));
    }
    // Stripped first: two sections of ours are refused when they are read.
    let mut out = strip(component)?;
    out.push(CUSTOM);
    wasm_encoder::CustomSection { name: SECTION.into(), data: data.into() }.encode(&mut out);
    Ok(out)
}

/// Removes every section of ours, damaged ones and those of other versions included.
///
/// # Errors
/// When the sections of the component cannot be read.
pub fn strip(component: &[u8]) -> Result<Vec<u8>, PackError> {
    let malformed = |err: wasmparser::BinaryReaderError| PackError::Malformed(err.to_string());
    let mut out = component.get(..HEADER_BYTES).unwrap_or(component).to_vec();
    for section in sections(component).map_err(malformed)? {
        if !section.is_ours(component) {
            out.extend_from_slice(&component[section.whole]);
        }
    }
    Ok(out)
}

/// Reads what `embed` put into a component. `None` if there is no section of ours.
///
/// # Errors
/// When a section of ours is not what `embed` writes. A damaged section is never treated as absent: the component would
/// lose the requests and checks of its contract.
pub fn packed(component: &[u8]) -> Result<Option<Packed>, SectionError> {
    let sections = sections(component).map_err(SectionError::Sections)?;
    let mut ours = sections.into_iter().filter(|section| section.is_ours(component));
    let Some(section) = ours.next() else { return Ok(None) };
    if ours.next().is_some() {
        return Err(SectionError::Several);
    }
    if section.custom != Some(SECTION) {
        // The name may be of any length: it comes from an untrusted component.
        let name = section.custom.unwrap_or_default();
        return Err(SectionError::Name(name.chars().take(HEAD_BYTES).collect()));
    }
    let data = &component[section.data];
    if data.len() > SECTION_BYTES_MAX {
        return Err(SectionError::TooLarge(data.len()));
    }
    serde_json::from_slice(data).map(Some).map_err(SectionError::Damaged)
}

/// The data of the first custom section of that name in the component itself, not in a module inside it.
pub fn section(component: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = sections(component).ok()?.into_iter().find(|section| section.custom == Some(name))?;
    Some(component[found.data].to_vec())
}

/// Magic number, version and layer of a component.
const HEADER_BYTES: usize = 8;
/// The section id of custom sections.
const CUSTOM: u8 = 0;

struct Section<'a> {
    /// The name of a custom section.
    custom: Option<&'a str>,
    /// The section with its id and size.
    whole: Range<usize>,
    /// The section with its name, without id and size.
    body: Range<usize>,
    /// The content, without the name.
    data: Range<usize>,
}

impl Section<'_> {
    /// Whether this is a section of ours: of this version, of another, or damaged. The name is searched for byte by
    /// byte, not only up to its length, because the length may be what is damaged.
    fn is_ours(&self, component: &[u8]) -> bool {
        let body = &component[self.body.clone()];
        let head = &body[..body.len().min(HEAD_BYTES)];
        let differing = |at: &[u8]| at.iter().zip(SECTION.as_bytes()).filter(|(a, b)| a != b).count();
        self.custom.is_some() && head.windows(SECTION.len()).any(|at| differing(at) <= NAME_DAMAGE_MAX)
    }
}

fn sections(component: &[u8]) -> wasmparser::Result<Vec<Section<'_>>> {
    // Read by hand: `Parser` would descend into nested modules, whose custom sections are not those of the component.
    let mut reader = BinaryReader::new(component.get(HEADER_BYTES..).unwrap_or_default(), HEADER_BYTES);
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8()?;
        let mut rest = reader.read_reader()?;
        let end = reader.original_position();
        let body = rest.original_position()..end;
        let custom = if id == CUSTOM { Some(rest.read_string()?) } else { None };
        sections.push(Section { custom, whole: start..end, body, data: rest.original_position()..end });
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
        assert_eq!(packed(&twice).unwrap(), Some(second));
        assert_eq!(once.len(), twice.len());
        assert_eq!(strip(&twice).unwrap(), EMPTY);
    }

    #[test]
    fn no_damaged_byte_makes_a_contract_count_as_none() {
        let text = "effects = \"pure\"\n[capabilities]\nclock = { reason = \"dates\" }\n";
        let whole = embed(EMPTY, &Packed { contract: Some(text.into()), ..Packed::default() }).unwrap();
        for at in EMPTY.len() + 1..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let read = packed(&damaged);
                let says_something = matches!(&read, Err(_) | Ok(Some(Packed { contract: Some(_), .. })));
                assert!(says_something, "byte {at}, bit {bit}: {read:?}");
            }
        }
    }

    #[test]
    fn refuses_sections_that_it_cannot_trust_to_be_the_contract() {
        let section = |name: &str, data: &[u8]| {
            let mut out = vec![CUSTOM];
            wasm_encoder::CustomSection { name: name.into(), data: data.into() }.encode(&mut out);
            out
        };
        let fine = section(SECTION, b"{\"contract\":null}");
        let refused =
            |sections: &[&[u8]]| packed(&[&[EMPTY], sections].concat().concat()).unwrap_err().to_string();
        assert!(refused(&[&fine, &fine]).contains("several"));
        assert!(refused(&[&section("airlock:contract/2", b"{}")]).contains("contract/2"));
        assert!(refused(&[&section(SECTION, b"{}")]).contains("missing field `contract`"));
        assert!(
            refused(&[&section(SECTION, b"{\"contract\":null,\"contracts\":\"\"}")])
                .contains("unknown field")
        );
        let large = vec![b' '; SECTION_BYTES_MAX + 1];
        assert!(refused(&[&section(SECTION, &large)]).contains("at most 262144"));
        let packed = Packed { contract: Some("#".repeat(SECTION_BYTES_MAX)), ..Packed::default() };
        assert!(matches!(embed(EMPTY, &packed), Err(PackError::TooLarge(_))));
    }

    #[test]
    fn refuses_what_is_no_component() {
        let packed = Packed::default();
        assert!(matches!(embed(b"\0asm\x01\0\0\0", &packed), Err(PackError::CoreModule)));
        assert!(matches!(embed(b"hello", &packed), Err(PackError::Malformed(_))));
        assert!(matches!(embed(&[EMPTY, &[0, 200]].concat(), &packed), Err(PackError::Malformed(_))));
    }
}
