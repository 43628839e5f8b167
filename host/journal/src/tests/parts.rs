//! Values that are stored apart from their records.

use airlock_types::record::v3::{Attempt, Recording, Usage};
use serde_json::Value;

use super::*;

/// Text that does not compress to nothing.
fn text(seed: u64, bytes: usize) -> String {
    let mut state = seed;
    let next = || {
        // Constants of Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 60) as u8)
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn attempt(log: &str) -> Attempt {
    Attempt {
        route: "t".into(),
        component: "c".into(),
        number: 1,
        code: Code::Ok.into(),
        usage: Usage::default(),
        log: log.into(),
        trap: None,
        denials: vec![],
        denied: vec![],
        uses: vec![],
        findings: vec![],
        effects: None,
        recording: None,
    }
}

fn count(path: &Path, table: &str) -> i64 {
    let other = rusqlite::Connection::open(path).unwrap();
    other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// An attempt with this cassette.
fn recorded(cassette: &str) -> Attempt {
    let recording = Recording {
        mode: "full".into(),
        imports: 1,
        bytes: cassette.len() as u64,
        sha256: String::new(),
        end_sha256: String::new(),
        lacks: None,
        sealed: false,
        cassette: cassette.into(),
    };
    Attempt { recording: Some(recording), ..attempt("short") }
}

/// Records with large values in each place where there may be one.
fn large() -> Vec<Record<Json>> {
    let (doc, out) = (text(1, 5_000), text(2, 9_000));
    let args = json!({"a/b~c": doc, "n": 1, "small": "s"});
    let reply = json!({"status": "ok", "result": {"rows": [out]}, "record": "x", "usage": {"fuel": 1}});
    vec![
        Record { args: Json::of(&args), reply: Json::of(&reply), ..record("object-01") },
        Record { reply: Json::of(&reply), ..record("reply-001") },
        Record { args: Json::of(&text(3, 6_000)), ..record("string-01") },
        Record { attempts: vec![attempt("short"), attempt(&text(4, 7_000))], ..record("logs-0001") },
        Record { attempts: vec![attempt("short"), recorded(&text(7, 8_000))], ..record("tape-0001") },
        // Together too large to stay, each small enough.
        Record { args: Json::of(&json!({"a": text(5, 3_000), "b": text(6, 3_000)})), ..record("small-001") },
    ]
}

#[tokio::test]
async fn large_values_are_stored_once_and_read_in_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for durability in [Durability::Queued, Durability::Committed] {
        for original in large() {
            let record = Record { id: format!("{}-{durability:?}", original.id), ..original };
            journal.seal(record.clone(), durability).await.unwrap();
            let found = journal.find(&record.id).unwrap().unwrap();
            assert_eq!(serde_json::to_value(found).unwrap(), serde_json::to_value(record).unwrap());
        }
    }
    assert_eq!((count(&path, "bodies"), count(&path, "body_uses")), (5, 12));
    let other = rusqlite::Connection::open(&path).unwrap();
    let sizes = "SELECT max(length(record)) FROM (SELECT * FROM records UNION ALL SELECT * FROM committed)";
    assert!(other.query_row(sizes, [], |row| row.get::<_, i64>(0)).unwrap() < 7_000);
}

#[tokio::test]
async fn a_value_goes_with_the_last_record_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for id in ["11111111", "22222222", "33333333"] {
        let durability = if id == "33333333" { Durability::Committed } else { Durability::Queued };
        journal.seal(Record { id: id.into(), ..large().remove(0) }, durability).await.unwrap();
    }
    // Sealed again with one value less.
    let again = Record { reply: None, ..large().remove(0) };
    journal.seal(Record { id: "22222222".into(), ..again }, Durability::Queued).await.unwrap();
    journal.flush().unwrap();
    assert_eq!((count(&path, "bodies"), count(&path, "body_uses")), (2, 5));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("DELETE FROM records WHERE id = '11111111'", []).unwrap();
    other.execute("DELETE FROM committed", []).unwrap();
    assert_eq!((count(&path, "bodies"), count(&path, "body_uses")), (1, 1));
    assert!(journal.find("22222222").unwrap().is_some());
    other.execute("DELETE FROM records", []).unwrap();
    assert_eq!((count(&path, "bodies"), count(&path, "body_uses")), (0, 0));
}

#[tokio::test]
async fn a_value_that_is_gone_or_exchanged_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    journal.seal(large().remove(2), Durability::Queued).await.unwrap();
    journal.flush().unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let zstd = |json: &Value| zstd::bulk::compress(json.to_string().as_bytes(), 1).unwrap();
    let cases = [
        (zstd(&text(9, 6_000).into()), "is not the one that was recorded"),
        (zstd(&text(9, 60_000).into()), "cannot be decompressed"),
        (b"no zstd".to_vec(), "cannot be decompressed"),
    ];
    for (body, expected) in cases {
        other.execute("UPDATE bodies SET zstd = ?1", [body]).unwrap();
        let err = journal.find("string-01").unwrap_err().to_string();
        assert!(err.contains("`/args` of record `string-01`") && err.contains(expected), "{err}");
    }
    other.execute("DELETE FROM bodies", []).unwrap();
    assert!(journal.find("string-01").unwrap_err().to_string().contains("is missing"));
}
