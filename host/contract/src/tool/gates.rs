//! The gates of the inner door, in their order.
//!
//! Owns which gate relies on which, and that each tells all that it finds. Must not know how a gate judges.

use serde_json::{Map, Value};

use super::requirement::Met;
use super::{Contract, Moment, UnfitArgs, ValidArgs};
use crate::lift::{self, LiftError};
use crate::published::Found;
use crate::ty::Ty;
use crate::validate::VIOLATIONS_MAX;
use crate::{Val, lower, path};
use airlock_types::canonical;
use airlock_types::hold::HoldRule;
use airlock_types::place::Place;
use airlock_types::violation::Violation;

impl Contract {
    /// The inner door: schema, then codec, then rules and relations. Each gate relies on the one before it. Relations that name
    /// the time of the call or facts of its session are judged where there is a moment. There is none for examples, which
    /// stay valid as time passes.
    ///
    /// # Errors
    /// Every violation of the first gate that finds one, with those of the codec behind those of the schema, and the arguments
    /// with every mend applied, if the schema then accepts them: see [`Contract::mended`]. Only the schema's violations have
    /// mends.
    pub fn validate(
        &self,
        args: Map<String, Value>,
        moment: Option<Moment<'_>>,
    ) -> Result<ValidArgs, (Vec<Violation>, Option<Value>)> {
        self.judge(args, moment).map_err(|unfit| (unfit.violations, unfit.mended))
    }

    /// Like [`Contract::validate`], with what is known of arguments that only relations refuse.
    ///
    /// # Errors
    /// As [`Contract::validate`].
    pub fn judge(
        &self,
        args: Map<String, Value>,
        moment: Option<Moment<'_>>,
    ) -> Result<ValidArgs, UnfitArgs> {
        let args = Value::Object(args);
        if let Some((violations, mended)) = self.validator.refused(&args) {
            let violations = self.hinted(self.with_others(violations, &args), &args);
            return Err(UnfitArgs { violations, mended, unmet: None });
        }
        let args = if let Value::Object(args) = args { args } else { Map::new() };
        self.checked(args, moment)
    }

    /// The gates behind the schema, for arguments that it accepts.
    fn checked(&self, args: Map<String, Value>, moment: Option<Moment<'_>>) -> Result<ValidArgs, UnfitArgs> {
        // For what is judged, or told, as the caller wrote it. Nearly no call pays for it.
        let is_kept = self.published.args.is_some() || !self.rules.is_empty();
        let written = if is_kept { Value::Object(args.clone()) } else { Value::Null };
        let mut found = Found::default();
        let plain = self.plain(args, &mut found);
        if !found.violations.is_empty() {
            return Err(self.with_others(found.violations, &written).into());
        }
        let spelled = |violations| self.spelled(&written, violations);
        let lowered = lower::lower(&self.function.ty.params, plain);
        let values = lowered.map_err(|violations| UnfitArgs::from(spelled(violations)))?;
        // Before the rules and relations, which may assume that each argument is within its own bounds.
        let escaped = self.wide.violations(&self.function.ty.params, &values);
        if !escaped.is_empty() {
            return Err(spelled(escaped).into());
        }
        let broken = self.broken_rules(&written, &values);
        if !broken.is_empty() {
            return Err(self.hinted(broken, &written).into());
        }
        let (unmet, valid) = self.related(values, moment);
        let valid = ValidArgs { ignored: found.ignored, held: self.published_holds(valid.held), ..valid };
        if unmet.is_empty() {
            return Ok(valid);
        }
        Err(UnfitArgs { violations: spelled(unmet), mended: None, unmet: Some(Box::new(valid)) })
    }

    /// Adds what the gates behind the schema find wrong with the arguments that the schema accepts, each by itself: a caller
    /// that mends all that it was told should not be refused again. Rules and relations are not judged: they are about
    /// arguments that the caller is about to change.
    fn with_others(&self, mut violations: Vec<Violation>, args: &Value) -> Vec<Violation> {
        let Some(given) = args.as_object() else { return violations };
        let lies_in = |pointer: &str, within: &str| {
            pointer.strip_prefix(within).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // A fault of the arguments as a whole is one of each.
        let is_faulty = |key: &str| {
            let own = Place::Root.key(key).pointer();
            violations.iter().any(|wrong| wrong.pointer.is_empty() || lies_in(&wrong.pointer, &own))
        };
        let others = given.iter().filter(|(key, _)| !is_faulty(key));
        let mut found = Found::default();
        let plain = self.plain(others.map(|(key, value)| (key.clone(), value.clone())).collect(), &mut found);
        let ((params, values), mut wrong) = lower::lower_given(&self.function.ty.params, plain);
        wrong.extend(self.wide.violations(&params, &values));
        violations.extend(found.violations);
        violations.extend(self.spelled(args, wrong));
        violations.truncate(VIOLATIONS_MAX);
        violations
    }

    /// The violations of the author's rules over all arguments.
    fn broken_rules(&self, written: &Value, values: &[Val]) -> Vec<Violation> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        // Values have their types: they were just lowered.
        let lifted = self.lifted(values, lift::lift_numbers).unwrap_or_default();
        self.rules.violations(written, Value::Object(self.published_args(lifted)))
    }

    /// Checks the relations of the author. Those that do not hold, and what the arguments are without them.
    fn related(&self, values: Vec<Val>, moment: Option<Moment<'_>>) -> (Vec<Violation>, ValidArgs) {
        let (mut unmet, mut unchecked) = (Vec::new(), Vec::new());
        for require in &self.requires {
            match require.judge(&self.function.ty.params, &values, moment) {
                Met::Yes => {}
                Met::No(violation) => unmet.push(violation),
                Met::Unchecked => unchecked.push(require.text.clone()),
            }
        }
        // Last: what the relations refuse is not for a person to decide.
        let held = if unmet.is_empty() { self.held(&values, moment) } else { Vec::new() };
        let canonical = self.canonical(&values).unwrap_or_default();
        (unmet, ValidArgs { values, canonical, held, unchecked, ignored: Vec::new() })
    }

    /// The rules that hold a call with these values. For a fallback, whose values passed the inner door of the called tool.
    pub fn held(&self, values: &[Val], moment: Option<Moment<'_>>) -> Vec<HoldRule> {
        let judged = self.holds.iter().map(|hold| hold.judge(&self.function.ty.params, values, moment));
        judged.flatten().collect()
    }

    fn canonical(&self, values: &[Val]) -> Option<String> {
        canonical::text(&Value::Object(self.lifted(values, lift::lift).ok()?))
    }

    /// The arguments in plain JSON, each lifted in this form.
    fn lifted(
        &self,
        values: &[Val],
        lift: fn(&Ty, &Val) -> Result<Value, LiftError>,
    ) -> Result<Map<String, Value>, LiftError> {
        let params = self.function.ty.params.iter().zip(values);
        params
            .map(|(param, val)| Ok((path::snake(&param.name).into_owned(), lift(&param.ty, val)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::component::{Function, FunctionDocs};
    use crate::manifest::Manifest;
    use crate::ty::{Field, FunctionTy};

    /// A contract of a function `f` that takes `id: u64`, `data: list<u8>`, `rows: list<s64>` and `note: option<string>`.
    fn contract(text: &str) -> Contract {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let params = vec![
            field("id", Ty::U64),
            field("data", Ty::List(Box::new(Ty::U8))),
            field("rows", Ty::List(Box::new(Ty::S64))),
            field("note", Ty::Option(Box::new(Ty::String))),
        ];
        let function =
            Function { interface: None, name: "f".into(), ty: FunctionTy { params, result: None }.into() };
        let bound = Manifest::parse(text, "contract.toml")
            .and_then(|manifest| manifest.bind(std::slice::from_ref(&function)));
        let mut bound = bound.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let author = bound.remove(&function.address()).unwrap();
        Contract::prepare(&function, author, &FunctionDocs::default()).unwrap()
    }

    /// The places of the violations of a call with these arguments, over those of a valid one.
    fn wrong(contract: &Contract, args: &Value) -> Vec<String> {
        let mut all = json!({"id": 1, "data": "", "rows": []});
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        let refused = contract.validate(all.as_object().unwrap().clone(), None);
        refused.err().map_or_else(Vec::new, |(found, _)| found.into_iter().map(|wrong| wrong.path).collect())
    }

    const RULES: &str = "
        [tool.f.schema]
        allOf = [{ properties = {
            id = { maximum = 9007199254740993 }, data = { maxLength = 4 }, rows = { items = { minimum = 0 } },
        } }]
        not = { required = ['id', 'note'], properties = { id = { const = 7 } } }
    ";

    #[test]
    fn rules_hold_for_each_form_of_a_value() {
        let ruled = contract(RULES);
        for (args, place) in [
            (json!({"id": 9_007_199_254_740_994_u64}), "id"),
            (json!({"id": "9007199254740994"}), "id"),
            (json!({"data": "aGVsbG8h"}), "data"),
            (json!({"data": {"utf8": "hello!"}}), "data"),
            (json!({"rows": [1, -1]}), "rows[1]"),
            (json!({"rows": ["1", "-1"]}), "rows[1]"),
            (json!({"id": 7, "note": "x"}), ""),
            (json!({"id": "7", "note": "x"}), ""),
        ] {
            assert_eq!(wrong(&ruled, &args), [place], "{args}");
        }
        // A rule about one form holds where that form was sent.
        let of_text = contract(
            "[tool.f.schema]\nallOf = [{ properties = { id = { pattern = '^3$' }, data = { properties = { utf8 = { maxLength = 2 } } } } }]",
        );
        assert_eq!(wrong(&of_text, &json!({"id": "7"})), ["id"]);
        assert_eq!(wrong(&of_text, &json!({"data": {"utf8": "abc"}})), ["data.utf8"]);
        assert_eq!(wrong(&of_text, &json!({"id": 7, "data": "YWJj"})), [""; 0]);
        let texts = contract("[tool.f.schema]\nallOf = [{ properties = { id = { type = 'string' } } }]");
        assert_eq!(wrong(&texts, &json!({"id": "3"})), [""; 0]);
        assert_eq!(wrong(&texts, &json!({"id": 3})), ["id"]);
        for args in [
            json!({"id": "9007199254740993"}),
            json!({"data": {"utf8": "hi"}}),
            json!({"id": "7", "note": null}),
            json!({"id": "8", "note": "x"}),
        ] {
            assert_eq!(wrong(&ruled, &args), [""; 0], "{args}");
        }
    }

    #[test]
    fn rules_hold_for_what_was_written_and_not_for_defaults() {
        let text = "
            [tool.f.args.id]
            name = 'orderId'
            [tool.f.args.note]
            default = 'none'
            [tool.f.schema]
            not = { required = ['note'] }
            allOf = [{ properties = { orderId = { maximum = 5 } } }]
        ";
        let contract = contract(text);
        let wrong = |args: Value| {
            let refused = contract.validate(args.as_object().unwrap().clone(), None);
            refused
                .err()
                .map_or_else(Vec::new, |(found, _)| found.into_iter().map(|wrong| wrong.path).collect())
        };
        assert_eq!(wrong(json!({"orderId": "5", "data": "", "rows": []})), [""; 0]);
        assert_eq!(wrong(json!({"orderId": "6", "data": "", "rows": []})), ["orderId"]);
        assert_eq!(wrong(json!({"orderId": 5, "data": "", "rows": [], "note": "x"})), [""]);
    }

    #[test]
    fn faults_of_the_codec_are_told_beside_those_of_the_schema() {
        let contract = contract("[tool.f.args.id]\nmaximum = 5");
        let all = json!({"id": "6", "data": "!", "rows": ["9223372036854775808", true], "note": 3});
        assert_eq!(wrong(&contract, &all), ["note", "rows[1]", "data", "id"]);
        // What the schema found is told once, and unknown keys hide nothing.
        assert_eq!(wrong(&contract, &json!({"id": "6", "more": 1})), ["more", "id"]);
    }
}
