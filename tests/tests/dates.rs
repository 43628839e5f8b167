//! Values of TOML in a place that takes others: dates, which come as tables, and words that are one of a list.

use std::process::Command;

use airlock_tests::program;

use crate::stderr;

#[track_caller]
fn refuses(text: &str, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(program()).arg("--registry").arg(&path).arg("check").output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}: {said}");
    for piece in says {
        assert!(said.contains(piece), "{text} does not say {piece:?}:\n{said}");
    }
    assert!(!said.contains("private"), "{said}");
}

const TOOL: &str = "[tools.one]\ncomponent = \"x.wasm\"\n";

#[test]
fn a_date_is_not_read_as_a_table() {
    for table in ["host", "journal", "oauth", "callers", "tools", "approval"] {
        refuses(&format!("{table} = 1979-05-27\n"), &["this is a date, and", "airlock.toml:1"]);
    }
    for setting in [
        "grants",
        "grants.config",
        "grants.env",
        "grants.keyvalue",
        "limits",
        "imports",
        "fallback",
        "facts",
        "journal",
        "report",
    ] {
        refuses(&format!("{TOOL}{setting} = 1979-05-27\n"), &["this is a date, and", "airlock.toml:3"]);
    }
    refuses(&format!("{TOOL}functions = 1979-05-27\n"), &["this is a date", "airlock.toml:3"]);
    let callers = format!("{TOOL}[callers.ann]\ntools = [\"*\"]\n");
    refuses(&format!("{callers}grants.config = 1979-05-27\n"), &["airlock.toml:5"]);
    refuses(&format!("{TOOL}[callers]\nann = 1979-05-27\n"), &["this is a date, and", "airlock.toml:4"]);
}

#[test]
fn a_number_for_a_word_is_told_with_the_words() {
    for (text, words) in [
        ("host.confine = 1\n", "`auto`, `require`, `off`"),
        ("host.unavailable_tools = 1979-05-27\n", "`hide`, `name`"),
        ("journal.unavailable = [1]\n", "`stop`, `reads`"),
    ] {
        refuses(text, &[words, "is expected here", "airlock.toml:1"]);
    }
    refuses(&format!("{TOOL}effects = 1\n"), &["`pure`, ", "is expected here", "airlock.toml:3"]);
}
