//! Decides which of several alternatives a value is meant to be, and reports only the faults of that one.
//!
//! Owns the choice of the branch: by its tag, else by the JSON type, else the branch with the fewest faults. Must not
//! know any keyword except `anyOf` and `oneOf`.

use serde_json::Value;

use super::fault::{Fault, Says};
use super::walk::Walk;
use super::{leaf, mend, wording};
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::place::Step;
use airlock_types::shorten::shorten;
use airlock_types::words::{GOT_CHARS_MAX, got};

impl<'s> Walk<'s> {
    /// Reports the faults of the branch that is meant, or one fault that lists the branches.
    pub(super) fn choice(&mut self, keyword: &str, all: &'s Value, value: &Value, at: &Place<'_>) {
        let branches = all.as_array().map_or(&[][..], Vec::as_slice);
        // By tag first: it decides in one look-up, however many branches there are.
        if let Some(tags) = self.parts.tags(all) {
            let meant = value.get("tag").and_then(Value::as_str).and_then(|tag| tags.get(tag));
            return match meant {
                Some(meant) => self.visit(&branches[*meant], value, at),
                None => self.fault(|walk| variant(walk, branches, value, at.steps())),
            };
        }
        // `option` is written as a choice with a null branch. With null out of the way, a single other branch is the
        // one meant, and its own faults say more than "none of the alternatives".
        let is_null = |branch: &&'s Value| wording::is_null(self.reader.resolve(branch));
        if value.is_null() && branches.iter().any(|branch| is_null(&branch)) {
            return;
        }
        let mut others = branches.iter().filter(|branch| !is_null(branch));
        if let (Some(only), None) = (others.next(), others.next()) {
            return self.visit(only, value, at);
        }
        self.nearest_branch(keyword, branches, value, at);
    }

    /// Counts the faults of each branch that accepts the value's JSON type, and reports those of the branch with the
    /// fewest. A walk that only counts adds the count and does not visit that branch again: with nested choices, a
    /// second visit would double the work at each level.
    fn nearest_branch(&mut self, keyword: &str, branches: &'s [Value], value: &Value, at: &Place<'_>) {
        let (mut fits, mut best) = (0_usize, None);
        for branch in branches.iter().filter(|branch| takes(self.reader.resolve(branch), value)) {
            let count = self.count(branch, value, self.enough());
            if count == 0 {
                fits += 1;
                // One match satisfies `anyOf`; two break `oneOf`. Further branches cannot change either.
                if keyword == "anyOf" || fits > 1 {
                    break;
                }
            } else if best.is_none_or(|(least, _)| count < least) {
                best = Some((count, branch));
            }
        }
        match (fits, best) {
            (1, _) => {}
            (0, Some((least, best))) if !self.is_wide_text(branches, value) => {
                if !self.add(least) {
                    self.visit(best, value, at);
                }
            }
            (0, _) => self.fault(|walk| none_fits(walk, branches, value, at.steps())),
            _ if keyword == "anyOf" => {}
            _ => self.fault(|walk| several_fit(walk, branches, value, at.steps())),
        }
    }

    /// Whether the branches are the two forms of a 64-bit integer and the value is not a number. Text such as "twelve"
    /// is then not a near miss of the decimal form: the fault lists both forms, not the pattern of that one.
    fn is_wide_text(&self, branches: &'s [Value], value: &Value) -> bool {
        // Three are enough to see that there are not exactly two; a choice may have thousands.
        let branches: Vec<&Value> = wording::live(&self.reader, branches).take(3).collect();
        !value.is_number() && wording::wide_integer(&branches).is_some()
    }
}

/// Whether the branch accepts values of this JSON type. Other keywords are not checked.
fn takes(branch: &Value, value: &Value) -> bool {
    branch.get("type").is_none_or(|ty| leaf::is_of(ty, value))
}

fn none_fits<'s>(walk: &Walk<'s>, all: &'s [Value], value: &Value, at: Vec<Step>) -> Fault {
    let advice = mend::among(walk, all, value, &at);
    let expected = wording::alternatives(&walk.reader, all);
    Fault::new(at, Says { code: Code::ArgsType, keyword: "anyOf", expected, got: got(value) }, advice)
}

fn several_fit<'s>(walk: &Walk<'s>, all: &'s [Value], value: &Value, at: Vec<Step>) -> Fault {
    let expected = format!("exactly one of: {}", wording::alternatives(&walk.reader, all));
    Fault::new(at, Says { code: Code::ArgsConstraint, keyword: "oneOf", expected, got: got(value) }, None)
}

fn variant<'s>(walk: &Walk<'s>, all: &'s [Value], value: &Value, at: Vec<Step>) -> Fault {
    let branches: Vec<&Value> = wording::live(&walk.reader, all).collect();
    let tags: Vec<&str> = branches.iter().filter_map(|branch| wording::tag(branch)).collect();
    let tag = value.get("tag");
    let got = match tag {
        Some(tag) => got(tag),
        None if value.is_object() => shorten(&format!("no tag, {}", got(value)), GOT_CHARS_MAX),
        None => got(value),
    };
    let named = || mend::tag(&tags, tag.and_then(Value::as_str)?, &at);
    let advice = mend::variant(&branches, value, &at).or_else(named);
    let expected = format!("tag to be one of {}", wording::names(&tags));
    Fault::new(at, Says { code: Code::ArgsType, keyword: "tag", expected, got }, advice)
}
