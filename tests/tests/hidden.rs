//! Tools that a caller may not see are not named in anything that it receives.

use std::sync::{Arc, Mutex};

use std::path::{Path, PathBuf};
use std::process::Command;

use airlock::caller::token;
use airlock::host::Host;
use airlock_tests::server::Server;
use airlock_tests::{program, root, schema_faults};
use airlock_types::call::{Arguments, Call, Note};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use reqwest::Method;
use serde_json::{Value, json};

use crate::closed::component;

const PERIOD: &str = r#"{"period": "2009-10"}"#;

/// `ann` may call `front`. Its answers are never plausible, so its fallback `stand_in` answers, which only `bob` sees.
/// Headers repeat an argument of `secret`, which `ann` does not see, either.
fn registry(folder: &Path) -> (PathBuf, String, String) {
    let (ann, ann_digest) = token::new([1; 32]);
    let (bob, bob_digest) = token::new([2; 32]);
    packed(folder);
    let root = root().display();
    let text = format!(
        "[callers.ann]\ntools = [\"front\"]\nmetrics = true\ntokens = [\"{ann_digest}\"]\n\
         [callers.bob]\ntools = [\"*\"]\nmetrics = \"all\"\ntokens = [\"{bob_digest}\"]\n\
         [tools.front]\ncomponent = \"{root}/tests/guests/build/liar.wasm\"\nfunctions = [\"sector-metrics\"]\n\
         fallback = [\"stand_in\"]\ngrants.clock = true\n\
         [tools.stand_in]\ncomponent = \"{root}/example-tools/build/sector-metrics-quarterly.wasm\"\n\
         [tools.secret]\ncomponent = \"secret.wasm\"\n"
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    (path, ann, bob)
}

/// Packs a tool whose argument must be repeated in a header.
fn packed(folder: &Path) {
    let (plain, contract) = (folder.join("plain.wasm"), folder.join("contract.toml"));
    std::fs::write(&plain, component()).unwrap();
    std::fs::write(&contract, "[tool.go.args.mode]\nx-mcp-header = \"Mode\"\n").unwrap();
    let done = Command::new(program())
        .args(["pack".as_ref(), plain.as_os_str(), "--contract".as_ref(), contract.as_os_str()])
        .args(["--out".as_ref(), folder.join("secret.wasm").as_os_str()])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

async fn read(server: &Server, path: &str, token: &str) -> String {
    let response = server.request(Method::GET, path).bearer_auth(token).send().await.unwrap();
    response.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_answers_without_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ann, bob) = registry(folder.path());
    let server = Server::start(&path, &[]).unwrap();
    let call = async |token: &str| {
        let response = server.call("front", PERIOD).bearer_auth(token).send().await.unwrap();
        response.text().await.unwrap()
    };
    let (told, whole) = (call(&ann).await, call(&bob).await);
    assert!(!told.contains("stand_in") && whole.contains("stand_in"), "{told}");
    let reply: airlock_types::reply::Reply = serde_json::from_str(&told).unwrap();
    assert_eq!(schema_faults(&reply), [""; 0]);
    let provenance = reply.provenance.unwrap();
    assert_eq!((&*provenance.route, provenance.component), ("another tool", None));
    assert_eq!(provenance.fallback_because, Some(Code::Implausible));
    for path in ["/v1/tools", "/v1/tools/front", "/v1/openapi.json", "/metrics"] {
        let (told, whole) = (read(&server, path, &ann).await, read(&server, path, &bob).await);
        assert!(!told.contains("stand_in") && !told.contains("secret"), "{path}: {told}");
        assert!(told.contains("front") && whole.contains("stand_in"), "{path}: {whole}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_progress_nor_a_plan_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ..) = registry(folder.path());
    let host = Host::builder().registry(path).open().await.unwrap();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let raw = Call { caller: Caller::named("ann"), ..Call::new("front", Arguments::Text(PERIOD.into())) };
    let explained = host.explain(&raw).unwrap();
    let texts = [explained.to_string(), serde_json::to_string(&explained).unwrap()];
    assert!(
        texts.iter().all(|text| text.contains("another tool") && !text.contains("stand_in")),
        "{texts:?}"
    );
    let heard = notes.clone();
    let reply = host.call_observed(raw, Some(Arc::new(move |note| heard.lock().unwrap().push(note)))).await;
    assert_eq!(notes.lock().unwrap()[0], Note::Attempt { tool: "another tool".into(), number: 1 });
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    assert_eq!(&*record.attempts[1].route, "stand_in", "the operator's record does");
}

/// The answer of MCP to a call of a tool, with the HTTP status.
async fn mcp(server: &Server, token: &str, tool: &str) -> (u16, Value) {
    let params = json!({"name": tool, "arguments": {"mode": 0}});
    let request = server.mcp("tools/call", params).bearer_auth(token).header("mcp-param-mode", "5");
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, airlock_tests::server::answer(response).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_checked_as_for_a_tool_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ann, bob) = registry(folder.path());
    let server = Server::start(&path, &[]).unwrap();
    let (status, refused) = mcp(&server, &bob, "secret").await;
    assert_eq!(status, 400, "{refused}");
    let same = async |tool: &str| {
        let (status, mut answer) = mcp(&server, &ann, tool).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let record = answer["error"]["data"]["dev.airlock/record"].as_str().unwrap().to_owned();
        let text = answer["error"]["message"].as_str().unwrap().replace(&record, "RECORD");
        answer["error"]["message"] = text.into();
        // These differ for each call.
        for own in ["record", "usage"] {
            answer["error"]["data"].as_object_mut().unwrap().remove(&format!("dev.airlock/{own}"));
        }
        (status, answer.to_string().replace(tool, "NAME"))
    };
    assert_eq!(same("secret").await, same("sacred").await);
}
