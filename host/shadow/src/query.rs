//! One query of a suite: what a user asked an agent, what it should answer, and which calls it should make.
//!
//! Owns the form of a query, and how an answer and a path of calls are compared with their references. Must not know how an
//! agent is run. To add a comparator of answers: a variant of [`AnswerBy`] and its arm in `AnswerBy::is_same`.

// A new comparator must be handled at every match on them.
#![warn(clippy::wildcard_enum_match_arm)]

use airlock_types::shorten::{apart, shorten};
use airlock_types::words::count;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::leg::Shown;

/// The version of the form of queries.
pub const FORMAT: u32 = 1;

/// Most bytes of a query as text.
pub const BYTES_MAX: u64 = 256 << 10;

/// Most calls of a path.
pub const CALLS_MAX: usize = 256;

/// Most characters of an answer or a call in a sentence.
const SHOWN_CHARS_MAX: usize = 240;

/// A recorded query of a user.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The version of this form.
    pub format: u32,
    /// What the user asked: the agent reads it from its stdin.
    pub query: String,
    /// What the agent should answer; not compared where there is none.
    #[serde(default)]
    pub answer: Option<Answer>,
    /// Which calls it should make; not compared where there is none.
    #[serde(default)]
    pub path: Option<Path>,
}

/// A reference answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// How another one is compared with it.
    #[serde(default)]
    pub by: AnswerBy,
    /// How far apart numbers may be, as a part of the greater one. For `numbers`.
    #[serde(default)]
    pub within: Option<f64>,
}

/// How two answers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerBy {
    /// The same text, apart from white space at the ends.
    #[default]
    Exact,
    /// The same words in the same order: case, punctuation and white space do not count.
    Words,
    /// The reference occurs in it, by words.
    Contains,
    /// It has the same numbers in the same order, whatever the words are.
    Numbers,
    /// The same JSON, whatever the order of its members.
    Json,
}

/// A reference path of calls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// How another one is compared with it.
    #[serde(default)]
    pub by: PathBy,
    /// The calls, in order.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// How two paths of calls are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathBy {
    /// The same calls in the same order.
    #[default]
    Order,
    /// The same calls in any order: one that is repeated counts once.
    Set,
    /// The same tools in the same order, with whatever arguments.
    Tools,
}

/// One call of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// The arguments as on record, without those that are `null`; none for whatever arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub args: Option<Value>,
}

/// Why a text is no query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// It was written by a newer version.
    #[error("the query has format {0}, and this Airlock reads {FORMAT}")]
    Format(u32),
    /// It is not one.
    #[error("the query cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// Nobody asks anything.
    #[error("`query` is empty: it is what the user asked")]
    Empty,
    /// A distance for a comparator that has none.
    #[error("`within` of the answer is for `by = \"numbers\"`, and a number of at least 0")]
    Within,
    /// A reference that its comparator cannot read.
    #[error("the answer is compared by `{0}`, and has none: {1}")]
    Reference(&'static str, String),
    /// Too many calls.
    #[error("the path has {0} calls, and at most {CALLS_MAX} are compared")]
    Calls(usize),
}

/// What an agent did with a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Did {
    /// What it answered.
    pub answer: String,
    /// The calls that it made.
    pub calls: Vec<Call>,
    /// Of which of them the suite has no recording, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<String>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Says what is wrong with it, and where.
    pub fn read(text: &str) -> Result<Query, QueryError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = airlock_types::tables::from_str(text)?;
        if format != FORMAT {
            return Err(QueryError::Format(format));
        }
        let query: Query = airlock_types::tables::from_str(text)?;
        if query.query.trim().is_empty() {
            return Err(QueryError::Empty);
        }
        if let Some(answer) = &query.answer {
            answer.check()?;
        }
        match query.path.as_ref().map_or(0, |path| path.calls.len()) {
            many if many > CALLS_MAX => Err(QueryError::Calls(many)),
            _ => Ok(query),
        }
    }

    /// What the answer shows; none without a reference.
    pub fn answered(&self, did: &Did) -> Option<Shown> {
        let Answer { text, by, within } = self.answer.as_ref()?;
        if by.is_same(text, &did.answer, within.unwrap_or_default()) {
            return Some(Shown::new(Vec::new()));
        }
        let (was, is) = apart(text.trim(), did.answer.trim(), SHOWN_CHARS_MAX);
        Some(did.shown(vec![format!("the answer is \"{is}\", and was \"{was}\"")]))
    }

    /// What the path of its calls shows; none without a reference.
    pub fn walked(&self, did: &Did) -> Option<Shown> {
        let Path { by, calls } = self.path.as_ref()?;
        Some(did.shown(match by {
            PathBy::Order => in_order(calls, &did.calls, Call::is_same),
            PathBy::Tools => in_order(calls, &did.calls, |was, is| was.tool == is.tool),
            PathBy::Set => in_any_order(calls, &did.calls),
        }))
    }
}

impl Did {
    /// What differs, with the calls that no recording answered: they may be why.
    fn shown(&self, mut told: Vec<String>) -> Shown {
        if !told.is_empty() {
            told.extend(self.unrecorded.iter().map(|call| shorten(call, SHOWN_CHARS_MAX)));
        }
        Shown::new(told)
    }
}

impl Answer {
    fn check(&self) -> Result<(), QueryError> {
        let is_distance = |within: f64| within.is_finite() && within >= 0.0;
        if self.within.is_some_and(|within| self.by != AnswerBy::Numbers || !is_distance(within)) {
            return Err(QueryError::Within);
        }
        let none = |by, what: &str| Err(QueryError::Reference(by, what.to_owned()));
        match self.by {
            AnswerBy::Numbers if numbers(&self.text).is_empty() => {
                none("numbers", "every answer without a number would be the same")
            }
            AnswerBy::Contains if words(&self.text).is_empty() => {
                none("contains", "every answer would have it")
            }
            AnswerBy::Json => match serde_json::from_str::<Value>(&self.text) {
                Ok(_) => Ok(()),
                Err(err) => Err(QueryError::Reference("json", err.to_string())),
            },
            AnswerBy::Exact | AnswerBy::Words | AnswerBy::Contains | AnswerBy::Numbers => Ok(()),
        }
    }
}

impl AnswerBy {
    fn is_same(self, was: &str, is: &str, within: f64) -> bool {
        let json = |text: &str| serde_json::from_str::<Value>(text).ok();
        match self {
            AnswerBy::Exact => was.trim() == is.trim(),
            AnswerBy::Words => words(was) == words(is),
            AnswerBy::Contains => {
                let (was, is) = (words(was), words(is));
                is.windows(was.len().max(1)).any(|part| *part == *was)
            }
            AnswerBy::Numbers => {
                let (was, is) = (numbers(was), numbers(is));
                let near = |(was, is): (&f64, &f64)| (was - is).abs() <= within * was.abs().max(is.abs());
                was.len() == is.len() && was.iter().zip(&is).all(near)
            }
            AnswerBy::Json => match (json(was), json(is)) {
                (Some(was), Some(is)) => is_equal(&was, &is),
                _ => false,
            },
        }
    }
}

impl Call {
    fn is_same(&self, is: &Call) -> bool {
        let args = |call: &Call| call.args.clone().unwrap_or_default();
        self.tool == is.tool && (self.args.is_none() || is_equal(&args(self), &args(is)))
    }

    fn shown(&self) -> String {
        let args = self.args.as_ref().map(|args| format!(" {args}")).unwrap_or_default();
        format!("`{}`", shorten(&format!("{}{args}", self.tool), SHOWN_CHARS_MAX))
    }
}

/// Compares two paths call by call, and tells the first call at which they part.
fn in_order(was: &[Call], is: &[Call], same: impl Fn(&Call, &Call) -> bool) -> Vec<String> {
    let parted = (0..was.len().max(is.len())).find(|at| match (was.get(*at), is.get(*at)) {
        (Some(was), Some(is)) => !same(was, is),
        _ => true,
    });
    let Some(at) = parted else { return Vec::new() };
    let side = |call: Option<&Call>| call.map_or_else(|| "none".to_owned(), Call::shown);
    let counts = format!("it made {}, and {} before", count(is.len() as u64, "call"), was.len());
    vec![format!("call {} is {}, and was {}", at + 1, side(is.get(at)), side(was.get(at))), counts]
}

fn in_any_order(was: &[Call], is: &[Call]) -> Vec<String> {
    let missing = was.iter().filter(|was| !is.iter().any(|is| was.is_same(is)));
    let new = is.iter().filter(|is| !was.iter().any(|was| was.is_same(is)));
    let missing = missing.map(|call| format!("{} was called, and is not", call.shown()));
    missing.chain(new.map(|call| format!("{} is called, and was not", call.shown()))).collect()
}

/// Whether two values are the same: numbers by their value, and members that are `null` as if they were not there.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys());
            let of = |of: &serde_json::Map<String, Value>, name| of.get(name).cloned().unwrap_or_default();
            names.into_iter().all(|name| is_equal(&of(one, name), &of(other, name)))
        }
        _ => one == other,
    }
}

/// The words of a text, in lower case. A point within a number is part of it.
fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let words =
        text.split(|c: char| !is_part(c)).map(|word| word.trim_end_matches(['.', '-']).to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

/// The numbers of a text, with commas between thousands left out.
fn numbers(text: &str) -> Vec<f64> {
    let is_part = |c: char| c.is_ascii_digit() || ".,-+eE".contains(c);
    let parts = text.split(|c: char| !is_part(c)).filter(|part| part.contains(|c: char| c.is_ascii_digit()));
    parts
        .filter_map(|part| {
            part.trim_matches(|c: char| !(c.is_ascii_digit() || c == '-'))
                .trim_end_matches('-')
                .replace(',', "")
                .parse()
                .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn same(by: AnswerBy, was: &str, is: &str) -> bool {
        by.is_same(was, is, 0.001)
    }

    #[test]
    fn each_comparator_of_answers_takes_what_it_says_and_nothing_else() {
        assert!(same(AnswerBy::Exact, "42 km\n", " 42 km") && !same(AnswerBy::Exact, "42 km", "42 Km"));
        assert!(same(AnswerBy::Words, "It is 42.16 km.", "it is  42.16 KM!"));
        assert!(!same(AnswerBy::Words, "It is 42.16 km.", "It is 42.17 km."));
        assert!(same(AnswerBy::Contains, "42.16 km", "That would be 42.16 km, I think."));
        assert!(!same(AnswerBy::Contains, "42.16 km", "That would be 142.16 km."));
        assert!(!same(AnswerBy::Numbers, "26.2 miles are 42,164.8 m.", "26.2 mi = 42164.9 m, or 42 km"));
        assert!(same(AnswerBy::Numbers, "26.2 miles are 42,164.8 m.", "26.2 mi = 42164.9 m (e.g.)"));
        assert!(!same(AnswerBy::Numbers, "26.2 miles are 42.16 km.", "26.2 miles are -42.16 km."));
        assert!(same(AnswerBy::Json, r#"{"a": 1, "b": null}"#, r#" {"b":null,"a":1.0}"#));
        assert!(!same(AnswerBy::Json, r#"{"a": 1}"#, r#"{"a": 2}"#) && !same(AnswerBy::Json, "1", "one"));
    }

    fn path(by: &str, did: &[(&str, Value)]) -> Vec<String> {
        let text = format!(
            "format = 1\nquery = \"?\"\n[path]\nby = \"{by}\"\n\
             [[path.calls]]\ntool = \"a\"\nargs = {{ n = 1 }}\n[[path.calls]]\ntool = \"b\"\n"
        );
        let call = |(tool, args): &(&str, Value)| Call { tool: (*tool).to_owned(), args: Some(args.clone()) };
        let did = Did { calls: did.iter().map(call).collect(), ..Did::default() };
        Query::read(&text).unwrap().walked(&did).unwrap().told
    }

    #[test]
    fn each_comparator_of_paths_takes_what_it_says_and_nothing_else() {
        let (a, b) = (("a", json!({"n": 1.0, "unit": null})), ("b", json!({"any": true})));
        let other = ("a", json!({"n": 2}));
        assert_eq!(path("order", &[a.clone(), b.clone()]), Vec::<String>::new());
        assert_eq!(
            path("order", &[b.clone(), a.clone()])[0],
            "call 1 is `b {\"any\":true}`, and was `a {\"n\":1}`"
        );
        assert_eq!(
            path("order", std::slice::from_ref(&a)),
            ["call 2 is none, and was `b`", "it made 1 call, and 2 before"]
        );
        assert!(path("set", &[b.clone(), a.clone(), a.clone()]).is_empty());
        assert_eq!(
            path("set", &[a.clone(), b.clone(), other.clone()]),
            ["`a {\"n\":2}` is called, and was not"]
        );
        assert!(path("tools", &[other, b.clone()]).is_empty());
        assert_eq!(path("tools", &[a, b.clone(), b]).len(), 2);
    }

    #[test]
    fn what_is_no_query_says_why() {
        let said = |more: &str| Query::read(&format!("format = 1\n{more}")).unwrap_err().to_string();
        assert!(Query::read("format = 9").unwrap_err().to_string().contains("format 9"));
        assert!(said("").contains("missing field `query`"));
        assert!(said("query = \" \"").contains("what the user asked"));
        assert!(said("query = \"?\"\nanswers = 1").contains("unknown field `answers`"));
        let answer = |more: &str| said(&format!("query = \"?\"\n[answer]\n{more}"));
        assert!(answer("text = \"a\"\nwithin = 0.1").contains("is for `by = \"numbers\"`"));
        assert!(answer("text = \"a\"\nby = \"numbers\"").contains("without a number"));
        assert!(answer("text = \"{\"\nby = \"json\"").contains("`json`"));
        let calls = "[[path.calls]]\ntool = \"t\"\n".repeat(CALLS_MAX + 1);
        assert!(said(&format!("query = \"?\"\n{calls}")).contains("at most 256"));
    }
}
