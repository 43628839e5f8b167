//! `airlock log`, `show` and `why` through the program: which calls are listed, what is told of one, and what is said of an id
//! that is none.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use airlock_tests::program;
use serde_json::Value;

use crate::http::KM;
use crate::journal::registry_in;
use crate::state_folder::airlock;
use crate::{stderr, stdout};

/// Calls a tool, and returns the id of the record.
fn call(path: &Path, tool: &str, args: &str) -> String {
    let called = airlock(path, &["call", tool, args, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    reply["record"].as_str().unwrap().to_owned()
}

/// A journal with three calls: of a tool that reads, of one that writes, and one with invalid arguments.
fn called(folder: &Path) -> (PathBuf, [String; 3]) {
    let path = registry_in(folder, "");
    let ids = [("reads", KM), ("writes", KM), ("reads", "{}")].map(|(tool, args)| call(&path, tool, args));
    (path, ids)
}

/// The ids that `log` lists as JSON.
fn listed(path: &Path, args: &[&str]) -> Vec<String> {
    let output = airlock(path, &[&["log", "--json"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    let lines = stdout(&output);
    let calls = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    calls.map(|call| call["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn log_lists_the_newest_first_and_every_filter_narrows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, [reads, writes, wrong]) = called(folder.path());
    let (all, none): (&[&String], &[&String]) = (&[&wrong, &writes, &reads], &[]);
    let cases: [(&[&str], &[&String]); 14] = [
        (&[], all),
        (&["--tool", "writes"], &[&writes]),
        (&["--tool", "nothing"], none),
        (&["--outcome", "ok"], &[&writes, &reads]),
        (&["--outcome", "args.missing"], &[&wrong]),
        (&["--outcome", "invalid", "--outcome", "failed"], &[&wrong]),
        (&["--outcome", "ok", "--tool", "reads"], &[&reads]),
        (&["--caller", "local"], all),
        (&["--caller", "ann"], none),
        (&["--since", "1h"], all),
        (&["--since", "0s"], none),
        (&["--until", "1h"], none),
        (&["--since", "2026-01-01", "--until", "2999-01-01T00:00:00Z"], all),
        (&["--limit", "1"], &[&wrong]),
    ];
    for (args, expected) in cases {
        assert_eq!(listed(&path, args).iter().collect::<Vec<_>>(), expected, "{args:?}");
    }
    assert_eq!(listed(&path, &["--before", &wrong]), [writes, reads]);
}

#[test]
fn log_prints_a_line_for_each_call_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, [_, writes, wrong]) = called(folder.path());
    let output = airlock(&path, &["log", "--limit", "2"]);
    let text = stdout(&output);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let [first, second] = &lines[..] else { panic!("{text}") };
    assert_eq!((first[2], first[3], first[4], first[7]), (&wrong[..23], "reads", "args.missing", "local"));
    assert_eq!((second[2], second[3], second[4], second[6]), (&writes[..23], "writes", "ok", "ms"));
    assert_eq!(
        text.lines().next().unwrap().find("reads"),
        text.lines().nth(1).unwrap().find("writes"),
        "{text}"
    );
    assert!(stderr(&output).contains(&format!("`--before {writes}`")), "{}", stderr(&output));
    assert!(
        stdout(&airlock(&path, &["show", first[2]])).contains(&wrong),
        "the beginning of an id is enough"
    );
}

#[test]
fn log_follows_calls_as_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let before = call(&path, "writes", KM);
    let mut child = Command::new(program())
        .arg("--registry")
        .arg(&path)
        .args(["log", "--follow", "--json", "--tool", "writes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let next =
        || -> Value { serde_json::from_str(&told.recv_timeout(Duration::from_secs(60)).unwrap()).unwrap() };
    assert_eq!(next()["id"], before, "the newest are its beginning");
    call(&path, "reads", KM);
    let after = call(&path, "writes", KM);
    assert_eq!(next()["id"], after, "what a filter does not admit is left out");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn show_tells_a_call_and_why_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let (path, [reads, _, wrong]) = called(folder.path());
    let shown = stdout(&airlock(&path, &["show", &reads[..18]]));
    for says in
        ["`local` called `reads`", "The arguments are valid.", "Ran `reads`: `ok`.", "1 attempt: ", "1000"]
    {
        assert!(shown.contains(says), "{says}: {shown}");
    }
    let why = stdout(&airlock(&path, &["why", &wrong]));
    assert!(why.contains("3 violations") && why.contains("`args.missing` by the rule `required`"), "{why}");
    let record: Value = serde_json::from_slice(&airlock(&path, &["show", &reads, "--json"]).stdout).unwrap();
    assert_eq!((&record["id"], &record["code"]), (&reads.clone().into(), &"ok".into()));
}

#[test]
fn a_text_has_colors_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, [id, ..]) = called(folder.path());
    let has_colors = |variables: &[(&str, &str)]| {
        let mut command = Command::new(program());
        command
            .arg("--registry")
            .arg(&path)
            .args(["show", &id])
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).contains('\u{1b}')
    };
    assert!(!has_colors(&[]), "a pipe is no terminal");
    assert!(has_colors(&[("CLICOLOR_FORCE", "1")]));
    assert!(!has_colors(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn an_id_or_an_outcome_that_is_none_is_an_error_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let (path, [id, ..]) = called(folder.path());
    let minute = &id[..8];
    let cases: [(&[&str], &str, i32); 12] = [
        (&["show", "zzz"], "`zzz` is not the id of a call", 1),
        (&["show", ""], "`` is not the id of a call", 1),
        (&["show", "0000"], "give more of the id, 8 characters or more", 1),
        (&["show", "00000000-0000"], "no record `00000000-0000`", 1),
        (&["why", "zzz"], "`airlock log` lists them", 1),
        (&["why", minute], "give more of the id", 1),
        (&["log", "--before", "zzz"], "is not the id of a call", 1),
        (&["log", "--outcome", "faild"], "did you mean `failed`?", 1),
        (&["log", "--outcome", "limit.fule"], "did you mean `limit.fuel`?", 1),
        (&["log", "--since", "yesterday"], "such as `90m` or `7d`", 2),
        (&["log", "--limit", "many"], "--limit", 2),
        (&["log", "--follow", "--before", &id], "cannot be used with", 2),
    ];
    for (args, expected, exit) in cases {
        let output = airlock(&path, args);
        let said = stderr(&output);
        assert!(said.contains(expected) && output.status.code() == Some(exit), "{args:?}: {said}");
    }
}
