//! What a hold takes and refuses, whatever is decided in whatever order.

use proptest::prelude::*;
use serde_json::Map;

use super::*;

fn hold(rules: &[(u32, &[&str])]) -> Hold {
    let rule = |(approvals, approvers): &(u32, &[&str])| HoldRule {
        approvals: *approvals,
        approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
        ..HoldRule::plain("effect", Vec::new())
    };
    Hold {
        id: "h".into(),
        standing: Standing::Open,
        tool: "pay".into(),
        caller: "agent".into(),
        record: "r".into(),
        arguments: None,
        args_digest: String::new(),
        component: String::new(),
        policy: String::new(),
        rules: rules.iter().map(rule).collect(),
        is_result: false,
        created_unix_ms: 0,
        expires_unix_ms: 100,
        approvals: 1,
        decided: Vec::new(),
        ended_by: None,
    }
}

fn caller(name: &str) -> Approver {
    Approver::Caller(Caller::recorded(name))
}

#[test]
fn whoever_asked_cannot_approve_and_nobody_approves_twice() {
    let mut held = hold(&[(2, &[])]);
    let approve = |held: &mut Hold, by: &Approver| held.decide(by, &HoldDecision::Approve, 1);
    assert!(matches!(approve(&mut held, &caller("agent")), Err(NotDecided::NotAllowed(_))));
    assert_eq!(approve(&mut held, &caller("alice")), Ok(Next::Waits));
    assert!(matches!(approve(&mut held, &caller("alice")), Err(NotDecided::NotAllowed(_))));
    assert_eq!(approve(&mut held, &Approver::Operator), Ok(Next::Runs));
    assert_eq!(approve(&mut held, &caller("bob")), Err(NotDecided::Ended(Standing::Running)));
}

#[test]
fn an_edit_leaves_out_what_was_met_of_other_arguments() {
    let mut held = hold(&[(1, &[])]);
    held.rules[0].values = vec!["args.value = 6001".into()];
    held.edit(serde_json::json!({"value": 5}), "new".into());
    assert_eq!((held.args_digest.as_str(), held.rules[0].values.len()), ("new", 0));
}

#[test]
fn what_a_person_writes_and_a_rule_says_has_no_hidden_characters() {
    let mut held = hold(&[(1, &[])]);
    held.rules[0].message = Some("pay\u{202e} me\u{1b}".into());
    assert_eq!(held.rule_texts(), ["pay me"]);
    let no = HoldDecision::Reject { reason: "no\u{200b}\u{1b}[31m".into() };
    assert_eq!(held.decide(&Approver::Operator, &no, 1), Ok(Next::Ends));
    assert_eq!(held.decided[0].note.as_deref(), Some("no"));
}

#[test]
fn an_approval_whose_call_found_no_room_stays_and_is_counted_once() {
    let mut held = hold(&[(2, &[])]);
    let approve = |held: &mut Hold, by: &str| held.decide(&caller(by), &HoldDecision::Approve, 1);
    assert!(!held.run_again(1), "nobody has approved it");
    assert_eq!(approve(&mut held, "alice"), Ok(Next::Waits));
    assert!(!held.run_again(1), "one is not enough");
    assert_eq!(approve(&mut held, "bob"), Ok(Next::Runs));
    assert!(!held.run_again(1), "it runs");
    held.standing = Standing::Open;
    assert!(held.run_again(99) && held.standing == Standing::Running);
    held.standing = Standing::Open;
    assert!(!held.run_again(100), "its time is over");
    assert_eq!(approve(&mut held, "alice"), Ok(Next::Runs));
    held.standing = Standing::Open;
    held.revoke(|by| *by == caller("bob"));
    assert!(!held.run_again(1) && held.decided.len() == 2);
    assert!(matches!(approve(&mut held, "alice"), Err(NotDecided::NotAllowed(_))));
}

#[test]
fn each_rule_has_its_approvers() {
    let mut held = hold(&[(1, &["alice"]), (1, &["bob", "operator"])]);
    let approve = |held: &mut Hold, by: &Approver| held.decide(by, &HoldDecision::Approve, 1);
    assert!(matches!(approve(&mut held, &caller("carol")), Err(NotDecided::NotAllowed(_))));
    let user = Approver::ClientUser(Caller::named("agent"));
    assert!(matches!(approve(&mut held, &user), Err(NotDecided::NotAllowed(_))));
    // Of an entry that several share, each is a person of its own.
    assert_eq!(approve(&mut held, &caller("alice:one")), Ok(Next::Waits));
    assert_eq!(approve(&mut held, &Approver::Operator), Ok(Next::Runs));
}

#[test]
fn an_edit_makes_earlier_approvals_void_and_is_one_itself() {
    let mut held = hold(&[(2, &[])]);
    let edit = HoldDecision::Edit { arguments: Map::new() };
    assert_eq!(held.decide(&caller("alice"), &HoldDecision::Approve, 1), Ok(Next::Waits));
    assert_eq!(held.decide(&caller("bob"), &edit, 1), Ok(Next::Waits));
    assert_eq!(held.decide(&caller("alice"), &HoldDecision::Approve, 1), Ok(Next::Runs));
}

#[test]
fn what_is_revoked_does_not_count_and_an_edit_stays_one() {
    let mut held = hold(&[(2, &[])]);
    let approve = |held: &mut Hold, by: &str| held.decide(&caller(by), &HoldDecision::Approve, 1);
    assert_eq!(approve(&mut held, "alice"), Ok(Next::Waits));
    let edit = HoldDecision::Edit { arguments: Map::new() };
    assert_eq!(held.decide(&caller("bob"), &edit, 1), Ok(Next::Waits));
    held.revoke(|by| *by == caller("bob"));
    // What she approved were other arguments.
    assert_eq!(approve(&mut held, "carol"), Ok(Next::Waits));
    assert_eq!(approve(&mut held, "alice"), Ok(Next::Runs));
}

#[test]
fn an_approver_is_read_as_they_are_written() {
    let user = Approver::ClientUser(Caller::recorded("agent:one"));
    for by in [Approver::Operator, caller("alice"), caller("alice:the user of x"), user] {
        assert_eq!(Approver::read(&by.to_string()), by);
    }
}

#[test]
fn a_time_out_is_a_no() {
    let mut held = hold(&[(1, &[])]);
    let late = held.decide(&Approver::Operator, &HoldDecision::Approve, 100);
    assert_eq!(late, Err(NotDecided::Ended(Standing::Expired)));
}

proptest! {
    /// Whatever is decided in whatever order: a call runs at most once, and never without enough distinct approvals
    /// of others than the one who asked.
    #[test]
    fn a_hold_runs_once_and_with_enough_approvals(
        needed in 1..4_u32,
        steps in proptest::collection::vec((0..4_usize, 0..5_usize), 0..30),
    ) {
        let mut held = hold(&[(needed, &[])]);
        let people = [caller("agent"), caller("a"), caller("b"), caller("c"), Approver::Operator];
        let decisions = [
            HoldDecision::Approve,
            HoldDecision::Edit { arguments: Map::new() },
            HoldDecision::Reject { reason: String::new() },
            HoldDecision::Approve,
        ];
        let mut runs = 0;
        for (what, who) in steps {
            if held.decide(&people[who], &decisions[what], 1) == Ok(Next::Runs) {
                runs += 1;
                let by: std::collections::BTreeSet<_> = held.decided.iter().map(|one| &one.by).collect();
                prop_assert!(by.len() >= needed as usize && !by.contains(&"agent".to_owned()));
            }
        }
        prop_assert!(runs <= 1);
    }
}
