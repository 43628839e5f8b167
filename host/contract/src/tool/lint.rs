//! What a contract promises without effect: for its author, and not for calls.
//!
//! Owns which relations and rules that hold its examples show to decide, and which arguments cannot be shown by one. Must not know how a lint is
//! printed. To add a lint: a function that [`Contract::lints`] joins, with a case in `tests/strict`.

mod vary;

use serde_json::{Map, Value};

use super::holding::Holding;
use super::requirement::Requirement;
use super::{Contract, Example, Keywords, Moment, Seen};
use crate::example;
use airlock_types::code::Code;
use airlock_types::shorten::shorten;
use airlock_types::violation::Violation;

/// Calls that are tried for one tool. Each passes the whole inner door.
const TRIALS_MAX: usize = 10_000;

/// Places of an example that are changed at once.
const CHANGES_MAX: usize = 2;

/// Characters of a relation in a lint.
const TEXT_CHARS_MAX: usize = 120;

impl Contract {
    /// What its author should know: sentences about patterns, relations and examples. Examples are judged by the time of
    /// the call, too.
    pub fn lints(&self, now_unix_ms: u64) -> Vec<String> {
        let patterns = self.unexampled.iter().map(|place| {
            format!("no example can be made for the `pattern` of `{place}`; give one in `examples` there")
        });
        let relations = self.tried_relations(now_unix_ms);
        patterns.chain(relations).chain(self.constant_holds()).chain(self.unheld(now_unix_ms)).collect()
    }

    /// What the examples, and calls that are like one, show of the relations.
    fn tried_relations(&self, now_unix_ms: u64) -> Vec<String> {
        let requires: Vec<&Requirement> = self.requires.iter().filter(|require| is_tried(require)).collect();
        if requires.is_empty() {
            return Vec::new();
        }
        if self.examples.is_empty() {
            return vec!["it has relations and no example that shows a call which meets them".to_owned()];
        }
        let tried: Vec<Tried> = self.examples.iter().map(|one| self.tried(one, now_unix_ms)).collect();
        let mut lints = Vec::new();
        for (at, one) in tried.iter().enumerate() {
            if let Tried::Refused(violations) = one
                && let Some(first) = violations.first()
            {
                let reason = shorten(&first.expected, TEXT_CHARS_MAX);
                lints.push(format!("example {} is refused now: `{reason}`, and {}", at + 1, first.got));
            }
        }
        for require in requires {
            let fails = |one: &Tried| matches!(one, Tried::Refused(found) if require.is_in(found, self.published.args.as_ref()));
            if tried.iter().all(fails) {
                lints.push(format!("the relation `{}` always fails on the examples", shown(require)));
            }
        }
        lints.extend(self.unbroken(now_unix_ms));
        lints
    }

    /// Relations that nothing near an example breaks: first with one change, then with two, as where one argument says
    /// whether the relation is about another.
    fn unbroken(&self, now_unix_ms: u64) -> Vec<String> {
        let mut left: Vec<&Requirement> = self.requires.iter().filter(|require| is_tried(require)).collect();
        let texts: Vec<&str> = left.iter().flat_map(|require| require.texts()).collect();
        let mut trials = TRIALS_MAX;
        let mut from: Vec<Map<String, Value>> =
            self.examples.iter().filter_map(|example| example.args.as_object().cloned()).collect();
        for _ in 0..CHANGES_MAX {
            let mut accepted = Vec::new();
            for args in from.iter().flat_map(|args| vary::near(args, &self.input_schema(), &texts)) {
                trials = trials.saturating_sub(1);
                if left.is_empty() || trials == 0 {
                    break;
                }
                match self.tried_args(args.clone(), now_unix_ms) {
                    Tried::Refused(found) => {
                        left.retain(|require| !require.is_in(&found, self.published.args.as_ref()))
                    }
                    Tried::Accepted => accepted.push(args),
                    Tried::Invalid => {}
                }
            }
            from = accepted;
        }
        let unbroken = |require| {
            format!(
                "the relation `{}` never fails on the examples, nor on calls that are like one; add an example in which \
                 it decides",
                shown(require)
            )
        };
        left.into_iter().map(unbroken).collect()
    }

    /// Rules that hold, and read nothing: they hold every call, or none.
    fn constant_holds(&self) -> impl Iterator<Item = String> {
        self.holds.iter().filter(|hold| hold.is_constant()).map(|hold| {
            let can = if hold.judge(&[], &[], Some(Moment::without_session(0))).is_some() {
                "holds every call"
            } else {
                "can hold no call"
            };
            format!("the rule `{}` reads no argument, so that it {can}", shorten(&hold.full, TEXT_CHARS_MAX))
        })
    }

    /// Rules that hold no example, nor a call that is near one.
    fn unheld(&self, now_unix_ms: u64) -> Vec<String> {
        let is_tried = |hold: &&Holding| !hold.is_constant() && !hold.reads_facts();
        let mut left: Vec<&Holding> = self.holds.iter().filter(is_tried).collect();
        let texts: Vec<&str> = left.iter().flat_map(|hold| hold.texts()).collect();
        let mut trials = TRIALS_MAX;
        let mut from: Vec<Map<String, Value>> =
            self.examples.iter().filter_map(|example| example.args.as_object().cloned()).collect();
        // The examples as they are, and then with changes.
        for changes in 0..=CHANGES_MAX {
            // One by one, and not as a list: there can be many more than are tried.
            let near = |args: &Map<String, Value>| match changes {
                0 => vec![args.clone()],
                _ => vary::near(args, &self.input_schema(), &texts),
            };
            let mut accepted = Vec::new();
            for args in from.iter().flat_map(near) {
                trials = trials.saturating_sub(1);
                if left.is_empty() || trials == 0 {
                    break;
                }
                let moment = Moment { now_unix_ms, seen: Seen::NotJudged };
                if let Ok(valid) = self.validate(args.clone(), Some(moment)) {
                    left.retain(|hold| !hold.is_in(valid.held(), self.published.args.as_ref()));
                    accepted.push(args);
                }
            }
            from = accepted;
        }
        let unheld = |hold: &Holding| {
            format!(
                "the rule `{}` holds no example, nor a call that is like one; add an example that it holds",
                shorten(&hold.full, TEXT_CHARS_MAX)
            )
        };
        left.into_iter().map(unheld).collect()
    }

    fn tried(&self, example: &Example, now_unix_ms: u64) -> Tried {
        let args = example.args.as_object().cloned().unwrap_or_default();
        self.tried_args(args, now_unix_ms)
    }

    fn tried_args(&self, args: Map<String, Value>, now_unix_ms: u64) -> Tried {
        match self.validate(args, Some(Moment { now_unix_ms, seen: Seen::NotJudged })) {
            Ok(_) => Tried::Accepted,
            Err((found, _)) if found.iter().all(|one| one.code == Code::ArgsPrecondition) => {
                Tried::Refused(found)
            }
            Err(_) => Tried::Invalid,
        }
    }
}

/// The places whose `pattern` is one that no example can be made for.
pub(super) fn unexampled(keywords: &Keywords) -> Vec<String> {
    let unexampled = keywords.iter().filter(|(_, said)| !example::is_exampled(said));
    unexampled.map(|(path, _)| path.to_string()).collect()
}

/// What became of arguments.
enum Tried {
    Accepted,
    /// Relations refused them.
    Refused(Vec<Violation>),
    /// They are no arguments of the tool, so that relations were not judged.
    Invalid,
}

/// Whether examples can show what a relation decides. No example has a session that has seen facts.
fn is_tried(require: &Requirement) -> bool {
    !require.reads_facts()
}

fn shown(require: &Requirement) -> String {
    shorten(&require.full, TEXT_CHARS_MAX)
}
