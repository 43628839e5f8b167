//! Calls whose process is killed: their outcome is unknown, which the next process says once.

use std::process::{Command, Stdio};
use std::time::Duration;

use airlock_tests::orders::{Fate, Orders};
use airlock_tests::program;
use airlock_tests::server::Server;
use rusqlite::Connection;
use serde_json::Value;

use crate::shop::Shop;
use crate::state_folder::airlock;
use crate::{stderr, stdout};

fn journal(shop: &Shop) -> Connection {
    Connection::open(shop.folder.path().join(".airlock/journal.db")).unwrap()
}

fn ids(shop: &Shop, of: &str) -> Vec<String> {
    let journal = journal(shop);
    let mut ids = journal.prepare(&format!("SELECT id FROM {of}")).unwrap();
    ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Waits until an order has come.
async fn order_came(shop: &Shop) {
    for _ in 0..600 {
        if shop.orders.came().0 > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no order came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_process_was_killed_is_reported_once_and_stays_on_record() {
    let shop = Shop::with_journal(Orders::start(&[Fate::Hangs]).await.unwrap());
    let registry = shop.registry("", "");
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let call = server.call("shop_place", shop.args("a", "return").to_string());
    let waiting = tokio::spawn(call.send());
    order_came(&shop).await;
    let open = ids(&shop, "intents");
    let [id] = open.as_slice() else { panic!("{open:?}") };
    // Another process must not take a call for dead that runs.
    let listed = airlock(&registry, &["tools"]);
    assert!(!stderr(&listed).contains("outcome-unknown"), "{}", stderr(&listed));
    let shown = airlock(&registry, &["show", id]);
    assert!(stdout(&shown).contains("It is still running."), "{}", stdout(&shown));
    let listed = airlock(&registry, &["log"]);
    assert!(stderr(&listed).contains(&format!("the oldest: `airlock show {id}`")), "{}", stderr(&listed));
    server.signal("KILL").unwrap();
    server.wait().unwrap();
    let _ = waiting.await;
    // Known before the next host starts, too.
    let told = "Its process ended while it ran, so its outcome is unknown: it may have changed something.";
    let shown = airlock(&registry, &["show", id]);
    assert!(stdout(&shown).contains(told), "{}", stdout(&shown));
    let shown = airlock(&registry, &["show", id, "--json"]);
    assert!(stderr(&shown).contains("its outcome is unknown"), "{}", stderr(&shown));
    let record: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&record["code"], &record["tool"]), (&"outcome-unknown".into(), &"shop_place".into()));
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let said = server.said();
    let says = format!(
        "outcome-unknown: a call of `shop_place` by anonymous was interrupted when its process ended, and may have changed \
         something; find out before you repeat it: `airlock show {id}`"
    );
    assert_eq!(said.matches(&says).count(), 1, "{said}");
    assert!(ids(&shop, "intents").is_empty());
    drop(server);
    let listed = airlock(&registry, &["tools"]);
    assert!(!stderr(&listed).contains("outcome-unknown"), "once: {}", stderr(&listed));
    let shown = airlock(&registry, &["show", id]);
    assert!(stdout(&shown).contains(told), "{}", stdout(&shown));
    assert_eq!(shop.orders.applied("a"), 1, "no start repeats it");
}

/// Killed processes.
const KILLS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_a_process_is_killed_what_it_changed_is_on_record_and_happened_once() {
    let shop = Shop::with_journal(Orders::start(&[Fate::Hangs, Fate::Answered, Fate::Stuck]).await.unwrap());
    let registry = shop.registry("", "");
    // Compiled first, so that the calls begin at once.
    assert!(airlock(&registry, &["check"]).status.success());
    let place = |id: &str| {
        let args = shop.args(id, "return").to_string();
        let mut command = Command::new(program());
        command.arg("--registry").arg(&registry).args(["call", "shop_place", &args]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for round in 0..KILLS {
        let (before, mut child) = (shop.orders.came().0, place(&format!("order-{round}")));
        // Half of them around the order, the others anywhere on the way to it.
        if round % 2 == 0 {
            for _ in 0..400 {
                if shop.orders.came().0 > before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(round / 2)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(20 * round)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let open = ids(&shop, "intents").len();
    let said = stderr(&airlock(&registry, &["tools"]));
    // The first line of a call that is told by the start of another one counts there.
    assert!(said.matches("was interrupted when its process ended").count() >= open, "{open}: {said}");
    let on_record = |id: &str| -> u32 {
        let like = format!("%\"{id}\"%");
        let count = "SELECT count(*) FROM committed WHERE record LIKE ?1";
        journal(&shop).query_row(count, [like], |row| row.get(0)).unwrap()
    };
    let mut applied = 0;
    for round in 0..KILLS {
        let id = format!("order-{round}");
        let times = shop.orders.applied(&id);
        assert!(times <= 1, "{id}: {times}");
        assert!(times == 0 || on_record(&id) == 1, "{id} happened and is not on record");
        applied += times;
    }
    assert!(applied > 0, "some came that far");
    let owners = std::fs::read_dir(shop.folder.path().join(".airlock")).unwrap();
    let owners =
        owners.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("-owner-"));
    assert_eq!(owners.count(), 0, "what marked the killed processes as running is gone");
}
