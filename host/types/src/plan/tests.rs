//! The published vectors, and the laws of plans over a thousand random ones.

mod effects;
mod recall;

use super::*;
use crate::code::Code;
use crate::digest::sha256_of;
use crate::effect::{Left, Verified};

fn policy() -> RetryPolicy {
    RetryPolicy { attempts_max: 3, ..RetryPolicy::default() }
}

fn inputs(retry: RetryPolicy, quota: u32) -> Inputs {
    let route = RouteInput {
        tool: "t".into(),
        component: "c".into(),
        effect: Effect::Read,
        is_closed: false,
        retry,
        attempt_deadline_ms: 10_000,
        useful_ms_min: 0,
        quota,
        breaker: BreakerView::Closed,
        verify: None,
        cached_ms_max: None,
    };
    Inputs { args_digest: "a".into(), jitter: Jitter::Off, deadline_ms: 1_000_000, routes: vec![route] }
}

fn fault(code: Code) -> AttemptEnd {
    AttemptEnd { code, ended_by: code, left: Left::Nothing, transient: true, retry_after_ms: None }
}

/// What a call did to each tool's health, in the order of its path.
fn settled(path: impl Iterator<Item = PathStep>) -> Vec<(Arc<str>, Settled)> {
    let mut all: Vec<(Arc<str>, Settled)> = Vec::new();
    for step in path {
        let tool = step.tool();
        if all.last().is_none_or(|(last, _)| last != tool) {
            all.push((tool.clone(), Settled::default()));
        }
        if let Some((_, settled)) = all.last_mut() {
            settled.observe(&step);
        }
    }
    all
}

/// Follows a plan through these ends: the waits, and the quota after the call.
fn follow(retry: RetryPolicy, quota: u32, ends: &[Code]) -> (Vec<u64>, u32) {
    let plan = plan(inputs(retry, quota));
    let mut progress = Progress::default();
    let mut step = plan.next(&mut progress, None, 0);
    let (mut waits, mut ends) = (Vec::new(), ends.iter());
    while let Step::Attempt { number, wait_ms, .. } = step {
        if number > 1 {
            waits.push(wait_ms);
        }
        step = plan.next(&mut progress, Some(&fault(*ends.next().unwrap())), 0);
    }
    let settled = &settled(progress.take_path())[0].1;
    (waits, (quota - settled.spent + settled.gained).min(500))
}

/// Name, policy, quota before, how attempts end; the waits, and the quota after.
type Vector = (&'static str, RetryPolicy, u32, Vec<Code>, Vec<u64>, u32);

const FAULT: Code = Code::ToolUnavailable;
const THROTTLED: Code = Code::ToolThrottled;
const FINE: Code = Code::Ok;

#[test]
fn retries_follow_the_published_vectors() {
    let five = RetryPolicy { attempts_max: 5, ..policy() };
    let capped = RetryPolicy { attempts_max: 5, wait_ms_max: 200, ..policy() };
    let vectors: [Vector; 9] = [
        ("a", policy(), 500, vec![FAULT, FAULT, FINE], vec![50, 100], 486),
        ("b", policy(), 500, vec![FAULT; 3], vec![50, 100], 472),
        ("c", five.clone(), 14, vec![FAULT; 2], vec![50], 0),
        ("d", policy(), 0, vec![FAULT], vec![], 0),
        ("e", five.clone(), 20, vec![FAULT; 2], vec![50], 6),
        ("f1", five.clone(), 30, vec![FAULT, FAULT, FINE], vec![50, 100], 16),
        ("f2", five, 16, vec![FAULT, FINE], vec![50], 16),
        ("g", policy(), 500, vec![THROTTLED, FINE], vec![1_000], 500),
        ("h", capped, 500, vec![FAULT; 5], vec![50, 100, 200, 200], 444),
    ];
    for (name, retry, quota, ends, waits, left) in vectors {
        assert_eq!(follow(retry, quota, &ends), (waits, left), "vector {name}");
    }
}

#[test]
fn a_hint_is_clamped_to_five_seconds_above_the_computed_wait() {
    let wait = |hint| policy().wait_ms(1, true, 1.0, Some(hint));
    assert_eq!((wait(10), wait(3_000), wait(60_000)), (1_000, 3_000, 6_000));
}

#[test]
fn the_quota_refills_with_time() {
    let mut quota = Quota::full(0);
    quota.settle(100, 0, 0);
    assert_eq!((quota.tokens(50), quota.tokens(1_000), quota.tokens(60_000)), (400, 410, 500));
    quota.settle(100, 0, 100_000);
    assert_eq!(quota.tokens(100_000), 400, "a full quota gains nothing by waiting");
    let often = (1..=10).map(|i| quota.tokens(100_000 + i * 150)).last();
    assert_eq!(often, Some(415), "however often it is looked at");
}

fn two_routes(effect: Effect) -> Inputs {
    let mut inputs = inputs(policy(), 500);
    inputs.routes[0].effect = effect;
    inputs.routes.push(RouteInput { tool: "u".into(), ..inputs.routes[0].clone() });
    inputs
}

/// The tools of the attempts made when every attempt ends so.
fn attempts(inputs: Inputs, ended: &AttemptEnd) -> (Vec<String>, Step) {
    let plan = plan(inputs);
    let mut progress = Progress::default();
    let mut step = plan.next(&mut progress, None, 0);
    let mut tools = Vec::new();
    while let Step::Attempt { route, .. } = step {
        tools.push(plan.routes[route].input.tool.to_string());
        step = plan.next(&mut progress, Some(ended), 0);
    }
    (tools, step)
}

#[test]
fn a_trap_of_a_tool_without_imports_is_not_repeated() {
    let mut inputs = two_routes(Effect::Pure);
    inputs.routes[0].is_closed = true;
    assert_eq!(attempts(inputs.clone(), &fault(Code::Trap)).0, ["t", "u", "u", "u"]);
    let late = attempts(inputs.clone(), &fault(Code::LimitDeadline)).0;
    assert_eq!(late.len(), 6, "time may differ");
    assert!(explain(&plan(inputs)).contains("quota 500; none after a trap, which would repeat itself"));
}

#[test]
fn a_call_counts_once_however_many_attempts_it_made() {
    let plan = plan(two_routes(Effect::Read));
    let mut progress = Progress::default();
    let mut step = plan.next(&mut progress, None, 0);
    let codes = [Code::Trap, Code::LimitDeadline, Code::Trap, Code::Overloaded];
    for code in codes {
        assert!(matches!(step, Step::Attempt { .. }), "{step:?}");
        step = plan.next(&mut progress, Some(&fault(code)), 0);
    }
    let ended: Vec<_> = settled(progress.take_path()).into_iter().map(|(_, settled)| settled.ended).collect();
    assert_eq!(ended, [Some(Code::Trap), Some(Code::Overloaded)]);
}

#[test]
fn an_attempt_that_was_cancelled_is_no_sample() {
    let plan = plan(two_routes(Effect::Read));
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    plan.next(&mut progress, Some(&fault(Code::Trap)), 0);
    let settled = &settled(progress.take_path())[0].1;
    assert_eq!((settled.ended, settled.spent), (None, 14), "what it spent is spent all the same");
}

#[test]
fn refusals_questions_and_plain_errors_stand() {
    for code in [Code::Refused, Code::Clarify, Code::PolicyDenied, Code::OutcomeUnknown, Code::ToolError] {
        let ended = AttemptEnd { transient: false, ..fault(code) };
        let (tools, step) = attempts(two_routes(Effect::Read), &ended);
        assert_eq!((tools.len(), step), (1, Step::GiveUp { code, not_run_because: None }));
    }
}

#[test]
fn a_tool_whose_breaker_is_open_is_passed_over() {
    let mut inputs = two_routes(Effect::Read);
    inputs.routes[0].breaker = BreakerView::Open { remaining_ms: 7, scope: Scope::Caller };
    let (tools, step) = attempts(inputs, &fault(Code::Ok));
    let accepted = Step::Accept { code: Code::Degraded, fallback_because: Some(Code::Overloaded) };
    assert_eq!((tools, step), (vec!["u".into()], accepted));
}

#[test]
fn time_is_kept_back_for_the_fallback() {
    let mut inputs = two_routes(Effect::Read);
    inputs.deadline_ms = 5_000;
    inputs.routes[1].useful_ms_min = 2_000;
    let plan = plan(inputs);
    let mut progress = Progress::default();
    let first = plan.next(&mut progress, None, 0);
    assert_eq!(first, Step::Attempt { route: 0, number: 1, wait_ms: 0, deadline_ms: 3_000 });
    let second = plan.next(&mut progress, Some(&fault(Code::LimitDeadline)), 3_000);
    assert_eq!(second, Step::Attempt { route: 1, number: 1, wait_ms: 0, deadline_ms: 2_000 });
}

#[test]
fn explains_itself() {
    let mut inputs = two_routes(Effect::Read);
    inputs.deadline_ms = 30_000;
    inputs.routes[1].useful_ms_min = 1_000;
    let text = explain(&plan(inputs));
    let (_, text) = text.split_once('\n').unwrap();
    assert_eq!(
        text,
        "worst case: 6 executions, 30000 ms, 56 of retry quota
within 30000 ms in all:
1. call t (read, component c)
   up to 10000 ms for an attempt, none below 0 ms, 1000 ms kept back for fallbacks
   up to 2 retries: after 50, 100 ms, or 1000, 2000 ms when throttled; quota 500
2. else fall back to u (read, component c)
   up to 10000 ms for an attempt, none below 1000 ms
   up to 2 retries: after 50, 100 ms, or 1000, 2000 ms when throttled; quota 500
   an answer from here is `degraded`
no route left: the call fails with the code of the last attempt"
    );
}

/// A generator without state of its own, so that a seed says everything.
fn random(seed: u64, what: &str, below: u64) -> u64 {
    let digest = sha256_of(&[format!("{seed} {what}").as_bytes()]);
    digest.iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte)) % below
}

const OPEN: BreakerView = BreakerView::Open { remaining_ms: 9, scope: Scope::AllCallers };

fn random_inputs(seed: u64) -> Inputs {
    let routes = (0..=random(seed, "routes", 5))
        .map(|i| {
            let pick = |what: &str, below| random(seed, &format!("{what} {i}"), below);
            let route = RouteInput {
                tool: format!("tool_{i}").into(),
                component: format!("{:x}", pick("component", 1 << 40)).into(),
                effect: [Effect::Pure, Effect::Read, Effect::Idempotent, Effect::Write, Effect::Irreversible]
                    [usize::try_from(pick("effect", 5)).unwrap()],
                is_closed: pick("closed", 2) == 0,
                retry: RetryPolicy {
                    attempts_max: 1 + u32::try_from(pick("attempts", 6)).unwrap(),
                    implausible: pick("implausible", 2) == 0,
                    ..RetryPolicy::default()
                },
                attempt_deadline_ms: 1 + pick("attempt", 12_000),
                useful_ms_min: pick("useful", 3_000),
                quota: u32::try_from(pick("quota", 501)).unwrap(),
                breaker: [BreakerView::Closed, BreakerView::Probing, OPEN]
                    [usize::try_from(pick("breaker", 3)).unwrap()],
                verify: (pick("verify", 2) == 0).then(|| Verify {
                    tool: format!("v{i}").into(),
                    after_ms: pick("after", 5_000),
                    attempt_deadline_ms: 1 + pick("answer", 3_000),
                    useful_ms_min: pick("useful answer", 1_000),
                }),
                cached_ms_max: None,
            };
            let is_cached = i > 0 && pick("cached", 4) == 0;
            if is_cached { route.cached(1 + pick("age", 1_000)) } else { route }
        })
        .collect();
    Inputs {
        args_digest: format!("{:x}", random(seed, "args", u64::MAX)),
        jitter: Jitter::Seeded(format!("{:x}", random(seed, "seed", u64::MAX))),
        deadline_ms: 1 + random(seed, "deadline", 40_000),
        routes,
    }
}

const PLANS: u64 = 1_000;

fn all_digests() -> String {
    let digests: Vec<String> = (0..PLANS).map(|seed| plan(random_inputs(seed)).digest()).collect();
    format!(
        "{:x}",
        sha256_of(&[digests.concat().as_bytes()]).iter().fold(0u128, |n, byte| n << 4 ^ u128::from(*byte))
    )
}

/// Prints the digests for the test below, which runs it in another process.
#[test]
#[ignore = "the other half of the test that follows"]
fn prints_digests() {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "digests={}", all_digests()).unwrap();
}

#[test]
fn a_thousand_plans_are_the_same_bytes_in_two_processes() {
    let other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plan::tests::prints_digests", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains(&format!("digests={}", all_digests())), "{said}");
}

/// How the `made`-th attempt ends.
fn end(seed: u64, made: u32) -> AttemptEnd {
    let pick = |what: &str, below| random(seed, &format!("{what} {made}"), below);
    let ended_by = Code::ALL[usize::try_from(pick("code", 31)).unwrap()];
    // Unknown is what effects make of another end.
    let ended_by = if ended_by == Code::OutcomeUnknown { Code::Trap } else { ended_by };
    let left = [Left::Nothing, Left::Again, Left::Once][usize::try_from(pick("left", 3)).unwrap()];
    let is_open = left != Left::Nothing && !ended_by.has_result() && pick("open", 2) == 0;
    AttemptEnd {
        code: if is_open { Code::OutcomeUnknown } else { ended_by },
        ended_by,
        left,
        transient: pick("transient", 2) == 0,
        retry_after_ms: (pick("hint", 3) == 0).then_some(700),
    }
}

fn verdict(seed: u64, made: u32) -> Verified {
    let pick = random(seed, &format!("verdict {made}"), 3);
    [Verified::Applied, Verified::NotApplied, Verified::Unknown][usize::try_from(pick).unwrap()]
}

fn recalled(seed: u64, made: u32) -> Recalled {
    let pick = random(seed, &format!("recalled {made}"), 3);
    [Recalled::Kept { age_ms: 1 }, Recalled::Stale { age_ms: 2 }, Recalled::Nothing]
        [usize::try_from(pick).unwrap()]
}

#[test]
fn every_executed_path_is_one_that_the_plan_allows_and_no_attempt_starts_past_the_deadline() {
    for seed in 0..PLANS {
        let plan = plan(random_inputs(seed));
        let mut progress = Progress::default();
        let mut now = 0;
        let mut made = 0;
        let mut step = plan.next(&mut progress, None, now);
        loop {
            if let Step::Recall { .. } = step {
                step = plan.recalled(&mut progress, recalled(seed, made), now);
                continue;
            }
            let (Step::Attempt { wait_ms, deadline_ms, .. } | Step::Verify { wait_ms, deadline_ms, .. }) =
                step
            else {
                break;
            };
            now += wait_ms;
            assert!(now < plan.deadline_ms && now + deadline_ms <= plan.deadline_ms, "{seed}: {plan:?}");
            now += random(seed, &format!("took {made}"), deadline_ms + 1);
            made += 1;
            step = match step {
                Step::Verify { .. } => {
                    plan.verified(&mut progress, verdict(seed, made), end(seed, made).left, now)
                }
                Step::Attempt { .. } | Step::Recall { .. } | Step::Accept { .. } | Step::GiveUp { .. } => {
                    plan.next(&mut progress, Some(&end(seed, made)), now)
                }
            };
        }
        let path: Vec<PathStep> = progress.take_path().collect();
        assert!(plan.allows(&path), "{seed}: {path:?}");
        assert!(made <= plan.worst_case().executions, "{seed}: {made} attempts");
        for (tool, settled) in settled(path.into_iter()) {
            // A tool that verifies has no route.
            let Some(route) = plan.routes.iter().find(|route| route.input.tool == tool) else { continue };
            assert!(settled.spent <= route.input.quota, "{seed}");
        }
    }
}
