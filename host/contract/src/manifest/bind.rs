//! Compares what a contract says of one function with its type.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;

use super::bound::{self, Problems};
use super::cache;
use super::compare;
use super::errors::{self, Written};
use super::facts::Given;
use super::places::places;
use super::{
    Example, Manifest, Require, ToolContract, Verify, WithoutSession, WrittenRequire, WrittenTool, terms,
};
use crate::answer::Shape;
use crate::check::{Checks, Rule, RuleError};
use crate::component::Function;
use crate::confidential::{Confidential, ConfidentialError};
use crate::expression::{Bounds, COST_CALL_MAX, Expression, Scope};
use crate::path::PathError;
use crate::pattern as patterns;
use crate::published::{Form, Published, Root};
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

    /// The problem of a relation that is the same for every call.
    fn reads_nothing(&self, that: &Spanned<String>) -> Diagnostic {
        let message = "the relation reads no argument, no fact and no time, so that it holds for every call or for none";
        let hint = "name what it is about, as in `args.nights > 0`, or leave it out".to_owned();
        let problem = self.plain(that.span(), message.to_owned(), "this relation");
        Diagnostic { hint: Some(hint), ..problem }
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
        cache,
        compare,
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
    let (effect, errors) = (effects.or(manifest.effects), Written { transient, caller_errors, failures });
    let shape = Shape::of(&function.ty);
    // Rules are written against the result that agents see. The parts that move to the envelope are not in it.
    let seen = FunctionTy { params: function.ty.params.clone(), result: shape.value_ty().cloned() };
    let args = places(manifest, args, (Some(Root::Params(&seen.params)), *open), problems);
    let results = places(manifest, result, (seen.result.as_ref().map(Root::Value), false), problems);
    let mut bind = Bind { manifest, seen: &seen, names: names([&args.form, &results.form]), problems };
    let (written_terms, expect) = bind.answers(answers.as_ref(), named, expect);
    let readable = given.readable(manifest, written, bind.problems);
    let scope = bind.scope(&written_terms, Bounds::of(&args.keywords, &results.keywords), readable.clone());
    // Without the result: these rules are about calls that did not run yet.
    let of_args = Arc::new(Scope { result: None, ..scope.clone() });
    let requires = bind.requires(require, &of_args);
    let cost = requires.iter().fold(0_u64, |sum, require| sum.saturating_add(require.rule.new_cost()));
    let holds = bind.holds(hold, &of_args, cost);
    let rules = requires.iter().map(|require| &require.rule).chain(holds.iter().map(|hold| &hold.rule));
    let rules: Vec<&Expression> = rules.collect();
    let facts = given.rules(manifest, (written, function), (readable, &rules), bind.problems);
    ToolContract {
        // Under its published name people know it.
        title: title.clone().or_else(|| name.clone()),
        name: name.clone(),
        description: description.clone(),
        effect,
        // With the whole type: error cases are not part of what agents see as the result.
        errors: errors::cases(&errors, &shape, manifest, bind.problems),
        schema: bind.schema(schema),
        args: args.keywords,
        results: results.keywords,
        published: Published {
            args: args.form,
            result: results.form,
            args_units: args.units,
            result_units: results.units,
        },
        examples: bind.examples(example),
        requires,
        holds,
        checks: bind.checks(&expect, &scope, answers.is_some()),
        verify: verify.as_ref().map(|verify| bind.verify(verify)),
        confidential: bind.confidential(confidential, function.ty.result.is_some()),
        unused_terms: terms::unused(written, &expect, &scope),
        facts,
        scope: Some(of_args),
        is_known: manifest.is_known,
        compare: compare::rules(manifest, function, compare, bind.problems),
        cache_ms_max: cache::age_ms_max(manifest, cache.as_ref(), effect, bind.problems),
    }
}

/// Published names of fields, with the ones that expressions and paths have.
fn names(forms: [&Option<Form>; 2]) -> BTreeMap<String, String> {
    let forms = forms.into_iter().flatten();
    forms.flat_map(Form::renamed).map(|(name, key)| (key.to_owned(), name.to_owned())).collect()
}

/// The comparison of one function with its type.
pub(super) struct Bind<'b> {
    pub(super) manifest: &'b Manifest,
    pub(super) seen: &'b FunctionTy,
    /// Published names of fields, with the ones that expressions and paths have.
    names: BTreeMap<String, String>,
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
            if bound::has_null(value) {
                let message = bound::not_finite(keyword.get_ref());
                self.problems.add(|| self.manifest.plain(keyword.span(), message, "below this keyword"));
            }
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

    fn examples(&mut self, written: &[Spanned<Example>]) -> Vec<Example> {
        for example in written.iter().filter(|example| bound::has_null(&example.get_ref().args)) {
            self.problems
                .add(|| self.manifest.plain(example.span(), bound::not_finite("args"), "this example"));
        }
        written.iter().map(|one| one.get_ref().clone()).collect()
    }

    fn requires(&mut self, written: &[WrittenRequire], scope: &Arc<Scope>) -> Vec<Require> {
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
                    if !scope.is_known && rule.is_constant() {
                        self.problems.add(|| self.manifest.reads_nothing(that));
                    }
                    let without_session = without_session
                        .as_ref()
                        .map_or_else(WithoutSession::default, |choice| *choice.get_ref());
                    cost = cost.saturating_add(rule.new_cost());
                    let used = scope.terms.used(that.get_ref()).into_iter();
                    let terms = used.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
                    let (text, message) = (that.get_ref().clone(), message.clone());
                    requires.push(Require { rule, text, terms, message, without_session });
                }
                Err(err) => {
                    let span = self.inside(that, err.span);
                    let hint = self.unpublished(&err.message).or(err.hint);
                    let problem = self.manifest.plain(span, err.message, "here");
                    self.problems.add(|| Diagnostic { hint, ..problem });
                }
            }
            if cost > COST_CALL_MAX {
                let message =
                    format!("the relations together may cost {cost}; at most {COST_CALL_MAX} for a call");
                self.problems.add(|| self.manifest.plain(that.span(), message, "up to here"));
                break;
            }
        }
        // Kept for each tool, and most have one or two.
        requires.shrink_to_fit();
        requires
    }

    /// The hint for a message about a name under which a field is only published.
    pub(super) fn unpublished(&self, message: &str) -> Option<String> {
        let (key, name) = self.names.iter().find(|(key, _)| message.contains(&format!("`{key}`")))?;
        Some(format!("`{key}` is a published name: here it is `{name}`"))
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

    /// `has_answers` says that the first check is that of `answers`.
    fn checks(&mut self, written: &[Spanned<Rule>], scope: &Scope, has_answers: bool) -> Option<Checks> {
        // A result is judged by itself, so that it can be judged again without its session.
        let scope = &Arc::new(Scope { facts: Vec::new(), ..scope.clone() });
        let mut compiled = Vec::with_capacity(written.len());
        // One by one, so that each problem has the place of its own rule.
        for (at, rule) in written.iter().enumerate() {
            let err = match rule.get_ref().compile(self.seen, scope) {
                Ok(check) => {
                    compiled.push(check);
                    continue;
                }
                Err(err) => err,
            };
            let is_answers = has_answers && at == 0;
            let is_term = |name: &&str| scope.terms.used(name).contains_key(*name);
            // A term that is wrong is reported as such, once.
            if is_answers && !["asked", "answered"].iter().all(is_term) {
                continue;
            }
            let err = if is_answers { RuleError { kind: "answers", ..err } } else { err };
            let hint = self.unpublished(&err.message);
            let problem = self.manifest.plain(rule.span(), err.to_string(), "this check");
            self.problems.add(|| Diagnostic { hint, ..problem });
        }
        if compiled.len() < written.len() {
            return None;
        }
        Checks::of(compiled, self.seen, scope).ok()
    }
}

#[cfg(test)]
mod tests;
