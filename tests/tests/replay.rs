//! Recorded attempts: what is recorded, that it changes nothing, and that a replay comes to the same or says where it left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::replay::{Mode, NotReplayable, Recorded, Replayed, replay, stubbed};
use airlock::secret::Seal;
use airlock_journal::Journal;
use airlock_tests::upstream::Upstream;
use airlock_tests::{registry, root};
use airlock_types::call::{Arguments, Call};
use airlock_types::cassette::{Cassette, End, Entry};
use airlock_types::code::Code;
use airlock_types::record::Record;
use serde_json::{Value, json};

use crate::desk::{Desk, act, open, read, step, writable, write};
use crate::keep::{Place, ask, call as keep};
use crate::scripted::Clock;
use crate::web::{Web, call as web, fetch, grant};

/// Replays what was recorded of a call, each attempt of which must come to the same.
pub(crate) async fn replays(host: &Host, record: &Record) {
    for number in 1..=record.attempts.len() {
        match Recorded::of(record, number, no_key) {
            Ok(recorded) => same(host, &recorded, Mode::Strict).await,
            Err(NotReplayable::Lacks(_)) => continue,
            Err(err) => panic!("{err}"),
        };
    }
}

pub(crate) fn no_key(_: &str) -> Result<String, String> {
    Err("no key".into())
}

pub(crate) async fn same(host: &Host, recorded: &Recorded, mode: Mode) -> Replayed {
    let replayed = replay(host, recorded, mode).await.unwrap();
    let imports: Vec<String> =
        recorded.cassette.entries.iter().map(|entry| format!("{} {}", entry.import, entry.args)).collect();
    assert!(replayed.is_same(), "{} {}: {replayed:#?}\n{}", recorded.tool, recorded.args, imports.join("\n"));
    // One that stops early has nothing to differ in.
    if recorded.cassette.end.as_ref().is_some_and(|end| end.kind == End::VALUE) {
        assert!(replayed.end.is_some(), "{}: {replayed:#?}", recorded.tool);
    }
    replayed
}

/// The only attempt of a call.
pub(crate) fn recorded(record: &Record) -> Recorded {
    Recorded::of(record, 1, no_key).unwrap_or_else(|err| panic!("{err}: {:?}", record.attempts))
}

/// The same with other entries, as another component would have called its imports.
fn with_entries(recorded: &Recorded, change: impl FnOnce(&mut Vec<Entry>)) -> Recorded {
    let mut other = recorded.clone();
    change(&mut other.cassette.entries);
    other
}

pub(crate) async fn called(host: &Host, tool: &str, args: &Value) -> Record {
    let reply = host.call(Call::new(tool, Arguments::Text(args.to_string().into()))).await;
    host.journal().flush().unwrap();
    host.journal().find(&reply.record).unwrap().unwrap()
}

pub(crate) async fn open_host(path: &Path) -> Host {
    let file = ConfigFile::read(path).unwrap();
    Host::builder()
        .registry(file)
        .journal(Journal::memory())
        .open()
        .await
        .unwrap_or_else(|err| panic!("{err}"))
}

/// A host on the engine's interpreter.
pub(crate) async fn interpreted(path: &Path) -> Host {
    let builder = Host::builder().registry(ConfigFile::read(path).unwrap()).journal(Journal::memory());
    builder.interpreted().open().await.unwrap_or_else(|err| panic!("{err}"))
}

#[tokio::test]
async fn recording_changes_nothing_that_a_guest_sees() {
    let desk = Desk::new();
    std::fs::write(desk.data("a"), "hello").unwrap();
    let steps =
        [open("a", "read"), read(1), step("drain", json!(1)), step("list", json!(0)), open("none", "read")];
    let mut seen = Vec::new();
    for mode in ["off", "metadata", "full"] {
        let registry = desk.registry(&writable(""));
        let text = std::fs::read_to_string(&registry).unwrap();
        std::fs::write(&registry, text.replace("record = \"full\"", &format!("record = \"{mode}\"")))
            .unwrap();
        let host = open_host(&registry).await;
        let (found, record) = act(&host, &steps).await;
        let recording = record.attempts[0].recording.clone();
        assert_eq!(
            recording.as_ref().map(|recording| recording.mode.to_string()),
            (mode != "off").then(|| mode.to_owned())
        );
        assert_eq!(recording.is_some_and(|recording| !recording.cassette.is_empty()), mode == "full");
        seen.push((found, record.attempts[0].usage.fuel, record.attempts[0].usage.memory_bytes));
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
}

#[tokio::test]
async fn by_default_there_are_counts_and_digests_and_no_values() {
    let host = open_host(&registry("example")).await;
    let pure = called(&host, "unit_convert", &json!({"from": "km", "to": "mile", "value": 3})).await;
    // The registry of the examples records fully; this one is the default.
    let recording = pure.attempts[0].recording.as_ref().unwrap();
    assert_eq!((&*recording.mode, recording.imports), ("full", 0));
    let place = Place::new();
    let registry = place.file("grants.clock = true\n");
    drop(registry);
    let text =
        std::fs::read_to_string(place.path("airlock.toml")).unwrap().replace("record = \"full\"\n", "");
    std::fs::write(place.path("airlock.toml"), text).unwrap();
    let host = open_host(&place.path("airlock.toml")).await;
    let (_, record) = keep(&host, "now", &json!({}), Code::Ok).await;
    let recording = record.attempts[0].recording.as_ref().unwrap();
    assert_eq!((&*recording.mode, recording.imports, recording.cassette.as_str()), ("metadata", 4, ""));
    assert!(recording.bytes > 0 && recording.sha256.len() == 64 && recording.end_sha256.len() == 64);
    let why = Recorded::of(&record, 1, no_key).unwrap_err().to_string();
    assert!(why.contains("record = \"metadata\""), "{why}");
    // What nothing entered replays from its record alone.
    let (_, record) = keep(&host, "values", &json!({"keys": ["a"]}), Code::Ok).await;
    assert_eq!(record.attempts[0].recording.as_ref().unwrap().cassette, "");
    let found = recorded(&record);
    same(&host, &found, Mode::Strict).await;
    let mut other = found;
    other.args = json!({"keys": ["a", "b"]});
    let replayed = replay(&host, &other, Mode::Strict).await.unwrap();
    assert_eq!(replayed.differences.len(), 2, "outcome and fuel: {replayed:?}");
}

#[tokio::test]
async fn a_replay_changes_nothing_outside() {
    let (desk, upstream, place) = (Desk::new(), Upstream::start().await.unwrap(), Place::new());
    let host = desk.writable("").await;
    let (_, record) = act(&host, &[open("new", "create write"), write(1, 0, "abc")]).await;
    std::fs::remove_file(desk.data("new")).unwrap();
    let replayed = same(&host, &recorded(&record), Mode::Strict).await;
    assert!(!desk.data("new").exists());
    let effects: Vec<&str> = replayed.effects.iter().map(|effect| effect.name.as_str()).collect();
    assert_eq!(effects, ["wasi:filesystem/types#open-at", "wasi:filesystem/types#write"]);
    let host = Web::new().open(&grant(&upstream, ", methods = [\"GET\", \"POST\", \"PUT\"]")).await;
    let args = json!({"method": "POST", "url": upstream.url("/x"), "headers": [], "body": "hello"});
    let (_, record) = web(&host, "fetch", &args, Code::Ok).await;
    assert_eq!(upstream.arrived().len(), 1, "that of the call alone");
    let found = recorded(&record);
    let sent = found.cassette.entries.iter().find_map(|entry| entry.sent.clone()).unwrap();
    assert_eq!(sent.bytes, 5);
    let host = place.open("grants.keyvalue = {}\n").await;
    let (_, record) = keep(&host, "add", &json!({"key": "n", "delta": 2}), Code::Ok).await;
    same(&host, &recorded(&record), Mode::Strict).await;
    assert_eq!(ask(&host, "add", &json!({"key": "n", "delta": 1})).await.unwrap(), 3);
}

#[tokio::test]
async fn clocks_waits_random_bytes_and_pairs_replay() {
    let place = Place::new();
    let host = place.open("grants.clock = true\ngrants.random = true\ngrants.keyvalue = {}\ngrants.env = { A = \"1\" }\ngrants.config = { b = \"2\" }\n").await;
    let put = json!({"bucket": "default", "key": "a", "value": "1"});
    for (function, args) in [
        ("now", json!({})),
        ("pause", json!({"ms": 20})),
        ("draw", json!({})),
        ("put", put),
        ("fetch", json!({"bucket": "default", "key": "a"})),
        ("fetch-many", json!({"keys": ["a", "b"]})),
        ("keys", json!({})),
        ("swap", json!({"key": "a", "value": "2", "meanwhile": "3"})),
        ("variables", json!({})),
        ("all-values", json!({})),
        ("need", json!({"key": "b"})),
    ] {
        let (_, record) = keep(&host, &function.replace('-', "_"), &args, Code::Ok).await;
        let found = recorded(&record);
        same(&host, &found, Mode::Strict).await;
        same(&host, &found, Mode::Stub).await;
        if function == "fetch" {
            assert!(found.cassette.entries.iter().any(|entry| entry.fuel.is_some()));
        }
    }
}

#[tokio::test]
async fn requests_replay_with_their_bodies_errors_and_pauses() {
    let upstream = Upstream::start().await.unwrap();
    let url = |path: &str| upstream.url(path);
    let more =
        ", methods = [\"GET\", \"PUT\", \"POST\"], down_bytes_max = 3_000_000, up_bytes_max = 3_000_000";
    let host = Web::new()
        .open(&format!(
            "limits.deadline_ms = 1500\n{}\n[journal]\ncassette_bytes_max = 10_000_000\n",
            grant(&upstream, more)
        ))
        .await;
    for (function, args, code) in [
        ("download", json!({"url": url("/large?1000000")}), Code::Ok),
        ("download", json!({"url": url("/large?4000000")}), Code::ToolError),
        ("upload", json!({"url": url("/x"), "bytes": 1_000_000}), Code::Ok),
        ("fetch_all", json!({"urls": [url("/1"), url("/2"), "http://127.0.0.1:1/", url("/3")]}), Code::Ok),
        ("repeat", json!({"method": "GET", "url": url("/x"), "times": 12}), Code::Ok),
        (
            "hurry",
            json!({"url": url("/slow"), "connect-ms": 500, "head-ms": 50, "part-ms": 500}),
            Code::ToolError,
        ),
        (
            "hurry",
            json!({"url": url("/pause"), "connect-ms": 500, "head-ms": 500, "part-ms": 50}),
            Code::ToolError,
        ),
        // A request that is never answered, and one that is.
        ("fetch_all", json!({"urls": [url("/1"), url("/slow")]}), Code::LimitDeadline),
        ("fetch_then_abort", json!({"method": "GET", "url": url("/x")}), Code::Trap),
    ] {
        let args: Value = serde_json::from_str(&args.to_string().replace("-ms", "_ms")).unwrap();
        // The helper replays each attempt.
        let (_, record) = web(&host, function, &args, code).await;
        for number in 1..=record.attempts.len() {
            let found = Recorded::of(&record, number, no_key).unwrap();
            assert!(!found.cassette.entries.is_empty(), "{function}");
            same(&host, &found, Mode::Strict).await;
        }
    }
}

#[tokio::test]
async fn attempts_that_a_limit_ended_replay_up_to_it() {
    let text = std::fs::read_to_string(registry("hostile")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = text.replace("\"build/", &format!("\"{}/tests/guests/build/", root().display()));
    let here = here.replace("../../example-tools", &root().join("example-tools").display().to_string());
    let here = here.replace("component =", "record = \"full\"\nretry.attempts = 1\ncomponent =");
    std::fs::write(folder.path().join("airlock.toml"), here).unwrap();
    let host = open_host(&folder.path().join("airlock.toml")).await;
    for (tool, args, code) in [
        ("hostile_loop_forever", json!({}), "limit.fuel"),
        ("hostile_allocate_forever", json!({}), "limit.memory"),
        ("hostile_trap", json!({}), "trap"),
        ("hostile_panic", json!({"message": "x"}), "trap"),
        ("hostile_recurse", json!({}), "limit.stack"),
        ("trusted_sleep", json!({"ms": 5_000}), "limit.deadline"),
        ("trusted_loop_forever", json!({}), "limit.deadline"),
        ("trusted_read_file", json!({"path": "sectors.csv"}), ""),
        ("trusted_random", json!({}), "ok"),
    ] {
        let record = called(&host, tool, &args).await;
        assert!(code.is_empty() || record.code == code, "{tool}: {}", record.code);
        same(&host, &recorded(&record), Mode::Strict).await;
    }
}

#[tokio::test]
async fn the_first_import_that_differs_is_shown_with_both_sides() {
    let desk = Desk::new();
    std::fs::write(desk.data("a"), "hello").unwrap();
    let host = desk.open(&crate::desk::grant("")).await;
    let (_, record) = act(&host, &[open("a", "read"), read(1)]).await;
    let found = recorded(&record);
    let place = found.cassette.entries.iter().position(|entry| entry.import.ends_with("#open-at")).unwrap();
    let other = with_entries(&found, |entries| entries[place].args[0] = "/data/b".into());
    let diverged = replay(&host, &other, Mode::Strict).await.unwrap().divergence.unwrap();
    assert_eq!(diverged.at, Some(place + 1));
    assert_eq!(diverged.what, "the guest called the import with other arguments");
    let (was, now) = (diverged.recorded.unwrap(), diverged.replayed.unwrap());
    assert_eq!((&was.args[0], &now.args[0]), (&json!("/data/b"), &json!("/data/a")));
    let fewer = with_entries(&found, |entries| entries.truncate(place));
    let diverged = replay(&host, &fewer, Mode::Strict).await.unwrap().divergence.unwrap();
    assert!(diverged.what.contains("after the last one") && diverged.recorded.is_none(), "{diverged:?}");
    let more = with_entries(&found, |entries| entries.extend_from_within(place..=place));
    let diverged = replay(&host, &more, Mode::Strict).await.unwrap().divergence.unwrap();
    assert!(diverged.what.contains("ended before") && diverged.replayed.is_none(), "{diverged:?}");
    // By arguments, the order does not count.
    let reversed = with_entries(&found, |entries| entries.reverse());
    assert!(replay(&host, &reversed, Mode::Strict).await.unwrap().divergence.is_some());
    same(&host, &reversed, Mode::Stub).await;
    let diverged = replay(&host, &other, Mode::Stub).await.unwrap().divergence.unwrap();
    assert!(diverged.what.contains("no import with these arguments"), "{diverged:?}");
}

#[tokio::test]
async fn another_component_diverges_at_an_import() {
    let host = open_host(&registry("example")).await;
    let record = called(&host, "sector_metrics", &json!({"period": "2015-03"})).await;
    same(&host, &recorded(&record), Mode::Strict).await;
    let folder = tempfile::tempdir().unwrap();
    let liar = root().join("tests/guests/build/liar.wasm");
    let text = format!(
        "[tools.liar]\ncomponent = \"{}\"\nfunctions = {{ \"sector-metrics\" = \"sector_metrics\" }}\ngrants.clock = true\n",
        liar.display()
    );
    std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
    let other = open_host(&folder.path().join("airlock.toml")).await;
    let replayed = replay(&other, &recorded(&record), Mode::Strict).await.unwrap();
    assert!(replayed.notes.iter().any(|note| note.contains("another one than was recorded")), "{replayed:?}");
    let diverged = replayed.divergence.unwrap();
    assert!(diverged.recorded.is_some(), "{diverged:?}");
}

#[tokio::test]
async fn in_live_shadow_reading_is_real_and_no_effect_leaves() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, ", methods = [\"GET\", \"POST\"]")).await;
    let args = |method: &str| json!({"method": method, "url": upstream.url("/x"), "headers": [], "body": ""});
    let (_, got) = web(&host, "fetch", &args("GET"), Code::Ok).await;
    let (_, posted) = web(&host, "fetch", &args("POST"), Code::Ok).await;
    let arrived = || upstream.arrived().iter().map(|request| request.method.clone()).collect::<Vec<_>>();
    assert_eq!(arrived(), ["GET", "POST"]);
    // Its headers have the time of day.
    let real = replay(&host, &recorded(&got), Mode::LiveShadow).await.unwrap();
    assert!(real.divergence.is_none() && real.effects.is_empty(), "{real:?}");
    same(&host, &recorded(&posted), Mode::LiveShadow).await;
    assert_eq!(arrived(), ["GET", "POST", "GET"]);
    let other = with_entries(&recorded(&posted), Vec::clear);
    let diverged = replay(&host, &other, Mode::LiveShadow).await.unwrap().divergence.unwrap();
    assert_eq!(diverged.what, "the effect was not recorded, and is refused");
    assert_eq!(arrived().len(), 3);
}

#[tokio::test]
async fn in_live_shadow_pairs_are_read_from_the_file_and_never_changed() {
    let place = Place::new();
    let settings = "grants.keyvalue = {}\n";
    let host = place.try_open_kept(settings).await.unwrap();
    let put = |value: &str| json!({"bucket": "default", "key": "a", "value": value});
    let key = json!({"bucket": "default", "key": "a"});
    let (_, first) = keep(&host, "put", &put("1"), Code::Ok).await;
    let (_, fetched) = keep(&host, "fetch", &key, Code::Ok).await;
    ask(&host, "put", &put("2")).await.unwrap();
    let file = place.file(settings);
    let shadow = Host::builder().registry(file.clone()).journal(Journal::memory()).reading_pairs().open();
    let shadow = shadow.await.unwrap_or_else(|err| panic!("{err}"));
    let real = replay(&shadow, &recorded(&fetched), Mode::LiveShadow).await.unwrap();
    assert!(real.divergence.is_none(), "{real:?}");
    // "2" in base64 and in numbers: whatever form the outcome has, it is not that of "1".
    assert!(real.differences.iter().any(|difference| difference.contains("the outcome is")), "{real:?}");
    let again = replay(&shadow, &recorded(&first), Mode::LiveShadow).await.unwrap();
    assert!(again.is_same() && again.effects.len() == 1, "{again:?}");
    let other = with_entries(&recorded(&first), |entries| entries.retain(|entry| !entry.is_effect));
    let refused = replay(&shadow, &other, Mode::LiveShadow).await.unwrap();
    assert_eq!(refused.divergence.unwrap().what, "the effect was not recorded, and is refused");
    assert_eq!(ask(&host, "fetch", &key).await.unwrap(), "2");
    // A host whose pairs are read makes no file, and has none.
    let empty = Place::new();
    let shadow = Host::builder().registry(empty.file(settings)).journal(Journal::memory()).reading_pairs();
    let shadow = shadow.open().await.unwrap_or_else(|err| panic!("{err}"));
    let real = replay(&shadow, &recorded(&fetched), Mode::LiveShadow).await.unwrap();
    assert!(!real.is_same(), "{real:?}");
    assert!(!file.state().with_file_name("keyvalue.db").exists() && !empty.path("keyvalue.db").exists());
}

#[tokio::test]
async fn the_bound_of_a_cassette_is_of_what_is_stored() {
    let recording = async |bytes_max: u64| {
        let settings = format!("grants.keyvalue = {{}}\n[journal]\ncassette_bytes_max = {bytes_max}\n");
        let host = Place::new().open(&settings).await;
        let (_, record) = keep(&host, "fetch", &json!({"bucket": "default", "key": "a"}), Code::Ok).await;
        record.attempts[0].recording.clone().unwrap()
    };
    let whole = recording(1 << 20).await;
    assert_eq!(whole.bytes, whole.cassette.len() as u64);
    assert_eq!(recording(whole.bytes).await.cassette.len(), whole.cassette.len());
    let larger = recording(whole.bytes - 1).await;
    assert_eq!((larger.cassette.as_str(), larger.bytes), ("", whole.bytes));
    assert!(larger.lacks.unwrap().contains("more than `journal.cassette_bytes_max`"));
}

#[tokio::test]
async fn a_response_with_credentials_is_not_kept_without_a_key() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, "")).await;
    fetch(&host, "GET", &upstream.url("/cookie")).await.unwrap();
    let args = json!({"method": "GET", "url": upstream.url("/cookie"), "headers": [], "body": ""});
    let (_, record) = web(&host, "fetch", &args, Code::Ok).await;
    let recording = record.attempts[0].recording.as_ref().unwrap();
    assert_eq!((recording.cassette.as_str(), recording.sha256.as_str()), ("", ""));
    assert_eq!(
        recording.lacks.as_deref(),
        Some("a response has the header `set-cookie`, and no `journal.recipient` is set to encrypt it to")
    );
}

/// A program's own way of sealing: the recipient, and the text backwards.
struct Backwards;

impl Seal for Backwards {
    fn seal(&self, recipient: &str, value: &[u8]) -> Result<String, String> {
        let backwards: String = String::from_utf8_lossy(value).chars().rev().collect();
        if recipient == "me" { Ok(format!("me:{backwards}")) } else { Err("no such recipient".into()) }
    }
}

#[tokio::test]
async fn a_response_with_credentials_is_kept_under_the_key() {
    let (place, upstream) = (Web::new(), Upstream::start().await.unwrap());
    let args = json!({"method": "GET", "url": upstream.url("/cookie"), "headers": [], "body": ""});
    let open = async |recipient: &str| {
        let settings = format!("{}\n[journal]\nrecipient = \"{recipient}\"\n", grant(&upstream, ""));
        let builder = Host::builder().registry(place.file(&settings)).journal(Journal::memory());
        builder.seal(Arc::new(Backwards)).open().await
    };
    let refused = open("another").await.err().unwrap().to_string();
    assert!(refused.contains("`journal.recipient` cannot be used: no such recipient"), "{refused}");
    let host = open("me").await.unwrap();
    let record = called(&host, "web_fetch", &args).await;
    let recording = record.attempts[0].recording.as_ref().unwrap();
    assert!(recording.sealed && recording.lacks.is_none() && recording.cassette.starts_with("me:"));
    assert!(!recording.cassette.contains("s3cr3t"));
    let sealed = Recorded::of(&record, 1, no_key).unwrap_err().to_string();
    assert_eq!(sealed, "the cassette cannot be decrypted: no key");
    let unseal = |text: &str| Ok(text.trim_start_matches("me:").chars().rev().collect());
    let found = Recorded::of(&record, 1, unseal).unwrap();
    same(&host, &found, Mode::Strict).await;
}

#[tokio::test]
async fn a_cassette_beyond_its_bound_is_not_kept_and_says_so() {
    let upstream = Upstream::start().await.unwrap();
    let settings = format!("{}\n[journal]\ncassette_bytes_max = 10_000\n", grant(&upstream, ""));
    let host = Web::new().open(&settings).await;
    let (_, record) = web(&host, "download", &json!({"url": upstream.url("/large?100000")}), Code::Ok).await;
    let recording = record.attempts[0].recording.as_ref().unwrap();
    assert!(recording.cassette.is_empty() && recording.bytes > 100_000);
    let why = Recorded::of(&record, 1, no_key).unwrap_err().to_string();
    assert!(why.contains("more than `journal.cassette_bytes_max` (10000)"), "{why}");
}

#[tokio::test]
async fn a_damaged_cassette_is_located() {
    let desk = Desk::new();
    std::fs::write(desk.data("a"), "hello").unwrap();
    let host = desk.open(&crate::desk::grant("")).await;
    let (_, mut record) = act(&host, &[open("a", "read"), read(1)]).await;
    let recording = record.attempts[0].recording.as_mut().unwrap();
    let bytes = "aGVsbG8=";
    assert_eq!(recording.cassette.matches(bytes).count(), 1);
    let read = Cassette::read(&recording.cassette).unwrap();
    let place = read.entries.iter().position(|entry| entry.import.ends_with("types#read")).unwrap() + 1;
    recording.cassette = recording.cassette.replace(bytes, "aGVsbG4=");
    let why = Recorded::of(&record, 1, no_key).unwrap_err().to_string();
    let expect = format!(
        "the cassette is damaged at import {place}, `wasi:filesystem/types#read`: it is not what was recorded"
    );
    assert_eq!(why, expect);
}

#[tokio::test]
async fn a_host_that_is_answered_from_recordings_keeps_the_time_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = ConfigFile::parse("", &folder.path().join("airlock.toml")).unwrap();
    let clock = Arc::<Clock>::default();
    clock.later(3_000);
    let builder = Host::builder().registry(file).journal(Journal::memory()).environment(clock.clone());
    let host = stubbed(builder, Vec::new()).await.unwrap();
    assert_eq!(host.environment().wall(), Duration::ZERO, "that of the newest recording");
    clock.later(5_000);
    assert_eq!(host.environment().wall(), Duration::from_millis(5_000));
}
