//! Budgets: what is charged for attempts that ended by themselves and for attempts that were stopped.

use airlock::host::Host;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use futures::FutureExt as _;
use serde_json::Value;

use crate::closed::{Clock, go, host};

/// More fuel than the guests here use by the engine's count, and less than their processor time is charged as.
const FUEL: u64 = 5_000_000;

fn ann(budget: &str) -> String {
    format!("[callers.ann]\ntools = [\"*\"]\nbudgets.{budget}\n")
}

async fn assert_spent(host: &Host) {
    let reply = host.call(go("ann", 0)).await;
    assert_eq!(reply.code, Code::RateLimited, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_stopped_by_its_deadline_is_charged_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), &ann(&format!("fuel_per_day = {FUEL}")), Clock::new(1)).await;
    let reply = host.call(go("ann", 2)).await;
    assert_eq!(reply.code, Code::LimitDeadline);
    assert!(reply.usage.fuel < FUEL, "what is on record is the engine's count: {reply:?}");
    assert_spent(&host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_call_is_charged_what_the_engine_counted() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), &ann(&format!("fuel_per_day = {FUEL}")), Clock::new(0)).await;
    for _ in 0..100 {
        assert_eq!(host.call(go("ann", 0)).await.code, Code::Ok);
    }
}

/// The only record in a host's journal.
fn record(host: &Host) -> Value {
    // The journal answers a look-up after it has written everything that was queued before.
    host.journal().find("no such record").unwrap();
    let journal = rusqlite::Connection::open(host.journal().path().unwrap()).unwrap();
    let text: String = journal.query_row("SELECT record FROM records", [], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_disconnects_is_charged_and_its_attempt_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), &ann(&format!("fuel_per_day = {FUEL}")), Clock::new(1)).await;
    let mut call = Box::pin(host.call(go("ann", 2)));
    // The guest yields at each tick, which ends a poll. After three polls its attempt is running.
    for _ in 0..3 {
        assert!(call.as_mut().now_or_never().is_none());
    }
    drop(call);
    let record = record(&host);
    assert_eq!((&record["code"], &record["reply"]), (&"cancelled".into(), &Value::Null));
    let attempt = &record["attempts"][0];
    assert_eq!(attempt["code"], "cancelled", "{record}");
    assert!(attempt["usage"]["cpu_us"].as_u64().unwrap() >= 3_000, "{record}");
    assert_spent(&host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_are_not_valid_count_as_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), &ann("bytes_per_day = 1000"), Clock::new(0)).await;
    let args = format!(r#"{{"mode": "{}"}}"#, "x".repeat(2_000));
    let raw = Call::new("go", Arguments::Text(args.into()));
    let reply = host.call(Call { caller: Caller::named("ann"), ..raw }).await;
    assert_eq!(reply.code, Code::ArgsType);
    assert_spent(&host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_are_admitted_up_to_exactly_their_budget() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), &ann("calls_per_minute = 7"), Clock::new(0)).await;
    let replies = futures::future::join_all((0..40).map(|_| host.call(go("ann", 0)))).await;
    assert_eq!(replies.iter().filter(|reply| reply.code == Code::Ok).count(), 7);
    assert_eq!(replies.iter().filter(|reply| reply.code == Code::RateLimited).count(), 33);
}
