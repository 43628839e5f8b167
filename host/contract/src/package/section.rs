//! The custom sections of a component itself, not those of modules inside it.
//!
//! Owns how a section of ours is told from others, and when one is damaged. Must not know what a section holds.

use std::ops::Range;

use wasmparser::BinaryReader;

/// Magic number, version and layer of a component.
pub(super) const HEADER_BYTES: usize = 8;

/// The section id of custom sections.
pub(super) const CUSTOM: u8 = 0;

/// Bytes from the start of a custom section in which the name is searched for. Our names with their length prefix are
/// shorter.
const HEAD_BYTES: usize = 64;

/// Number of bytes in which a name can differ from ours and still count as ours: as that of another version, or as a
/// damaged one.
const NAME_DAMAGE_MAX: usize = 2;

/// Why an embedded section is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The list of sections is malformed.
    #[error("its custom sections cannot be read: {0}")]
    Sections(wasmparser::BinaryReaderError),
    /// A version that this host does not read, or a damaged name.
    #[error(
        "its section `{found}` is not one that this host reads, which is `{name}`: pack and sign the component again"
    )]
    Name {
        /// The name that this host reads.
        name: &'static str,
        /// The name of the section, cut.
        found: String,
    },
    /// Several sections. None of them can be preferred.
    #[error("it has several sections `{0}`: pack and sign the component again")]
    Several(&'static str),
    /// Too large.
    #[error("its section `{name}` has {bytes} bytes; at most {max}")]
    TooLarge {
        /// The section.
        name: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Not what `airlock pack` writes.
    #[error("its section `{name}` is damaged: {reason}; pack the component again")]
    Damaged {
        /// The section.
        name: &'static str,
        /// What is wrong.
        reason: serde_json::Error,
    },
}

/// One section of a component.
pub(super) struct Section<'a> {
    /// The name of a custom section.
    pub(super) custom: Option<&'a str>,
    /// The section with its id and size.
    pub(super) whole: Range<usize>,
    /// The section with its name, without id and size.
    body: Range<usize>,
    /// The content, without the name.
    pub(super) data: Range<usize>,
}

impl Section<'_> {
    /// Whether this is a section of that name: of this version, of another, or damaged. The name is searched for byte by
    /// byte, not only up to its length, because the length may be what is damaged.
    pub(super) fn resembles(&self, component: &[u8], name: &str) -> bool {
        let body = &component[self.body.clone()];
        let head = &body[..body.len().min(HEAD_BYTES)];
        let differing = |at: &[u8]| at.iter().zip(name.as_bytes()).filter(|(a, b)| a != b).count();
        self.custom.is_some() && head.windows(name.len()).any(|at| differing(at) <= NAME_DAMAGE_MAX)
    }
}

/// The content of the only section of that name. `None` if no section resembles one.
///
/// # Errors
/// When there are several, or the one has another name or more bytes.
pub(super) fn only<'c>(
    component: &'c [u8],
    name: &'static str,
    max: usize,
) -> Result<Option<&'c [u8]>, SectionError> {
    let sections = sections(component).map_err(SectionError::Sections)?;
    let mut ours = sections.into_iter().filter(|section| section.resembles(component, name));
    let Some(section) = ours.next() else { return Ok(None) };
    if ours.next().is_some() {
        return Err(SectionError::Several(name));
    }
    if section.custom != Some(name) {
        // The name may be of any length: it comes from an untrusted component.
        let found = section.custom.unwrap_or_default().chars().take(HEAD_BYTES).collect();
        return Err(SectionError::Name { name, found });
    }
    match &component[section.data] {
        data if data.len() > max => Err(SectionError::TooLarge { name, bytes: data.len(), max }),
        data => Ok(Some(data)),
    }
}

/// The sections of a component, in order.
///
/// # Errors
/// When they are malformed.
pub(super) fn sections(component: &[u8]) -> wasmparser::Result<Vec<Section<'_>>> {
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
