//! The `verify` of a contract: the read-only tool that says whether an effect happened whose answer was lost.
//!
//! Owns its form, the arguments that the tool is asked with, and how its answer is read. Must not know when it is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::component::Function;
use crate::path::{Path, PathError, snake};
use crate::ty::{Field, Ty};
use airlock_types::effect::Verified;
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// What an enum of the answer must have. Its other cases mean that the tool does not know.
const CASES: [(&str, Verified); 2] = [("applied", Verified::Applied), ("not-applied", Verified::NotApplied)];

/// What a contract declares about verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The function of the same component to ask. A registry can name another tool instead.
    pub tool: String,
    /// Its arguments, each with the place in the arguments of the call that it is taken from: `id = "order.id"`. Default:
    /// the argument of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// How long to wait before it is asked, in milliseconds: at least as long as the upstream may take to apply what it
    /// has received. What is not applied now may be a second later.
    pub after_ms: u64,
}

impl Verify {
    /// What is wrong with it, for a function with these parameters.
    pub(super) fn faults(&self, params: &[Field]) -> Vec<String> {
        let mut faults = Vec::new();
        if self.after_ms == 0 {
            faults.push(
                "`after_ms` is 0; the least is 1: name the time after which the upstream applies nothing more"
                    .to_owned(),
            );
        }
        faults.extend(self.args.values().filter_map(|from| source(from, params).err()));
        faults
    }

    /// Whether a tool with this function and this type of value can be asked about one with these parameters.
    ///
    /// # Errors
    /// With the reason, as a sentence about the tool to ask.
    pub fn fits(&self, params: &[Field], asked: &Function, value: Option<&Ty>) -> Result<(), String> {
        let is_known = |name: &&String| asked.ty.params.iter().any(|param| snake(&param.name) == **name);
        if let Some(unknown) = self.args.keys().find(|name| !is_known(name)) {
            return Err(format!("has no argument `{}`", one_line(unknown, GOT_CHARS_MAX)));
        }
        for param in &asked.ty.params {
            let (name, from) = self.names(param);
            let found = source(&from, params).map_err(|err| format!("has the argument `{name}`: {err}"))?;
            // Looked through: an argument that is none is left out, which the tool itself judges.
            if !is_same(found, &param.ty) {
                return Err(format!("takes `{name}` as {}, and `{from}` is {found}", param.ty));
            }
        }
        match value {
            Some(Ty::Bool) => Ok(()),
            Some(Ty::Enum(cases)) if CASES.iter().all(|(name, _)| cases.iter().any(|case| case == name)) => {
                Ok(())
            }
            _ => {
                Err("must answer with a `bool`, or an `enum` that has `applied` and `not-applied`".to_owned())
            }
        }
    }

    /// The arguments to ask with, from the canonical ones of the call.
    pub fn args(&self, asked: &Function, call: &str) -> Map<String, Value> {
        let call: Value = serde_json::from_str(call).unwrap_or_default();
        let taken = asked.ty.params.iter().filter_map(|param| {
            let (name, from) = self.names(param);
            let value = from.split('.').try_fold(&call, |value, part| value.get(part))?;
            Some((name, value.clone()))
        });
        taken.collect()
    }

    /// The name of an argument of the tool to ask, and where it comes from.
    fn names(&self, param: &Field) -> (String, String) {
        let name = snake(&param.name).into_owned();
        let from = self.args.get(&name).unwrap_or(&name).clone();
        (name, from)
    }

    /// What an answer says.
    pub fn read(answer: Option<&Value>) -> Verified {
        match answer {
            Some(Value::Bool(true)) => Verified::Applied,
            Some(Value::Bool(false)) => Verified::NotApplied,
            Some(Value::String(case)) => {
                CASES.iter().find(|(name, _)| name == case).map_or(Verified::Unknown, |(_, found)| *found)
            }
            _ => Verified::Unknown,
        }
    }
}

/// The type at a place in the arguments of a call.
fn source<'t>(from: &str, params: &'t [Field]) -> Result<&'t Ty, String> {
    let shown = one_line(from, GOT_CHARS_MAX);
    // One value, and no list of them.
    if from.contains("[]") {
        return Err(format!("`{shown}` is not one value; write names alone, as in `order.id`"));
    }
    let found = Path::parse(from).and_then(|path| path.resolve_params(params));
    found.map_err(|err| match err {
        PathError::Unknown { .. } => format!("the call has no argument `{shown}` to take it from"),
        err => err.to_string(),
    })
}

/// Whether a value of the one type can stand for the other.
fn is_same(from: &Ty, to: &Ty) -> bool {
    from == to || to.as_option() == Some(from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ty::FunctionTy;

    fn field(name: &str, ty: Ty) -> Field {
        Field { name: name.into(), ty }
    }

    fn params() -> Vec<Field> {
        let order =
            Ty::Record(vec![field("order-id", Ty::String), field("rows", Ty::List(Box::new(Ty::U8)))]);
        vec![field("order", order), field("amount", Ty::U32)]
    }

    fn asked(params: Vec<Field>, result: Ty) -> Function {
        Function {
            interface: None,
            name: "was".into(),
            ty: FunctionTy { params, result: Some(result) }.into(),
        }
    }

    fn verify(args: &[(&str, &str)]) -> Verify {
        let args = args.iter().map(|(name, from)| ((*name).to_owned(), (*from).to_owned())).collect();
        Verify { tool: "was".into(), args, after_ms: 1 }
    }

    fn cases(names: &[&str]) -> Ty {
        Ty::Enum(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[track_caller]
    fn check(args: &[(&str, &str)], asked: &Function, says: Option<&str>) {
        let fits = verify(args).fits(&params(), asked, asked.ty.result.as_ref());
        match (fits, says) {
            (Ok(()), None) => {}
            (Err(why), Some(says)) => assert!(why.contains(says), "{why}"),
            (fits, _) => panic!("{fits:?}"),
        }
    }

    #[test]
    fn a_tool_is_asked_with_what_the_call_has() {
        let by_id = asked(vec![field("id", Ty::String)], Ty::Bool);
        check(&[("id", "order.order_id")], &by_id, None);
        check(&[("id", "order.nr")], &by_id, Some("no argument `order.nr`"));
        check(&[("id", "amount")], &by_id, Some("takes `id` as string, and `amount` is u32"));
        check(&[("id", "order.rows[]")], &by_id, Some("is not one value"));
        check(&[("id", "order.order_id"), ("nr", "amount")], &by_id, Some("has no argument `nr`"));
        check(&[], &by_id, Some("has the argument `id`"));
        check(&[], &asked(vec![field("amount", Ty::U32)], Ty::Bool), None);
        check(&[], &asked(vec![field("amount", Ty::Option(Box::new(Ty::U32)))], Ty::Bool), None);
    }

    #[test]
    fn an_answer_has_both_cases() {
        let answers = |result| asked(vec![], result);
        check(&[], &answers(cases(&["applied", "not-applied"])), None);
        check(&[], &answers(cases(&["applied", "not-applied", "unknown"])), None);
        check(&[], &answers(cases(&["applied", "unknown"])), Some("must answer with"));
        check(&[], &answers(Ty::String), Some("must answer with"));
    }

    #[test]
    fn arguments_are_taken_from_the_call() {
        let by_id = asked(vec![field("id", Ty::String), field("amount", Ty::U32)], Ty::Bool);
        let call = r#"{"amount":5,"order":{"order_id":"a"}}"#;
        let taken = verify(&[("id", "order.order_id")]).args(&by_id, call);
        assert_eq!(Value::Object(taken), json!({"id": "a", "amount": 5}));
    }

    #[test]
    fn only_the_two_words_say_something() {
        for (answer, found) in [
            (json!(true), Verified::Applied),
            (json!("applied"), Verified::Applied),
            (json!(false), Verified::NotApplied),
            (json!("not-applied"), Verified::NotApplied),
            (json!("unknown"), Verified::Unknown),
            (json!(null), Verified::Unknown),
        ] {
            assert_eq!(Verify::read(Some(&answer)), found, "{answer}");
        }
        assert_eq!(Verify::read(None), Verified::Unknown);
    }
}
