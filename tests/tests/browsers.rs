//! Requests as browsers and small programs send them: preflights, `Accept`, and bodies that are no message.

use airlock::caller::token;
use airlock_tests::server::Server;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{CONVERT, registry_in};

const PAGE: &str = "https://app.example.com";

fn open() -> (tempfile::TempDir, Server, String) {
    let folder = tempfile::tempdir().unwrap();
    let (token, digest) = token::new([1; 32]);
    let settings = format!(
        "[http]\nallowed_origins = [\"{PAGE}\"]\n[callers.page]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n"
    );
    let server = Server::start(&registry_in(folder.path(), &settings, &[CONVERT]), &[]).unwrap();
    (folder, server, token.to_string())
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let name: HeaderName = name.parse().unwrap();
    headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_ascii_lowercase())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_of_an_accepted_origin_is_answered_without_a_token() {
    let (_folder, server, _) = open();
    for (path, origin) in [("/mcp", PAGE), ("/v1/tools", PAGE), ("/mcp", "http://localhost:6274")] {
        let ask = server.request(Method::OPTIONS, path).header("origin", origin);
        let ask = ask.header("access-control-request-method", "POST");
        let ask = ask.header("access-control-request-headers", "authorization,content-type,mcp-session-id");
        let answer = ask.send().await.unwrap();
        let headers = answer.headers();
        assert!(answer.status().is_success(), "{path} {origin}: {}", answer.status());
        assert_eq!(header(headers, "access-control-allow-origin"), origin);
        assert!(header(headers, "access-control-allow-methods").contains("post"));
        assert!(header(headers, "access-control-allow-headers").contains("authorization"));
        assert_eq!(header(headers, "access-control-allow-credentials"), "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_may_read_its_answer_and_the_refusal_of_its_token() {
    let (_folder, server, token) = open();
    let ask = || server.request(Method::GET, "/v1/tools").header("origin", PAGE);
    for (request, status) in [(ask(), StatusCode::UNAUTHORIZED), (ask().bearer_auth(&token), StatusCode::OK)]
    {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(header(answer.headers(), "access-control-allow-origin"), PAGE);
        let exposed = header(answer.headers(), "access-control-expose-headers");
        for name in ["mcp-session-id", "airlock-session", "www-authenticate", "retry-after", "location"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_gets_nothing() {
    let (_folder, server, _) = open();
    let ask = server.request(Method::OPTIONS, "/mcp").header("origin", "https://evil.example.com");
    let answer = ask.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(header(answer.headers(), "access-control-allow-origin"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_anything_or_says_nothing_is_served() {
    let (_folder, server, token) = open();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
    for (accept, status) in [
        (Some("*/*"), StatusCode::OK),
        (None, StatusCode::OK),
        (Some("application/*, text/*"), StatusCode::OK),
        (Some("text/html"), StatusCode::NOT_ACCEPTABLE),
    ] {
        let ask = server.request(Method::POST, "/mcp").bearer_auth(&token).body(initialize.clone());
        let ask = ask.header("content-type", "application/json");
        let ask = accept.into_iter().fold(ask, |ask, accept| ask.header("accept", accept));
        assert_eq!(ask.send().await.unwrap().status(), status, "{accept:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_message_is_a_bad_request_with_an_error_of_the_protocol() {
    let (_folder, server, token) = open();
    for (body, id, code) in [
        ("what?", Value::Null, -32_700),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"#, json!(7), -32_700),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Value::Null, -32_600),
        ("[]", Value::Null, -32_600),
        (r#"{"method":"notifications/cancelled","params":5}"#, Value::Null, -32_600),
    ] {
        let answer = server.mcp_message(body.into()).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{body}: {answer}");
    }
    // A wrong media type stays one.
    let other = server.request(Method::POST, "/mcp").bearer_auth(&token).header("accept", "*/*");
    let other = other.header("content-type", "text/plain").body("x").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_a_wrong_form_are_not_a_missing_method() {
    let (_folder, server, token) = open();
    for (method, params) in [("tools/call", json!({})), ("resources/read", json!({}))] {
        let answer = server.mcp(method, params).bearer_auth(&token).send().await.unwrap();
        assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{method}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("-32601"), "{method}: {text}");
    }
}
