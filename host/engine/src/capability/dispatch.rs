//! Effects on the world: each leaves through one function.
//!
//! Owns whether an attempt may have an effect and whether it had one. Retries rely on this: an attempt without the mark
//! changed nothing. Must not know retry or the journal.

use airlock_types::effect::Effect;

use super::Facts;

/// Why an effect is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectDenied {
    /// The call has no durable intent, since its tool counts as one without effects.
    #[error("the tool counts as one without effects, and used `{capability}` for one that is {}", .effect.as_str())]
    NoIntent {
        /// The capability.
        capability: &'static str,
        /// The effect that it asked for.
        effect: Effect,
    },
    /// The effect is stronger than the facts of the capability declare. Tools were classed by those facts.
    #[error("`{capability}` makes effects possible that are {} at most; this one is {}", .most.as_str(), .effect.as_str())]
    Undeclared {
        /// The capability.
        capability: &'static str,
        /// The strongest effect that its facts name.
        most: Effect,
        /// The effect that it asked for.
        effect: Effect,
    },
}

impl EffectDenied {
    /// The name of the capability.
    pub fn capability(&self) -> &'static str {
        match self {
            EffectDenied::NoIntent { capability, .. } | EffectDenied::Undeclared { capability, .. } => {
                capability
            }
        }
    }
}

/// The effects of one attempt.
#[derive(Debug)]
pub(super) struct Effects {
    /// Whether the journal holds a durable intent of the call.
    is_intended: bool,
    is_dispatched: bool,
}

impl Effects {
    pub(super) fn new(is_intended: bool) -> Effects {
        Effects { is_intended, is_dispatched: false }
    }

    /// Whether an effect left.
    pub(super) fn is_dispatched(&self) -> bool {
        self.is_dispatched
    }

    /// Lets an effect leave. The mark is set before the caller sends anything, so an attempt dropped while sending
    /// counts as sent.
    pub(super) fn dispatch(&mut self, by: &Facts, effect: Effect) -> Result<(), EffectDenied> {
        self.permit(by, effect)?;
        // Reading can be repeated, so it needs no mark.
        self.is_dispatched |= !effect.repeatable();
        Ok(())
    }

    /// Whether an effect may leave. For a capability that sends later and marks then: what is still to be resolved or
    /// connected has changed nothing.
    pub(super) fn permit(&self, by: &Facts, effect: Effect) -> Result<(), EffectDenied> {
        let capability = by.name;
        // Before the intent is looked at: tools were classed by these facts, so an intent proves nothing about a
        // stronger effect.
        if effect > by.effect {
            return Err(EffectDenied::Undeclared { capability, most: by.effect, effect });
        }
        // Reading needs no intent, either.
        if effect.repeatable() || self.is_intended {
            Ok(())
        } else {
            Err(EffectDenied::NoIntent { capability, effect })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTBOX: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

    fn check(is_intended: bool, effect: Effect) -> (Result<(), EffectDenied>, bool) {
        let mut effects = Effects::new(is_intended);
        let done = effects.dispatch(&OUTBOX, effect);
        (done, effects.is_dispatched())
    }

    #[test]
    fn an_effect_leaves_once_its_intent_is_durable_and_is_marked() {
        assert_eq!(check(true, Effect::Write), (Ok(()), true));
        assert_eq!(check(true, Effect::Idempotent), (Ok(()), true));
        let denied = EffectDenied::NoIntent { capability: "outbox", effect: Effect::Write };
        assert_eq!(check(false, Effect::Write), (Err(denied), false));
    }

    #[test]
    fn reading_needs_no_intent_and_leaves_no_mark() {
        assert_eq!(check(false, Effect::Read), (Ok(()), false));
    }

    #[test]
    fn an_effect_beyond_the_facts_does_not_leave() {
        let (most, effect) = (Effect::Write, Effect::Irreversible);
        let denied = EffectDenied::Undeclared { capability: "outbox", most, effect };
        assert_eq!(check(true, Effect::Irreversible), (Err(denied), false));
    }
}
