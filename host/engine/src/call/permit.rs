//! The decision stage: policy's decision about the called tool, and the permits of its fallbacks.
//!
//! Owns what a decision means for the call. Must not know how policy decides.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::denials;
use super::details::Details;
use super::events::Events;
use super::reply::Failed;
use super::report;
use crate::caller::CallerGrants;
use crate::caller::suspects::Suspects;
use crate::capability::http::Allotment;
use crate::capability::keyvalue::Keeper;
use crate::capability::{Ledger, files};
use crate::generation::{Admitted, Candidate, Generation, Resolved};
use crate::policy::{Decision, Hold, HoldRules, Holding, Permit, Request, decide};
use crate::registry::Tool;
use airlock_contract::tool::{Moment, ValidArgs};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::{Effect, Effects};
use airlock_types::environment::ms;
use airlock_types::event::Event;
use airlock_types::hold::HoldRule;
use airlock_types::session::SessionId;

/// A tool that may run in this call, with the permit that proves it.
pub(super) struct PermittedRoute {
    pub(super) candidate: Candidate,
    pub(super) permit: Permit,
    /// What the call has left of the bounds for other hosts. Made at the first attempt.
    http: OnceLock<Option<Arc<Allotment>>>,
    /// What the call has left of the bounds of its folders. Made at the first attempt.
    files: OnceLock<Option<Arc<files::Allotment>>>,
    /// For whom the call keeps pairs, where it may.
    pub(super) keeper: Option<Keeper>,
    /// What the call did to the world by this tool. Made at the first attempt.
    ledger: OnceLock<Arc<Ledger>>,
    /// The question whether an effect of this tool happened, where there is one that the caller may ask.
    pub(super) verify: Option<Box<Question>>,
}

/// A tool that says whether an effect of another one happened, and what it is asked.
pub(super) struct Question {
    pub(super) route: PermittedRoute,
    pub(super) args: ValidArgs,
    /// The wait before it is asked, in milliseconds.
    pub(super) after_ms: u64,
}

impl PermittedRoute {
    fn new(candidate: Candidate, permit: Permit, asked: &RequestBase<'_>) -> PermittedRoute {
        let Tool { key, effect, .. } = &*candidate.tool;
        let grant = permit.effective().keyvalue.as_ref();
        let keeper = grant.map(|grant| Keeper::new(grant.scope, (key, *effect), asked.caller, asked.session));
        let (http, files, ledger) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        PermittedRoute { candidate, permit, http, files, keeper, ledger, verify: None }
    }

    /// The effects of the call by this tool. None for a tool that counts as one without: its attempts may have none,
    /// whatever the intent of the call is for.
    pub(super) fn ledger(&self) -> Option<&Arc<Ledger>> {
        let effect = self.candidate.tool.effect;
        (!effect.repeatable()).then(|| self.ledger.get_or_init(|| Arc::new(Ledger::new(effect))))
    }

    /// What the call did by this tool until now.
    pub(super) fn effects(&self) -> Effects {
        self.ledger.get().map_or_else(Effects::default, |ledger| ledger.effects())
    }

    /// What the call with this id has left of the bounds for other hosts. The attempts on a route share it.
    pub(super) fn http(&self, call: &str) -> Option<Arc<Allotment>> {
        let make = || {
            let Tool { name, effect, .. } = &*self.candidate.tool;
            let key = (*effect == Effect::Idempotent).then(|| Allotment::key(call, name));
            Allotment::new(&self.permit.effective().http, key).map(Arc::new)
        };
        self.http.get_or_init(make).clone()
    }

    /// What the call has left of the bounds of its folders. The attempts on a route share it.
    pub(super) fn files(&self) -> Option<Arc<files::Allotment>> {
        let make = || files::Allotment::new(&self.permit.effective().files).map(Arc::new);
        self.files.get_or_init(make).clone()
    }
}

/// The parts of a policy request that are the same for all tools of a call.
pub(super) struct RequestBase<'a> {
    pub(super) caller: &'a Caller,
    pub(super) args: &'a ValidArgs,
    pub(super) session: Option<&'a SessionId>,
    pub(super) now_unix_ms: u64,
    /// What the caller's calls may have of the grants of tools.
    pub(super) grants: &'a CallerGrants,
    /// The registry's rules over tools that hold calls.
    pub(super) hold_rules: &'a HoldRules,
    /// Which components ran with a person's yes.
    pub(super) known: &'a BTreeSet<String>,
    /// The values of suspect results, where a rule may ask for them.
    pub(super) suspects: Option<&'a Suspects>,
}

impl RequestBase<'_> {
    /// Decides about the called tool, whose contract has judged the arguments.
    pub(super) fn decide(&self, candidate: &Candidate) -> Decision {
        self.decide_held(candidate, self.args.held())
    }

    /// Decides about one of the call's tools. `held` are the rules of that tool that hold the call.
    fn decide_held(&self, candidate: &Candidate, held: &[HoldRule]) -> Decision {
        let RequestBase { caller, args, session, now_unix_ms, grants, hold_rules, known, suspects } = *self;
        let tool = &candidate.tool;
        // Held against the time of each call: a server may run longer than a signature is in force.
        if !tool.component.is_signed_at(now_unix_ms) {
            return Decision::ended();
        }
        let Some(allowance) = tool.allowances.of(caller.entry(), grants, now_unix_ms) else {
            return Decision::changing(caller.entry());
        };
        let holding = (!hold_rules.is_empty()).then(|| Holding {
            rules: hold_rules,
            effect: tool.effect,
            component: &tool.component.digest,
            known,
            params: &tool.contract.function.ty.params,
            suspects,
        });
        decide(&Request {
            caller,
            tool: &tool.name,
            allowance,
            args,
            session,
            now_unix_ms,
            held,
            holding,
            must_be_approved: tool.must_be_approved(),
        })
    }

    /// A tool that may run, with the question about its effects.
    pub(super) fn route(&self, candidate: Candidate, permit: Permit) -> PermittedRoute {
        let verify = self.question(&candidate).map(Box::new);
        PermittedRoute { verify, ..PermittedRoute::new(candidate, permit, self) }
    }

    /// The question about the effects of a tool: it passes the inner door and policy like a call. None where one of them
    /// refuses it.
    fn question(&self, of: &Candidate) -> Option<Question> {
        let (by, declared) = (of.verify.clone()?, of.tool.contract.verify.as_ref()?);
        let args = declared.args(&by.contract.function, self.args.canonical());
        let args = by
            .contract
            .validate(by.contract.published_args(args), Some(Moment::without_session(self.now_unix_ms)))
            .ok()?;
        // Nothing is asked about what asks.
        let candidate = Candidate::asked(by);
        let asked = RequestBase { args: &args, ..*self };
        match asked.decide(&candidate) {
            Decision::Allow(permit) => {
                let route = PermittedRoute::new(candidate, permit, &asked);
                Some(Question { route, args, after_ms: declared.after_ms })
            }
            Decision::Deny(_) | Decision::Hold(_) => None,
        }
    }

    /// The fallbacks that have a permit. One without is left out as if it were not declared, since it could not answer.
    pub(super) fn fallbacks(&self, fallbacks: Vec<Candidate>) -> impl Iterator<Item = PermittedRoute> {
        fallbacks.into_iter().filter_map(|candidate| {
            // Its own rules: the contract of the called tool judged the arguments. What the session has seen is not looked up
            // for it, so that a rule over facts holds.
            let moment = Moment::without_session(self.now_unix_ms);
            let held = candidate.tool.contract.held(self.args.values(), Some(moment));
            match self.decide_held(&candidate, &held) {
                Decision::Allow(permit) => Some(self.route(candidate, permit)),
                Decision::Deny(_) | Decision::Hold(_) => None,
            }
        })
    }
}

/// Decides about the called tool and its fallbacks. The called one comes first. Also returns the rules that hold the call.
///
/// # Errors
/// When the called tool itself may not run. A fallback without a permit is not an error.
pub(super) fn permit(
    host: &Generation,
    caller: &Caller,
    resolved: Resolved,
    args: &ValidArgs,
    admitted: &Admitted,
    events: &mut Events<'_>,
) -> Result<(Vec<PermittedRoute>, Vec<HoldRule>), Failed> {
    // Read once, so that all decisions of a call are about the same moment.
    let now_unix_ms = ms(host.environment().wall());
    let rules = host.rules(caller);
    let grants = rules.as_ref().map_or(&CallerGrants::All, |rules| &rules.grants);
    let Resolved { called, fallbacks } = resolved;
    let (session, hold_rules) = (admitted.session(), host.hold_rules());
    let asks =
        !hold_rules.is_empty() && hold_rules.ask_suspects(caller, &called.tool.name, called.tool.effect);
    let entered = session.filter(|_| asks).and_then(|id| host.sessions().get(caller, id));
    let suspects = entered.as_ref().map(|session| session.suspects());
    let suspects = suspects.as_deref();
    let (known, none) = ((!hold_rules.is_empty()).then(|| host.holds().known()), BTreeSet::new());
    let known = known.as_deref().unwrap_or(&none);
    let asked = RequestBase { caller, args, session, now_unix_ms, grants, hold_rules, known, suspects };
    let decision = asked.decide(&called);
    // Before a refusal ends the stage: the record of a denied call needs its reasons most.
    let (ruling, reasons) = (decision.ruling(), decision.reasons().clone());
    let lacks = denials::lacks(events, &called.tool, caller, &decision);
    events.push(Event::Decided { ruling, reasons, policy: decision.policy().cloned(), lacks });
    let (permit, holding) = permitted(events.tool(), decision)?;
    let first = asked.route(called, permit);
    Ok((std::iter::once(first).chain(asked.fallbacks(fallbacks)).collect(), holding))
}

/// The permit of a decision, and the rules that hold the call until a person approves it.
///
/// # Errors
/// How the call ends when the decision is a denial.
pub(super) fn permitted(tool: &str, decision: Decision) -> Result<(Permit, Vec<HoldRule>), Failed> {
    match decision {
        Decision::Allow(permit) => Ok((permit, Vec::new())),
        Decision::Deny(denied) => {
            let details = Details { denied: denied.capabilities(), ..Details::default() };
            Err(report::failed(tool, Code::PolicyDenied, &details))
        }
        Decision::Hold(Hold { permit, rules, .. }) => Ok((permit, rules)),
    }
}
