//! Reads a function's return value: a value with its annotations, a refusal, a question, or an error.
//!
//! Owns the recognition of the types of `airlock:tool` in a function's type, and the reading of returned values by
//! them. The types are recognized by structure, field names included, because the engine does not keep type names.
//! Must not know what the host does with an answer. To add a type: its shape in `known`, its place in [`Shape`], its
//! reading below, and a field of the reply.

mod cases;
mod known;
mod read;

use std::sync::Arc;

use airlock_types::answer::{Clarify, Content, Refusal};
use serde_json::Value;

use super::Val;
use super::lift::{LiftError, lift};
use super::ty::{Field, FunctionTy, Ty};
use airlock_types::code::Code;

pub use cases::ErrorCases;
pub use known::failure as failure_ty;

/// A tool's statements about its own answer. All are the tool's texts and unverified.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// How the tool understood the request.
    pub interpretation: Option<String>,
    /// The tool's own estimate, from 0 to 1.
    pub confidence: Option<f64>,
    /// What the tool is not certain of.
    pub uncertainty: Option<String>,
    /// Assumptions that the tool made to answer.
    pub assumptions: Vec<String>,
    /// Follow-up steps that the tool suggests.
    pub next_steps: Vec<String>,
}

/// The time that the returned data describes.
#[derive(Clone, Debug, PartialEq)]
pub struct AsOf {
    /// RFC 3339, a date or a date with a time, as the tool returned it.
    pub time: String,
    /// The data's source, as the tool names it.
    pub source: Option<String>,
}

/// A returned value, split into its parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A value with its annotations.
    Value(Box<Answered>),
    /// The tool declines the request.
    Refused(Refusal),
    /// The tool asks the caller for more information.
    Clarify(Clarify),
    /// The tool returned a typed error.
    Error(ToolError),
}

/// A value with its annotations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// The value that the outer door checks. Fields that moved to the envelope are removed from it.
    pub value: Option<Val>,
    /// The value of the `assessment` field, or the default when the type has none.
    pub assessment: Assessment,
    /// The value of the `as-of` field, if the type has one.
    pub as_of: Option<AsOf>,
    /// Content blocks: text, images and other data that is not the typed value.
    pub content: Vec<Content>,
}

/// A typed error of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolError {
    /// `tool.error`, `tool.throttled` or `tool.unavailable`.
    pub code: Code,
    /// The tool's error value, as JSON. Null if the error has no payload.
    pub detail: Value,
    /// Whether the contract or the type declares this error transient.
    pub transient: bool,
    /// Whether the contract declares that the arguments are to blame.
    pub is_callers: bool,
    /// What the author says about its case.
    pub doc: Option<String>,
    /// Wait in milliseconds that the upstream asked for, if it named one.
    pub retry_after_ms: Option<u64>,
}

/// How to read a function's return value. Computed once, at load.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The type of the function.
    ty: Arc<FunctionTy>,
    value: ValueShape,
}

#[derive(Clone, Debug, PartialEq)]
enum ValueShape {
    Plain,
    /// A record. The named fields move to the envelope, the others stay.
    Annotated {
        assessment: Option<String>,
        as_of: Option<String>,
        rest: Ty,
    },
    /// One content block, or a list of them.
    Content {
        list: bool,
    },
}

/// The type of what a function returns where it does not fail.
fn ok_ty(function: &FunctionTy) -> Option<&Ty> {
    // Only the outermost `result` is the outcome of the call. A `result` further inside is data.
    if let Some(Ty::Result(ok, _)) = &function.result { ok.as_deref() } else { function.result.as_ref() }
}

impl Shape {
    /// Derives the shape from a function's type.
    pub fn of(function: &Arc<FunctionTy>) -> Shape {
        let value = ok_ty(function).map_or(ValueShape::Plain, value_shape);
        Shape { ty: function.clone(), value }
    }

    /// The type of `result` in the envelope, without the parts that move to the envelope. `None` if nothing remains.
    pub fn value_ty(&self) -> Option<&Ty> {
        match &self.value {
            ValueShape::Plain => self.ok_ty(),
            ValueShape::Annotated { rest: Ty::Record(fields), .. } if fields.is_empty() => None,
            ValueShape::Annotated { rest, .. } => Some(rest),
            ValueShape::Content { .. } => None,
        }
    }

    /// Whether values come with an assessment.
    pub fn has_assessment(&self) -> bool {
        matches!(self.value, ValueShape::Annotated { assessment: Some(_), .. })
    }

    /// Whether values say which time their data describes: the reply has its date then.
    pub fn is_dated(&self) -> bool {
        matches!(self.value, ValueShape::Annotated { as_of: Some(_), .. })
    }

    /// The type of the error that the function can return. `None` for a function without an error type.
    pub fn error_ty(&self) -> Option<&Ty> {
        if let Some(Ty::Result(_, error)) = &self.ty.result { error.as_deref() } else { None }
    }

    /// The type of the values that the function can return, with the parts that move to the envelope.
    pub fn ok_ty(&self) -> Option<&Ty> {
        ok_ty(&self.ty)
    }

    /// Reads a returned value.
    ///
    /// # Errors
    /// When the value does not have the function's type, which is an error in the host.
    pub fn read(&self, returned: Option<Val>, cases: &ErrorCases) -> Result<Answer, LiftError> {
        let is_fallible = matches!(self.ty.result, Some(Ty::Result(..)));
        let value = match (is_fallible, returned) {
            // Only the outermost `result` is the outcome of the call. A `result` further inside is data.
            (true, Some(Val::Result(Ok(value)))) => value.map(|value| *value),
            (true, Some(Val::Result(Err(error)))) => return self.read_error(error.as_deref(), cases),
            (_, returned) => returned,
        };
        if cases.is_failure(value.as_ref()) {
            return Ok(Answer::Error(Self::own_error(self.ok_ty(), value.as_ref(), cases)?));
        }
        Ok(Answer::Value(Box::new(self.read_value(value)?)))
    }

    fn read_value(&self, value: Option<Val>) -> Result<Answered, LiftError> {
        let Some(value) = value else { return Ok(Answered::default()) };
        match &self.value {
            ValueShape::Plain => Ok(Answered { value: Some(value), ..Answered::default() }),
            ValueShape::Annotated { assessment, as_of, .. } => {
                Ok(annotated(value, assessment.as_deref(), as_of.as_deref()))
            }
            ValueShape::Content { list } => {
                let items = match value {
                    Val::List(items) if *list => items,
                    single => vec![single],
                };
                let content = items.iter().filter_map(read::content).collect();
                Ok(Answered { content, ..Answered::default() })
            }
        }
    }

    fn read_error(&self, error: Option<&Val>, cases: &ErrorCases) -> Result<Answer, LiftError> {
        // Known types first: they select the outcome code by themselves.
        if self.error_ty() == Some(&known::failure())
            && let Some(mut answer) = error.and_then(read::failure)
        {
            if let Answer::Error(failed) = &mut answer {
                failed.is_callers =
                    is_callers(error, cases) && failed.code == Code::ToolError && !failed.transient;
            }
            return Ok(answer);
        }
        if self.error_ty() == Some(&known::refusal())
            && let Some(refusal) = error.and_then(read::refusal)
        {
            return Ok(Answer::Refused(refusal));
        }
        Ok(Answer::Error(Self::own_error(self.error_ty(), error, cases)?))
    }

    /// An error of the tool's own type. An error without a payload has no detail and no case.
    fn own_error(ty: Option<&Ty>, error: Option<&Val>, cases: &ErrorCases) -> Result<ToolError, LiftError> {
        let detail = ty.zip(error).map_or(Ok(Value::Null), |(ty, error)| lift(ty, error))?;
        let name = error.and_then(cases::name);
        Ok(ToolError {
            transient: name.is_some_and(|name| cases.transient.contains(name)),
            is_callers: is_callers(error, cases),
            doc: name.and_then(|name| cases.docs.get(name)).cloned(),
            ..ToolError::new(Code::ToolError, detail)
        })
    }
}

impl ToolError {
    /// An error that says nothing about retries.
    fn new(code: Code, detail: Value) -> ToolError {
        ToolError { code, detail, transient: false, is_callers: false, doc: None, retry_after_ms: None }
    }
}

fn is_callers(error: Option<&Val>, cases: &ErrorCases) -> bool {
    error.and_then(cases::name).is_some_and(|name| cases.caller_errors.contains(name))
}

fn value_shape(ty: &Ty) -> ValueShape {
    let content = known::content();
    match ty {
        ty if *ty == content => ValueShape::Content { list: false },
        Ty::List(item) if **item == content => ValueShape::Content { list: true },
        Ty::Record(fields) => {
            let named = |known: &Ty| {
                fields.iter().find(|field| through(&field.ty) == known).map(|field| field.name.clone())
            };
            // By type, not by field name: the tool chooses the names. The first field of each type counts.
            let (assessment, as_of) = (named(&known::assessment()), named(&known::as_of()));
            // A record without known fields stays plain, so that no field of its own is moved.
            if assessment.is_none() && as_of.is_none() {
                return ValueShape::Plain;
            }
            let lifted = |field: &&Field| {
                Some(&field.name) != assessment.as_ref() && Some(&field.name) != as_of.as_ref()
            };
            let rest = Ty::Record(fields.iter().filter(lifted).cloned().collect());
            ValueShape::Annotated { assessment, as_of, rest }
        }
        _ => ValueShape::Plain,
    }
}

fn through(ty: &Ty) -> &Ty {
    ty.as_option().unwrap_or(ty)
}

fn annotated(value: Val, assessment: Option<&str>, as_of: Option<&str>) -> Answered {
    let Val::Record(fields) = value else {
        return Answered { value: Some(value), ..Answered::default() };
    };
    let mut answered = Answered::default();
    let mut rest = Vec::with_capacity(fields.len());
    for (name, val) in fields {
        if Some(name.as_str()) == assessment {
            answered.assessment = read::assessment(&val);
        } else if Some(name.as_str()) == as_of {
            answered.as_of = read::as_of(&val);
        } else {
            rest.push((name, val));
        }
    }
    // A record of annotations only has no value left, as `value_ty` says.
    answered.value = (!rest.is_empty()).then_some(Val::Record(rest));
    answered
}
