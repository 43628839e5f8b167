//! Paths of a registry that cannot be meant, and places that a host cannot use as it would: each with what to do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use airlock_tests::{program, root};

use crate::http::KM;
use crate::journal::registry_in;
use crate::state_folder::airlock;
use crate::stderr;

/// A registry with this text, and one tool with these lines in its entry.
fn check(folder: &Path, settings: &str, entry: &str) -> Output {
    std::fs::copy(root().join("example-tools/build/unit-convert.wasm"), folder.join("t.wasm")).unwrap();
    let text = format!("{settings}\n[tools.t]\ncomponent = \"t.wasm\"\n{entry}\n");
    std::fs::write(folder.join("airlock.toml"), text).unwrap();
    airlock(&folder.join("airlock.toml"), &["check"])
}

#[track_caller]
fn refuses(output: &Output, says: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for piece in says {
        assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
    }
}

#[test]
fn a_path_is_neither_empty_nor_with_a_zero_byte() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, entry, says) in [
        (
            "",
            "grants.files = [{ host = \"\", guest = \"/d\" }]",
            ["files[0].host` is empty", "airlock.toml:4"],
        ),
        ("host.state = \"\"", "", ["`host.state` is empty", "airlock.toml:1"]),
        ("host.state = \"\\u0000\"", "", ["`host.state` has a zero byte", "airlock.toml:1"]),
        (
            "journal.checkpoint.to = \"a\\u0000b\"",
            "",
            ["`journal.checkpoint.to` has a zero", "airlock.toml:1"],
        ),
        ("journal.checkpoint.to = \"\"", "", ["neither a URL nor a file", "airlock.toml:1"]),
        ("[secrets.K]\nfile = \"\"", "", ["a path of it is empty", "line 1"]),
        ("[secrets.K]\nage = \"k\"\nidentity = \"\"", "", ["a path of it is empty", "line 1"]),
    ] {
        refuses(&check(folder.path(), settings, entry), &says);
    }
    std::fs::write(folder.path().join("airlock.toml"), "[tools.t]\ncomponent = \"\"\n").unwrap();
    refuses(
        &airlock(&folder.path().join("airlock.toml"), &["check"]),
        &["`tools.t.component` is empty", "airlock.toml:2"],
    );
}

#[test]
fn checkpoints_are_not_appended_to_what_the_registry_uses() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe"), 0o600.into()).unwrap();
    let to = |path: &str| format!("journal.checkpoint.to = {path:?}");
    for (path, what) in [
        ("airlock.toml", "it is the registry"),
        ("out/../airlock.lock", "it is its lock"),
        ("t.wasm", "it is the component of `t`"),
        (".airlock/journal.db", "it lies in the state folder"),
        (".", "it is not a file"),
        ("pipe", "it is not a file"),
    ] {
        // The first run makes the state folder.
        check(folder.path(), "", "");
        refuses(&check(folder.path(), &to(path), ""), &[what, "airlock.toml:1", "a file of its own"]);
        let serve = airlock(&folder.path().join("airlock.toml"), &["serve", "--stdio"]);
        refuses(&serve, &[what]);
    }
    let grants = "grants.files = [{ host = \"out\", guest = \"/out\", access = \"read-write\" }]";
    refuses(
        &check(folder.path(), &to("out/kept.txt"), grants),
        &["is writable and holds the file of checkpoints", "a folder of its own"],
    );
    let apart = check(folder.path(), &to("kept.txt"), grants);
    assert!(apart.status.success(), "{}", stderr(&apart));
}

#[test]
fn a_state_folder_whose_path_is_not_utf8_is_refused_where_the_process_is_confined() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join(OsStr::from_bytes(b"b\xff"));
    std::fs::create_dir(&within).unwrap();
    let path = registry_in(&within, "");
    let call = airlock(&path, &["call", "reads", KM]);
    let said = stderr(&call);
    // Without Landlock nothing is confined, and nothing needs the path.
    if !call.status.success() {
        assert!(said.contains("is not UTF-8") && said.contains("`host.state`"), "{said}");
    }
    registry_in(&within, "host.confine = \"off\"");
    let call = airlock(&path, &["call", "reads", KM]);
    assert!(call.status.success(), "{}", stderr(&call));
    let state = folder.path().join("state");
    registry_in(&within, &format!("host.state = {state:?}"));
    let call = airlock(&path, &["call", "reads", KM]);
    assert!(call.status.success(), "{}", stderr(&call));
}

#[test]
fn the_state_folder_is_made_for_this_user_whatever_the_umask_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "host.state = \"a/state\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0177; \"$0\" --registry \"$1\" call reads \"$2\""]);
    let call = shell.arg(program()).arg(&path).arg(KM).output().unwrap();
    assert!(call.status.success(), "{}", stderr(&call));
    for made in ["a", "a/state", "a/state/code"] {
        let mode = folder.path().join(made).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{made}");
    }
}

#[test]
fn an_address_that_is_none_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let how = "write an IP address with a port, such as 127.0.0.1:8787; names are not looked up";
    let path = folder.path().join("airlock.toml");
    for text in ["foo", "localhost:8787", "127.0.0.1"] {
        refuses(&check(folder.path(), &format!("http.listen = {text:?}"), ""), &[how]);
        std::fs::write(&path, "[tools]\n").unwrap();
        let served = airlock(&path, &["serve", "--http", text]);
        assert_eq!(served.status.code(), Some(2));
        assert!(stderr(&served).contains(how), "{}", stderr(&served));
    }
}
