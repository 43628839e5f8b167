//! One case of a suite: a recorded attempt, with what a replay needs and nothing else.
//!
//! Owns the form of a case, and what of a record is left out of it. A case is committed and shown to others: sessions, traces,
//! logs, paths of denials and the texts of findings are left out. What the record has masked or encrypted stays so. Must not
//! know how cases are chosen.

use airlock_types::record::{self, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the form of cases.
pub const FORMAT: u32 = 1;

/// Most bytes of a case as text.
pub const BYTES_MAX: usize = 4 << 20;

/// A recorded attempt of a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The version of this form.
    pub format: u32,
    /// Of what it stands for many.
    pub stratum: Stratum,
    /// Why it is kept whatever else is: it did not end well, or was graded wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<String>,
    /// What the answer should be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Reference>,
    /// The record of its call, with this attempt alone.
    pub record: Record,
}

/// What a case stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// The tool that ran.
    pub tool: String,
    /// How the attempt ended.
    pub code: String,
    /// What its arguments are like.
    pub args: String,
}

/// What an answer should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Who says so.
    pub by: String,
    /// The answer, as `airlock shadow run --json` prints it. None if it is the recorded one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<Value>,
}

/// Why a text is no case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// It was written by a newer version.
    #[error("the case has format {0}, written by a newer Airlock; this one reads {FORMAT}")]
    Newer(u32),
    /// It is not one.
    #[error("the case cannot be read: {0}; `airlock shadow capture` writes it again")]
    Json(#[from] serde_json::Error),
    /// Its record has another form.
    #[error("the record of the case cannot be read: {0}")]
    Record(#[from] record::ReadError),
    /// Its record has not one attempt.
    #[error("the record of the case has {0} attempts, and a case has one")]
    Attempts(usize),
    /// It is about another tool than it says.
    #[error("the case is about `{stated}`, and its attempt ran `{ran}`")]
    Tool {
        /// What it says.
        stated: String,
        /// What ran.
        ran: String,
    },
    /// It is too large.
    #[error("the case has {0} bytes, and at most {BYTES_MAX} are read")]
    Large(usize),
}

impl Case {
    /// The case of an attempt of a record, by its place. None if the record has no such attempt.
    pub fn of(record: &Record, at: usize) -> Option<Case> {
        let mut attempt = record.attempts.get(at)?.clone();
        let stratum = Stratum {
            tool: attempt.route.to_string(),
            code: attempt.code.to_string(),
            args: bucket(record.args.as_ref().unwrap_or(&Value::Null)),
        };
        attempt.log.clear();
        attempt.denials.clear();
        attempt.denied.clear();
        attempt.uses.clear();
        attempt.effects = None;
        for finding in &mut attempt.findings {
            finding.expected.clear();
            finding.got.clear();
        }
        if let Some(trap) = &mut attempt.trap {
            trap.frames.clear();
        }
        let mut record = Record { attempts: vec![attempt], ..record.clone() };
        record.session = None;
        record.trace = None;
        record.decision = None;
        record.path.clear();
        record.reply = None;
        record.parts.clear();
        if let Some(plan) = &mut record.plan {
            plan.routes.retain(|route| *route.from.tool == *stratum.tool);
        }
        Some(Case { format: FORMAT, stratum, incident: None, reference: None, record })
    }

    /// The name of the case, by which its file is called.
    pub fn name(&self) -> String {
        let number = self.record.attempts.first().map_or(1, |attempt| attempt.number);
        format!("{}.{}.{number}", self.stratum.tool, self.record.id)
    }

    /// The digest of the component that ran, hex.
    pub fn component(&self) -> &str {
        self.record.attempts.first().map_or("", |attempt| &attempt.component)
    }

    /// The case as text: the same for the same case.
    ///
    /// # Errors
    /// When it is too large.
    pub fn write(&self) -> Result<String, CaseError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        if text.len() > BYTES_MAX { Err(CaseError::Large(text.len())) } else { Ok(text) }
    }

    /// Reads a case.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(text: &str) -> Result<Case, CaseError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        if text.len() > BYTES_MAX {
            return Err(CaseError::Large(text.len()));
        }
        let Version { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(CaseError::Newer(format));
        }
        let case: Case = serde_json::from_str(text)?;
        let attempts = &case.record.attempts;
        let [attempt] = attempts.as_slice() else { return Err(CaseError::Attempts(attempts.len())) };
        if *attempt.route != *case.stratum.tool {
            let (stated, ran) = (case.stratum.tool.clone(), attempt.route.to_string());
            return Err(CaseError::Tool { stated, ran });
        }
        Ok(case)
    }
}

/// Most characters of a bucket. What is longer is one bucket.
const BUCKET_CHARS_MAX: usize = 160;

/// What arguments are like: their names, and of each value the kind and the size. Values themselves are not in it.
pub fn bucket(args: &Value) -> String {
    let Some(args) = args.as_object() else { return "none".to_owned() };
    let like = |(name, value): (&String, &Value)| format!("{name}={}", size(value));
    let text = args.iter().map(like).collect::<Vec<_>>().join(" ");
    match text.chars().count() {
        0 => "none".to_owned(),
        chars if chars > BUCKET_CHARS_MAX => "many".to_owned(),
        _ => text,
    }
}

/// A value by its kind and the size of it.
fn size(value: &Value) -> String {
    let count = |noun: &str, count: usize| match count {
        0 => format!("no-{noun}"),
        1..=8 => format!("few-{noun}"),
        9..=64 => format!("some-{noun}"),
        _ => format!("many-{noun}"),
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(|| "number".to_owned(), magnitude),
        Value::String(text) => count("chars", text.chars().count()),
        Value::Array(items) => count("items", items.len()),
        Value::Object(fields) => count("fields", fields.len()),
    }
}

fn magnitude(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    match number.abs() {
        0.0 => "0".to_owned(),
        number => format!("{sign}1e{}", number.log10().floor()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_has_kinds_and_sizes_and_no_values() {
        let of = |args: Value| bucket(&args);
        assert_eq!(
            of(json!({"to": "mile", "value": -1234.5, "on": true})),
            "on=true to=few-chars value=-1e3"
        );
        assert_eq!(of(json!({"rows": [1, 2], "none": null, "zero": 0})), "none=null rows=few-items zero=0");
        assert_eq!(of(json!({})), "none");
        assert_eq!(of(json!(null)), "none");
        assert_eq!(of(json!({"secret": "hunter2-of-the-operator"})), "secret=some-chars");
        assert_eq!(of((0..99).map(|n| (format!("n{n}"), json!(1))).collect()), "many");
    }

    #[test]
    fn what_is_no_case_says_why() {
        let said = |text: &str| Case::read(text).unwrap_err().to_string();
        assert!(said("{").contains("cannot be read"));
        assert!(said("{\"format\": 9}").contains("newer Airlock"));
        assert!(said("{\"format\": 1}").contains("missing field `stratum`"));
        assert!(said(&" ".repeat(BYTES_MAX + 1)).contains("at most"));
    }
}
