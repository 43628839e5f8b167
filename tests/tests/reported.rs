//! `report`: extra grants that are tried until a day. Their uses pass, and are recorded as ones that would be denied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock_types::code::Code;
use airlock_types::environment::{Environment, Sleep};
use serde_json::json;

use airlock_tests::upstream::Upstream;

use crate::desk;
use crate::desk::Desk;
use crate::keep::{Place, call};
use crate::web::Web;

/// A wall clock that the test sets, in seconds.
struct Wall(AtomicU64);

impl Environment for Wall {
    fn wall(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

/// The beginning of 2026-12-31 in UTC.
const END_S: u64 = 1_798_675_200;

const REPORT: &str = "grants.config = { a = \"1\" }\nreport = { until = 2026-12-31, grants = { clock = true, config = { b = \"2\" } } }\n";

#[tokio::test]
async fn what_is_tried_passes_until_its_day_and_is_recorded_as_what_would_be_denied() {
    let wall = Arc::new(Wall((END_S - 1).into()));
    let host = Place::new().open_at(REPORT, wall.clone()).await;
    let (_, record) = call(&host, "now", &json!({}), Code::Ok).await;
    let tried = &record.attempts[0].denied[0];
    assert!(tried.reported && record.attempts[0].denials.is_empty(), "{tried:?}");
    assert_eq!((&*tried.capability, tried.grant.as_deref()), ("clock", Some("grants.clock = true")));
    assert!(tried.rule.starts_with("tools.keep.report") && tried.at.ends_with("airlock.toml:7"), "{tried:?}");
    let (reply, record) = call(&host, "values", &json!({"keys": ["a", "b"]}), Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["1", "2"])));
    let asked: Vec<&str> = record.attempts[0].denied.iter().map(|denial| &*denial.asked).collect();
    assert_eq!(asked, ["b"], "what is granted is no denial");
    // At its end it is as if it had never been written.
    wall.0.store(END_S, Ordering::Release);
    call(&host, "now", &json!({}), Code::PolicyDenied).await;
    let (reply, record) = call(&host, "values", &json!({"keys": ["a", "b"]}), Code::Ok).await;
    assert_eq!((reply.result, record.attempts[0].denied[0].reported), (Some(json!(["1", null])), false));
}

#[tokio::test]
async fn a_denial_of_what_is_tried_names_the_caller_that_lacks_it() {
    let tried = "report = { until = 2999-01-01, grants = { random = true } }\n";
    let own =
        |grants: &str| format!("{tried}[callers.local]\ntools = [\"*\"]\ngrants.clock = true\n{grants}");
    let place = Place::new();
    let host = place.open(&own("")).await;
    let (_, record) = call(&host, "draw", &json!({}), Code::PolicyDenied).await;
    let denied = &record.attempts[0].denied[0];
    assert_eq!((&*denied.rule, &*denied.below), ("callers.local.grants", "callers.local"), "{denied:?}");
    let host = place.open(&own(denied.grant.as_deref().unwrap())).await;
    call(&host, "draw", &json!({}), Code::Ok).await;
}

#[tokio::test]
async fn what_is_tried_is_shown_and_only_reads() {
    let host = Web::new()
        .open("report = { until = \"2999-01-01\", grants = { http = [{ host = \"b.example\" }] } }\n")
        .await;
    let notes = host.summary().1.join("\n");
    assert!(notes.contains("tries extra grants until 2999-01-01") && notes.contains("b.example"), "{notes}");
    let refused = |report: &str| {
        let text =
            format!("[tools.web]\ncomponent = \"web.wasm\"\nreport = {report}\n[secrets.K]\nenv = \"K\"\n");
        ConfigFile::parse(&text, "airlock.toml".as_ref()).unwrap_err().to_string()
    };
    let http = |more: &str| {
        refused(&format!(
            "{{ until = 2999-01-01, grants = {{ http = [{{ host = \"b.example\"{more} }}] }} }}"
        ))
    };
    assert!(http(", methods = [\"POST\"]").contains("methods that write"));
    assert!(http(", secret = { name = \"K\", header = \"x-key\" }").contains("credentials"));
    assert!(http(", headers = [\"cookie\"]").contains("credentials"));
    assert!(http(", addresses = [\"10.0.0.0/8\"]").contains("not public"));
    for (grants, word) in [
        ("{ files = [{ host = \"d\", guest = \"/d\", access = \"read-write\" }] }", "writing to `/d`"),
        ("{ keyvalue = {} }", "keyvalue"),
        ("{ custom = { outbox = true } }", "custom"),
        ("{}", "tries nothing"),
    ] {
        let said = refused(&format!("{{ until = 2999-01-01, grants = {grants} }}"));
        assert!(said.contains(word), "{grants}: {said}");
    }
    assert!(refused("{ grants = { clock = true } }").contains("until"));
    assert!(refused("{ until = \"soon\", grants = { clock = true } }").contains("2026-12-31"));
}

/// What is granted reaches one host, and `report` tries all of it.
fn tried_beside(upstream: &Upstream, more: &str) -> String {
    let port = upstream.port();
    let of =
        |host: &str, more: &str| format!("{{ host = \"{host}\", scheme = \"http\", port = {port}{more} }}");
    let address = ", addresses = [\"127.0.0.1\"]";
    format!(
        "grants.http = [{}]\nreport = {{ until = 2999-01-01, grants = {{ http = [{}] }} }}\n",
        of("127.0.0.1", &format!("{address}{more}")),
        of("127.0.0.1", ", methods = [\"GET\", \"HEAD\", \"OPTIONS\"]")
    )
}

#[tokio::test]
async fn what_is_tried_stays_on_the_public_network_and_adds_no_bound_of_another_grant() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&tried_beside(&upstream, ", requests_max = 2")).await;
    // The third request would be under the grant that is tried, which has no address of this machine.
    let args = json!({"method": "GET", "url": upstream.url("/v1"), "times": 3});
    let (reply, record) = crate::web::call(&host, "repeat", &args, Code::Ok).await;
    let answers = reply.result.unwrap();
    assert_eq!((&answers[0], &answers[1]), (&json!("200"), &json!("200")), "{answers}");
    assert_ne!(answers[2], json!("200"));
    let denied = &record.attempts[0].denied;
    assert!(denied.iter().any(|denial| !denial.reported && denial.kind.contains("address")), "{denied:?}");
    assert!(denied.iter().any(|denial| denial.reported), "the trial is on record: {denied:?}");
}

#[tokio::test]
async fn a_trial_that_has_ended_is_shown_as_such() {
    let host = Place::new().open_at(REPORT, Arc::new(Wall(END_S.into()))).await;
    let notes = host.summary().1.join("\n");
    assert!(notes.contains("they have ended") && !notes.contains("whose uses pass"), "{notes}");
    assert_eq!(host.trials().len(), 1);
}

#[test]
fn a_server_says_at_its_start_what_is_tried() {
    let place = Place::new();
    place
        .registry(&format!("[tools.keep]\ncomponent = \"keeper.wasm\"\n{}", REPORT.replace("2026", "2999")))
        .unwrap();
    let output = std::process::Command::new(airlock_tests::program())
        .current_dir(place.folder.path())
        .args(["serve", "--stdio"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = crate::stderr(&output);
    assert!(said.contains("warning: `keep` tries extra grants until 2999-12-31"), "{said}");
    assert!(said.contains("grants.clock = true") && output.stdout.is_empty(), "{said}");
}

#[tokio::test]
async fn records_have_what_was_used() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&crate::web::grant(&upstream, "")).await;
    let args = json!({"method": "GET", "url": upstream.url("/a?key=1"), "times": 3});
    let (_, record) = crate::web::call(&host, "repeat", &args, Code::Ok).await;
    let used = &record.attempts[0].uses;
    assert_eq!((used.len(), &*used[0].what, used[0].times), (1, &*format!("GET {}", upstream.url("/a")), 3));
    let host = Place::new()
        .open("grants = { clock = true, random = true, config = { a = \"1\" }, keyvalue = {} }\n")
        .await;
    for (function, args, what) in [
        ("now", json!({}), "clock"),
        ("draw", json!({}), "random"),
        ("values", json!({"keys": ["a"]}), "a"),
        ("put", json!({"bucket": "", "key": "k", "value": "v"}), "default"),
    ] {
        let (_, record) = call(&host, function, &args, Code::Ok).await;
        let used: Vec<&str> = record.attempts[0].uses.iter().map(|used| &*used.what).collect();
        assert_eq!(used, [what], "{function}");
    }
    let desk = Desk::new();
    let host = desk.writable("").await;
    let record = desk::check(&host, &[(desk::open("new", "create write"), "ok")]).await;
    let used: Vec<&str> = record.attempts[0].uses.iter().map(|used| &*used.what).collect();
    assert_eq!(used, ["read-write /data"]);
}
