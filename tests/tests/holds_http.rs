//! Holds over the API: a held call is polled by its caller, and decided by approvers alone.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held_shop::{HeldShop, RULE, decide, get, hold, post, read, reply, token_of};

/// An id that no hold has.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_call_says_where_its_reply_is_and_gets_it_once_approved() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let call = post(&server, "ann", "/v1/tools/shop_place/calls", &shop.args("a"));
    let response = call.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let at = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, body) = read(response).await;
    let held = &body["reply"]["hold"];
    assert_eq!((status, &body["type"]), (202, &json!("urn:airlock:policy.held")), "{body}");
    assert_eq!((&held["approvals"], &held["rules"]), (&json!(1), &json!(["an order needs a person"])));
    let id = held["id"].as_str().unwrap();
    assert_eq!(at, format!("/v1/holds/{id}/reply"));
    let (status, waits) = read(get(&server, "ann", &at).await).await;
    assert_eq!((status, &waits["hold"]), (202, held), "{waits}");
    // The same call again meets the same hold.
    assert_eq!(hold(&shop, &server, "ann", "a").await, id);
    assert_eq!(shop.applied("a"), 0);

    let (_, list) = read(get(&server, "bob", "/v1/holds").await).await;
    let [listed] = list["holds"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&listed["id"], &listed["standing"]), (&json!(id), &json!("open")));
    assert_eq!((&listed["caller"], &listed["arguments"]), (&json!("ann"), &shop.args("a")));
    let (status, done) = decide(&server, "bob", id, "approve", &json!({})).await;
    assert_eq!((status, &done["standing"], &done["decided"][0]["by"]), (200, &json!("done"), &json!("bob")));
    let (status, answer) = read(get(&server, "ann", &at).await).await;
    assert_eq!((status, &answer["code"], &answer["result"]), (200, &json!("ok"), &json!(201)), "{answer}");
    assert_eq!((&answer["record"], shop.applied("a")), (&done["ended_by"], 1));
    // Whoever lost it asks again.
    assert_eq!(reply(&server, "ann", id).await, (200, answer));
    let (_, open) = read(get(&server, "bob", "/v1/holds").await).await;
    let (_, all) = read(get(&server, "bob", "/v1/holds?all=true").await).await;
    assert_eq!((open["holds"].as_array().unwrap().len(), all["holds"].as_array().unwrap().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_approvals_at_once_run_it_once() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    let people = ["bob", "carol", "fay"];
    let approvals = (0..100).map(|i| {
        let (server, id) = (&server, &id);
        async move { decide(server, people[i % 3], id, "approve", &json!({})).await.0 }
    });
    let mut statuses = join_all(approvals).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[99]), (200, 409, 409), "{statuses:?}");
    assert_eq!(shop.applied("a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_decide_is_refused_and_learns_nothing() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let id = hold(&shop, &server, "fay", "a").await;
    for who in ["ann", "dan", "eve"] {
        for path in ["/v1/holds".to_owned(), format!("/v1/holds/{id}"), format!("/v1/holds/{NO_ID}")] {
            assert_eq!(get(&server, who, &path).await.status(), 403, "{who} {path}");
        }
        for id in [&*id, NO_ID] {
            assert_eq!(decide(&server, who, id, "approve", &json!({})).await.0, 403, "{who}");
        }
    }
    // An approver, and its own call.
    let (status, own) = decide(&server, "fay", &id, "approve", &json!({})).await;
    assert_eq!((status, &own["type"]), (403, &json!("urn:airlock:forbidden")), "{own}");
    // Its reply is for its caller alone, and nobody else learns that there is one.
    let known = reply(&server, "ann", &id).await;
    assert_eq!((known.0, &known), (404, &reply(&server, "ann", NO_ID).await));
    // An approver may know, and is told where to look.
    let (status, problem) = reply(&server, "bob", &id).await;
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains(&format!("/v1/holds/{id}")), "{problem}");
    assert_ne!(problem, reply(&server, "bob", NO_ID).await.1);
    for id in [NO_ID, &id[..12], "x"] {
        assert_eq!(decide(&server, "bob", id, "approve", &json!({})).await.0, 404, "{id}");
        assert_eq!(get(&server, "bob", &format!("/v1/holds/{id}")).await.status(), 404, "{id}");
    }
    assert_eq!((reply(&server, "fay", &id).await.0, shop.applied("a")), (202, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_approval_of_one_call_releases_no_other() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let (a, b) = (hold(&shop, &server, "ann", "a").await, hold(&shop, &server, "ann", "b").await);
    let other = hold(&shop, &server, "dan", "a").await;
    assert!(a != b && a != other);
    assert_eq!(decide(&server, "bob", &a, "approve", &json!({})).await.0, 200);
    assert_eq!((shop.applied("a"), shop.applied("b")), (1, 0));
    for (who, id) in [("ann", &b), ("dan", &other)] {
        assert_eq!(reply(&server, who, id).await.0, 202, "{who}");
    }
    assert_eq!(reply(&server, "ann", &a).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_runs_with_other_arguments_within_the_schema() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    let mut wrong = shop.args("b");
    wrong["manner"] = json!("nowhere");
    let (status, problem) = decide(&server, "bob", &id, "edit", &json!({"arguments": wrong})).await;
    assert_eq!(status, 422, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("- manner: expected") && detail.contains("The hold stays open. Send all"),
        "{problem}"
    );
    assert!(!detail.contains("again with the"), "{problem}");
    let twice = shop.args("b").to_string().replacen('{', "{\"id\": \"x\", ", 1);
    let request = server.request(Method::POST, &format!("/v1/holds/{id}/edit")).bearer_auth(token_of("bob"));
    let request = request.header("content-type", "application/json");
    let request = request.body(format!("{{\"arguments\": {twice}}}"));
    assert_eq!(request.send().await.unwrap().status(), 422, "a key that comes twice");
    assert_eq!(reply(&server, "ann", &id).await.0, 202, "it is still open");
    let (status, done) = decide(&server, "bob", &id, "edit", &json!({"arguments": shop.args("b")})).await;
    assert_eq!(
        (status, &done["standing"], &done["decided"][0]["what"]),
        (200, &json!("done"), &json!("edit")),
        "{done}"
    );
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 1));
    assert_eq!(reply(&server, "ann", &id).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_and_an_answer_reach_the_caller_with_their_words() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let (a, b) = (hold(&shop, &server, "ann", "a").await, hold(&shop, &server, "ann", "b").await);
    let (status, rejected) = decide(&server, "bob", &a, "reject", &json!({"reason": "too dear"})).await;
    assert_eq!((status, &rejected["standing"]), (200, &json!("rejected")), "{rejected}");
    let (status, problem) = reply(&server, "ann", &a).await;
    assert_eq!((status, &problem["reply"]["code"]), (403, &json!("policy.denied")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("too dear"), "{problem}");
    let (_, answered) = decide(&server, "bob", &b, "respond", &json!({"text": "I ordered it myself"})).await;
    assert_eq!(answered["standing"], "responded", "{answered}");
    let (status, problem) = reply(&server, "ann", &b).await;
    assert_eq!((status, &problem["reply"]["status"]), (422, &json!("refused")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("I ordered it myself"), "{problem}");
    // Each is used once.
    for (id, word, body) in [(&a, "approve", json!({})), (&b, "reject", json!({"reason": "late"}))] {
        assert_eq!(decide(&server, "carol", id, word, &body).await.0, 409);
    }
    assert_eq!(shop.shop.orders.came().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_persons_must_approve_where_a_rule_says_so() {
    let shop = HeldShop::with(&format!("{}approvals = 2\n", crate::held_shop::RULE)).await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    let (status, open) = decide(&server, "bob", &id, "approve", &json!({})).await;
    assert_eq!((status, &open["standing"], &open["approvals"]), (200, &json!("open"), &json!(2)), "{open}");
    assert_eq!(decide(&server, "bob", &id, "approve", &json!({})).await.0, 403, "twice counts once");
    assert_eq!((reply(&server, "ann", &id).await.0, shop.applied("a")), (202, 0));
    let (_, done) = decide(&server, "carol", &id, "approve", &json!({})).await;
    assert_eq!((&done["standing"], shop.applied("a")), (&json!("done"), 1), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_returns_when_it_is_decided() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    let path = format!("/v1/holds/{id}/reply?wait=20");
    let (polled, _) = tokio::join!(async { read(get(&server, "ann", &path).await).await }, async {
        decide(&server, "bob", &id, "approve", &json!({})).await
    },);
    assert_eq!((polled.0, &polled.1["code"]), (200, &json!("ok")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_no_hold_and_no_reply() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let (a, b) = (hold(&shop, &server, "ann", "a").await, hold(&shop, &server, "ann", "b").await);
    drop(server);
    let server = shop.server();
    let (_, list) = read(get(&server, "bob", "/v1/holds").await).await;
    assert_eq!(list["holds"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(decide(&server, "bob", &a, "approve", &json!({})).await.1["standing"], "done");
    drop(server);
    let server = shop.server();
    let (status, answer) = reply(&server, "ann", &a).await;
    assert_eq!((status, &answer["code"], shop.applied("a")), (200, &json!("ok"), 1), "{answer}");
    assert_eq!((reply(&server, "ann", &b).await.0, shop.applied("b")), (202, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_names_what_was_seen_does_not_count_for_an_edit() {
    let rule = "[[tool.place.hold]]\nwhen = \"args.id != 'never'\"\napprovals = 2\n";
    let shop = HeldShop::checked("", rule).await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    let path = format!("/v1/holds/{id}");
    let (_, seen) = read(get(&server, "carol", &path).await).await;
    assert!(seen["rules"][0]["values"][0].is_string(), "{seen}");
    let (_, edited) = decide(&server, "bob", &id, "edit", &json!({"arguments": shop.args("b")})).await;
    assert_eq!((&edited["standing"], &edited["arguments"]), (&json!("open"), &shop.args("b")));
    assert!(edited["rules"][0].get("values").is_none(), "what was met is not of these arguments: {edited}");
    let approval = |hold: &Value| json!({"args_digest": hold["args_digest"]});
    let (status, problem) = decide(&server, "carol", &id, "approve", &approval(&seen)).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:airlock:hold-edited")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("look at it again"), "{problem}");
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 0));
    for bad in [json!({"args_digest": null}), json!({"args_digest": 5})] {
        assert_eq!(decide(&server, "carol", &id, "approve", &bad).await.0, 422, "{bad}");
    }
    let (status, done) = decide(&server, "carol", &id, "approve", &approval(&edited)).await;
    assert_eq!((status, &done["standing"], shop.applied("b")), (200, &json!("done"), 1), "{done}");
    // A hold that has ended says so, whatever was seen.
    let (_, late) = decide(&server, "fay", &id, "approve", &approval(&seen)).await;
    assert_eq!(late["type"], "urn:airlock:hold-ended", "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_person_have_no_hidden_characters() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let bad = "ok\u{1b}[31mred\u{202e}evil\u{200b}";
    for (order, word, body) in
        [("a", "respond", json!({ "text": bad })), ("b", "reject", json!({ "reason": bad }))]
    {
        let id = hold(&shop, &server, "ann", order).await;
        let decided = decide(&server, "bob", &id, word, &body).await;
        let end = reply(&server, "ann", &id).await;
        for (_, told) in [decided, end] {
            let text = told.to_string();
            assert!(text.contains("okredevil"), "{text}");
            assert!(!text.contains(['\u{202e}', '\u{200b}']) && !text.contains("\\u001b"), "{text}");
        }
    }
    let id = hold(&shop, &server, "ann", "c").await;
    let empty = json!({"text": "\u{200b} "});
    assert_eq!(decide(&server, "bob", &id, "respond", &empty).await.0, 422, "nothing of it is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_say_what_is_wrong() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    for query in ["wait=21", "wait=-1", "wait=x", "wait", "wait=1&wait=1", "all=true"] {
        let response = get(&server, "ann", &format!("/v1/holds/{id}/reply?{query}")).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.status(), 400, "{query}");
    }
    assert_eq!(get(&server, "bob", "/v1/holds?all=maybe").await.status(), 400);
    let bodies: [(&str, Value); 9] = [
        ("approve", json!({"really": true})),
        ("approve", json!([])),
        ("edit", json!({})),
        ("edit", json!({"arguments": []})),
        ("edit", json!({"arguments": shop.args("a"), "more": 1})),
        ("reject", json!({})),
        ("reject", json!({"reason": 5})),
        ("respond", json!({"text": ""})),
        ("respond", json!({"text": "x".repeat(4_001)})),
    ];
    for (word, body) in bodies {
        let (status, problem) = decide(&server, "bob", &id, word, &body).await;
        assert_eq!((status, problem["detail"].is_string()), (422, true), "{word}: {problem}");
    }
    let path = format!("/v1/holds/{id}/approve");
    let plain = server.request(Method::POST, &path).bearer_auth(token_of("bob")).body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    assert_eq!(get(&server, "bob", &path).await.status(), 405);
    assert_eq!(decide(&server, "bob", &id, "bless", &json!({})).await.0, 404);
    assert_eq!((reply(&server, "ann", &id).await.0, shop.applied("a")), (202, 0));
}

/// The approval of another process changes what a session of this one has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_read_is_asked_anew_while_a_call_of_it_waits() {
    let reads = "[tool.was-placed]\neffects = \"read\"\ncache = { max_age = \"5m\" }\n";
    let shop = HeldShop::checked(RULE, reads).await;
    let server = shop.server();
    let args = json!({"service": shop.shop.orders.url(), "id": "a"});
    let ask = async |session: &str| {
        let call = post(&server, "ann", "/v1/tools/look/calls", &args).header("airlock-session", session);
        let response = call.send().await.unwrap();
        let session = response.headers()["airlock-session"].to_str().unwrap().to_owned();
        let (_, body) = read(response).await;
        (session, body["result"].clone(), !body["provenance"]["cached"].is_null())
    };
    let (session, before, _) = ask("new").await;
    assert_eq!(ask(&session).await, (session.clone(), before.clone(), true));
    let call = post(&server, "ann", "/v1/tools/shop_place/calls", &shop.args("a"));
    let (_, held) = read(call.header("airlock-session", &session).send().await.unwrap()).await;
    let id = held["reply"]["hold"]["id"].as_str().unwrap();
    let approved = shop.airlock(&["holds", "approve", id]);
    assert_eq!((approved.status.code(), shop.applied("a")), (Some(0), 1), "{}", crate::stderr(&approved));
    for _ in 0..2 {
        let (_, now, is_cached) = ask(&session).await;
        assert!(now != before && !is_cached, "{before} {now}");
    }
    assert_eq!(reply(&server, "ann", id).await.0, 200);
    let (_, now, _) = ask(&session).await;
    assert_eq!(ask(&session).await, (session, now, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_result_is_seen_by_its_approver_before_its_caller() {
    let check = "[[tool.place.expect]]\nrelation = { that = \"result < 200\" }\nverdict = \"escalate\"\n";
    let shop = HeldShop::checked("", check).await;
    let server = shop.server();
    let id = hold(&shop, &server, "ann", "a").await;
    assert_eq!(shop.applied("a"), 1, "the tool ran");
    let path = format!("/v1/holds/{id}/result");
    let (status, waits) = read(get(&server, "bob", &path).await).await;
    assert_eq!((status, &waits["result"]), (200, &json!(201)), "{waits}");
    assert_eq!(get(&server, "ann", &path).await.status(), 403);
    let edit = json!({"arguments": shop.args("b")});
    let (status, problem) = decide(&server, "bob", &id, "edit", &edit).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:airlock:not-possible")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("the call ran already"), "{problem}");
    let shown = crate::stdout(&shop.airlock(&["holds", "show", &id]));
    assert!(shown.contains("waits to be delivered") && shown.contains("result      201"), "{shown}");
    assert_eq!(decide(&server, "bob", &id, "approve", &json!({})).await.0, 200);
    let (status, answer) = reply(&server, "ann", &id).await;
    assert_eq!((status, &answer["result"], shop.applied("a")), (200, &json!(201), 1), "{answer}");
    assert_eq!(get(&server, "bob", &path).await.status(), 404, "nothing waits any more");
}
