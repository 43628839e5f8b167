//! Clocks and random bytes in their modes: real ones, and those that show less or repeat themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock_types::code::Code;
use airlock_types::environment::{Environment, Sleep};
use airlock_types::record::Record;
use serde_json::{Value, json};

use crate::keep::{Place, ask, call, example};

/// A clock that goes on by 7 ms whenever it is read, and by the whole of each wait. Seeds are counted.
#[derive(Default)]
struct Counted {
    ms: AtomicU64,
    seeds: AtomicU64,
}

impl Environment for Counted {
    fn wall(&self) -> Duration {
        self.monotonic() + Duration::from_secs(1_700_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.ms.fetch_add(7, Ordering::AcqRel))
    }

    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seeds.fetch_add(1, Ordering::AcqRel).to_be_bytes());
        seed
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // The deadlines of calls and attempts never come: only what a guest waits for does.
        if duration > Duration::from_secs(5) {
            return Box::pin(std::future::pending());
        }
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.ms.fetch_add(ms, Ordering::AcqRel);
        Box::pin(std::future::ready(()))
    }
}

async fn clocks(settings: &str) -> (Value, u64) {
    let host = Place::new().open_at(settings, Arc::new(Counted::default())).await;
    let now = ask(&host, "now", &json!({})).await.unwrap();
    let passed = ask(&host, "pause", &json!({"ms": 1_500})).await.unwrap();
    (now, passed.as_u64().unwrap())
}

#[tokio::test]
async fn a_clock_is_real_coarse_or_frozen() {
    for real in
        ["grants.clock = true\n", "grants.clock = \"real\"\n", "grants.clock = { coarse = \"1ms\" }\n"]
    {
        let (now, passed) = clocks(real).await;
        assert_eq!((&now["wall_step"], &now["tick_step"]), (&json!(1), &json!(1)), "{real}");
        assert!((1_500..1_700).contains(&passed), "{real}: {passed}");
    }
    let (now, passed) = clocks("grants.clock = { coarse = \"1s\" }\n").await;
    assert_eq!((&now["wall_step"], &now["tick_step"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(now["wall"].as_u64().unwrap() % 1_000, 0, "{now}");
    assert_eq!((now["ticks"].as_u64().unwrap() % 1_000, passed % 1_000), (0, 0), "{now}");
    assert!((1_000..=3_000).contains(&passed), "a wait ends at a step of the clock: {passed}");
    let (now, passed) = clocks("grants.clock = \"frozen\"\n").await;
    assert_eq!((&now["wall_step"], passed), (&json!(1), 0), "no time passes in a frozen world");
    // Both clocks stand at the start of the attempt, one reading apart.
    let (wall, ticks) = (now["wall"].as_u64().unwrap(), now["ticks"].as_u64().unwrap());
    assert_eq!(wall - 1_700_000_000_000 + 7, ticks, "{now}");
}

#[tokio::test]
async fn each_attempt_begins_at_its_own_frozen_time() {
    let host = Place::new().open_at("grants.clock = \"frozen\"\n", Arc::new(Counted::default())).await;
    let first = ask(&host, "now", &json!({})).await.unwrap();
    let second = ask(&host, "now", &json!({})).await.unwrap();
    assert!(second["wall"].as_u64() > first["wall"].as_u64());
}

#[tokio::test]
async fn without_a_grant_a_guest_that_reads_a_clock_or_draws_is_ended() {
    for settings in ["", "grants.clock = false\ngrants.random = false\n"] {
        let host = Place::new().open(settings).await;
        for (function, args, capability) in
            [("now", json!({}), "clock"), ("pause", json!({"ms": 1}), "clock"), ("draw", json!({}), "random")]
        {
            let (_, record) = call(&host, function, &args, Code::PolicyDenied).await;
            assert_eq!(record.attempts[0].denials, [capability], "{function}");
        }
    }
}

/// The numbers that the attempts of a call drew: each aborts with its own.
fn drawn(record: &Record) -> Vec<String> {
    record.attempts.iter().map(|attempt| attempt.log.trim().rsplit(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn seeded_bytes_are_those_of_the_call_in_each_attempt() {
    let open =
        |settings: &'static str| async { Place::new().open_at(settings, Arc::new(Counted::default())).await };
    let seeded = "grants.random = \"seeded\"\n";
    let (host, again) = (open(seeded).await, open(seeded).await);
    let draw = async |host| ask(host, "draw", &json!({})).await.unwrap();
    let (one, two) = (draw(&host).await, draw(&host).await);
    assert_ne!(one, two, "another call has another seed");
    assert_eq!((draw(&again).await, draw(&again).await), (one, two), "the same seed gives the same bytes");
    for (settings, distinct) in
        [(seeded, 1), ("grants.random = \"real\"\n", 3), ("grants.random = true\n", 3)]
    {
        let host = open(settings).await;
        let (_, record) = call(&host, "draw_then_abort", &json!({}), Code::Trap).await;
        assert_eq!(record.attempts.len(), 3);
        let mut numbers = drawn(&record);
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), distinct, "{settings}: {numbers:?}");
    }
}

#[tokio::test]
async fn a_tool_gets_the_narrower_of_what_is_asked_for_and_granted() {
    let asks = |mode: &str| format!("[capabilities.clock]\nmode = {mode}\nreason = \"ages\"\n");
    for (asked, granted, step, is_frozen) in [
        ("{ coarse = \"1s\" }", "true", 1_000, false),
        ("{ coarse = \"1s\" }", "{ coarse = \"5s\" }", 5_000, false),
        ("\"real\"", "{ coarse = \"5s\" }", 5_000, false),
        ("\"frozen\"", "true", 1, true),
        ("{ coarse = \"5s\" }", "\"frozen\"", 5_000, true),
    ] {
        let place = Place::with_contract(&asks(asked));
        let host = place.open_at(&format!("grants.clock = {granted}\n"), Arc::new(Counted::default())).await;
        let now = ask(&host, "now", &json!({})).await.unwrap();
        assert_eq!(now["tick_step"], step, "{asked} {granted}");
        let passed = ask(&host, "pause", &json!({"ms": 4_000})).await.unwrap();
        assert_eq!(passed == 0, is_frozen, "{asked} {granted}: {passed}");
    }
    let place = Place::with_contract("[capabilities.random]\nmode = \"seeded\"\nreason = \"ids\"\n");
    let host = place.open_at("grants.random = true\n", Arc::new(Counted::default())).await;
    let (_, record) = call(&host, "draw_then_abort", &json!({}), Code::Trap).await;
    let numbers = drawn(&record);
    assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
}

#[test]
fn a_mode_that_does_not_exist_is_refused_with_those_that_do() {
    for (grant, piece) in [
        ("clock = \"slow\"", "`{ coarse = \"1s\" }`"),
        ("clock = { coarse = \"0s\" }", "`{ coarse = \"1s\" }`"),
        ("clock = { coarse = \"2d\" }", "from `1ms` to `1d`"),
        ("clock = { coarse = 5 }", "`{ coarse = \"1s\" }`"),
        ("clock = { frozen = true }", "`\"frozen\"`"),
        ("random = \"seed\"", "`\"seeded\"`"),
        ("random = 4", "`\"seeded\"`"),
    ] {
        let text = format!("[tools.keep]\ncomponent = \"keeper.wasm\"\ngrants.{grant}\n");
        let said = Place::new().registry(&text).unwrap_err();
        assert!(said.contains(piece) && said.contains("airlock.toml:3"), "{grant}: {said}");
    }
}

#[tokio::test]
async fn the_examples_of_the_page_of_capabilities_work() {
    for heading in ["## Time: `clock`", "## Random bytes: `random`"] {
        let place = Place::new();
        let text =
            example(heading, 0).replace("report.wasm", "keeper.wasm").replace("tools.report", "tools.keep");
        let file = place.registry(&text).unwrap();
        let host = airlock::host::Host::builder().registry(&file).open().await.unwrap();
        if heading.contains("clock") {
            assert_eq!(ask(&host, "now", &json!({})).await.unwrap()["tick_step"], 1_000);
        } else {
            let (_, record) = call(&host, "draw_then_abort", &json!({}), Code::Trap).await;
            assert_eq!(record.attempts[0].log, record.attempts.last().unwrap().log);
        }
        let place = Place::with_contract(&example(heading, 1));
        let file = place.registry(&text).unwrap();
        let host = airlock::host::Host::builder().registry(&file).open().await.unwrap();
        let denied = host.summary().1.into_iter().find(|note| note.contains("will be denied"));
        assert_eq!(denied, None);
    }
}
