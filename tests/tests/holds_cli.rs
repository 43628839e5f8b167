//! Holds on the command line: what a person sees, decides, and what the caller gets.

use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::held_shop::{HeldShop, RULE};
use crate::{stderr, stdout};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", stderr(output)))
}

/// A call that is held. Returns the hold's id.
fn hold(shop: &HeldShop, order: &str) -> String {
    let call = shop.airlock(&["call", "shop_place", &shop.args(order).to_string(), "--json"]);
    let reply = json(&call);
    assert_eq!((call.status.code(), &reply["code"]), (Some(20), &json!("policy.held")), "{reply}");
    reply["hold"]["id"].as_str().unwrap().to_owned()
}

fn standing(shop: &HeldShop, id: &str) -> Value {
    json(&shop.airlock(&["holds", "show", id, "--json"]))["standing"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_what_is_asked_and_approves_it() {
    let shop = HeldShop::new().await;
    assert!(stderr(&shop.airlock(&["holds"])).contains("no call waits for a person"));
    let call = shop.airlock(&["call", "shop_place", &shop.args("a").to_string()]);
    assert_eq!((call.status.code(), shop.applied("a")), (Some(20), 0), "{}", stdout(&call));
    assert!(stdout(&call).contains("an order needs a person"), "{}", stdout(&call));
    let id = hold(&shop, "a");
    assert!(stderr(&call).contains(&format!("airlock holds approve {}", &id[..12])), "{}", stderr(&call));
    for list in [&["holds"][..], &["holds", "list"], &["holds", "--all"]] {
        let listed = stdout(&shop.airlock(list));
        assert_eq!(listed.lines().count(), 1, "{listed}");
        for part in [&id[..12], "shop_place", "local", "open", "an order needs a person"] {
            assert!(listed.contains(part), "{part}: {listed}");
        }
    }
    let shown = stdout(&shop.airlock(&["holds", "show", &id[..8]]));
    for part in [
        "local asks to run `shop_place`",
        "\"id\": \"a\"",
        "\"manner\": \"return\"",
        "an order needs a person",
        "left",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let approved = shop.airlock(&["holds", "approve", &id[..8]]);
    assert_eq!(approved.status.code(), Some(0), "{}", stderr(&approved));
    assert!(stdout(&approved).contains("`shop_place` ran, and ended with `ok`"), "{}", stdout(&approved));
    let again = shop.airlock(&["call", "shop_place", &shop.args("a").to_string(), "--json"]);
    assert_eq!((again.status.code(), json(&again)["result"].clone()), (Some(0), json!(201)));
    assert_eq!(shop.applied("a"), 1);
    // It is used once.
    let twice = shop.airlock(&["holds", "approve", &id]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(stderr(&twice).contains("nothing is left to decide"), "{}", stderr(&twice));
    assert!(stderr(&shop.airlock(&["holds"])).contains("no call waits"));
    assert!(stdout(&shop.airlock(&["holds", "--all"])).contains("done"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_for_its_person_and_prints_the_answer() {
    let shop = HeldShop::new().await;
    let args = shop.args("a").to_string();
    let mut command = shop.command(&["call", "shop_place", &args, "--json", "--wait", "15m"]);
    let mut call = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(call.stderr.take().unwrap()).lines().map_while(Result::ok);
    let waiting = said.into_iter().find(|line| line.contains("airlock holds approve")).unwrap();
    assert!(
        waiting.contains("waiting 14 m at most") || waiting.contains("waiting 15 m at most"),
        "{waiting}"
    );
    let id = waiting.split("approve ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    assert_eq!(shop.airlock(&["holds", "approve", &id]).status.code(), Some(0));
    let output = call.wait_with_output().unwrap();
    let reply = json(&output);
    assert_eq!(
        (output.status.code(), &reply["code"], &reply["result"]),
        (Some(0), &json!("ok"), &json!(201))
    );
    assert_eq!(shop.applied("a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_can_name_the_arguments_that_were_shown() {
    let shop = HeldShop::new().await;
    let id = hold(&shop, "a");
    let digest = json(&shop.airlock(&["holds", "show", &id, "--json"]))["args_digest"].clone();
    let digest = digest.as_str().unwrap();
    assert!(stdout(&shop.airlock(&["holds", "show", &id])).contains(&format!("digest {digest}")));
    let other = shop.airlock(&["holds", "approve", &id, "--args-digest", &"0".repeat(64)]);
    assert_eq!((other.status.code(), shop.applied("a")), (Some(1), 0), "{}", stdout(&other));
    assert!(stderr(&other).contains("are not those of the digest"), "{}", stderr(&other));
    assert_eq!(shop.airlock(&["holds", "approve", &id, "--args-digest", digest]).status.code(), Some(0));
    assert_eq!(shop.applied("a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_rejected_answered_or_run_otherwise() {
    let shop = HeldShop::new().await;
    let call = |order: &str| shop.airlock(&["call", "shop_place", &shop.args(order).to_string()]);
    let rejected = hold(&shop, "a");
    assert_eq!(shop.airlock(&["holds", "reject", &rejected, "too dear"]).status.code(), Some(0));
    let end = call("a");
    assert_eq!((end.status.code(), standing(&shop, &rejected)), (Some(20), json!("rejected")));
    assert!(stdout(&end).contains("too dear"), "{}", stdout(&end));

    let answered = hold(&shop, "b");
    assert_eq!(shop.airlock(&["holds", "respond", &answered, "it is ordered"]).status.code(), Some(0));
    let end = call("b");
    assert_eq!((end.status.code(), standing(&shop, &answered)), (Some(20), json!("responded")));
    assert!(stdout(&end).contains("it is ordered"), "{}", stdout(&end));

    let edited = hold(&shop, "c");
    let wrong = shop.airlock(&["holds", "edit", &edited, r#"{"id": "d"}"#]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = stderr(&wrong);
    assert!(said.contains("- service: expected") && said.contains("The hold stays open. Send all"), "{said}");
    for text in ["[]", "{", r#"{"id": 1, "id": 2}"#] {
        assert_eq!(shop.airlock(&["holds", "edit", &edited, text]).status.code(), Some(1), "{text}");
    }
    let done = shop.airlock(&["holds", "edit", &edited, &shop.args("d").to_string(), "--json"]);
    assert_eq!(json(&done)["standing"], "done", "{}", stderr(&done));
    assert_eq!(call("c").status.code(), Some(0));
    let applied = ["a", "b", "c", "d"].map(|order| shop.applied(order));
    assert_eq!(applied, [0, 0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_none_is_told_from_one_that_is_too_short() {
    let shop = HeldShop::new().await;
    hold(&shop, "a");
    for (id, says) in [
        ("AAAAAAAAAAAA", "no hold has this id"),
        ("abc", "too short"),
        ("", "too short"),
        ("%%%%%%%%%%%%", "no hold has this id"),
    ] {
        for verb in [&["show", id][..], &["approve", id], &["reject", id, "no"]] {
            let output = shop.airlock(&[&["holds"], verb].concat());
            assert_eq!(output.status.code(), Some(1), "{verb:?}");
            assert!(stderr(&output).contains(says), "{verb:?}: {}", stderr(&output));
        }
    }
    for args in [&["holds", "reject", "AAAAAAAAAAAA"][..], &["call", "shop_place", "{}", "--wait", "soon"]] {
        assert_eq!(shop.airlock(args).status.code(), Some(2), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_without_the_secret_of_the_webhook_says_that_nobody_is_told() {
    let webhook = "[approval]\nwebhook = { url = \"https://hooks.example.com/\", secret = \"hook\" }\n\
                   [secrets]\nhook = { env = \"AIRLOCK_TESTS_SET_NO_SUCH_HOOK\" }\n";
    let shop = HeldShop::with(&format!("{RULE}{webhook}")).await;
    let call = shop.airlock(&["call", "shop_place", &shop.args("a").to_string(), "--json"]);
    assert!(stderr(&call).contains("the webhook is not told of this hold"), "{}", stderr(&call));
    let id = json(&call)["hold"]["id"].as_str().unwrap().to_owned();
    let approved = shop.airlock(&["holds", "approve", &id]);
    assert_eq!((approved.status.code(), shop.applied("a")), (Some(0), 1), "{}", stderr(&approved));
    assert!(stderr(&approved).contains("the webhook is not told of this decision"), "{}", stderr(&approved));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_explained_as_that_of_a_caller() {
    let shop = HeldShop::with("[[holds]]\ncaller = \"ann\"\n").await;
    let args = shop.args("a").to_string();
    let explain = |more: &[&str]| shop.airlock(&[&["explain", "shop_place", &args], more].concat());
    let local = explain(&[]);
    assert_eq!(local.status.code(), Some(0), "{}", stderr(&local));
    assert!(stderr(&local).contains("rules over callers are judged for `local`"), "{}", stderr(&local));
    let ann = explain(&["--caller", "ann"]);
    assert_eq!(ann.status.code(), Some(20), "{}", stderr(&ann));
    assert!(stdout(&ann).contains("the caller is `ann`"), "{}", stdout(&ann));
    assert!(stderr(&ann).contains("judged for `ann`"), "{}", stderr(&ann));
    let nobody = explain(&["--caller", "carl"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("no caller `carl`; did you mean `carol`?"), "{}", stderr(&nobody));
}
