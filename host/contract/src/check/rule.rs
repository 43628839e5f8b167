//! Rules as a contract writes them: one key that names the kind, an optional verdict and an optional condition.
//!
//! Owns their form and the mapping from a kind to its compile function.

use std::fmt;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::{ALL, Check, Compiled, echo, empty, finite, freshness, length, order, range, relation};
use super::{sum, truncation, unique};
use crate::expression::{Expression, Scope};
use crate::ty::FunctionTy;
use airlock_types::finding::Verdict;

/// One entry of `expect` in a contract.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The kind of check, with its settings.
    pub kind: Kind,
    /// Verdict of a finding. `None` selects the default of the kind.
    pub verdict: Option<Verdict>,
    /// A CEL expression over `args` and `result`. The check applies unless it is false.
    pub when: Option<String>,
}

/// A kind of check, with its settings.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is documented where it is owned")]
pub enum Kind {
    Echo(echo::Settings),
    Empty(empty::Settings),
    Finite(finite::Settings),
    Freshness(freshness::Settings),
    Length(length::Settings),
    Order(order::Settings),
    Range(range::Settings),
    Relation(relation::Settings),
    Sum(sum::Settings),
    Truncation(truncation::Settings),
    Unique(unique::Settings),
}

/// The reason that a rule does not apply to a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("check `{kind}`: {message}")]
pub struct RuleError {
    /// Name of the rule's kind.
    pub kind: &'static str,
    /// What is wrong, for the author.
    pub message: String,
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Echo(_) => "echo",
            Kind::Empty(_) => "empty",
            Kind::Finite(_) => "finite",
            Kind::Freshness(_) => "freshness",
            Kind::Length(_) => "length",
            Kind::Order(_) => "order",
            Kind::Range(_) => "range",
            Kind::Relation(_) => "relation",
            Kind::Sum(_) => "sum",
            Kind::Truncation(_) => "truncation",
            Kind::Unique(_) => "unique",
        }
    }

    /// The expressions of the settings.
    fn expressions(&self) -> Vec<&str> {
        match self {
            Kind::Echo(settings) => {
                settings.asked.iter().chain(&settings.answered).map(String::as_str).collect()
            }
            Kind::Freshness(settings) => settings.of.iter().map(String::as_str).collect(),
            Kind::Relation(settings) => vec![&settings.that],
            Kind::Empty(_) | Kind::Finite(_) | Kind::Length(_) => Vec::new(),
            Kind::Order(_) | Kind::Range(_) | Kind::Sum(_) | Kind::Truncation(_) | Kind::Unique(_) => {
                Vec::new()
            }
        }
    }

    fn check(&self, function: &FunctionTy, scope: &Arc<Scope>) -> Result<Check, String> {
        match self {
            Kind::Echo(settings) => echo::compile(settings, function, scope),
            Kind::Empty(settings) => empty::compile(settings, function),
            Kind::Finite(settings) => finite::compile(settings, function),
            Kind::Freshness(settings) => freshness::compile(settings, scope),
            Kind::Length(settings) => length::compile(settings, function),
            Kind::Order(settings) => order::compile(settings, function),
            Kind::Range(settings) => range::compile(settings, function),
            Kind::Relation(settings) => relation::compile(settings, scope),
            Kind::Sum(settings) => sum::compile(settings, function),
            Kind::Truncation(settings) => truncation::compile(settings, function),
            Kind::Unique(settings) => unique::compile(settings, function),
        }
    }
}

impl Rule {
    /// Every expression of the rule.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &str> {
        self.kind.expressions().into_iter().chain(self.when.as_deref())
    }

    /// The check of a contract that declares what is asked and what is answered: both are terms of it.
    pub(crate) fn answers() -> Rule {
        let (asked, answered) = (Some("asked".to_owned()), Some("answered".to_owned()));
        let echo = echo::Settings { field: None, arg: None, asked, answered };
        Rule { kind: Kind::Echo(echo), verdict: None, when: None }
    }

    /// The rule as comparable data: the kind with its settings, and the verdict if declared.
    fn told(&self, scope: &Scope) -> Value {
        let mut told = serde_json::to_value(&self.kind).unwrap_or_default();
        if let Some(verdict) = self.verdict {
            told["verdict"] = serde_json::to_value(verdict).unwrap_or_default();
        }
        if let Some(when) = &self.when {
            told["when"] = when.as_str().into();
        }
        // The texts do not show what a term stands for.
        for (name, text) in self.expressions().flat_map(|text| scope.terms.used(text)) {
            told["let"][name] = text.into();
        }
        told
    }

    pub(crate) fn compile(&self, function: &FunctionTy, scope: &Arc<Scope>) -> Result<Compiled, RuleError> {
        let kind = self.kind.name();
        let wrong = |message| RuleError { kind, message };
        let check = self.kind.check(function, scope).map_err(wrong)?;
        let when = self.when.as_deref().map(|when| Expression::compile_bool(when, scope));
        let when = when.transpose().map_err(|error| wrong(format!("`when`: {}", error.message)))?;
        if !scope.is_known && when.as_ref().is_some_and(Expression::is_constant) {
            return Err(wrong(format!("`when` {}", super::scalar::CONSTANT)));
        }
        let when = when.map(Expression::resting);
        // A kind that is missing in `ALL` would get `Reject`; a test fails for it.
        let default =
            ALL.iter().find(|(name, _)| *name == kind).map_or(Verdict::Reject, |(_, verdict)| *verdict);
        Ok(Compiled { kind, default, declared: self.verdict, told: (&self.told(scope)).into(), when, check })
    }
}

/// The written form: every kind is an optional key. Exactly one must be present.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    echo: Option<echo::Settings>,
    empty: Option<empty::Settings>,
    finite: Option<finite::Settings>,
    freshness: Option<freshness::Settings>,
    length: Option<length::Settings>,
    order: Option<order::Settings>,
    range: Option<range::Settings>,
    relation: Option<relation::Settings>,
    sum: Option<sum::Settings>,
    truncation: Option<truncation::Settings>,
    unique: Option<unique::Settings>,
    verdict: Option<Declared>,
    when: Option<String>,
}

/// A verdict that a rule can declare: not `pass`, by which a finding would change nothing.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Declared {
    Warn,
    Suspect,
    Escalate,
    Reject,
}

impl From<Declared> for Verdict {
    fn from(declared: Declared) -> Verdict {
        match declared {
            Declared::Warn => Verdict::Warn,
            Declared::Suspect => Verdict::Suspect,
            Declared::Escalate => Verdict::Escalate,
            Declared::Reject => Verdict::Reject,
        }
    }
}

impl Written {
    fn kinds(self) -> Vec<Kind> {
        let all = [
            self.echo.map(Kind::Echo),
            self.empty.map(Kind::Empty),
            self.finite.map(Kind::Finite),
            self.freshness.map(Kind::Freshness),
            self.length.map(Kind::Length),
            self.order.map(Kind::Order),
            self.range.map(Kind::Range),
            self.relation.map(Kind::Relation),
            self.sum.map(Kind::Sum),
            self.truncation.map(Kind::Truncation),
            self.unique.map(Kind::Unique),
        ];
        all.into_iter().flatten().collect()
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rule, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rule;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one check, its verdict and its condition")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let mut written = Written::deserialize(MapAccessDeserializer::new(map))?;
                let (verdict, when) = (written.verdict.map(Verdict::from), written.when.take());
                // serde has no "exactly one of these keys". An untagged enum would, but its errors name neither
                // key nor place.
                let [kind] = <[Kind; 1]>::try_from(written.kinds()).map_err(|kinds| {
                    de::Error::custom(format!("exactly one check per entry, not {}", kinds.len()))
                })?;
                Ok(Rule { kind, verdict, when })
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
