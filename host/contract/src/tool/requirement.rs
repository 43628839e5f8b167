//! Relations that must hold before a tool runs.
//!
//! Owns how a broken one is reported: at the narrowest place that it is about, with the values that decided it. Must not
//! know how expressions are evaluated.

use crate::Val;
use crate::expression::{Bindings, Expression, Judgement};
use crate::manifest::{Require, WithoutSession};
use crate::published::Form;
use crate::tool::{Moment, Seen};
use crate::ty::Field;
use airlock_types::code::Code;
use airlock_types::place::Place;
use airlock_types::session::OPEN_A_SESSION;
use airlock_types::shorten;
use airlock_types::violation::Violation;

/// Characters of a relation that are shown beside its author's message: two lines of a terminal, which most relations fit.
const RULE_CHARS_MAX: usize = 160;

#[derive(Debug)]
pub(super) struct Requirement {
    rule: Expression,
    without_session: WithoutSession,
    pub(super) text: String,
    /// The text with what its terms stand for, for reviewers.
    pub(super) full: String,
    pub(super) message: Option<String>,
}

/// Whether a relation is met.
pub(super) enum Met {
    Yes,
    No(Violation),
    /// It is about facts, and there is no session that could have seen any.
    Unchecked,
}

impl Requirement {
    /// As [`Expression::rest`].
    pub(super) fn rest(&mut self) {
        self.rule.rest();
    }

    /// The texts that are written in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.rule.texts()
    }

    /// Whether one of these violations is of this relation. They name arguments in the published form.
    pub(super) fn is_in(&self, violations: &[Violation], form: Option<&Form>) -> bool {
        let expected = match form {
            Some(form) => form.published_text("args", &self.expected()),
            None => self.expected(),
        };
        violations.iter().any(|found| found.expected == expected && found.hint == self.message)
    }

    /// The relation in a violation.
    fn expected(&self) -> String {
        // An author's message says more than a long expression, and both share a line of bounded length.
        match self.message {
            Some(_) => shorten::shorten(&self.text, RULE_CHARS_MAX),
            None => self.text.clone(),
        }
    }

    /// Whether it is about facts of a session.
    pub(super) fn reads_facts(&self) -> bool {
        self.rule.facts().next().is_some()
    }

    /// Judges arguments. A relation that names the time or facts is judged where there is a moment.
    pub(super) fn judge(&self, params: &[Field], args: &[Val], moment: Option<Moment<'_>>) -> Met {
        let reads_facts = self.reads_facts();
        // Only for a relation that names the time: the others must not depend on it.
        let now_unix_ms = moment.filter(|_| self.rule.reads_time()).map(|moment| moment.now_unix_ms);
        if self.rule.reads_time() && now_unix_ms.is_none() {
            return Met::Yes;
        }
        let facts = match moment.map(|moment| moment.seen).filter(|_| reads_facts) {
            Some(Seen::Facts(facts)) => Some(facts),
            Some(Seen::NoSession) => return self.without_session(),
            None | Some(Seen::NotJudged) if reads_facts => return Met::Yes,
            None | Some(Seen::NotJudged) => None,
        };
        let bindings = Bindings { params, args, result: None, now_unix_ms, facts };
        let (why, satisfying) = match self.rule.eval(&bindings) {
            Judgement::Holds => return Met::Yes,
            Judgement::Fails(why) => (why, self.rule.satisfying(&bindings)),
            // A relation that cannot be evaluated is not satisfied: the call does not run.
            Judgement::Error(why) => (why, None),
        };
        let lacks = facts.and_then(|facts| facts.sources(self.rule.facts()).or(satisfying));
        let hint = [self.message.clone(), lacks].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Met::No(self.violation(why.to_string(), (!hint.is_empty()).then_some(hint)))
    }

    fn without_session(&self) -> Met {
        match self.without_session {
            WithoutSession::Warn => Met::Unchecked,
            WithoutSession::Refuse => {
                let why = "no session, so this cannot be checked".to_owned();
                Met::No(self.violation(
                    why,
                    Some(format!("{OPEN_A_SESSION}; and make the calls that give the facts in it")),
                ))
            }
        }
    }

    fn violation(&self, got: String, hint: Option<String>) -> Violation {
        // A relation about one argument is mended there.
        let place = self.rule.place().unwrap_or_default();
        let (path, pointer) = spelled(&place.names().collect::<Vec<_>>(), &Place::Root);
        Violation {
            code: Code::ArgsPrecondition,
            path,
            pointer,
            keyword: "require".into(),
            expected: self.expected(),
            got,
            hint,
        }
    }
}

impl From<Require> for Requirement {
    fn from(require: Require) -> Requirement {
        let terms = require.terms.iter().map(|(name, text)| format!("{name} = {text}"));
        let terms = terms.collect::<Vec<_>>().join(", ");
        let full =
            if terms.is_empty() { require.text.clone() } else { format!("{} where {terms}", require.text) };
        let full = match require.without_session {
            WithoutSession::Warn => format!("{full} (not checked without a session)"),
            WithoutSession::Refuse => full,
        };
        let Require { rule, text, message, without_session, terms: _ } = require;
        Requirement { rule, without_session, text, full, message }
    }
}

/// The path and the pointer of a place below another.
fn spelled(names: &[&str], below: &Place<'_>) -> (String, String) {
    match names.split_first() {
        Some((name, rest)) => spelled(rest, &below.key(name)),
        None => (below.path(), below.pointer()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::component::{Function, FunctionDocs};
    use crate::manifest::Manifest;
    use crate::tool::{Contract, Moment};
    use crate::ty::{Field, FunctionTy, Ty};
    use airlock_types::violation::Violation;

    /// 2024-05-16 in Tokyo, and the day before in UTC.
    const NOW: u64 = 1_715_799_600_000;

    const TEXT: &str = "
        [tool.book.args.'trip.out']
        format = 'date'
        [tool.book.let]
        total = 'sum(args.prices)'
        [[tool.book.require]]
        that = \"args.trip.out >= today('Asia/Tokyo')\"
        message = 'leave today or later'
        [[tool.book.require]]
        that = 'total == args.paid'
        [[tool.book.example]]
        args = { trip = { out = '2001-01-01' }, prices = [1, 2], paid = 3 }
    ";

    fn contract() -> Contract {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let trip = Ty::Record(vec![field("out", Ty::String)]);
        let params =
            vec![field("trip", trip), field("prices", Ty::List(Box::new(Ty::U32))), field("paid", Ty::U32)];
        let ty = FunctionTy { params, result: None };
        let function = Function { interface: None, name: "book".into(), ty: ty.into() };
        let functions = [function];
        let mut contracts = Manifest::parse(TEXT, "contract.toml")
            .and_then(|manifest| manifest.bind(&functions))
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let author = contracts.remove(&functions[0].address()).unwrap();
        Contract::prepare(&functions[0], author, &FunctionDocs::default()).unwrap()
    }

    fn violations(out: &str, paid: u32, now_unix_ms: Option<u64>) -> Vec<Violation> {
        let args: Value = json!({"trip": {"out": out}, "prices": [1, 2], "paid": paid});
        let moment = now_unix_ms.map(Moment::without_session);
        let judged = contract().validate(args.as_object().unwrap().clone(), moment);
        judged.err().map_or_else(Vec::new, |(violations, _)| violations)
    }

    #[test]
    fn a_relation_with_the_time_is_judged_by_that_of_the_call() {
        assert_eq!(violations("2024-05-16", 3, Some(NOW)), []);
        let late = violations("2024-05-15", 3, Some(NOW));
        let [late] = late.as_slice() else { panic!("{late:?}") };
        assert_eq!((late.path.as_str(), late.pointer.as_str()), ("trip.out", "/trip/out"));
        assert_eq!(late.got, "args.trip.out = \"2024-05-15\", today('Asia/Tokyo') = 2024-05-16");
        assert_eq!(late.hint.as_deref(), Some("leave today or later"));
        // An example has no time, so that it stays valid.
        assert_eq!(violations("2001-01-01", 3, None), []);
    }

    #[test]
    fn a_relation_with_a_term_is_explained_by_its_name() {
        let wrong = violations("2024-05-16", 4, Some(NOW));
        let [wrong] = wrong.as_slice() else { panic!("{wrong:?}") };
        assert_eq!((wrong.path.as_str(), wrong.got.as_str()), ("", "total = 3, args.paid = 4"));
    }

    #[test]
    fn reviewers_see_what_a_term_stands_for() {
        let contract = contract();
        let told: Vec<_> = contract.requires().map(|(text, _)| text).collect();
        assert_eq!(told[1], "total == args.paid where total = sum(args.prices)");
    }
}
