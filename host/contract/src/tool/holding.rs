//! Rules that hold a call until a person has decided.
//!
//! Owns what a rule came to for one call, in the words that people read. A rule that cannot be decided holds the call: a
//! fact is missing, a part is null, there is no session. Must not know who decides, nor what follows.

use super::{Confidential, NOTE_CHARS_MAX, clean};
use crate::Val;
use crate::expression::{Bindings, Expression, Judgement};
use crate::manifest::{HoldAsks, HoldWhen};
use crate::published::Form;
use crate::tool::{Moment, Seen};
use crate::ty::Field;
use airlock_types::hold::HoldRule;
use airlock_types::shorten::shorten;

/// Characters of a rule where people read it.
const RULE_CHARS_MAX: usize = 400;

/// Characters of what one part of it was, with its name.
const VALUE_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub(super) struct Holding {
    rule: Expression,
    /// The text with what its terms stand for.
    pub(super) full: String,
    pub(super) asks: HoldAsks,
    /// Whether its values may not be shown: it reads confidential arguments.
    is_confidential: bool,
}

impl Holding {
    pub(super) fn new(when: HoldWhen, confidential: &Confidential) -> Holding {
        let HoldWhen { rule, text, terms, asks } = when;
        let terms = terms.iter().map(|(name, text)| format!("{name} = {text}"));
        let terms = terms.collect::<Vec<_>>().join(", ");
        let full = if terms.is_empty() { text } else { format!("{text} where {terms}") };
        // Text of an untrusted author, or of the operator: both are shown beside the host's words.
        let message = asks.message.map(|message| clean(&message, NOTE_CHARS_MAX));
        let is_confidential =
            confidential.has_args() && rule.reads_any(|place| confidential.touches(true, place));
        Holding { rule, full, asks: HoldAsks { message, ..asks }, is_confidential }
    }

    /// As [`Expression::rest`].
    pub(super) fn rest(&mut self) {
        self.rule.rest();
    }

    /// Whether it reads nothing, so that it holds every call or none.
    pub(super) fn is_constant(&self) -> bool {
        self.rule.is_constant()
    }

    /// Whether it is about facts of a session.
    pub(super) fn reads_facts(&self) -> bool {
        self.rule.facts().next().is_some()
    }

    /// Whether it is among these rules, which name arguments in the published form.
    pub(super) fn is_in(&self, held: &[HoldRule], form: Option<&Form>) -> bool {
        let rule = self.met(Vec::new());
        let rule = form.map_or(rule.clone(), |form| published(form, rule)).rule;
        held.iter().any(|held| held.rule == rule)
    }

    /// The texts that are written in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.rule.texts()
    }

    /// What it says of a call. None if it does not hold the call, and where it is not judged: for an example, which has no
    /// moment, and by facts that are not known.
    pub(super) fn judge(
        &self,
        params: &[Field],
        args: &[Val],
        moment: Option<Moment<'_>>,
    ) -> Option<HoldRule> {
        let Moment { now_unix_ms, seen } = moment?;
        let now_unix_ms = self.rule.reads_time().then_some(now_unix_ms);
        let facts = match (self.reads_facts(), seen) {
            (false, _) => None,
            (true, Seen::Facts(facts)) => Some(facts),
            (true, Seen::NoSession) => {
                return Some(self.met(vec!["no session, so this cannot be checked".to_owned()]));
            }
            (true, Seen::NotJudged) => return None,
        };
        let bindings = Bindings { params, args, result: None, now_unix_ms, facts };
        match self.rule.eval(&bindings) {
            Judgement::Fails(_) => None,
            Judgement::Holds => Some(self.met(self.rule.deciding(&bindings))),
            // What cannot be decided is for a person.
            Judgement::Error(why) => Some(self.met(vec![why.to_string()])),
        }
    }

    fn met(&self, values: Vec<String>) -> HoldRule {
        let values = match self.is_confidential {
            true => vec!["confidential arguments, which are not shown".to_owned()],
            false => values.iter().map(|value| shorten(value, VALUE_CHARS_MAX)).collect(),
        };
        let HoldAsks { message, approvals, approvers, is_authors: _ } = self.asks.clone();
        let rule = shorten(&self.full, RULE_CHARS_MAX);
        HoldRule { rule, is_first_use: false, message, values, approvals, approvers }
    }
}

/// A rule as it is shown to callers who write arguments in this form.
pub(super) fn published(form: &Form, rule: HoldRule) -> HoldRule {
    let said = |text: String| form.published_text("args", &text);
    HoldRule { rule: said(rule.rule), values: rule.values.into_iter().map(said).collect(), ..rule }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::component::{Function, FunctionDocs};
    use crate::expression::ExpressionError;
    use crate::facts::{Facts, Named};
    use crate::manifest::{HoldAsks, Manifest, ToolContract};
    use crate::tool::{Contract, Moment, Seen};
    use crate::ty::{Field, FunctionTy, Ty};
    use airlock_types::hold::HoldRule;

    const TEXT: &str = "
        [tool.pay]
        confidential = ['args.pin']
        [tool.pay.args.amount]
        title = 'Amount'
        [tool.pay.let]
        total = 'args.amount + args.fee'
        [[tool.pay.hold]]
        when = 'total > 500.0'
        message = 'a large payment'
        approvals = 2
        [[tool.pay.hold]]
        when = \"args.pin == '0000'\"
        [tool.look.facts.account]
        key = 'result.iban'
        fields = ['result.owner']
        ttl = '1h'
    ";

    fn functions() -> [Function; 2] {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let fee = Ty::Option(Box::new(Ty::F64));
        let params = vec![
            field("iban", Ty::String),
            field("amount", Ty::F64),
            field("fee", fee),
            field("pin", Ty::String),
        ];
        let account = Ty::Record(vec![field("iban", Ty::String), field("owner", Ty::String)]);
        let function = |name: &str, params, result| Function {
            interface: None,
            name: name.into(),
            ty: FunctionTy { params, result }.into(),
        };
        [function("pay", params, None), function("look", Vec::new(), Some(account))]
    }

    fn author(text: &str) -> ToolContract {
        let contracts =
            Manifest::parse(text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
        let mut contracts = contracts.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        contracts.remove(&functions()[0].address()).unwrap()
    }

    fn held_by(author: ToolContract, args: Value, moment: Moment<'_>) -> Vec<HoldRule> {
        let contract = Contract::prepare(&functions()[0], author, &FunctionDocs::default()).unwrap();
        contract.validate(args.as_object().unwrap().clone(), Some(moment)).unwrap().held().to_vec()
    }

    fn args(amount: f64, fee: Value, pin: &str) -> Value {
        json!({"iban": "DE89", "amount": amount, "fee": fee, "pin": pin})
    }

    fn operators(when: &str) -> Result<ToolContract, ExpressionError> {
        let mut author = author(TEXT);
        let approvers = vec!["ann".to_owned()];
        author.hold(
            &functions()[0],
            when,
            HoldAsks { message: None, approvals: 1, approvers, is_authors: false },
        )?;
        Ok(author)
    }

    #[test]
    fn a_rule_that_holds_says_what_it_met() {
        let now = Moment::without_session(0);
        assert_eq!(held_by(author(TEXT), args(400.0, json!(1.0), "1234"), now), []);
        let held = held_by(author(TEXT), args(900.0, json!(1.0), "1234"), now);
        let [held] = held.as_slice() else { panic!("{held:?}") };
        assert_eq!(held.rule, "total > 500.0 where total = args.amount + args.fee");
        assert_eq!((held.message.as_deref(), held.approvals), (Some("a large payment"), 2));
        assert_eq!(held.values, ["total = 901"]);
    }

    #[test]
    fn a_rule_that_cannot_be_decided_holds() {
        let held = held_by(author(TEXT), args(1.0, Value::Null, "1234"), Moment::without_session(0));
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[0].values[0].contains("args.fee` is null"), "{held:?}");
    }

    #[test]
    fn a_confidential_value_is_not_in_what_a_rule_met() {
        let held = held_by(author(TEXT), args(1.0, json!(1.0), "0000"), Moment::without_session(0));
        assert_eq!(held[0].values, ["confidential arguments, which are not shown"]);
    }

    #[test]
    fn a_rule_over_facts_holds_without_the_fact_and_without_a_session() {
        let rule = "facts.account[args.iban].owner != 'me'";
        let small = || args(1.0, json!(1.0), "1234");
        let held = held_by(operators(rule).unwrap(), small(), Moment::without_session(0));
        assert_eq!(held[0].values, ["no session, so this cannot be checked"]);
        assert_eq!(held[0].approvers, ["ann"]);
        let named = Named { name: "account".into(), ..Named::default() };
        let facts = Facts::new(vec![named], 0);
        let moment = Moment { now_unix_ms: 0, seen: Seen::Facts(&facts) };
        let held = held_by(operators(rule).unwrap(), small(), moment);
        assert!(held[0].values[0].contains("has seen no `account`"), "{held:?}");
        assert_eq!(facts.looked().0.len(), 1, "what decided is on record");
        // A call that is only explained has seen nothing, and is not judged by it.
        let moment = Moment { now_unix_ms: 0, seen: Seen::NotJudged };
        assert_eq!(held_by(operators(rule).unwrap(), small(), moment), []);
    }

    #[test]
    fn a_rule_of_a_registry_is_typed_against_the_contract() {
        let refused = |when: &str| operators(when).unwrap_err();
        let err = refused("args.amont > 1.0");
        assert!(err.message.contains("amont") && err.hint.unwrap().contains("amount"));
        assert!(!refused("args.amount").message.is_empty());
        assert!(!refused("args.iban > 5").message.is_empty());
        assert!(operators("total > 10.0 && today('UTC') > date('2020-01-01')").is_ok());
        let mut plain = ToolContract::default();
        let asks = HoldAsks { message: None, approvals: 1, approvers: Vec::new(), is_authors: false };
        plain.hold(&functions()[0], "args.amount > 1.0", asks.clone()).unwrap();
        assert!(
            plain.hold(&functions()[0], "total > 1.0", asks).is_err(),
            "a component without a contract has no terms"
        );
        let held = held_by(plain, args(2.0, Value::Null, ""), Moment::without_session(0));
        assert_eq!(held[0].values, ["args.amount = 2"]);
    }

    #[test]
    fn a_rule_of_a_contract_is_refused_with_its_place() {
        let refused = |text: &str| {
            let bound =
                Manifest::parse(text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
            bound.map(drop).unwrap_err().render(false)
        };
        let said = refused("[[tool.pay.hold]]\nwhen = 'args.amont > 1.0'\n");
        assert!(said.contains("contract.toml:2") && said.contains("`amount`"), "{said}");
        let said = refused("[[tool.pay.hold]]\nwhen = 'args.amount > 1.0'\napprovals = 17\n");
        assert!(said.contains("contract.toml:3") && said.contains("between 1 and 16"), "{said}");
        let said = refused("[[tool.look.hold]]\nwhen = \"result.owner == 'a'\"\n");
        assert!(said.contains("contract.toml:2"), "{said}");
        let said = refused("[[tool.pay.hold]]\nwhen = 'true'\napprovers = ['ann']\n");
        assert!(said.contains("approvers"), "only an operator knows who approves: {said}");
    }
}
