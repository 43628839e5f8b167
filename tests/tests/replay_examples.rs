//! Calls of all example tools, each of which replays with no difference.

use std::os::unix::fs::PermissionsExt as _;

use airlock::host::Host;
use airlock::replay::{Mode, Recorded};
use airlock_tests::registry;
use airlock_tests::services::Services;
use serde_json::{Value, json};

use crate::replay::{called, interpreted, no_key, open_host, same};

/// Calls of the example tools in an ordinary run of the tests. `cargo xtask replay` makes a thousand.
const SAMPLE: u32 = 200;

/// The example tools with everything that they need, recorded fully as they are shipped.
struct Examples {
    folder: tempfile::TempDir,
    hosts: [Host; 2],
    /// The same registries on the engine's interpreter.
    interpreted: [Host; 2],
    _services: Services,
}

impl Examples {
    async fn new() -> Examples {
        let (folder, services) =
            (tempfile::tempdir().unwrap(), Services::start("key-of-the-figures").await.unwrap());
        let path = services.registry(folder.path()).unwrap();
        let key = folder.path().join("figures.key");
        std::fs::write(&key, "key-of-the-figures").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("env = \"FIGURES_KEY\"", "file = \"figures.key\"")).unwrap();
        let hosts = [open_host(&registry("example")).await, open_host(&path).await];
        let interpreted = [interpreted(&registry("example")).await, interpreted(&path).await];
        Examples { folder, hosts, interpreted, _services: services }
    }

    /// The n-th call: a tool of one of the registries, and arguments.
    fn call(n: u32) -> (usize, &'static str, Value) {
        let month = format!("20{:02}-{:02}", 6 + n % 10, 1 + n % 12);
        match n % 10 {
            0 => (0, "sector_metrics", json!({"period": month, "limit": 1 + n % 14})),
            1 => (0, "sector_metrics", json!({"period": "recent"})),
            2 => (0, "sector_metrics_quarterly", json!({"period": month})),
            3 => (
                0,
                "pay_band",
                json!({"family": "data", "level": "senior", "country": (["DE", "US", "FR"][n as usize % 3])}),
            ),
            4 => (
                0,
                "text_digest",
                json!({"text": format!("The first one is {n}. The second is long. A third follows.")}),
            ),
            5 => {
                (0, "unit_convert", json!({"from": "km", "to": (["mile", "kg"][n as usize % 2]), "value": n}))
            }
            6 => (
                1,
                "market_figures",
                json!({"series": (["construction", "none"][n as usize % 2]), "month": month}),
            ),
            7 => {
                (1, "notebook_put", json!({"title": format!("note {}", n % 50), "text": format!("text {n}")}))
            }
            8 => (
                1,
                ["notebook_get", "notebook_titles"][n as usize / 10 % 2],
                if (n / 10).is_multiple_of(2) {
                    json!({"title": format!("note {}", n % 50)})
                } else {
                    json!({})
                },
            ),
            _ => (
                1,
                "submit_recommendation",
                json!({"reference": format!("REQ-{}", 1000 + n), "role": "analyst", "amount": 50_000 + n, "currency": "EUR", "reason": "middle of the band"}),
            ),
        }
    }
}

async fn example_calls_replay(calls: u32) {
    let examples = Examples::new().await;
    assert!(examples.folder.path().is_dir());
    let (mut replayed, mut imports) = (0, 0);
    for n in 0..calls {
        let (host, tool, args) = Examples::call(n);
        let (host, interpreted) = (&examples.hosts[host], &examples.interpreted[host]);
        let record = called(host, tool, &args).await;
        assert!(!record.attempts.is_empty(), "{tool} {args}: {} {:?}", record.code, record.reply);
        for number in 1..=record.attempts.len() {
            match Recorded::of(&record, number, no_key) {
                Ok(found) => {
                    imports += found.cassette.entries.len();
                    same(host, &found, Mode::Strict).await;
                    let replayed_there = same(interpreted, &found, Mode::Strict).await;
                    assert!(replayed_there.notes.iter().any(|note| note.contains("interpreter")));
                    replayed += 1;
                }
                Err(why) => panic!("{tool} {args} attempt {number}: {why}"),
            }
        }
    }
    assert!(replayed >= calls && imports > calls as usize, "{replayed} attempts with {imports} imports");
}

#[tokio::test]
async fn calls_of_the_example_tools_replay_with_no_difference() {
    example_calls_replay(SAMPLE).await;
}

#[tokio::test]
#[ignore = "takes longer; `cargo xtask replay` runs it"]
async fn a_thousand_calls_of_the_example_tools_replay_with_no_difference() {
    example_calls_replay(1_000).await;
}
