//! Attempts of tools without a cassette, and attempts whose effects a recording answers.

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::replay::{Mode, Recorded, stubbed};
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use serde_json::json;

use crate::keep::Place;
use crate::replay::{called, no_key, open_host, recorded, same};

/// A registry with functions of the hostile guest, of which no cassette is kept.
const HOSTILE: &str = "[tools.h]\nfunctions = [\"sleep\", \"loop-forever\", \"log-forever\", \"print\", \"work\"]\n\
    limits.deadline_ms = 300\nlimits.fuel = 300_000_000_000\nretry.attempts = 1\ngrants.clock = true\n";

#[tokio::test]
async fn what_waited_or_met_the_deadline_is_replayed_with_a_cassette_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let guest = root().join("tests/guests/build/hostile.wasm");
    std::fs::write(&path, format!("{HOSTILE}component = \"{}\"\n", guest.display())).unwrap();
    let host = open_host(&path).await;
    for (tool, args, code, why) in [
        ("h_sleep", json!({"ms": 10}), "ok", "recorded with `record = \"metadata\"`"),
        ("h_sleep", json!({"ms": 2_000}), "limit.deadline", "recorded with `record = \"metadata\"`"),
        ("h_loop_forever", json!({}), "limit.deadline", "the deadline ended it"),
        ("h_log_forever", json!({}), "limit.deadline", "the deadline ended it"),
        ("h_print", json!({"out": "a", "err": "b"}), "ok", ""),
        ("h_work", json!({"rounds": 3}), "ok", ""),
    ] {
        let mut record = called(&host, tool, &args).await;
        assert_eq!(record.code, code, "{tool}");
        match Recorded::of(&record, 1, no_key) {
            Ok(recorded) if why.is_empty() => drop(same(&host, &recorded, Mode::Strict).await),
            Ok(_) => panic!("{tool} {args} is replayed"),
            Err(err) => assert!(!why.is_empty() && err.to_string().contains(why), "{tool} {args}: {err}"),
        }
        // As versions wrote it that did not tell of waits.
        record.attempts[0].recording.as_mut().unwrap().lacks = None;
        match Recorded::of(&record, 1, no_key) {
            Ok(recorded) => drop(same(&host, &recorded, Mode::Strict).await),
            Err(err) => {
                assert!(code == "limit.deadline" && err.to_string().contains("the deadline"), "{err}")
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_a_recording_answers_is_not_made_again_after_its_change() {
    let place = Place::new();
    let args = json!({"key": "b", "value": "2"});
    let host = place.open("grants.keyvalue = {}\n").await;
    let tool = "keep_put_then_abort";
    let record = called(&host, tool, &args).await;
    assert_eq!((record.attempts.len(), &*record.code), (1, "trap"));
    let sent = "Before that it had sent a change";
    let said = |reply: &serde_json::Value| reply["error"]["message"].as_str().unwrap().to_owned();
    assert!(said(record.reply.as_ref().unwrap()).contains(sent), "{record:?}");
    let file = ConfigFile::read(&place.path("airlock.toml")).unwrap();
    let builder = Host::builder().registry(file).journal(Journal::memory());
    let stubbed = stubbed(builder, vec![recorded(&record)]).await.unwrap();
    let reply = stubbed.call(Call::new(tool, Arguments::Text(args.to_string().into()))).await;
    stubbed.journal().flush().unwrap();
    let again = stubbed.journal().find(&reply.record).unwrap().unwrap();
    assert_eq!(
        (again.attempts.len(), &again.code, &again.attempts[0].effects),
        (1, &record.code, &record.attempts[0].effects)
    );
    assert_eq!(said(again.reply.as_ref().unwrap()), said(record.reply.as_ref().unwrap()));
}
