//! Runs every case of `tests/cases` through the library, MCP over stdio and the HTTP API.

use std::collections::BTreeMap;

use airlock::host::Host;
use airlock_tests::case::{self, Case};
use airlock_tests::server::Server;
use airlock_tests::session::{Session, text};
use airlock_tests::{registry, schema_faults};
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use serde_json::Value;

struct Doors {
    host: Host,
    session: Session,
    server: Server,
}

async fn doors(name: &str) -> Doors {
    let path = registry(name);
    let host = Host::builder().registry(path.as_path()).open().await.unwrap();
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    Doors { host, session: Session::start(&path).await.unwrap(), server }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_ends_as_it_says_at_every_door() {
    let mut faults = Vec::new();
    let mut open: BTreeMap<String, Doors> = BTreeMap::new();
    let cases = case::all().unwrap();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    for (name, case) in cases {
        if !open.contains_key(&case.registry) {
            let doors = doors(&case.registry).await;
            open.insert(case.registry.clone(), doors);
        }
        let doors = &open[&case.registry];
        let (reply, record) = library(&doors.host, &case).await;
        let mut found = case.expect.faults(&reply);
        found.extend(case.expect.record_faults(&record));
        found.extend(over_mcp(&doors.session, &case, &reply).await);
        found.extend(over_http(&doors.server, &case, &reply).await);
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The reply of a case through the library, and its record.
async fn library(host: &Host, case: &Case) -> (Value, Value) {
    let raw = Call::new(&case.tool, Arguments::Text(case.args.clone().into_bytes()));
    let reply = host.call(raw).await;
    let faults = schema_faults(&reply);
    assert!(faults.is_empty(), "{}: the reply does not fit its schema: {faults:?}", case.what);
    let record = host.journal().find(&reply.record).unwrap();
    assert!(record.is_some(), "{}: nothing is answered without a record", case.what);
    (serde_json::to_value(&reply).unwrap(), serde_json::to_value(record).unwrap())
}

/// The differences between the answer over MCP and the library's reply.
async fn over_mcp(session: &Session, case: &Case, reply: &Value) -> Vec<String> {
    let Ok(args) = serde_json::from_str::<Value>(&case.args) else { return Vec::new() };
    // This client cannot send text that is not a JSON object or that has a key twice.
    if !args.is_object() || reply["code"] == "args.syntax" {
        return Vec::new();
    }
    let result = match session.call(&case.tool, args).await {
        Ok(result) => result,
        Err(err) if reply["code"] == "resolve.unknown" => {
            assert!(err.to_string().contains("there is no tool"), "{err}");
            return Vec::new();
        }
        Err(err) => return vec![format!("MCP: {err}")],
    };
    let good = reply["status"] == "ok" || reply["status"] == "degraded";
    let mut faults = Vec::new();
    if result.is_error.unwrap_or(false) == good {
        faults.push(format!("MCP: isError is {:?}", result.is_error));
    }
    if good {
        let structured = result.structured_content.clone().unwrap_or_default();
        if (structured["result"] != reply["result"] && !case.varies)
            || structured["status"] != reply["status"]
        {
            faults.push(format!("MCP: structured content is {structured}"));
        }
        if !text(&result).contains(&structured["status"].to_string()) {
            faults.push("MCP: the text twin is missing".into());
        }
    } else {
        if result.structured_content.is_some() {
            faults.push("MCP: an error with structured content".into());
        }
        if text(&result) != reply["error"]["message"].as_str().unwrap_or_default() {
            faults.push(format!("MCP: another text: {}", text(&result)));
        }
    }
    faults
}

/// The differences between the answer of the API and the library's reply: the same envelope under the status of its
/// code.
async fn over_http(server: &Server, case: &Case, reply: &Value) -> Vec<String> {
    let response = match server.call(&case.tool, case.args.clone()).send().await {
        Ok(response) => response,
        Err(err) => return vec![format!("HTTP: {err}")],
    };
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    let good = reply["status"] == "ok" || reply["status"] == "degraded";
    let envelope = if good { &body } else { &body["reply"] };
    let code: Code = serde_json::from_value(reply["code"].clone()).unwrap();
    let mut faults = Vec::new();
    if status != code.facts().http {
        faults.push(format!("HTTP: the status is {status}"));
    }
    if envelope["code"] != reply["code"] || (envelope["result"] != reply["result"] && !case.varies) {
        faults.push(format!("HTTP: another answer: {body}"));
    }
    if !good && body["detail"] != reply["error"]["message"] {
        faults.push(format!("HTTP: another text: {}", body["detail"]));
    }
    faults
}
