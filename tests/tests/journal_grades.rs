//! `airlock grade`: whether an answer was right, appended to the journal.

use airlock::caller::token;
use airlock_tests::server::Server;
use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::Value;

use crate::http::{self, CONVERT, KM};
use crate::journal::{journal_of, registry_in};
use crate::state_folder::airlock;

#[test]
fn grades_are_appended_and_go_with_their_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let called = airlock(&path, &["call", "writes", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    assert!(airlock(&path, &["grade", &id[..23], "right"]).status.success());
    let graded = airlock(&path, &["grade", id, "partly", "--by", "maria", "--note", "another quarter"]);
    assert_eq!(String::from_utf8_lossy(&graded.stdout), format!("{id} of writes is partly\n"));
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let rows = || -> Vec<String> {
        let mut query = journal
            .prepare("SELECT call || grade || by || coalesce(note, '-') FROM grades ORDER BY number")
            .unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(rows(), [format!("{id}rightlocal-"), format!("{id}partlymariaanother quarter")]);
    journal.execute("UPDATE committed SET erased_unix_ms = 1", []).unwrap();
    assert_eq!(rows()[1], format!("{id}partlymaria-"), "what was erased may be in the note");
    // A later note would not be erased again.
    let noted = airlock(&path, &["grade", id, "wrong", "--note", "it said 7"]);
    let said = String::from_utf8_lossy(&noted.stderr);
    assert!(said.contains("grade it without one") && noted.status.code() == Some(1), "{said}");
    assert_eq!(rows().len(), 2);
    assert!(airlock(&path, &["grade", id, "wrong"]).status.success());
    journal.execute("DELETE FROM committed", []).unwrap();
    assert!(rows().is_empty());
}

#[test]
fn what_cannot_be_graded_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let called = airlock(&path, &["call", "reads", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    let long = "x".repeat(4_001);
    let cases: [(&[&str], &str, i32); 5] = [
        (&["00000000-0000", "right"], "no record `00000000-0000`", 1),
        (&["0000", "right"], "give more of the id", 1),
        (&[id, "fine"], "possible values: right, wrong, partly", 2),
        (&[id, "right", "--by", ""], "1 to 128 characters", 1),
        (&[id, "right", "--note", &long], "1 to 4000 characters", 1),
    ];
    for (args, expected, exit) in cases {
        let graded = airlock(&path, &[&["grade"], args].concat());
        let said = String::from_utf8_lossy(&graded.stderr);
        assert!(said.contains(expected) && graded.status.code() == Some(exit), "{args:?}: {said}");
    }
}

#[test]
fn a_file_of_grades_is_taken_whole_or_not_at_all_and_twice_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let call = || {
        let called = airlock(&path, &["call", "reads", KM, "--json"]);
        let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
        reply["record"].as_str().unwrap().to_owned()
    };
    let (one, two) = (call(), call());
    let file = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let count = || -> u32 {
        let journal = Connection::open(journal_of(folder.path())).unwrap();
        journal.query_row("SELECT count(*) FROM grades", [], |row| row.get(0)).unwrap()
    };
    let wrong = [
        (
            "a.jsonl",
            format!(
                "{{\"call\":\"{one}\",\"grade\":\"right\"}}\n{{\"call\":\"{one}\",\"grade\":\"fine\"}}\n"
            ),
            "a.jsonl:2: unknown variant `fine`",
        ),
        (
            "b.jsonl",
            format!("{{\"call\":\"{one}\",\"grade\":\"right\",\"nte\":\"\"}}\n"),
            "b.jsonl:1: unknown field `nte`",
        ),
        (
            "c.csv",
            format!("call,grade\n{one},right\n00000000-0000-7000,right\n"),
            "c.csv:3: no record `00000000-0000-7000`",
        ),
        ("d.csv", format!("call,grade\n{one}\n"), "d.csv:2: "),
        ("e.txt", String::new(), "neither `.jsonl` nor `.csv`"),
    ];
    for (name, text, expected) in wrong {
        let graded = airlock(&path, &["grade", "--from", &file(name, text)]);
        let said = String::from_utf8_lossy(&graded.stderr);
        assert!(said.contains(expected) && graded.status.code() == Some(1), "{name}: {said}");
        assert_eq!(count(), 0, "{name}");
    }
    // With a mark of the byte order, as some programs write it.
    let lines = format!(
        "\u{feff}{{\"call\":\"{one}\",\"grade\":\"right\",\"by\":\"ann\"}}\n\n{{\"call\":\"{two}\",\"grade\":\"wrong\",\"note\":\"old\"}}\n"
    );
    let rows = format!("\u{feff}call,grade,note,by\n{one},right,,ann\n{two},partly,\"half, of it\",\n");
    for (name, text, new) in [("f.jsonl", lines.clone(), 2), ("g.jsonl", lines, 0), ("h.csv", rows, 1)] {
        let graded = airlock(&path, &["grade", "--by", "maria", "--from", &file(name, text)]);
        let expected = match new {
            1 => "1 grade was appended; 1 there already\n".to_owned(),
            new => format!("{new} grades were appended; {} there already\n", 2 - new),
        };
        assert_eq!(String::from_utf8_lossy(&graded.stdout), expected, "{name}: {graded:?}");
    }
    assert_eq!(count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_grades_its_own_calls_and_a_judge_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let callers: Vec<_> = (1..=4).map(|number| token::new([number; 32])).collect();
    let mut settings = "[http]\nallow_anonymous = true\n".to_owned();
    for ((name, more), (_, digest)) in
        [("ann", ""), ("ben", ""), ("judge", "grades = \"any\"\n"), ("mute", "grades = \"none\"\n")]
            .iter()
            .zip(&callers)
    {
        settings += &format!("[callers.{name}]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n{more}");
    }
    let server = Server::start(&http::registry_in(folder.path(), &settings, &[CONVERT]), &[]).unwrap();
    let tokens: Vec<_> = callers.iter().map(|(token, _)| token.to_string()).collect();
    let called = server.call(CONVERT.0, KM).bearer_auth(&tokens[0]).send().await.unwrap();
    let reply: Value = called.json().await.unwrap();
    let id = reply["record"].as_str().unwrap();
    let right = r#"{"grade":"right","note":"as in the book"}"#;
    let cases = [
        (Some(0), id, right, StatusCode::NO_CONTENT),
        (Some(1), id, right, StatusCode::NOT_FOUND),
        (Some(2), id, right, StatusCode::NO_CONTENT),
        (Some(3), id, right, StatusCode::FORBIDDEN),
        (None, id, right, StatusCode::FORBIDDEN),
        (Some(0), &id[..30], right, StatusCode::NOT_FOUND),
        (Some(0), "x", right, StatusCode::NOT_FOUND),
        (Some(0), id, r#"{"grade":"good"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (Some(0), id, r#"{"grade":"right","by":"ben"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (Some(0), id, "", StatusCode::UNPROCESSABLE_ENTITY),
    ];
    for (who, call, body, status) in cases {
        let mut request = server.request(Method::POST, &format!("/v1/calls/{call}/grade")).body(body);
        request = request.header("content-type", "application/json");
        if let Some(who) = who {
            request = request.bearer_auth(&tokens[who]);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{who:?} {call} {body}");
    }
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let mut query =
        journal.prepare("SELECT by || ' ' || grade || ' ' || note FROM grades ORDER BY number").unwrap();
    let rows: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, ["ann right as in the book", "judge right as in the book"]);
}
