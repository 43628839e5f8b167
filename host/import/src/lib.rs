//! WIT and `contract.toml` from documents that a team has already published: OpenAPI 3, MCP `tools/list`, JSON Schema
//! functions.
//!
//! Owns the forms of these documents, how their schemas become WIT types and keywords of a contract, and how an import is merged
//! with what was edited since the last one. Must not know files or the command line. Keys, values and tool names stay as they were
//! published; what a type cannot say is free JSON with the schema of the document. What a contract accepts beyond its document is
//! *loosened*, and listed. To add a form: a file under `document/`, a variant of [`Form`].

mod contract;
mod document;
mod label;
mod load;
mod merge;
mod resolve;
mod shape;
mod wit;

pub use document::{DOCUMENT_BYTES_MAX, FUNCTIONS_MAX, Form};
pub use load::{LoadError, Loaded, load, load_named};
pub use merge::{Conflict, Keep, Merged, merge};

use document::{Document, Rounded};
use label::Labels;
use shape::Function;

/// What is made of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The form of the document.
    pub form: Form,
    /// The text of the world.
    pub wit: String,
    /// The text of `contract.toml`.
    pub contract: String,
    /// The functions, in the order of the document.
    pub functions: Vec<ImportedFunction>,
    /// What the contract accepts beyond the document.
    pub loosened: Vec<Note>,
    /// What else is not as in the document: it is stricter, or says less.
    pub notes: Vec<Note>,
    /// The functions that no host would load, and why.
    pub left_out: Vec<Note>,
}

/// A function of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFunction {
    /// Its name in WIT.
    pub label: String,
    /// The name that the document gives it.
    pub published: String,
}

/// Something about a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The function, by its published name; empty for the document as a whole.
    pub function: String,
    /// The place in its arguments or result, as in a contract; empty for the whole.
    pub place: String,
    /// What is not as in the document.
    pub what: String,
}

/// Why a document cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// JSON with a key that comes twice in its object.
    #[error("line {line}, column {column}: the key `{key}` is there twice; keep one of the two")]
    Twice {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The key.
        key: String,
    },
    /// Neither JSON nor YAML of JSON's values.
    #[error("it is read as YAML 1.2, since it begins with neither `{{` nor `[`: line {line}: {what}")]
    Yaml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// Larger than the bound.
    #[error("it has {0} bytes; at most {DOCUMENT_BYTES_MAX}")]
    Size(usize),
    /// JSON of another kind.
    #[error(
        "it is no document that can be imported: OpenAPI 3.0 or 3.1 (`openapi`), an answer to `tools/list` of MCP (`tools`), or functions \
         with `name` and `parameters` (OpenAI) or `input_schema` (Anthropic), alone, in a list, or one a line"
    )]
    Form,
    /// A part that is not as its form says.
    #[error("{}{what}", placed(at))]
    Place {
        /// The place as a JSON pointer.
        at: String,
        /// What is wrong there.
        what: String,
    },
    /// None of its functions loads.
    #[error("what is made of it does not load: {0}")]
    Load(LoadError),
    /// Its functions load alone, and not together.
    #[error(
        "its functions load alone, and not together: {0}; import fewer of them, each named with `--only`"
    )]
    Together(LoadError),
    /// No function of these names.
    #[error("it has no function `{0}`")]
    Unknown(String),
}

/// A place in front of what is wrong there. That of the whole document has no text.
fn placed(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("at `{at}`: ") }
}

impl ImportError {
    fn at(place: impl Into<String>, what: impl Into<String>) -> ImportError {
        ImportError::Place { at: place.into(), what: what.into() }
    }
}

/// Makes WIT and a contract of a document, which load. `name` is that of the package. With names in `only`, just these functions.
///
/// # Errors
/// When it is not a document of a known form, a part of it is broken, with the place, or no function of it loads.
pub fn import(text: &str, name: &str, only: &[String]) -> Result<Imported, ImportError> {
    let mut document = Document::read(text)?;
    document.keep(only)?;
    let mut labels = Labels::default();
    let mut made = Notes { rounded: std::mem::take(&mut document.rounded), ..Notes::default() };
    document.said.iter().for_each(|what| made.note("", what));
    let mut functions = Vec::new();
    for published in &mut document.functions {
        made.take(std::mem::take(&mut published.notes));
        functions.push(Function::of(published, &mut labels, &mut made)?);
    }
    let (functions, left_out) = loading(&document, name, functions)?;
    let is_kept = |note: &Note| left_out.iter().all(|left| left.function != note.function);
    Ok(Imported {
        form: document.form,
        wit: wit::write(name, &functions),
        contract: contract::write(&document, &functions),
        functions: functions
            .iter()
            .map(|one| ImportedFunction { label: one.label.clone(), published: one.published.clone() })
            .collect(),
        loosened: made.loosened.into_iter().filter(is_kept).collect(),
        notes: made.notes.into_iter().filter(is_kept).collect(),
        left_out,
    })
}

/// The functions that load, and those that do not, with the reason. Each is tried alone only if all together do not load.
fn loading(
    document: &Document,
    name: &str,
    functions: Vec<Function>,
) -> Result<(Vec<Function>, Vec<Note>), ImportError> {
    let tried = |functions: &[Function]| {
        load(&wit::write(name, functions), &contract::write(document, functions)).map(drop)
    };
    let Err(whole) = tried(&functions) else { return Ok((functions, Vec::new())) };
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for function in functions {
        match tried(std::slice::from_ref(&function)) {
            Ok(()) => kept.push(function),
            Err(err) => left_out.push(Note {
                function: function.published,
                place: String::new(),
                what: err.to_string(),
            }),
        }
    }
    if kept.is_empty() {
        return Err(ImportError::Load(whole));
    }
    tried(&kept).map_err(ImportError::Together)?;
    Ok((kept, left_out))
}

/// What is noted while a document is read.
#[derive(Debug, Default)]
struct Notes {
    function: String,
    /// The integers of the document that are not read as they are written.
    rounded: Rounded,
    loosened: Vec<Note>,
    notes: Vec<Note>,
}

impl Notes {
    fn loosened(&mut self, place: &str, what: impl Into<String>) {
        let note = self.made(place, what.into());
        self.loosened.push(note);
    }

    fn note(&mut self, place: &str, what: impl Into<String>) {
        let note = self.made(place, what.into());
        self.notes.push(note);
    }

    /// Goes on with the notes of another function.
    fn take(&mut self, other: Notes) {
        let Notes { function, loosened, notes, rounded: _ } = other;
        self.function = function;
        self.loosened.extend(loosened);
        self.notes.extend(notes);
    }

    fn made(&self, place: &str, what: String) -> Note {
        Note { function: self.function.clone(), place: place.to_owned(), what }
    }
}
