//! Registries with rules that hold, where recorded calls are tried: nothing waits there, and nobody is told.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use airlock::backtest::{Backtest, Tested};
use airlock::config::ConfigFile;
use airlock::host::{Host, open_journal};
use airlock_journal::Journal;
use airlock_tests::root;
use serde_json::{Value, json};

use crate::held_shop::{HeldShop, RULE};
use crate::state_folder::airlock;
use crate::{stderr, stdout};

fn code(shop: &HeldShop, tool: &str, args: &Value) -> Value {
    let call = shop.airlock(&["call", tool, &args.to_string(), "--json"]);
    let reply: Value =
        serde_json::from_slice(&call.stdout).unwrap_or_else(|err| panic!("{err}: {}", stderr(&call)));
    reply["code"].clone()
}

/// What the calls on record come to under the registry as it is.
fn backtested(shop: &HeldShop) -> Value {
    let told = shop.airlock(&["backtest", "--json"]);
    assert_eq!(told.status.code(), Some(0), "{}{}", stdout(&told), stderr(&told));
    serde_json::from_slice(&told.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_the_same_holds_what_it_held() {
    let convert = root().join("example-tools/build/unit-convert.wasm");
    let tool = format!("[tools.convert]\ncomponent = \"{}\"\n", convert.display());
    let shop = HeldShop::with(&format!("[[holds]]\nfirst_use = true\n{tool}")).await;
    let metres = json!({"value": 1, "from": "m", "to": "km"});
    for order in ["a", "b", "c"] {
        assert_eq!(code(&shop, "shop_place", &shop.args(order)), "policy.held");
    }
    assert_eq!(code(&shop, "convert", &metres), "policy.held");
    let told = backtested(&shop);
    assert_eq!((&told["calls"], &told["changes"]), (&json!(4), &json!({"same": 4})), "{told}");
    let holds = shop.airlock(&["holds", "--json"]);
    let holds: Value = serde_json::from_slice(&holds.stdout).unwrap();
    let held = holds["holds"].as_array().unwrap().iter().find(|hold| hold["tool"] == "shop_place").unwrap();
    let approved = shop.airlock(&["holds", "approve", held["id"].as_str().unwrap()]);
    assert_eq!(approved.status.code(), Some(0), "{}", stderr(&approved));
    // The component is known now; the other one is not.
    for order in ["d", "e"] {
        assert_eq!(code(&shop, "shop_place", &shop.args(order)), "ok");
    }
    let told = backtested(&shop);
    assert_eq!((&told["calls"], &told["changes"]), (&json!(7), &json!({"same": 7})), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fetched_the_end_of_its_hold_says_nothing_about_rules() {
    let shop = HeldShop::new().await;
    let place = || code(&shop, "shop_place", &shop.args("a"));
    assert_eq!(place(), "policy.held");
    let holds: Value = serde_json::from_slice(&shop.airlock(&["holds", "--json"]).stdout).unwrap();
    let approved = shop.airlock(&["holds", "approve", holds["holds"][0]["id"].as_str().unwrap()]);
    assert_eq!(approved.status.code(), Some(0), "{}", stderr(&approved));
    assert_eq!((place(), shop.applied("a")), (json!("ok"), 1));
    let told = backtested(&shop);
    let expected = (&json!(3), &json!({"same": 2, "unknown": 1}));
    assert_eq!((&told["calls"], &told["changes"]), expected, "{told}");
    assert!(told.to_string().contains("the end of its hold"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_what_a_backtest_would_hold() {
    let shop = HeldShop::new().await;
    for order in ["a", "b"] {
        assert_eq!(code(&shop, "shop_place", &shop.args(order)), "policy.held");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let key = shop.shop.folder.path().join("hook.key");
    std::fs::write(&key, "whsec-0123456789").unwrap();
    // As secrets must be: otherwise nobody could be told.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(&shop.registry).unwrap();
    let webhook = format!(
        "[approval]\nwebhook = {{ url = \"{url}\", secret = \"hook\", allow = [\"127.0.0.1/32\"] }}\n\
         [secrets]\nhook = {{ file = \"{}\" }}\n",
        key.display()
    );
    std::fs::write(&shop.registry, format!("{text}{webhook}")).unwrap();
    let file = ConfigFile::read(&shop.registry).unwrap();
    let journal = open_journal(&file).unwrap();
    assert!(Host::builder().registry(&file).journal(Journal::memory()).open().await.unwrap().has_webhook());
    let backtest = Backtest::open(Host::builder(), file).await.unwrap();
    for record in journal.pages(0).flat_map(Result::unwrap) {
        let Tested { now, .. } = backtest.test(&record, &|_| Err("no key".into())).await;
        assert_eq!(now.map(|code| code.as_str()), Some("policy.held"));
    }
    backtest.host().told_of_holds().await;
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn rules_about_other_tools_are_no_problem_of_a_component_that_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let (path, build) = (folder.path().join("airlock.toml"), root().join("example-tools/build"));
    let component = |name: &str| build.join(name).display().to_string();
    let text = format!(
        "[tools.convert]\ncomponent = \"{}\"\nrecord = \"full\"\nhold = [{{ when = \"args.value > 1e9\" }}]\n\
         [tools.digest]\ncomponent = \"{}\"\n{}",
        component("unit-convert.wasm"),
        component("text-digest.wasm"),
        RULE.replace("shop_*", "digest")
    );
    std::fs::write(&path, text).unwrap();
    let called = airlock(&path, &["call", "convert", r#"{"value": 1, "from": "m", "to": "km"}"#, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let (id, same) = (reply["record"].as_str().unwrap(), component("unit-convert.wasm"));
    for args in [&["replay", id, "--component", &same][..], &["bisect", id, &same, &same]] {
        let done = airlock(&path, args);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(!stderr(&done).contains("there is no tool"), "{}", stderr(&done));
    }
}
