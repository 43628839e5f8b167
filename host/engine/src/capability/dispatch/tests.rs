use super::*;

const OUTBOX: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

/// The effects of a first attempt, with the ledger.
fn begun() -> (Arc<Ledger>, Effects) {
    let ledger = Arc::new(Ledger::new(Effect::Write));
    (ledger.clone(), Effects::begin(Some(ledger)))
}

fn send(effects: &Effects, at: &str) -> Dispatched {
    effects.dispatch(&OUTBOX, Effect::Write, at.into()).unwrap()
}

fn send_keyed(effects: &Effects, key: u32) -> Dispatched {
    effects.clear(&OUTBOX, Effect::Idempotent, "a".into(), Some(key)).unwrap().dispatch().unwrap()
}

#[track_caller]
fn check(effects: &effect::Effects, left: Left, dispatched: u64, settled: u64, open_at: &[&str]) {
    let expect = (left, dispatched, settled, open_at.iter().map(|at| (*at).to_owned()).collect());
    let effect::Effects { left, dispatched, settled, open_at } = effects.clone();
    assert_eq!((left, dispatched, settled, open_at), expect);
}

#[test]
fn an_effect_is_open_until_it_is_settled() {
    let (_, effects) = begun();
    let first = send(&effects, "b");
    drop(send(&effects, "a"));
    drop(send(&effects, "a"));
    first.settle();
    check(&effects.end(), Left::Once, 3, 1, &["a"]);
}

#[test]
fn nothing_leaves_without_an_intent_and_nothing_beyond_the_facts() {
    let none = Effects::begin(None);
    let denied = EffectDenied::NoIntent { capability: "outbox", effect: Effect::Write };
    assert_eq!(none.dispatch(&OUTBOX, Effect::Write, "a".into()).unwrap_err(), denied);
    check(&none.end(), Left::Nothing, 0, 0, &[]);
    let (_, effects) = begun();
    let (most, effect) = (Effect::Write, Effect::Irreversible);
    let denied = EffectDenied::Undeclared { capability: "outbox", most, effect };
    assert_eq!(effects.dispatch(&OUTBOX, effect, "a".into()).unwrap_err(), denied);
    check(&effects.end(), Left::Nothing, 0, 0, &[]);
}

#[test]
fn reading_needs_no_intent_and_leaves_no_mark() {
    for ledger in [None, Some(Arc::new(Ledger::new(Effect::Write)))] {
        let effects = Effects::begin(ledger);
        drop(effects.dispatch(&OUTBOX, Effect::Read, "a".into()).unwrap());
        check(&effects.end(), Left::Nothing, 0, 0, &[]);
    }
}

#[test]
fn what_was_withdrawn_never_left() {
    let (_, effects) = begun();
    send(&effects, "a").withdraw();
    check(&effects.end(), Left::Nothing, 0, 0, &[]);
    let (_, effects) = begun();
    drop(send(&effects, "a"));
    send(&effects, "a").withdraw();
    check(&effects.end(), Left::Once, 1, 0, &["a"]);
}

#[test]
fn nothing_leaves_once_the_account_was_read() {
    let (ledger, effects) = begun();
    let clearance = effects.clear(&OUTBOX, Effect::Write, "a".into(), None).unwrap();
    check(&effects.end(), Left::Nothing, 0, 0, &[]);
    let denied = EffectDenied::Ended { capability: "outbox" };
    assert_eq!(clearance.dispatch().unwrap_err(), denied);
    // Nor while the next attempt runs.
    let next = Effects::begin(Some(ledger));
    assert_eq!(clearance.dispatch().unwrap_err(), denied);
    check(&next.end(), Left::Nothing, 0, 0, &[]);
}

#[test]
fn a_key_stays_open_until_an_attempt_settles_it() {
    let (ledger, first) = begun();
    send_keyed(&first, 0).settle();
    drop(send_keyed(&first, 1));
    check(&first.end(), Left::Again, 2, 1, &["a"]);
    // Ends before it sends anything.
    let second = Effects::begin(Some(ledger.clone()));
    check(&second.end(), Left::Again, 0, 0, &["a"]);
    check(&ledger.effects(), Left::Again, 0, 0, &["a"]);
    let third = Effects::begin(Some(ledger.clone()));
    send_keyed(&third, 1).withdraw();
    check(&third.end(), Left::Again, 0, 0, &["a"]);
    let fourth = Effects::begin(Some(ledger));
    send_keyed(&fourth, 1).settle();
    check(&fourth.end(), Left::Again, 1, 1, &[]);
}

#[test]
fn what_did_not_happen_leaves_no_mark_and_what_was_answered_does() {
    let (ledger, effects) = begun();
    drop(send(&effects, "a"));
    check(&effects.end(), Left::Once, 1, 0, &["a"]);
    ledger.set_not_applied();
    check(&Effects::begin(Some(ledger)).end(), Left::Nothing, 0, 0, &[]);
    let (ledger, effects) = begun();
    send(&effects, "a").settle();
    drop(send(&effects, "b"));
    effects.end();
    ledger.set_not_applied();
    check(&ledger.effects(), Left::Once, 0, 0, &[]);
    let (ledger, effects) = begun();
    drop(send_keyed(&effects, 0));
    effects.end();
    ledger.set_not_applied();
    check(&ledger.effects(), Left::Nothing, 0, 0, &[]);
}

#[test]
fn an_answer_of_an_earlier_attempt_closes_nothing_of_a_later_one() {
    let (ledger, effects) = begun();
    let late = send(&effects, "a");
    effects.end();
    ledger.set_not_applied();
    let next = Effects::begin(Some(ledger));
    drop(send(&next, "a"));
    late.settle();
    check(&next.end(), Left::Once, 1, 0, &["a"]);
}

#[test]
fn an_account_names_a_bounded_number_of_places() {
    let (_, effects) = begun();
    (0..100).for_each(|n| drop(send(&effects, &format!("host-{n}"))));
    assert_eq!(effects.end().open_at.len(), PLACES_MAX);
}

#[test]
fn an_effect_of_an_idempotent_tool_may_be_made_again_once_it_is_settled() {
    let begin = |class| Effects::begin(Some(Arc::new(Ledger::new(class))));
    let store = |effects: &Effects, effect| effects.dispatch(&OUTBOX, effect, "a".into()).unwrap();
    let effects = begin(Effect::Idempotent);
    assert_eq!(effects.local(), Effect::Idempotent);
    store(&effects, Effect::Idempotent).settle();
    check(&effects.end(), Left::Again, 1, 1, &[]);
    let effects = begin(Effect::Idempotent);
    drop(store(&effects, Effect::Idempotent));
    check(&effects.end(), Left::Once, 1, 0, &["a"]);
    let effects = begin(Effect::Idempotent);
    store(&effects, Effect::Idempotent).withdraw();
    check(&effects.end(), Left::Nothing, 0, 0, &[]);
    // A stronger effect, or one of another tool.
    let effects = begin(Effect::Idempotent);
    store(&effects, Effect::Write).settle();
    check(&effects.end(), Left::Once, 1, 1, &[]);
    let effects = begin(Effect::Write);
    assert_eq!(effects.local(), Effect::Write);
    store(&effects, Effect::Idempotent).settle();
    check(&effects.end(), Left::Once, 1, 1, &[]);
}
