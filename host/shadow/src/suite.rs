//! `suite.toml`: what a suite is compared by, and what makes a night fail.
//!
//! Owns every setting of a suite and its default. Unknown keys are refused. Must not know the folder.

use std::collections::BTreeSet;

use airlock_contract::ty::Ty;
use serde::{Deserialize, Serialize};

use crate::compare::{Comparators, CompareError, Rule};

/// The version of the form of suites.
pub const FORMAT: u32 = 1;

/// Most bytes of `suite.toml`.
pub const BYTES_MAX: u64 = 1 << 20;

/// The settings of a suite.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The version of this form.
    pub format: u32,
    /// The seed of the choice of cases, for the next capture.
    #[serde(default = "one")]
    pub seed: u64,
    /// What makes a night fail.
    #[serde(default = "all_gates")]
    pub fail_on: BTreeSet<Gate>,
    /// How a candidate's imports are answered.
    #[serde(default)]
    pub candidate: CandidateMode,
    /// The first night whose figures count for trends, as a date: after a change that was wanted. Default the first of all.
    #[serde(default)]
    pub trend_since: Option<String>,
    /// How values are compared, where they need not be equal.
    #[serde(default)]
    pub compare: Vec<Rule>,
}

fn one() -> u64 {
    1
}

/// What can make a night fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// A tool has the verdict `host`.
    Host,
    /// A tool has the verdict `tool`.
    Tool,
    /// A tool has the verdict `upstream`.
    Upstream,
    /// A tool has the verdict `checks`.
    Checks,
    /// An answer is not its reference.
    Reference,
    /// A figure has changed over the nights.
    Trend,
    /// A case or a query could not be run.
    Coverage,
    /// The agent has the verdict `agent`.
    Agent,
}

impl Gate {
    /// All gates.
    pub const ALL: [Gate; 8] = [
        Gate::Host,
        Gate::Tool,
        Gate::Upstream,
        Gate::Checks,
        Gate::Reference,
        Gate::Trend,
        Gate::Coverage,
        Gate::Agent,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Host => "host",
            Gate::Tool => "tool",
            Gate::Upstream => "upstream",
            Gate::Checks => "checks",
            Gate::Reference => "reference",
            Gate::Trend => "trend",
            Gate::Coverage => "coverage",
            Gate::Agent => "agent",
        }
    }
}

fn all_gates() -> BTreeSet<Gate> {
    Gate::ALL.into()
}

/// How a candidate's imports are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateMode {
    /// By import and arguments: a candidate that asks in another order is the same if it answers the same.
    #[default]
    Stub,
    /// In the recorded order: any other import is a difference.
    Strict,
}

/// Why a suite cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// It was written by a newer version.
    #[error("the suite has format {0}, and this Airlock reads {FORMAT}")]
    Format(u32),
    /// It is not one.
    #[error("the suite cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// A comparator cannot be used.
    #[error("a comparator of `{tool}` cannot be used: {err}")]
    Compare {
        /// The tool.
        tool: String,
        /// Why.
        err: CompareError,
    },
    /// The date is none.
    #[error("`trend_since` is `{0}`, and must be a date such as `2026-11-26`")]
    Date(String),
}

impl Suite {
    /// Reads `suite.toml`.
    ///
    /// # Errors
    /// Says what is wrong with it, and where.
    pub fn read(text: &str) -> Result<Suite, SuiteError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = airlock_types::tables::from_str(text)?;
        if format != FORMAT {
            return Err(SuiteError::Format(format));
        }
        let suite: Suite = airlock_types::tables::from_str(text)?;
        match &suite.trend_since {
            Some(date) if !is_date(date) => Err(SuiteError::Date(date.clone())),
            _ => Ok(suite),
        }
    }

    /// The text of a new suite.
    pub fn write_new(seed: u64) -> String {
        let gates: Vec<String> = Gate::ALL.iter().map(|gate| format!("\"{}\"", gate.as_str())).collect();
        format!(
            "# A shadow suite. The cases are in `cases`, the results of each night in `history`.\n\
             format = {FORMAT}\n\n\
             # The choice of cases at the next `airlock shadow capture`.\nseed = {seed}\n\n\
             # What makes `airlock shadow run` exit with 1.\nfail_on = [{}]\n\n\
             # How a candidate's imports are answered: `stub` by import and arguments, `strict` in the recorded order.\n\
             candidate = \"stub\"\n\n\
             # Values that need not be equal. `at` is a place of the answer, as in a contract; or `type = \"f64\"`.\n\
             # [[compare]]\n# tool = \"NAME\"\n# at = \"rows[].price\"\n# with = {{ by = \"relative\", within = 0.001 }}\n",
            gates.join(", ")
        )
    }

    /// The comparators of a tool whose function returns this type: those of its contract, of which the suite's replace those for
    /// the same place or type.
    ///
    /// # Errors
    /// Says which one cannot be used, and why.
    pub fn comparators(
        &self,
        tool: &str,
        ty: Option<&Ty>,
        of_contract: &[Rule],
    ) -> Result<Comparators, SuiteError> {
        let own: Vec<&Rule> = self.compare.iter().filter(|rule| rule.tool == tool).collect();
        let is_kept = |rule: &&Rule| own.iter().all(|other| (&other.at, &other.ty) != (&rule.at, &rule.ty));
        let rules = own.iter().copied().chain(of_contract.iter().filter(is_kept));
        Comparators::of(ty, rules).map_err(|err| SuiteError::Compare { tool: tool.to_owned(), err })
    }

    /// The tools that have comparators.
    pub fn compared_tools(&self) -> BTreeSet<&str> {
        self.compare.iter().map(|rule| rule.tool.as_str()).collect()
    }
}

fn is_date(text: &str) -> bool {
    let of = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparator;

    #[test]
    fn a_new_suite_is_read_and_has_every_gate() {
        let suite = Suite::read(&Suite::write_new(7)).unwrap();
        assert_eq!((suite.seed, suite.fail_on.len()), (7, Gate::ALL.len()));
        assert_eq!(
            Suite::read("format = 1").unwrap().fail_on,
            suite.fail_on,
            "the defaults are those of the text"
        );
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let said = |text: &str| Suite::read(text).unwrap_err().to_string();
        assert!(said("format = 2").contains("format 2"));
        assert!(said("format = 1\nfail = []").contains("unknown field `fail`"));
        assert!(said("format = 1\nfail_on = [\"everything\"]").contains("unknown variant `everything`"));
        assert!(said("format = 1\ntrend_since = \"yesterday\"").contains("a date such as"));
        let rule = "format = 1\n[[compare]]\ntool = \"t\"\nat = \"a\"\nwith = { by = \"near\" }";
        assert!(said(rule).contains("unknown variant `near`"));
    }

    #[test]
    fn the_suite_replaces_comparators_of_the_contract() {
        let rule = |at: Option<&str>, ty: Option<&str>, with: Comparator| Rule {
            tool: "f".into(),
            at: at.map(str::to_owned),
            ty: ty.map(str::to_owned),
            with,
        };
        let near = |within: f64| Comparator::Absolute { within };
        let of_contract = [rule(Some(""), None, near(5.0)), rule(None, Some("f64"), near(1.0))];
        let is_same = |text: &str, was: f64, is: f64| {
            let suite = Suite::read(&format!("format = 1\n{text}")).unwrap();
            let made = suite.comparators("t", Some(&Ty::F64), &of_contract).unwrap();
            made.compare_values(&was.into(), &is.into()).is_same()
        };
        assert!(is_same("", 10.0, 14.0) && !is_same("", 10.0, 16.0));
        let own = "[[compare]]\ntool = \"t\"\nat = \"\"\nwith = { by = \"exact\" }\n";
        assert!(!is_same(own, 10.0, 14.0) && is_same(own, 10.0, 10.0));
        let other = own.replace("\"t\"", "\"u\"");
        assert!(is_same(&other, 10.0, 14.0), "that is of another tool");
        let ignored: Vec<Rule> =
            (0..9).map(|n| rule(Some(&format!("a{n}")), None, Comparator::Ignore)).collect();
        let fields =
            (0..9).map(|n| airlock_contract::ty::Field { name: format!("a{n}"), ty: Ty::U8 }).collect();
        let suite = Suite::read("format = 1").unwrap();
        let said = suite.comparators("t", Some(&Ty::Record(fields)), &ignored).unwrap_err().to_string();
        assert!(said.contains("9 places are ignored"), "{said}");
    }

    #[test]
    fn every_comparator_can_be_written() {
        let rule = |with: &str| format!("[[compare]]\ntool = \"t\"\nat = \"a\"\nwith = {{ {with} }}\n");
        let all = [
            "by = \"exact\"",
            "by = \"absolute\", within = 1",
            "by = \"relative\", within = 0.1",
            "by = \"set\"",
            "by = \"keyed\", key = \"id\"",
            "by = \"ignore\"",
        ];
        let text = format!("format = 1\n{}", all.map(rule).concat());
        assert_eq!(Suite::read(&text).unwrap().compare.len(), all.len());
    }
}
