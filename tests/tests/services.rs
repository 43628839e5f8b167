//! The example tools that reach services and keep state, under the registry that they ship with.

use std::path::PathBuf;
use std::process::Command;

use airlock_tests::program;
use airlock_tests::services::Services;
use serde_json::{Value, json};

const KEY: &str = "canary-4f9d2c7be1";

/// The registry of the services, in a folder of its own.
struct Shipped {
    folder: tempfile::TempDir,
    registry: PathBuf,
    services: Services,
}

impl Shipped {
    async fn new() -> Shipped {
        let folder = tempfile::tempdir().unwrap();
        let services = Services::start(KEY).await.unwrap();
        let registry = services.registry(folder.path()).unwrap();
        Shipped { folder, registry, services }
    }

    /// The reply to a call, by a process of its own.
    fn call(&self, tool: &str, args: &Value) -> Value {
        let mut command = Command::new(program());
        command.arg("--registry").arg(&self.registry).args(["call", tool, &args.to_string(), "--json"]);
        let output = command.env("FIGURES_KEY", KEY).output().unwrap();
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(!stdout.contains(KEY) && !stderr.contains(KEY), "{stdout}{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|err| panic!("{err}: {stdout}{stderr}"))
    }

    /// Whether the key stands in any file of the registry's folder.
    fn key_is_on_disk(&self) -> bool {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type().unwrap().is_file() {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    if bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()) {
                        return true;
                    }
                }
            }
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_figure_comes_by_a_key_that_the_tool_never_sees() {
    let shipped = Shipped::new().await;
    let reply = shipped.call("market_figures", &json!({"series": "construction", "month": "2026-09"}));
    assert_eq!((&reply["status"], &reply["result"]["thousands_of_jobs"]), (&json!("ok"), &json!(8300.25)));
    assert_eq!(shipped.services.keys(), [format!("Bearer {KEY}")]);
    assert!(!shipped.key_is_on_disk());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_service_does_not_take_is_not_about_the_arguments() {
    let mut shipped = Shipped::new().await;
    shipped.services = Services::start("another-key").await.unwrap();
    shipped.registry = shipped.services.registry(shipped.folder.path()).unwrap();
    let text = std::fs::read_to_string(&shipped.registry).unwrap();
    let alone = text.replace("fallback = [{ cached = \"1d\" }, \"market_figures_table\"]\n", "");
    std::fs::write(&shipped.registry, alone).unwrap();
    let reply = shipped.call("market_figures", &json!({"series": "nonfarm"}));
    assert_eq!(
        (&reply["code"], &reply["findings"][0]["kind"]),
        (&json!("tool.error"), &json!("secret.refused")),
        "{reply}"
    );
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("did not take the credential that the host added"), "{message}");
    assert!(!message.contains("may be about the arguments"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_service_the_table_answers_and_says_how_old_it_is() {
    let shipped = Shipped::new().await;
    let asked = json!({"series": "nonfarm"});
    shipped.services.set_down(true);
    let reply = shipped.call("market_figures", &asked);
    assert_eq!((&reply["status"], &reply["result"]["month"]), (&json!("degraded"), &json!("2015-12")));
    let notice = reply["notice"].as_str().unwrap();
    assert!(notice.contains("`market_figures_table`") && notice.contains("2015-12-31"), "{notice}");
    // The table is older than what the service answered before.
    shipped.services.set_down(false);
    let fresh = shipped.call("market_figures", &asked);
    shipped.services.set_down(true);
    let kept = shipped.call("market_figures", &asked);
    assert_eq!((&kept["status"], &kept["result"]), (&json!("degraded"), &fresh["result"]));
    assert_eq!(kept["provenance"]["cached"]["record"], fresh["record"]);
    // Under other grants it is not told any more.
    let text = std::fs::read_to_string(&shipped.registry).unwrap();
    let other = text.replacen("path = \"/v1/figures\"\n", "path = \"/v1/figures\"\nrequests_max = 7\n", 1);
    std::fs::write(&shipped.registry, other).unwrap();
    let reply = shipped.call("market_figures", &asked);
    assert_eq!(reply["provenance"]["route"], "market_figures_table", "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recommendation_whose_answer_is_lost_is_handed_in_once() {
    let shipped = Shipped::new().await;
    let text = std::fs::read_to_string(&shipped.registry).unwrap();
    let hurried = text.replace("[tools.submit]\n", "[tools.submit]\nlimits.deadline_ms = 700\n");
    std::fs::write(&shipped.registry, hurried).unwrap();
    let args = |reference: &str| json!({"reference": reference, "role": "senior data analyst, DE", "amount": 72_000, "currency": "EUR", "reason": "middle of the band"});
    let good = shipped.call("submit_recommendation", &args("REQ-1001"));
    assert_eq!((&good["status"], &good["result"]["id"]), (&json!("ok"), &json!("A-1")));
    shipped.services.set_silent(true);
    let lost = shipped.call("submit_recommendation", &args("REQ-1002"));
    assert_eq!((&lost["code"], &lost["error"]["ran"]), (&json!("outcome-unknown"), &json!("ran")), "{lost}");
    assert!(lost["error"]["message"].as_str().unwrap().contains("`was_submitted` was asked"), "{lost}");
    assert_eq!(["REQ-1001", "REQ-1002"].map(|reference| shipped.services.handed_in(reference)), [1, 1]);
    let found =
        |reference: &str| shipped.call("was_submitted", &json!({ "reference": reference }))["result"].clone();
    assert_eq!((found("REQ-1002"), found("REQ-1003")), (json!("applied"), json!("not-applied")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_outlive_the_process_that_kept_them() {
    let shipped = Shipped::new().await;
    let note = json!({"title": "quarter", "text": "Construction lagged."});
    assert_eq!(shipped.call("notebook_put", &note)["status"], "ok");
    assert_eq!(shipped.call("notebook_get", &json!({"title": "quarter"}))["result"], note);
    assert_eq!(shipped.call("notebook_titles", &json!({}))["result"], json!(["quarter"]));
    assert_eq!(shipped.call("notebook_get", &json!({"title": "year"}))["status"], "refused");
}
