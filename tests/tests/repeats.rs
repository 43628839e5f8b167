//! The loop guard: calls and errors that come again, with a session, without one, and with a session for each call.

use serde_json::Value;

use airlock_tests::registry;
use airlock_tests::server::Server;

use crate::callers::two_callers;

/// Calls `unit_convert` as the caller of this token, in the session of this header value. Returns the text of the error.
async fn convert(
    server: &Server,
    token: &str,
    session: Option<&str>,
    args: &str,
) -> (Option<String>, String) {
    let request = server.call("unit_convert", args).bearer_auth(token);
    let request = match session {
        Some(session) => request.header("airlock-session", session),
        None => request,
    };
    let response = request.send().await.unwrap();
    let handle = response.headers().get("airlock-session").map(|h| h.to_str().unwrap().to_owned());
    let reply: Value = response.json().await.unwrap();
    (handle, reply["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_remembers_calls_that_fail_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "");
    let call = async |token: &str, session: &str| {
        let request = server.call("unit_convert", "{}").bearer_auth(token).header("airlock-session", session);
        let response = request.send().await.unwrap();
        let handle = response.headers().get("airlock-session").map(|h| h.to_str().unwrap().to_owned());
        (handle, response.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned())
    };
    let (handle, first) = call(&ann, "new").await;
    let handle = handle.unwrap();
    assert!(handle.len() >= 43 && first.starts_with("Call to `unit_convert` was not run"), "{first}");
    call(&ann, &handle).await;
    let (_, third) = call(&ann, &handle).await;
    assert!(third.starts_with("You have sent this same call 3 times"), "{third}");
    let (_, foreign) = call(&bob, &handle).await;
    assert!(foreign.contains("expired, or it is another caller's"), "{foreign}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_a_session_are_compared_within_their_caller() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "");
    // The same arguments in three spellings.
    convert(&server, &ann, None, r#"{"value": 1, "from": "km"}"#).await;
    convert(&server, &ann, None, r#"{"from":"km","value":1}"#).await;
    let (_, other) = convert(&server, &bob, None, r#"{"value": 1, "from": "km"}"#).await;
    assert!(other.starts_with("Call to `unit_convert` was not run"), "of another caller: {other}");
    let (_, third) = convert(&server, &ann, None, r#"{ "value": 1, "from": "k\u006d" }"#).await;
    assert!(third.starts_with("This same call was sent 3 times within ten minutes"), "{third}");
    // A success ends the row.
    let (_, good) = convert(&server, &ann, None, r#"{"value": 1, "from": "km", "to": "m"}"#).await;
    assert_eq!(good, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_for_each_call_hides_no_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "");
    convert(&server, &ann, Some("new"), "{}").await;
    convert(&server, &ann, Some("new"), "{}").await;
    let (_, third) = convert(&server, &ann, Some("new"), "{}").await;
    assert!(third.starts_with("This same call was sent 3 times within ten minutes"), "{third}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_error_for_other_spellings_of_the_arguments_is_a_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "");
    let spellings = ["kilometers!", "Kilometer (km)", "KM."];
    let mut texts = Vec::new();
    for from in spellings {
        let args = format!(r#"{{"value": 1, "from": "{from}", "to": "m"}}"#);
        texts.push(convert(&server, &ann, None, &args).await.1);
    }
    assert!(texts[1].starts_with("Call to `unit_convert` was not run"), "{}", texts[1]);
    assert!(texts[2].starts_with("This same error came 3 times within ten minutes"), "{}", texts[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_learn_nothing_from_each_others_calls() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    for _ in 0..4 {
        let reply: Value = server.call("unit_convert", "{}").send().await.unwrap().json().await.unwrap();
        let text = reply["detail"].as_str().unwrap();
        assert!(text.starts_with("Call to `unit_convert` was not run"), "{text}");
    }
}
