//! `callers.NAME.grants`: what a caller's calls have of the grants of tools. It narrows and never widens.

use airlock::config::ConfigFile;
use airlock_tests::upstream::Upstream;
use airlock_types::code::Code;
use serde_json::json;

use crate::keep::{From, Place, answer, call_from};
use crate::web::{DENIED, Web, grant};

fn ann() -> From<'static> {
    From { caller: Some("ann"), ..From::default() }
}

fn caller(grants: &str) -> String {
    format!("[callers.ann]\ntools = [\"*\"]\n{grants}[callers.bob]\ntools = [\"*\"]\n")
}

#[tokio::test]
async fn a_caller_has_what_the_tool_is_granted_and_its_own_entry_allows() {
    let grants = "grants = { clock = true, config = { a = \"1\", b = \"2\" }, keyvalue = { buckets = [\"x\", \"y\"] } }\n";
    let host = Place::new()
        .open(&format!(
            "{grants}{}",
            caller("grants = { random = true, config = [\"a\", \"c\"], keyvalue = { buckets = [\"y\"] } }\n")
        ))
        .await;
    let values = json!({"keys": ["a", "b", "c"]});
    assert_eq!(answer(&host, ann(), "values", &values).await.unwrap(), json!(["1", null, null]));
    let bob = From { caller: Some("bob"), ..From::default() };
    assert_eq!(answer(&host, bob.clone(), "values", &values).await.unwrap(), json!(["1", "2", null]));
    // Granted to the tool, and not left by the caller's entry; and the other way.
    for (from, function, code) in [
        (ann(), "now", Code::PolicyDenied),
        (ann(), "draw", Code::PolicyDenied),
        (bob.clone(), "now", Code::Ok),
    ] {
        assert_eq!(call_from(&host, from, function, &json!({})).await.0.code, code, "{function}");
    }
    let put = |bucket: &str| json!({"bucket": bucket, "key": "k", "value": "v"});
    assert_eq!(answer(&host, ann(), "put", &put("x")).await.unwrap_err(), "no-such-store");
    assert!(
        answer(&host, ann(), "put", &put("y")).await.is_ok()
            && answer(&host, bob, "put", &put("x")).await.is_ok()
    );
    // An entry without anything leaves nothing.
    let host = Place::new().open(&format!("{grants}{}", caller("grants = {}\n"))).await;
    assert_eq!(answer(&host, ann(), "values", &values).await.unwrap(), json!([null, null, null]));
    assert_eq!(call_from(&host, ann(), "now", &json!({})).await.0.code, Code::PolicyDenied);
}

#[tokio::test]
async fn a_caller_reaches_fewer_places_and_never_more() {
    let upstream = Upstream::start().await.unwrap();
    let port = upstream.port();
    let entry = |more: &str| {
        format!("grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}{more} }}]\n")
    };
    let web = Web::new();
    let tool = grant(&upstream, ", path = \"/v1\", requests_max = 3");
    let get = async |host: &airlock::host::Host, path: &str| {
        let args = json!({"method": "GET", "url": upstream.url(path), "times": 2});
        let call = airlock_types::call::Call::new(
            "web_repeat",
            airlock_types::call::Arguments::Text(args.to_string().into()),
        );
        let call = airlock_types::call::Call { caller: airlock_types::caller::Caller::named("ann"), ..call };
        host.call(call).await.result.unwrap()
    };
    let host = web.open(&format!("{tool}{}", caller(&entry(", path = \"/v1/data\"")))).await;
    assert_eq!(get(&host, "/v1/data/x").await, json!(["200", "200"]));
    assert_eq!(get(&host, "/v1/other").await, json!([DENIED, DENIED]));
    // Wider in each part: it stays with what the tool is granted.
    let host = web
        .open(&format!("{tool}{}", caller(&entry(", methods = [\"GET\", \"POST\"], requests_max = 100"))))
        .await;
    assert_eq!(get(&host, "/v1/data/x").await, json!(["200", "200"]));
    assert_eq!(get(&host, "/v2").await, json!([DENIED, DENIED]));
    // Bounds and addresses narrow, too.
    let host = web.open(&format!("{tool}{}", caller(&entry(", requests_max = 1")))).await;
    assert_eq!(get(&host, "/v1").await, json!(["200", DENIED]));
    let host = web.open(&format!("{tool}{}", caller(&entry(", addresses = []")))).await;
    assert_eq!(get(&host, "/v1").await, json!([DENIED, DENIED]));
}

#[tokio::test]
async fn narrower_grants_of_a_caller_hold_before_the_tools_of_their_file_are_served() {
    let place = Place::new();
    let tool = "grants = { clock = true, config = { a = \"1\" } }\n";
    let host = place.open(&format!("{tool}{}", caller(""))).await;
    assert_eq!(call_from(&host, ann(), "now", &json!({})).await.0.code, Code::Ok);
    let newer: ConfigFile = place.file(&format!("{tool}{}", caller("grants.config = [\"a\"]\n")));
    host.revoke(&newer);
    assert_eq!(call_from(&host, ann(), "now", &json!({})).await.0.code, Code::PolicyDenied);
    host.reload(&newer).await.unwrap();
    assert_eq!(call_from(&host, ann(), "now", &json!({})).await.0.code, Code::PolicyDenied);
    assert_eq!(answer(&host, ann(), "values", &json!({"keys": ["a"]})).await.unwrap(), json!(["1"]));
    let bob = From { caller: Some("bob"), ..From::default() };
    assert_eq!(call_from(&host, bob, "now", &json!({})).await.0.code, Code::Ok);
}
