//! Calls that are cut off at random moments: no order is applied twice, whatever ends an attempt and whatever becomes of
//! the order.

use std::time::Duration;

use airlock_tests::draw::Draw;
use airlock_tests::orders::{Fate, Orders};
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use serde_json::Value;

use crate::shop::Shop;

/// Calls of each kind.
const ROUNDS: u64 = 24;

const MANNERS: [&str; 7] =
    ["return", "compute", "abort-before", "abort-after", "abort-meanwhile", "forget", "spin"];

const FATES: [Fate; 9] = [
    Fate::Answered,
    Fate::Answered,
    Fate::Refused(504),
    Fate::AnswerLost,
    Fate::Lost,
    Fate::Hangs,
    Fate::Stuck,
    Fate::Late,
    Fate::Eager,
];

/// How a call is cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Deadline,
    Fuel,
    Cancel,
}

/// Makes calls, each of an order of its own, and checks what the service has seen. `settings` are those of the shop.
async fn check(seed: u64, cut: Cut, settings: &str) {
    let mut draw = Draw(seed);
    let mut shops = Vec::new();
    for round in 0..ROUNDS {
        let fates: Vec<Fate> = (0..3).map(|_| draw.of(&FATES)).collect();
        let shop = Shop::new(Orders::start(&fates).await.unwrap());
        let (id, manner) = (format!("order-{round}"), draw.of(&MANNERS));
        // From before the request to after the answer, on a machine that is busy with other tests.
        let (ms, fuel) = match cut {
            Cut::Deadline => (1 + draw.below(60), 1_000_000_000),
            Cut::Fuel => (80, 10_000 + draw.below(3_000_000)),
            Cut::Cancel => (80, 1_000_000_000),
        };
        let limits = format!("limits.deadline_ms = {ms}\nlimits.fuel = {fuel}\n{settings}");
        let (host, _) = shop.verified(&limits, Orders::apply_late).await;
        let args = Arguments::Text(shop.args(&id, manner).to_string().into());
        let call = host.call(Call::new("shop_place", args));
        let reply = match cut {
            Cut::Cancel => tokio::time::timeout(Duration::from_millis(draw.below(60)), call).await.ok(),
            Cut::Deadline | Cut::Fuel => Some(call.await),
        };
        shop.orders.decided().await.unwrap();
        shop.orders.apply_late();
        let context = format!("{seed} {cut:?} {round}: {manner} {fates:?}");
        let applied = shop.orders.applied(&id);
        // Kept to the end: the request of a call that was cancelled may still be on its way.
        shops.push((shop, context.clone()));
        let Some(reply) = reply else { continue };
        // What the caller is told of the order holds.
        let told = reply.error.as_ref().map(|error| (reply.code, error.retryable));
        match told {
            Some((_, true)) => assert_eq!(applied, 0, "{context}: it may be sent again: {:?}", reply.error),
            Some((Code::Trap | Code::LimitFuel | Code::LimitDeadline, false)) => {
                let said = reply.error.unwrap().message;
                assert!(applied == 0 || said.contains("it was made, or was refused"), "{context}: {said}");
            }
            Some(_) | None => {}
        }
        if reply.result == Some(Value::from(201)) {
            assert_eq!(applied, 1, "{context}");
        }
    }
    for (shop, context) in shops {
        shop.orders.decided().await.unwrap();
        let (most, orders) = shop.orders.most_applied();
        assert!(most <= 1 && orders <= 1, "{context}: applied {most} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_a_deadline_cuts_off_is_applied_at_most_once() {
    check(1, Cut::Deadline, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_runs_out_of_fuel_is_applied_at_most_once() {
    check(2, Cut::Fuel, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_cancelled_is_applied_at_most_once() {
    check(3, Cut::Cancel, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_under_a_key_is_applied_at_most_once() {
    check(4, Cut::Deadline, "effects = \"idempotent\"\n").await;
}
