//! Compares what a contract says of one function with its type.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;

use super::bound::{self, Problems};
use super::errors::{self, Written};
use super::facts::Given;
use super::places::places;
use super::{Manifest, Require, ToolContract, Verify, WithoutSession, WrittenRequire, WrittenTool, terms};
use crate::answer::Shape;
use crate::check::{Checks, Rule};
use crate::component::Function;
use crate::confidential::{Confidential, ConfidentialError};
use crate::expression::{Bounds, COST_CALL_MAX, Expression, Scope};
use crate::path::PathError;
use crate::pattern as patterns;
use crate::published::{Published, Root};
use crate::rules;
use crate::ty::FunctionTy;
use airlock_types::diagnostic::Diagnostic;
use airlock_types::words::{GOT_CHARS_MAX, did_you_mean, one_line};

impl Manifest {
    /// A problem at a place, with the nearest known name as its hint.
    pub(super) fn problem<'n>(
        &self,
        span: Range<usize>,
        message: String,
        label: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Diagnostic {
        Diagnostic { hint: did_you_mean(name, known), ..self.plain(span, message, label) }
    }

    pub(super) fn plain(&self, span: Range<usize>, message: String, label: &str) -> Diagnostic {
        Diagnostic {
            message,
            file: self.file.clone(),
            source: self.source.clone(),
            span: Some(span),
            label: label.into(),
            hint: None,
        }
    }
}

/// Makes the contract of one function. Its problems are added to `problems`, so that all are reported at once.
pub(super) fn tool(
    manifest: &Manifest,
    (written, function): (&WrittenTool, &Function),
    given: &Given,
    problems: &mut Problems,
) -> ToolContract {
    // Destructured without `..`, so that a new key does not compile until it is used here.
    let WrittenTool {
        name,
        title,
        description,
        effects,
        open,
        answers,
        transient,
        caller_errors,
        failures,
        schema,
        args,
        result,
        example,
        require,
        hold,
        expect,
        verify,
        confidential,
        facts: _,
        needs: _,
        changes: _,
        terms: named,
    } = written;
    let shape = Shape::of(&function.ty);
    // Rules are written against the result that agents see. The parts that move to the envelope are not in it.
    let seen = FunctionTy { params: function.ty.params.clone(), result: shape.value_ty().cloned() };
    let mut bind = Bind { manifest, seen: &seen, problems };
    let args = places(manifest, args, (Some(Root::Params(&seen.params)), *open), bind.problems);
    let results = places(manifest, result, (seen.result.as_ref().map(Root::Value), false), bind.problems);
    let (written_terms, expect) = bind.answers(answers.as_ref(), named, expect);
    let readable = given.readable(manifest, written, bind.problems);
    let scope = bind.scope(&written_terms, Bounds::of(&args.keywords, &results.keywords), readable.clone());
    // Without the result: these rules are about calls that did not run yet.
    let of_args = Scope { result: None, ..scope.clone() };
    let requires = bind.requires(require, &of_args);
    let cost = requires.iter().fold(0_u64, |sum, require| sum.saturating_add(require.rule.cost()));
    let holds = bind.holds(hold, &of_args, cost);
    let rules = requires.iter().map(|require| &require.rule).chain(holds.iter().map(|hold| &hold.rule));
    let rules: Vec<&Expression> = rules.collect();
    let facts = given.rules(manifest, (written, function), (readable, &rules), bind.problems);
    ToolContract {
        // Under its published name people know it.
        title: title.clone().or_else(|| name.clone()),
        name: name.clone(),
        description: description.clone(),
        effect: effects.or(manifest.effects),
        // With the whole type: error cases are not part of what agents see as the result.
        errors: errors::cases(
            &Written { transient, caller_errors, failures },
            &shape,
            manifest,
            bind.problems,
        ),
        schema: bind.schema(schema),
        args: args.keywords,
        results: results.keywords,
        published: Published {
            args: args.form,
            result: results.form,
            args_units: args.units,
            result_units: results.units,
        },
        examples: example.clone(),
        requires,
        holds,
        checks: bind.checks(&expect, &scope),
        verify: verify.as_ref().map(|verify| bind.verify(verify)),
        confidential: bind.confidential(confidential, function.ty.result.is_some()),
        unused_terms: terms::unused(written, &expect, &scope),
        facts,
        scope: Some(Box::new(of_args)),
    }
}

/// The comparison of one function with its type.
pub(super) struct Bind<'b> {
    pub(super) manifest: &'b Manifest,
    pub(super) seen: &'b FunctionTy,
    pub(super) problems: &'b mut Problems,
}

impl Bind<'_> {
    fn schema(&mut self, written: &BTreeMap<Spanned<String>, Value>) -> Map<String, Value> {
        for keyword in written.keys().filter(|keyword| !rules::KEYWORDS.contains(&keyword.get_ref().as_str()))
        {
            self.problems.add(|| {
                let name = keyword.get_ref();
                let message = format!("`{}` is no keyword of a tool's schema", one_line(name, GOT_CHARS_MAX));
                self.manifest.problem(keyword.span(), message, "this keyword", name, rules::KEYWORDS)
            });
        }
        // All patterns are compiled here: the validator compiles some of them only when they are needed, and then
        // without a bound.
        for (keyword, value) in written {
            bound::each_pattern(keyword.get_ref(), value, &mut |pattern| {
                if let Err(err) = patterns::compile(pattern) {
                    let message =
                        format!("the pattern `{}` cannot be used: {err}", one_line(pattern, GOT_CHARS_MAX));
                    self.problems.add(|| self.manifest.plain(keyword.span(), message, "below this keyword"));
                }
            });
        }
        written.iter().map(|(keyword, value)| (keyword.get_ref().clone(), value.clone())).collect()
    }

    fn requires(&mut self, written: &[WrittenRequire], scope: &Scope) -> Vec<Require> {
        // Each relation has its own bound. All of them run for every call, so their sum has one as well.
        let mut cost = 0u64;
        let mut requires = Vec::new();
        for WrittenRequire { that, message, without_session } in written {
            match Expression::compile_bool(that.get_ref(), scope) {
                Ok(rule) => {
                    if let Some(choice) = without_session.as_ref().filter(|_| rule.facts().next().is_none()) {
                        let message = "the relation looks up no facts, so it needs no session".to_owned();
                        self.problems.add(|| self.manifest.plain(choice.span(), message, "this choice"));
                    }
                    let without_session = without_session
                        .as_ref()
                        .map_or_else(WithoutSession::default, |choice| *choice.get_ref());
                    cost = cost.saturating_add(rule.cost());
                    let used = scope.terms.used(that.get_ref()).into_iter();
                    let terms = used.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
                    let (text, message) = (that.get_ref().clone(), message.clone());
                    requires.push(Require { rule, text, terms, message, without_session });
                }
                Err(err) => {
                    let span = self.inside(that, err.span);
                    let problem = self.manifest.plain(span, err.message, "here");
                    self.problems.add(|| Diagnostic { hint: err.hint, ..problem });
                }
            }
            if cost > COST_CALL_MAX {
                let message =
                    format!("the relations together may cost {cost}; at most {COST_CALL_MAX} for a call");
                self.problems.add(|| self.manifest.plain(that.span(), message, "up to here"));
                break;
            }
        }
        requires
    }

    /// The span of a part of an expression in the file. With escapes in the TOML string the offsets differ; then it is
    /// the span of the whole string.
    pub(super) fn inside(&self, text: &Spanned<String>, part: Range<usize>) -> Range<usize> {
        let span = text.span();
        // Behind the opening quote.
        let start = span.start + 1;
        let verbatim = self.manifest.source.get(start..start + text.get_ref().len());
        if verbatim == Some(text.get_ref().as_str()) { start + part.start..start + part.end } else { span }
    }

    fn verify(&mut self, written: &Spanned<Verify>) -> Verify {
        let verify = written.get_ref();
        for message in verify.faults(&self.seen.params) {
            self.problems.add(|| self.manifest.plain(written.span(), message, "here"));
        }
        verify.clone()
    }

    fn confidential(&mut self, written: &[Spanned<String>], returns: bool) -> Confidential {
        let mut confidential = Confidential::default();
        for field in written {
            let Err(err) = confidential.add(field.get_ref(), self.seen, returns) else { continue };
            self.problems.add(|| {
                let mut problem = self.manifest.plain(field.span(), err.to_string(), "this field");
                if let ConfidentialError::Path(PathError::Unknown { name, known }) = &err {
                    problem.hint = did_you_mean(name, known.iter().map(String::as_str));
                }
                problem
            });
        }
        confidential
    }

    fn checks(&mut self, written: &[Spanned<Rule>], scope: &Scope) -> Option<Checks> {
        // A result is judged by itself, so that it can be judged again without its session.
        let scope = &Scope { facts: Vec::new(), ..scope.clone() };
        let mut sound = true;
        // One by one, so that each problem has the place of its own rule.
        for rule in written {
            if let Err(err) = Checks::compile(std::slice::from_ref(rule.get_ref()), self.seen, scope) {
                self.problems.add(|| self.manifest.plain(rule.span(), err.to_string(), "this check"));
                sound = false;
            }
        }
        let rules: Vec<Rule> = written.iter().map(|rule| rule.get_ref().clone()).collect();
        if sound { Checks::compile(&rules, self.seen, scope).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PROBLEMS_MAX;
    use super::*;
    use crate::ty::Field;
    use crate::ty::Ty;

    fn functions() -> Vec<Function> {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let row = Ty::Record(vec![field("change-pct", Ty::F64)]);
        let result = Ty::Record(vec![field("rows", Ty::List(Box::new(row)))]);
        let params = vec![field("max-items", Ty::U32), field("period", Ty::String)];
        let ty = FunctionTy { params, result: Some(result) };
        vec![Function { interface: None, name: "find".into(), ty }]
    }

    #[track_caller]
    fn refuses(text: &str, says: &[&str]) {
        let bound = Manifest::parse(text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
        let said = bound.unwrap_err().render(false);
        for piece in says {
            assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
        }
    }

    #[test]
    fn an_expression_costs_what_its_arguments_may_hold() {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let (codes, flights) = (Ty::List(Box::new(Ty::String)), Ty::Record(vec![field("code", Ty::String)]));
        let params = vec![field("flights", Ty::List(Box::new(flights))), field("codes", codes)];
        let functions =
            [Function { interface: None, name: "f".into(), ty: FunctionTy { params, result: None } }];
        let pairs = "args.flights.all(f, args.codes.exists_one(c, c == f.code))";
        let bind = |bounds: &str| {
            let text = format!("{bounds}[[tool.f.require]]\nthat = '{pairs}'\n");
            Manifest::parse(&text, "contract.toml").and_then(|manifest| manifest.bind(&functions)).map(drop)
        };
        assert!(bind("").unwrap_err().render(false).contains("it may cost"));
        let bounds = "[tool.f.args.flights]\nmaxItems = 5\n[tool.f.args.\"codes[]\"]\nmaxLength = 3\n";
        assert!(bind(bounds).is_ok(), "{}", bind(bounds).unwrap_err().render(false));
        assert!(bind("[tool.f.args.flights]\nmaxItems = 900\n").is_err());
        // What fits at the assumed sizes fits with larger bounds, too.
        let wide = "[tool.f.args.codes]\nmaxItems = 5\n[tool.f.args.flights]\nmaxItems = 9_000_000\n";
        assert_eq!(bind(wide).is_ok(), bind("[tool.f.args.codes]\nmaxItems = 5\n").is_ok());
    }

    #[test]
    fn refuses_what_is_not_there_with_place_and_nearest_name() {
        refuses("[tool.fnd]\ntitle = \"x\"\n", &["contract.toml:1", "did you mean `find`?"]);
        refuses("[tool.find.args.max_item]\nminimum = 1\n", &["contract.toml:1", "`max_items`"]);
        refuses("[tool.find.result.\"rows[].change\"]\ndescription = \"x\"\n", &["change_pct"]);
        refuses("[tool.find]\ntitel = \"x\"\n", &["contract.toml:2", "did you mean `title`?"]);
    }

    #[test]
    fn refuses_an_expression_that_does_not_typecheck_at_its_place() {
        let text = "[[tool.find.require]]\nthat = \"args.max_items > 'a'\"\n";
        refuses(text, &["contract.toml:2"]);
        refuses("[[tool.find.require]]\nthat = \"args.max_itms > 1\"\n", &["max_items"]);
    }

    #[test]
    fn reports_everything_at_once() {
        let text = "[tool.find.args.x]\nminimum = 1\n[tool.find.args.y]\nminimum = 1\n[tool.nope]\n";
        refuses(text, &["contract.toml:1", "contract.toml:3", "contract.toml:5"]);
    }

    #[test]
    fn tells_twenty_problems_and_stops_looking() {
        let unknown: String = (0..5_000).map(|i| format!("[tool.f{i}]\n")).collect();
        let paths: String = (0..5_000).map(|i| format!("[tool.find.args.x{i}]\n")).collect();
        for text in [unknown, paths] {
            let bound =
                Manifest::parse(&text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
            let problems = bound.unwrap_err();
            assert_eq!(problems.0.len(), PROBLEMS_MAX);
            assert!(problems.render(false).contains("only the first 20"), "{problems}");
        }
    }

    #[test]
    fn refuses_more_programs_than_a_host_compiles() {
        let rule = "[[tool.find.require]]\nthat = \"args.max_items > 1u\"\n";
        refuses(&rule.repeat(257), &["257 relations, rules that hold, terms, checks and facts; at most 256"]);
        let pattern = r#"{ properties = { period = { pattern = "a" } } }, "#;
        let patterns = format!("[tool.find.schema]\nallOf = [{}]\n", pattern.repeat(129));
        refuses(&patterns, &["129 patterns; at most 128"]);
        let example = "[[tool.find.example]]\nargs = { max_items = 1, period = \"a\" }\n";
        refuses(&example.repeat(257), &["257 examples; at most 256"]);
        refuses(&"#".repeat(256 * 1024 + 1), &["262145 bytes; at most 262144"]);
    }

    #[test]
    fn refuses_a_confidential_field_that_is_not_there() {
        let text = "[tool.find]\nconfidential = [\"args.max_item\", \"result.rows[].price\", \"period\"]\n";
        refuses(text, &["contract.toml:2", "did you mean `max_items`?", "`change_pct`", "`args.NAME`"]);
    }

    #[test]
    fn refuses_a_check_of_a_field_that_is_not_there() {
        let text = "[[tool.find.expect]]\nrange = { field = \"rows[].pct\", min = 0 }\n";
        refuses(text, &["contract.toml:", "pct"]);
    }
}
