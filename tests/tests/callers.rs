//! Callers over HTTP: which are admitted, and that no caller sees, calls, cancels or reads what belongs to another.

use std::path::Path;

use airlock::caller::token;
use airlock_tests::server::{Server, answer};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, StatusCode};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

use crate::http::{CONVERT, DIGEST, KM, LOOPS, registry_in};
use crate::mcp::await_codes;

/// A server with two callers, and their tokens: `ann` may call the converter, `bob` every tool.
pub(super) fn two_callers(folder: &Path, more: &str) -> (Server, String, String) {
    let (ann, ann_digest) = token::new([1; 32]);
    let (bob, bob_digest) = token::new([2; 32]);
    let settings = format!(
        "[callers.ann]\ntools = [\"unit_*\"]\ntokens = [\"{ann_digest}\"]\n{more}\n\
         [callers.bob]\ntools = [\"*\"]\ntokens = [\"{bob_digest}\"]\nmetrics = true\n"
    );
    let path = registry_in(folder, &settings, &[CONVERT, DIGEST, LOOPS]);
    (Server::start(&path, &[]).unwrap(), ann, bob)
}

async fn status(request: RequestBuilder, token: &str) -> StatusCode {
    request.bearer_auth(token).send().await.unwrap().status()
}

#[test]
fn serving_over_http_needs_a_caller() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "", &[CONVERT]);
    let err = Server::start(&path, &[]).err().unwrap().to_string();
    assert!(err.contains("airlock token new") && err.contains("--allow-anonymous"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_valid_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "");
    for path in ["/v1/tools", "/mcp", "/metrics", "/v1/openapi.json"] {
        let response = server.get(path).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    let (stranger, _) = token::new([9; 32]);
    for wrong in [stranger.as_str(), &ann[..ann.len() - 1], "x", "a.b.c"] {
        let response = server.call("unit_convert", KM).bearer_auth(wrong).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    }
    let twice = server.call("unit_convert", KM).bearer_auth(&ann).header("authorization", "Bearer x");
    assert_eq!(twice.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(status(server.call("unit_convert", KM), &ann).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_sees_and_calls_only_its_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "");
    let list = async |token: &str| {
        let response = server.mcp("tools/list", json!({})).bearer_auth(token).send().await.unwrap();
        answer(response).await.unwrap()["result"]["tools"].as_array().unwrap().len()
    };
    assert_eq!(list(&ann).await, 1);
    assert!(list(&bob).await > 10);
    // A name that the caller may not see is answered as an unknown one, and is never suggested.
    let hidden = server.call("text_digest", "{}").bearer_auth(&ann).send().await.unwrap();
    let made_up = server.call("text_digesx", "{}").bearer_auth(&ann).send().await.unwrap();
    assert_eq!((hidden.status(), made_up.status()), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert!(!made_up.text().await.unwrap().contains("text_digest"));
    let hidden = server.request(Method::GET, "/v1/tools/text_digest");
    assert_eq!(status(hidden, &ann).await, StatusCode::NOT_FOUND);
    let document = server.request(Method::GET, "/v1/openapi.json").bearer_auth(&ann).send().await.unwrap();
    assert!(!document.text().await.unwrap().contains("text_digest"));
    assert_eq!(status(server.request(Method::GET, "/metrics"), &ann).await, StatusCode::FORBIDDEN);
    assert_eq!(status(server.request(Method::GET, "/metrics"), &bob).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_cannot_read_results_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "");
    let reply: Value =
        server.call("unit_convert", KM).bearer_auth(&bob).send().await.unwrap().json().await.unwrap();
    let uri = format!("airlock://records/{}/result", reply["record"].as_str().unwrap());
    let read = async |token: &str| {
        let request = server.mcp("resources/read", json!({"uri": uri})).bearer_auth(token);
        answer(request.send().await.unwrap()).await.unwrap()
    };
    assert!(read(&bob).await["result"]["contents"][0]["text"].as_str().unwrap().contains("1000"));
    assert!(read(&ann).await["error"]["message"].as_str().unwrap().contains("no resource"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_the_handshake_era_belongs_to_its_caller_only() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "");
    let post = |token: &str, session: Option<&str>, message: Value| {
        let request = server.request(Method::POST, "/mcp").bearer_auth(token);
        let request = request.header("accept", "application/json, text/event-stream").json(&message);
        match session {
            Some(session) => request.header("mcp-session-id", session),
            None => request,
        }
    };
    let client = json!({"name": "t", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let opened = post(&bob, None, initialize).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    drop(answer(opened).await.unwrap());
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    post(&bob, Some(&session), initialized).send().await.unwrap();
    let params = json!({"name": "loops_loop_forever", "arguments": {}});
    let looping = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let running = post(&bob, Some(&session), looping).send().await.unwrap();
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    for message in [cancel.clone(), list] {
        let response = post(&ann, Some(&session), message).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "to others it does not exist");
    }
    let delete = server.request(Method::DELETE, "/mcp").header("mcp-session-id", &session);
    assert_eq!(status(delete, &ann).await, StatusCode::NOT_FOUND);
    post(&bob, Some(&session), cancel).send().await.unwrap();
    let state = folder.path().to_owned();
    let codes = tokio::task::spawn_blocking(move || await_codes(&state, 1)).await.unwrap();
    assert_eq!(codes, ["cancelled"], "its own caller can");
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_the_handshake_era_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "http.sessions_max = 2\n", &[CONVERT]);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    let (one, two) = (server.client(None).await.unwrap(), server.client(None).await.unwrap());
    assert!(server.client(None).await.is_err());
    one.cancel().await.unwrap();
    // A closed session makes room for another one.
    let mut third = server.client(None).await;
    for _ in 0..50 {
        if third.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        third = server.client(None).await;
    }
    assert!(third.is_ok());
    two.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_belong_to_each_caller_and_say_when_they_are_full_again() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, bob) = two_callers(folder.path(), "budgets.calls_per_day = 2\n");
    for _ in 0..2 {
        assert_eq!(status(server.call("unit_convert", KM), &ann).await, StatusCode::OK);
    }
    let response = server.call("unit_convert", KM).bearer_auth(&ann).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("retry-after"));
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["reply"]["code"], "admission.rate");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("2 calls a day") && detail.contains("Safe to retry after"), "{detail}");
    assert_eq!(
        status(server.call("unit_convert", KM), &bob).await,
        StatusCode::OK,
        "only that caller is affected"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuel_is_a_budget_too() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "budgets.fuel_per_day = 1\n");
    assert_eq!(status(server.call("unit_convert", KM), &ann).await, StatusCode::OK, "something was left");
    assert_eq!(status(server.call("unit_convert", KM), &ann).await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_of_a_caller_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (_, digest) = token::new([3; 32]);
    let settings = format!("[callers.cal]\ntools = [\"*\"]\nrun = 1\nwait = 0\ntokens = [\"{digest}\"]\n");
    let server = Server::start(&registry_in(folder.path(), &settings, &[LOOPS]), &[]).unwrap();
    let (cal, _) = token::new([3; 32]);
    let calls = (0..4).map(|_| status(server.call("loops_sleep", r#"{"ms": 300}"#), &cal));
    let mut statuses = futures::future::join_all(calls).await;
    statuses.sort();
    let too_many = StatusCode::TOO_MANY_REQUESTS;
    assert_eq!(statuses, [StatusCode::OK, too_many, too_many, too_many]);
}

/// An OAuth server: its key, and the tokens that it signs.
struct Issuer {
    key: EncodingKey,
    jwks: Value,
}

const AUDIENCE: &str = "https://tools.example.com/mcp";

impl Issuer {
    fn new() -> Issuer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
            "x": part(&point[1..33]), "y": part(&point[33..65]),
        });
        let der = pair.to_pkcs8v1().unwrap();
        // The same key again, marked as not for signatures.
        let mut enc = jwk.clone();
        (enc["kid"], enc["use"]) = (json!("enc"), json!("enc"));
        Issuer { key: EncodingKey::from_ec_der(der.as_ref()), jwks: json!({"keys": [jwk, enc]}) }
    }

    /// A token with a literal header and additional text at the end of its valid claims.
    fn sign_by_hand(&self, header: &str, more: &str) -> String {
        let claims = format!(
            r#"{{"iss":"https://login.example.com","aud":"{AUDIENCE}","sub":"alice","exp":4000000000,"scope":"tools"{more}}}"#
        );
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    }

    fn sign(&self, edit: impl FnOnce(&mut Header, &mut Value)) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k1".into());
        let mut claims = json!({
            "iss": "https://login.example.com", "aud": AUDIENCE, "sub": "alice",
            "exp": 4_000_000_000u64, "scope": "openid tools",
        });
        edit(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

fn oauth(folder: &Path, jwks: &str) -> Server {
    let settings = format!(
        "[oauth]\nissuer = \"https://login.example.com\"\naudience = \"{AUDIENCE}\"\njwks = \"{jwks}\"\n\
         scopes = [\"tools\"]\ncaller = \"agents\"\n\
         [callers.agents]\ntools = [\"unit_*\"]\nbudgets.calls_per_day = 3\n"
    );
    Server::start(&registry_in(folder, &settings, &[CONVERT, DIGEST]), &[]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_oauth_server_is_accepted_only_if_all_of_it_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new();
    std::fs::write(folder.path().join("keys.json"), issuer.jwks.to_string()).unwrap();
    let server = oauth(folder.path(), "keys.json");
    let good = issuer.sign(|_, _| {});
    assert_eq!(status(server.call("unit_convert", KM), &good).await, StatusCode::OK);
    assert_eq!(status(server.call("text_digest", "{}"), &good).await, StatusCode::NOT_FOUND);

    let none = {
        let claims = good.split('.').nth(1).unwrap();
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#))
    };
    // The public key used as an HMAC secret: the classic confusion of algorithms.
    let secret = EncodingKey::from_secret(issuer.jwks.to_string().as_bytes());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let claims =
        json!({"iss": "https://login.example.com", "aud": AUDIENCE, "sub": "x", "exp": 4_000_000_000u64});
    let confused = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    let wrong = [
        ("none", none),
        ("confused", confused),
        ("expired", issuer.sign(|_, claims| claims["exp"] = json!(1_000_000_000))),
        ("early", issuer.sign(|_, claims| claims["nbf"] = json!(3_900_000_000u64))),
        ("audience", issuer.sign(|_, claims| claims["aud"] = json!("https://other.example.com"))),
        ("issuer", issuer.sign(|_, claims| claims["iss"] = json!("https://evil.example.com"))),
        ("another's key", Issuer::new().sign(|_, _| {})),
        ("unknown key", issuer.sign(|header, _| header.kid = Some("k2".into()))),
        ("no subject", issuer.sign(|_, claims| claims["sub"] = Value::Null)),
        ("critical extension", issuer.sign_by_hand(r#"{"alg":"ES256","kid":"k1","crit":["x"],"x":1}"#, "")),
        ("another type", issuer.sign_by_hand(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#, "")),
        ("a key twice", issuer.sign_by_hand(r#"{"alg":"ES256","kid":"k1"}"#, r#","sub":"root""#)),
        ("issuers", issuer.sign(|_, claims| claims["iss"] = json!(["https://login.example.com"]))),
        ("from the future", issuer.sign(|_, claims| claims["iat"] = json!(3_900_000_000u64))),
        ("a line feed", issuer.sign(|_, claims| claims["sub"] = json!("alice\nroot"))),
        ("turned around", issuer.sign(|_, claims| claims["sub"] = json!("alice\u{202e}toor"))),
        ("endless", issuer.sign(|_, claims| claims["exp"] = json!(1e300))),
        ("no end", issuer.sign(|_, claims| claims["exp"] = Value::Null)),
        ("encryption", issuer.sign(|header, _| header.kid = Some("enc".into()))),
        ("huge", issuer.sign(|_, claims| claims["groups"] = json!("x".repeat(30_000)))),
    ];
    for (what, token) in wrong {
        let response = server.call("unit_convert", KM).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    }
    let narrow = issuer.sign(|_, claims| claims["scope"] = json!("openid"));
    let response = server.call("unit_convert", KM).bearer_auth(narrow).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"tools\""), "{challenge}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subject_has_budgets_of_its_own_and_metadata_says_where_tokens_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new();
    // The keys over HTTP, as an issuer serves them.
    let keys = issuer.jwks.to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/keys", axum::routing::get(move || async move { keys }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let server = oauth(folder.path(), &url);
    let alice = issuer.sign(|_, _| {});
    let carol = issuer.sign(|_, claims| claims["sub"] = json!("carol"));
    for _ in 0..3 {
        assert_eq!(status(server.call("unit_convert", KM), &alice).await, StatusCode::OK);
    }
    assert_eq!(status(server.call("unit_convert", KM), &alice).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(server.call("unit_convert", KM), &carol).await, StatusCode::OK);

    let response = server.get("/v1/tools").await.unwrap();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let metadata = "resource_metadata=\"https://tools.example.com/.well-known/oauth-protected-resource/mcp\"";
    assert!(challenge.contains(metadata) && !challenge.contains("error="), "{challenge}");
    let metadata = server.get("/.well-known/oauth-protected-resource/mcp").await.unwrap();
    let metadata: Value = metadata.json().await.unwrap();
    assert_eq!(metadata["resource"], AUDIENCE);
    assert_eq!(metadata["authorization_servers"], json!(["https://login.example.com"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_handshake_era_sends_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "");
    assert!(server.client(None).await.is_err());
    let client = server.client(Some(&ann)).await.unwrap();
    let args: Value = serde_json::from_str(KM).unwrap();
    let request =
        CallToolRequestParams::new("unit_convert").with_arguments(args.as_object().unwrap().clone());
    assert_eq!(client.call_tool(request).await.unwrap().structured_content.unwrap()["status"], "ok");
    client.cancel().await.unwrap();
}
