//! The values that suspect results of one session gave, so that a rule can hold a write that uses one.
//!
//! Owns which values count, the memory of them and its bound. A value is a text or a number that is long enough not to be
//! there by chance, and that the call did not bring along itself. Values are kept as digests: results may be confidential.
//! Must not know what follows from one.

use std::collections::BTreeMap;
use std::sync::Arc;

use airlock_contract::Val;
use airlock_contract::path::snake;
use airlock_contract::ty::Field;
use airlock_types::digest::sha256;

/// Most values that a session remembers, a hundred bytes each. With more, every call that is asked about counts as one that uses a
/// suspect value: nothing is forgotten in favor of a call.
const VALUES_MAX: usize = 1_000;

/// Characters of the shortest value. Shorter ones, such as the number of seats, are the same by chance.
const CHARS_MIN: usize = 3;

/// Most arguments that are named.
const NAMED_MAX: usize = 6;

/// What a session remembers of suspect results.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// The record of the call that gave a value, by the digest of the value.
    values: BTreeMap<String, Arc<str>>,
    /// Whether there were more.
    is_over: bool,
}

impl Suspects {
    /// Whether no result was suspect.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.is_over
    }

    /// Remembers the values of a suspect result, but for those that its own call had as arguments.
    pub(crate) fn remember(&mut self, result: &Val, args: &[Val], record: &str) {
        let record: Arc<str> = record.into();
        let mut brought = Vec::new();
        args.iter().for_each(|arg| each(arg, &mut |value| brought.push(value)));
        each(result, &mut |value| {
            if brought.contains(&value) {
                return;
            }
            let digest = digest(&value);
            if self.values.len() < VALUES_MAX || self.values.contains_key(&digest) {
                self.values.insert(digest, record.clone());
            } else {
                self.is_over = true;
            }
        });
    }

    /// The arguments that have such a value, in words. Empty if none has.
    pub(crate) fn met(&self, params: &[Field], args: &[Val]) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut met = Vec::new();
        for (param, arg) in params.iter().zip(args) {
            let mut of = None;
            each(arg, &mut |value| of = of.take().or_else(|| self.values.get(&digest(&value)).cloned()));
            let name = snake(&param.name);
            met.extend(of.map(|record| {
                format!(
                    "`args.{name}` has a value that a suspect result of this session gave (record {record})"
                )
            }));
        }
        met.truncate(NAMED_MAX);
        if met.is_empty() && self.is_over {
            met.push("suspect results of this session gave more values than are remembered".to_owned());
        }
        met
    }
}

/// Equal values of different types have the same digest.
fn digest(value: &str) -> String {
    sha256(value.as_bytes())
}

/// Calls `show` with each text and number that counts. Names of cases and flags are of the type, and not of the result.
fn each(val: &Val, show: &mut dyn FnMut(String)) {
    let mut shown = |text: String| {
        if text.chars().take(CHARS_MIN).count() == CHARS_MIN {
            show(text);
        }
    };
    match val {
        Val::String(text) => shown(text.clone()),
        Val::S8(n) => shown(n.to_string()),
        Val::U8(n) => shown(n.to_string()),
        Val::S16(n) => shown(n.to_string()),
        Val::U16(n) => shown(n.to_string()),
        Val::S32(n) => shown(n.to_string()),
        Val::U32(n) => shown(n.to_string()),
        Val::S64(n) => shown(n.to_string()),
        Val::U64(n) => shown(n.to_string()),
        // Rust prints whole floats without a fraction, as integers are printed.
        Val::Float32(n) => shown(n.to_string()),
        Val::Float64(n) => shown(n.to_string()),
        Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => {
            items.iter().for_each(|item| each(item, show));
        }
        Val::Record(fields) => fields.iter().for_each(|(_, field)| each(field, show)),
        Val::Map(entries) => entries.iter().for_each(|(key, value)| {
            each(key, show);
            each(value, show);
        }),
        Val::Variant(_, Some(payload)) | Val::Option(Some(payload)) => each(payload, show),
        Val::Result(Ok(Some(payload)) | Err(Some(payload))) => each(payload, show),
        // What carries no value, or one that contracts do not have.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use airlock_contract::ty::Ty;

    use super::*;

    fn text(text: &str) -> Val {
        Val::String(text.to_owned())
    }

    fn met(suspects: &Suspects, arg: Val) -> bool {
        let params = [Field { name: "to-account".into(), ty: Ty::String }];
        !suspects.met(&params, &[arg]).is_empty()
    }

    #[test]
    fn a_value_of_a_suspect_result_is_met_again_wherever_it_stands() {
        let mut suspects = Suspects::default();
        assert!(!met(&suspects, text("DE89")));
        let row =
            Val::Record(vec![("iban".to_owned(), text("DE89")), ("amount".to_owned(), Val::Float64(900.0))]);
        suspects.remember(&Val::List(vec![row]), &[text("ann")], "r1");
        assert!(met(&suspects, text("DE89")) && met(&suspects, Val::U32(900)));
        assert!(met(&suspects, Val::Option(Some(Box::new(Val::List(vec![text("x"), text("DE89")]))))));
        assert!(!met(&suspects, text("DE8")) && !met(&suspects, text("ann")));
        let params = [Field { name: "to-account".into(), ty: Ty::String }];
        let said = suspects.met(&params, &[text("DE89")]);
        assert!(said[0].contains("`args.to_account`") && said[0].contains("record r1"), "{said:?}");
    }

    #[test]
    fn what_a_call_brought_along_or_is_short_is_not_suspect() {
        let mut suspects = Suspects::default();
        let result = Val::List(vec![text("SFO"), text("ok"), Val::U8(12), Val::Enum("economy".into())]);
        suspects.remember(&result, &[text("SFO")], "r1");
        assert!(suspects.is_empty());
    }

    #[test]
    fn more_values_than_are_remembered_count_as_met() {
        let mut suspects = Suspects::default();
        let values = |count: u32| Val::List((0..count).map(|n| text(&format!("value {n}"))).collect());
        suspects.remember(&values(1_000), &[], "r1");
        assert!(!met(&suspects, text("another")));
        suspects.remember(&values(1_001), &[], "r2");
        assert!(met(&suspects, text("another")));
        assert_eq!(suspects.values.len(), VALUES_MAX);
    }
}
