//! Compares two definitions of a tool, part by part.
//!
//! Owns which change of which part is wider. Must not know JSON Schema: `schema` compares schemas.

use serde::Serialize;
use serde_json::Value;

use super::{keyword, schema};
use crate::registry::{AcceptedSigner, Definition, HoldTerm, Relation, Terms, USEFUL_MS_MIN};
use airlock_types::difference::{Difference, told};
use airlock_types::grant::Requests;
use airlock_types::limit::PartialLimits;

/// The verdicts of a check, the mildest first. The order gives their ranks.
const VERDICTS: [&str; 5] = ["pass", "warn", "suspect", "escalate", "reject"];

/// The changes, in the order of a definition's parts. Structs are destructured without `..`, so that a new part cannot
/// be forgotten.
pub(super) fn compare(old: &Definition, new: &Definition) -> Vec<Difference> {
    let Definition {
        component,
        wit,
        signers,
        title,
        description,
        effects,
        input_schema,
        result_schema,
        errors,
        asks,
        imports,
        terms,
    } = old;
    let mut found = Comparison::default();
    // First, because a reviewer cares most about what a tool may newly reach.
    found.asks(asks, &new.asks);
    // New code and new texts are shown, but neither gives the tool more rights.
    found.signers(signers, &new.signers);
    found.part(&["component"], component, &new.component, false);
    // A lock that an older version wrote does not have it, and has the digest of the component, which decides it.
    if wit.is_some() {
        found.part(&["wit"], wit, &new.wit, false);
    }
    found.part(&["description"], description, &new.description, false);
    // A tool that declares less is retried and recorded as one that does less, and nothing here shows that it does.
    found.part(&["effects"], effects, &new.effects, true);
    // What an error may hold cannot be shown to be less by its type alone.
    found.part(&["errors"], errors, &new.errors, true);
    // A new import is something more that the tool may reach; a removed one is less.
    found.set(&["imports"], imports, &new.imports, |come| come);
    found.0.extend(schema::compare("input_schema", input_schema, &new.input_schema));
    match (result_schema, &new.result_schema) {
        (Some(old), Some(new)) => found.0.extend(schema::compare("result_schema", old, new)),
        // A result where there was none reaches the model for the first time.
        (old, new) => found.part(&["result_schema"], old, new, old.is_none()),
    }
    match (terms, &new.terms) {
        (Some(old), Some(new)) => found.terms(old, new),
        // A lock of the first format stores no terms, so what was accepted is unknown.
        (old, new) => found.part(&["terms"], old, new, true),
    }
    found.part(&["title"], title, &new.title, false);
    found.0
}

/// The changes that were found so far.
#[derive(Default)]
struct Comparison(Vec<Difference>);

impl Comparison {
    /// Compares a part that is one value.
    fn part<T: Serialize + PartialEq>(&mut self, path: &[&str], old: &T, new: &T, wider: bool) {
        self.0.extend(Difference::of(path, old, new, wider));
    }

    /// Compares a part that is a list without order or repetition. `wider` tells whether an added (true) or removed
    /// (false) item is wider.
    fn set<T: Serialize + PartialEq>(
        &mut self,
        path: &[&str],
        old: &[T],
        new: &[T],
        wider: impl Fn(bool) -> bool,
    ) {
        for gone in old.iter().filter(|item| !new.contains(item)) {
            self.push(path, told(gone), None, wider(false));
        }
        for come in new.iter().filter(|item| !old.contains(item)) {
            self.push(path, None, told(come), wider(true));
        }
    }

    fn push(&mut self, path: &[&str], before: Option<Value>, after: Option<Value>, wider: bool) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(Difference { path, before, after, wider });
    }

    fn asks(&mut self, old: &Requests, new: &Requests) {
        self.0.extend(old.differences(new).into_iter().map(|found| found.within("asks")));
    }

    /// Compares signers. One that came is no change: whatever the component was accepted without need not be accepted
    /// again.
    fn signers(&mut self, old: &Option<Vec<AcceptedSigner>>, new: &Option<Vec<AcceptedSigner>>) {
        let (Some(old), Some(new)) = (old, new) else { return };
        for before in old {
            match new.iter().find(|after| after.key == before.key) {
                Some(after) if after.serial >= before.serial => {}
                after => self.push(&["signers"], told(before), after.and_then(told), true),
            }
        }
    }

    fn terms(&mut self, old: &Terms, new: &Terms) {
        let Terms {
            requires,
            holds,
            expects,
            limits,
            useful_ms_min,
            transient,
            caller_errors,
            failures,
            error_docs,
            examples,
            verify,
            confidential,
            facts,
            units,
            cache_ms_max,
            compare,
        } = old;
        self.set(&["examples"], examples, &new.examples, |_| false);
        self.expects(expects, &new.expects);
        self.limits(limits, &new.limits);
        self.requires(requires, &new.requires);
        self.holds(holds, &new.holds);
        self.set(&["transient"], transient, &new.transient, |come| come);
        // Only the advice to the caller changes.
        self.set(&["caller_errors"], caller_errors, &new.caller_errors, |_| false);
        // A case that is no failure any more is believed as a value.
        self.set(&["failures"], failures, &new.failures, |come| !come);
        self.part(&["error_docs"], error_docs, &new.error_docs, false);
        // Another tool, or an earlier question, repeats calls that were not repeated before.
        self.part(&["verify"], verify, &new.verify, new.verify.is_some());
        // A field that is not confidential any more goes on record.
        self.set(&["confidential"], confidential, &new.confidential, |come| !come);
        // By other facts, or for longer, other calls pass.
        self.set(&["facts"], facts, &new.facts, |_| true);
        // The same number means something else.
        let wider = units.iter().any(|(place, unit)| new.units.get(place) != Some(unit));
        self.part(&["units"], units, &new.units, wider);
        // An older answer stands for that of now.
        let wider = new.cache_ms_max > *cache_ms_max;
        self.part(&["cache_ms_max"], cache_ms_max, &new.cache_ms_max, wider);
        // A new comparator can hide that answers drift.
        let wider = new.compare.iter().any(|rule| !compare.contains(rule));
        self.part(&["compare"], compare, &new.compare, wider);
        // A smaller minimum starts attempts with less time than was approved.
        let least = |said: &Option<u64>| said.unwrap_or(USEFUL_MS_MIN);
        let wider = least(&new.useful_ms_min) < least(useful_ms_min);
        self.part(&["useful_ms_min"], useful_ms_min, &new.useful_ms_min, wider);
    }

    /// Compares relations. Removing one is wider, since more arguments are valid. Their messages are compared by
    /// themselves: they are texts, with new relations too.
    fn requires(&mut self, old: &[Relation], new: &[Relation]) {
        let relations = |all: &[Relation]| all.iter().map(|one| one.that.clone()).collect::<Vec<_>>();
        self.set(&["require"], &relations(old), &relations(new), |come| !come);
        let told = |all: &[Relation]| -> Vec<Relation> {
            all.iter().filter(|one| one.message.is_some()).cloned().collect()
        };
        self.set(&["require"], &told(old), &told(new), |_| false);
    }

    /// Compares rules that hold calls. Without one, or with fewer approvals, more calls run unseen.
    fn holds(&mut self, old: &[HoldTerm], new: &[HoldTerm]) {
        for before in old {
            match new.iter().find(|after| after.when == before.when) {
                Some(after) if after == before => {}
                Some(after) => {
                    let wider = after.approvals < before.approvals;
                    self.push(&["hold"], told(before), told(after), wider);
                }
                None => self.push(&["hold"], told(before), None, true),
            }
        }
        let come = new.iter().filter(|after| old.iter().all(|before| before.when != after.when));
        come.for_each(|come| self.push(&["hold"], None, told(come), false));
    }

    /// Compares checks. Removing one is wider, since more results are believed. A check whose verdict alone became
    /// stricter is narrower.
    fn expects(&mut self, old: &[Value], new: &[Value]) {
        let is_in = |check: &Value, all: &[Value]| all.iter().any(|other| is_same(check, other));
        let gone: Vec<&Value> = old.iter().filter(|check| !is_in(check, new)).collect();
        let mut come: Vec<&Value> = new.iter().filter(|check| !is_in(check, old)).collect();
        for before in gone {
            // The same check with another verdict is one change, not a removal and an addition.
            let like = come.iter().position(|after| is_same(&unjudged(after), &unjudged(before)));
            let after = like.map(|at| come.remove(at));
            let wider = after.is_none_or(|after| !is_stricter(before, after));
            self.push(&["expect"], Some(before.clone()), after.cloned(), wider);
        }
        come.into_iter().for_each(|after| self.push(&["expect"], None, Some(after.clone()), false));
    }

    fn limits(&mut self, old: &PartialLimits, new: &PartialLimits) {
        let PartialLimits {
            fuel,
            deadline_ms,
            memory_bytes_max,
            table_elements_max,
            output_bytes_max,
            log_bytes_max,
        } = old;
        for (name, old, new) in [
            ("deadline_ms", deadline_ms, &new.deadline_ms),
            ("fuel", fuel, &new.fuel),
            ("log_bytes_max", log_bytes_max, &new.log_bytes_max),
            ("memory_bytes_max", memory_bytes_max, &new.memory_bytes_max),
            ("output_bytes_max", output_bytes_max, &new.output_bytes_max),
            ("table_elements_max", table_elements_max, &new.table_elements_max),
        ] {
            // Without a limit of the author only the operator's or the default applies, so it counts as the highest.
            let most = |limit: &Option<u64>| limit.unwrap_or(u64::MAX);
            self.part(&["limits", name], old, new, most(new) > most(old));
        }
    }
}

/// Whether two checks are the same data. Locks of older versions have each bound of a check as a float, however it was written.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() != other.is_f64() => {
            one.as_f64() == other.as_f64() && one.as_f64().is_some_and(|n| n.abs() < keyword::EXACT_MAX)
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, one)| b.get(key).is_some_and(|other| is_same(one, other)))
        }
        (a, b) => a == b,
    }
}

/// A check without its verdict.
fn unjudged(check: &Value) -> Value {
    let mut check = check.clone();
    if let Some(fields) = check.as_object_mut() {
        fields.remove("verdict");
    }
    check
}

/// Whether both checks state a verdict and the new one is at least as strict. Without a stated verdict the kind of the
/// check decides, possibly by what it finds, so the two cannot be compared.
fn is_stricter(old: &Value, new: &Value) -> bool {
    let rank = |check: &Value| VERDICTS.iter().position(|known| check["verdict"] == **known);
    rank(old).zip(rank(new)).is_some_and(|(old, new)| new >= old)
}
