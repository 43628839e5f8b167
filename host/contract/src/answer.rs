//! What a function's return value says: a value and what stands beside it, a refusal, a question, an error.
//!
//! Owns the recognition of the types of `airlock:tool` in a function's type, and the reading of a returned
//! value by them. The types are recognized by structure, field names included, as the engine knows no names
//! of types. Must not know what follows from an answer. To add a type: its shape in `known`, its place in
//! [`Shape`], its reading below, and a field of the reply.

mod known;
mod read;

use airlock_types::answer::{Clarify, Content, Refusal};
use serde_json::Value;

use super::Val;
use super::lift::{LiftError, lift};
use super::ty::{Field, FunctionTy, Ty};
use airlock_types::code::Code;

pub use known::failure as failure_ty;

/// What a tool says of its own answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// How the request was understood.
    pub interpretation: Option<String>,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// What is not certain.
    pub uncertainty: Option<String>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// What could be done next.
    pub next_steps: Vec<String>,
}

/// The moment that the data speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct AsOf {
    /// RFC 3339, date or date and time, as the tool gave it.
    pub time: String,
    /// Where the data came from.
    pub source: Option<String>,
}

/// A returned value, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A value, and what stands beside it.
    Value(Box<Answered>),
    /// The tool says that it cannot.
    Refused(Refusal),
    /// The tool asks.
    Clarify(Clarify),
    /// The tool failed in a typed way.
    Error(ToolError),
}

/// A value and what stands beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// The value, for the outer door; lifted fields are gone from it.
    pub value: Option<Val>,
    /// What the tool says of it.
    pub assessment: Assessment,
    /// The moment that it speaks of.
    pub as_of: Option<AsOf>,
    /// What is not JSON.
    pub content: Vec<Content>,
}

/// A typed error of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolError {
    /// `tool.error`, `tool.throttled` or `tool.unavailable`.
    pub code: Code,
    /// What the tool gave as its error, as JSON.
    pub detail: Value,
    /// Whether the contract or the type names it transient.
    pub transient: bool,
    /// The upstream's hint.
    pub retry_after_ms: Option<u64>,
}

/// How a function's return value is to be read: found once, at load.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The function's own result, `result<…>` included.
    fallible: bool,
    ok: Option<Ty>,
    err: Option<Ty>,
    value: ValueShape,
}

#[derive(Clone, Debug, PartialEq)]
enum ValueShape {
    Plain,
    /// A record whose fields of these names leave for the envelope.
    Annotated {
        assessment: Option<String>,
        as_of: Option<String>,
        rest: Ty,
    },
    /// Content blocks: one, or a list.
    Content {
        list: bool,
    },
}

impl Shape {
    /// The shape of a function.
    pub fn of(function: &FunctionTy) -> Shape {
        let (fallible, ok, err) = match &function.result {
            Some(Ty::Result(ok, err)) => (true, ok.as_deref().cloned(), err.as_deref().cloned()),
            plain => (false, plain.clone(), None),
        };
        let value = ok.as_ref().map_or(ValueShape::Plain, value_shape);
        Shape { fallible, ok, err, value }
    }

    /// The type of `result` in the envelope: what is left when lifted parts are gone.
    pub fn value_ty(&self) -> Option<&Ty> {
        match &self.value {
            ValueShape::Plain => self.ok.as_ref(),
            ValueShape::Annotated { rest: Ty::Record(fields), .. } if fields.is_empty() => None,
            ValueShape::Annotated { rest, .. } => Some(rest),
            ValueShape::Content { .. } => None,
        }
    }

    /// The type of the error that the function may return, as WIT writes it: `string`. None for a function that returns
    /// none.
    pub fn error_ty(&self) -> Option<&Ty> {
        self.err.as_ref()
    }

    /// Reads a returned value. `transient` holds the contract's names of error cases that are worth a retry.
    ///
    /// # Errors
    /// When the value is not of the function's type, which is a fault of the host.
    pub fn read(&self, returned: Option<Val>, transient: &[String]) -> Result<Answer, LiftError> {
        let value = match (self.fallible, returned) {
            (true, Some(Val::Result(Ok(value)))) => value.map(|value| *value),
            (true, Some(Val::Result(Err(error)))) => return self.read_error(error.as_deref(), transient),
            (_, returned) => returned,
        };
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

    fn read_error(&self, error: Option<&Val>, transient: &[String]) -> Result<Answer, LiftError> {
        let (Some(ty), Some(error)) = (&self.err, error) else {
            return Ok(Answer::Error(plain_error(Value::Null, false)));
        };
        if *ty == known::failure()
            && let Some(answer) = read::failure(error)
        {
            return Ok(answer);
        }
        if *ty == known::refusal()
            && let Some(refusal) = read::refusal(error)
        {
            return Ok(Answer::Refused(refusal));
        }
        let named = match error {
            Val::Variant(name, _) | Val::Enum(name) => transient.contains(name),
            _ => false,
        };
        Ok(Answer::Error(plain_error(lift(ty, error)?, named)))
    }
}

fn plain_error(detail: Value, transient: bool) -> ToolError {
    ToolError { code: Code::ToolError, detail, transient, retry_after_ms: None }
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
            let (assessment, as_of) = (named(&known::assessment()), named(&known::as_of()));
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
    answered.value = (!rest.is_empty()).then_some(Val::Record(rest));
    answered
}
