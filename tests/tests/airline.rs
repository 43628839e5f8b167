//! The inner door on recorded traffic: calls that succeeded pass, and those that failed for their arguments or for the calendar
//! are stopped, by the rule that `errors.toml` names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use airlock::Host;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::environment::{Environment, Sleep};
use airlock_types::reply::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authored;

/// 2024-05-15T15:00:00 in New York, when the calls were made.
const NOW_UNIX_S: u64 = 1_715_799_600;

struct Then;

impl Environment for Then {
    fn wall(&self) -> Duration {
        Duration::from_secs(NOW_UNIX_S)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    #[expect(dead_code, reason = "for people")]
    episode: String,
    tool: String,
    args: Map<String, Value>,
    result: usize,
    #[serde(default)]
    error: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Errors {
    stopped: Vec<Stopped>,
    passed: Vec<Passed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stopped {
    tool: String,
    error: String,
    calls: u64,
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passed {
    tool: String,
    error: String,
    calls: u64,
    why: String,
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join("tests/airline").join(name)).unwrap()
}

/// A registry with the tools under the names that they were called by.
fn registry(folder: &Path) -> std::path::PathBuf {
    let (wit, contract) = (read("wit/airline.wit"), read("contract.toml"));
    fs::write(folder.join("airline.wasm"), authored::component(&wit, Some(&contract))).unwrap();
    let mut text = "[tools.airline]\ncomponent = \"airline.wasm\"\n[tools.airline.functions]\n".to_owned();
    for tool in calls().iter().map(|call| call.tool.clone()).collect::<BTreeSet<_>>() {
        writeln!(text, "{} = \"{tool}\"", tool.replace('_', "-")).unwrap();
    }
    fs::write(folder.join("airlock.toml"), text).unwrap();
    folder.join("airlock.toml")
}

fn calls() -> Vec<Recorded> {
    read("calls.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the inner door says: nothing, or why it refuses the call.
fn judged(host: &Host, call: &Recorded) -> Option<Box<Failure>> {
    let args = serde_json::to_vec(&call.args).unwrap();
    host.explain(&Call::new(&call.tool, Arguments::Text(args.into()))).err()
}

/// What stopped the call: the message of a relation, or the keyword of an argument.
fn rule(failure: &Failure) -> String {
    let first = failure.violations.first().unwrap();
    if first.keyword == "require" { first.hint.clone().unwrap() } else { first.keyword.clone() }
}

#[tokio::test]
async fn calls_that_succeeded_pass_and_errors_are_stopped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().registry(registry(folder.path())).environment(Arc::new(Then)).open();
    let host = host.await.unwrap();
    let results: Vec<String> =
        read("results.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut accepted, mut errors) = (0, BTreeMap::<_, u64>::new());
    for call in calls() {
        let judged = judged(&host, &call);
        match (call.error, judged) {
            (false, None) => accepted += 1,
            (false, Some(failure)) => panic!("{} {:?}: {}", call.tool, call.args, failure.message),
            (true, judged) => {
                let by = judged.as_deref().map(rule);
                *errors.entry((call.tool, results[call.result].clone(), by)).or_default() += 1;
            }
        }
    }
    assert_eq!(accepted, 742);
    assert_eq!(errors.values().sum::<u64>(), 47);
    let told: Errors = toml::from_str(&read("errors.toml")).unwrap();
    let stopped = told.stopped.into_iter().map(|one| ((one.tool, one.error, Some(one.by)), one.calls));
    let passed = told.passed.into_iter().map(|one| {
        assert!(!one.why.is_empty(), "{}", one.error);
        ((one.tool, one.error, None), one.calls)
    });
    assert_eq!(errors, stopped.chain(passed).collect());
}

#[test]
fn the_contract_says_nothing_without_effect() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let checked = crate::airlock(registry.to_str().unwrap(), &["check", "--strict"]);
    assert!(checked.status.success(), "{}{}", crate::stdout(&checked), crate::stderr(&checked));
}
