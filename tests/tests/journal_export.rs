//! `airlock journal export`: whole records as lines, and spans of OpenTelemetry.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::environment::World;
use airlock::host::Host;
use airlock_types::call::{Arguments, Call, TraceParent};
use airlock_types::environment::{Environment, Sleep};
use airlock_types::session::SessionKey;
use serde_json::Value;

use crate::http::KM;
use crate::journal::registry_in;
use crate::state_folder::airlock;

/// A span of the example in W3C trace context.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn lines(path: &Path, args: &[&str]) -> Vec<Value> {
    let exported = airlock(path, &[&["journal", "export"], args].concat());
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = String::from_utf8(exported.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// This machine's clocks, a second late, in which time passes whenever the time of day is read. The ids of two calls of one
/// millisecond have no order.
struct Passing(World, AtomicU64);

impl Environment for Passing {
    fn wall(&self) -> Duration {
        let passed = Duration::from_millis(10 * self.1.fetch_add(1, Ordering::Relaxed));
        self.0.wall() - Duration::from_secs(1) + passed
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn seed(&self) -> [u8; 32] {
        self.0.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }
}

/// Three calls: one of a caller's trace, one with an effect class, and one with invalid arguments.
async fn called(folder: &Path) -> std::path::PathBuf {
    let path = registry_in(folder, "");
    let passing = Arc::new(Passing(World::new(), AtomicU64::new(0)));
    let host = Host::builder().registry(path.clone()).environment(passing).open().await.unwrap();
    let mut traced = Call::new("reads", Arguments::Text(KM.into()));
    traced.session = SessionKey::Transport("stdio-1".into());
    traced.trace = Some(TraceParent { parent: PARENT.into(), state: None });
    host.call(traced).await;
    host.call(Call::new("writes", Arguments::Text(KM.into()))).await;
    let wrong = host.call(Call::new("reads", Arguments::Text("{}".into()))).await;
    assert_eq!(wrong.code.as_str(), "args.missing");
    path
}

#[tokio::test]
async fn lines_are_whole_records_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = called(folder.path()).await;
    let records = lines(&path, &[]);
    let codes: Vec<_> = records.iter().map(|record| record["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["ok", "ok", "args.missing"]);
    assert_eq!(
        (&records[0]["trace"], &records[0]["reply"]["result"]["value"]),
        (&PARENT.into(), &1000.into())
    );
    let session = records[0]["session"].as_str().unwrap();
    assert!(
        session.len() == 16 && session.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "no name: {session}"
    );
    assert!(records[1].get("session").is_none());
    assert_eq!(lines(&path, &["--tool", "writes", "--since", "1h"]).len(), 1);
    assert!(lines(&path, &["--since", "0s"]).is_empty());
    let refused = airlock(&path, &["journal", "export", "--since", "yesterday"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("such as `90m` or `7d`"), "{said}");
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s Value> {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"])
}

#[tokio::test]
async fn spans_have_the_names_of_the_conventions_and_no_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = called(folder.path()).await;
    let exported = lines(&path, &["--format", "otel"]);
    let spans: Vec<_> =
        exported.iter().map(|line| &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]).collect();
    let string = |span: &Value, key: &str| attribute(span, key).map(|value| value["stringValue"].clone());
    assert_eq!(spans[0]["name"], "tools/call reads");
    assert_eq!(
        (&spans[0]["traceId"], &spans[0]["parentSpanId"]),
        (&PARENT[3..35].into(), &PARENT[36..52].into())
    );
    assert_eq!(string(spans[0], "gen_ai.operation.name"), Some("execute_tool".into()));
    assert_eq!(string(spans[1], "gen_ai.tool.name"), Some("writes".into()));
    assert_eq!(
        (string(spans[0], "error.type"), string(spans[2], "error.type")),
        (None, Some("args.missing".into()))
    );
    assert_eq!(spans[2]["status"]["code"], 2);
    assert!(spans[1].get("parentSpanId").is_none() && spans[1]["traceId"].as_str().unwrap().len() == 32);
    assert_ne!(spans[1]["traceId"], spans[2]["traceId"]);
    let attempt = &spans[1]["events"][0];
    assert_eq!(
        (&attempt["name"], attribute(attempt, "airlock.attempt")),
        (&"airlock.attempt".into(), Some(&serde_json::json!({"intValue": "1"})))
    );
    assert_eq!(spans[0]["startTimeUnixNano"].as_str().unwrap().len(), 19);
    assert!(!exported.iter().any(|line| line.to_string().contains("\"km\"")), "no arguments");
}
