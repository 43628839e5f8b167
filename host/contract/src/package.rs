//! The custom sections that make one `.wasm` file the whole delivery: the contract, and signatures of the rest.
//!
//! Owns the names and the form of the sections, and how they are embedded and found. Must not know the content of a
//! contract or of a signature.

mod section;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasm_encoder::Encode as _;
use wasmparser::Parser;

use crate::component::FunctionDocs;
pub use section::SectionError;
use section::{CUSTOM, HEADER_BYTES, only, sections};

/// The section's name. The number is the version of its form.
pub const SECTION: &str = "airlock:contract/1";

/// Size in bytes of the largest section, and so of the largest contract: thirty times the longest of the examples in
/// this repository.
pub const SECTION_BYTES_MAX: usize = 256 << 10;

/// The name of the section with signatures. They are about the component without this section.
pub const SIGNATURES: &str = "airlock:signatures/1";

/// Size in bytes of the largest section with signatures, and of the largest file with signatures beside a component:
/// some hundred signatures.
pub const SIGNATURES_BYTES_MAX: usize = 256 << 10;

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
    /// More signatures than hosts accept.
    #[error(
        "the signatures take {0} bytes; at most {SIGNATURES_BYTES_MAX}: remove those that are not needed"
    )]
    SignaturesTooLarge(usize),
}

/// Embeds the contract. An existing one is replaced.
///
/// # Errors
/// When the bytes are not a whole component, or the section would be too large.
pub fn embed(component: &[u8], packed: &Packed) -> Result<Vec<u8>, PackError> {
    is_component(component)?;
    let data = serde_json::to_vec(packed).map_err(|err| PackError::Malformed(err.to_string()))?;
    if data.len() > SECTION_BYTES_MAX {
        return Err(PackError::TooLarge(data.len()));
    }
    // Stripped first: two sections of ours are refused when they are read. Signatures go, too: they are about another
    // component from now on.
    Ok(with_section(strip(component)?, SECTION, &data))
}

/// Removes every section of ours, damaged ones and those of other versions included: the contract, and signatures.
///
/// # Errors
/// When the sections of the component cannot be read.
pub fn strip(component: &[u8]) -> Result<Vec<u8>, PackError> {
    without(component, &[SECTION, SIGNATURES]).map(Cow::into_owned)
}

/// Reads what `embed` put into a component. `None` if there is no section of ours.
///
/// # Errors
/// When a section of ours is not what `embed` writes. A damaged section is never treated as absent: the component would
/// lose the requests and checks of its contract.
pub fn packed(component: &[u8]) -> Result<Option<Packed>, SectionError> {
    let Some(data) = only(component, SECTION, SECTION_BYTES_MAX)? else { return Ok(None) };
    let damaged = |reason| SectionError::Damaged { name: SECTION, reason };
    serde_json::from_slice(data).map(Some).map_err(damaged)
}

/// Whether a contract is embedded in a component: also one that is damaged, or in several sections.
pub fn has_contract(component: &[u8]) -> bool {
    !matches!(packed(component), Ok(None | Some(Packed { contract: None, .. })))
}

/// Embeds signatures. Those that are there are replaced.
///
/// # Errors
/// When the bytes are not a whole component, or the section would be too large.
pub fn embed_signatures(component: &[u8], signatures: &[u8]) -> Result<Vec<u8>, PackError> {
    is_component(component)?;
    if signatures.len() > SIGNATURES_BYTES_MAX {
        return Err(PackError::SignaturesTooLarge(signatures.len()));
    }
    Ok(with_section(unsigned(component)?.into_owned(), SIGNATURES, signatures))
}

/// The signatures in a component. `None` if there is no section for them.
///
/// # Errors
/// When there are several sections, or one is damaged: a signature is never taken for absent because it is damaged.
pub fn signatures(component: &[u8]) -> Result<Option<&[u8]>, SectionError> {
    only(component, SIGNATURES, SIGNATURES_BYTES_MAX)
}

/// The component without its signatures: what they are about.
///
/// # Errors
/// When the sections of the component cannot be read.
pub fn unsigned(component: &[u8]) -> Result<Cow<'_, [u8]>, PackError> {
    without(component, &[SIGNATURES])
}

/// The component without the sections of these names, damaged ones included.
fn without<'c>(component: &'c [u8], names: &[&str]) -> Result<Cow<'c, [u8]>, PackError> {
    let sections = sections(component).map_err(|err| PackError::Malformed(err.to_string()))?;
    let goes = |section: &section::Section<'_>| names.iter().any(|name| section.resembles(component, name));
    if !sections.iter().any(goes) {
        return Ok(component.into());
    }
    let mut out = component.get(..HEADER_BYTES).unwrap_or(component).to_vec();
    for section in sections.into_iter().filter(|section| !goes(section)) {
        out.extend_from_slice(&component[section.whole]);
    }
    Ok(out.into())
}

fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    component.push(CUSTOM);
    wasm_encoder::CustomSection { name: name.into(), data: data.into() }.encode(&mut component);
    component
}

fn is_component(bytes: &[u8]) -> Result<(), PackError> {
    // Apart from the next check, because a core module is the usual mistake and has its own text.
    if Parser::is_core_wasm(bytes) {
        return Err(PackError::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(PackError::Malformed("it does not begin as one".into()));
    }
    Ok(())
}

/// The data of the first custom section of that name in the component itself, not in a module inside it.
pub fn section(component: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = sections(component).ok()?.into_iter().find(|section| section.custom == Some(name))?;
    Some(component[found.data].to_vec())
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
    fn a_contract_is_there_whether_it_can_be_read_or_not() {
        let with = |contract: Option<&str>| {
            embed(EMPTY, &Packed { contract: contract.map(str::to_owned), ..Packed::default() }).unwrap()
        };
        assert!(!has_contract(EMPTY) && !has_contract(&with(None)) && has_contract(&with(Some(""))));
        let twice = [with(None), with(Some(""))[EMPTY.len()..].to_vec()].concat();
        let damaged = with_section(EMPTY.to_vec(), SECTION, b"{");
        assert!(has_contract(&twice) && has_contract(&damaged));
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
    fn signatures_are_beside_the_rest_and_no_damaged_byte_makes_them_count_as_none() {
        let packed = embed(EMPTY, &Packed::default()).unwrap();
        let signed = embed_signatures(&embed_signatures(&packed, b"old").unwrap(), b"new").unwrap();
        assert_eq!(signatures(&signed).unwrap(), Some(&b"new"[..]));
        assert_eq!(unsigned(&signed).unwrap(), packed);
        assert!(matches!(unsigned(&packed).unwrap(), Cow::Borrowed(_)));
        assert_eq!(strip(&signed).unwrap(), EMPTY);
        // Packing again makes another component, which the old signatures are not about.
        assert_eq!(signatures(&embed(&signed, &Packed::default()).unwrap()).unwrap(), None);
        for at in packed.len() + 1..signed.len() {
            for bit in 0..8 {
                let mut damaged = signed.clone();
                damaged[at] ^= 1 << bit;
                assert!(!matches!(signatures(&damaged), Ok(None)), "byte {at}, bit {bit}");
            }
        }
        let large = vec![0; SIGNATURES_BYTES_MAX + 1];
        assert!(matches!(embed_signatures(EMPTY, &large), Err(PackError::SignaturesTooLarge(_))));
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
