//! The log of the journal through the program: verification, proofs, checkpoints that leave the machine, and kills.

use std::path::{Path, PathBuf};
use std::process::Output;

use airlock_tests::chaos::kills;
use airlock_tests::root;
use airlock_tests::server::Server;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::recordings;
use crate::{airlock, stderr};

/// A registry with a tool that only reads and one that could have effects.
fn registry(folder: &Path, more: &str) -> PathBuf {
    let convert = root().join("example-tools/build/unit-convert.wasm");
    let path = folder.join("airlock.toml");
    let text = format!(
        "{more}\n[host]\nstate = \"state\"\n[tools.unit_convert]\ncomponent = {convert:?}\n\
         [tools.writing]\ncomponent = {convert:?}\nfunctions = {{ convert = \"convert_write\" }}\neffects = \"write\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn run(registry: &Path, args: &[&str]) -> Output {
    airlock(registry.to_str().unwrap(), args)
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Calls a tool. Returns the id of its record.
fn call(registry: &Path, tool: &str) -> String {
    let output = run(registry, &["call", tool, "--json", r#"{"value": 3, "from": "km", "to": "m"}"#]);
    let reply: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    reply["record"].as_str().unwrap().to_owned()
}

#[test]
fn verify_says_what_was_done_to_a_record_and_what_is_unprotected() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path(), "");
    let ids: Vec<String> =
        ["unit_convert", "convert_write", "unit_convert"].iter().map(|tool| call(&registry, tool)).collect();
    let sound = run(&registry, &["journal", "verify"]);
    let text = said(&sound);
    assert!(sound.status.success(), "{text}{}", stderr(&sound));
    // The call that could have effects has an intent before its outcome.
    assert!(text.starts_with("4 entries, 0 faults\n"), "{text}");
    assert!(
        text.contains("tiles on disk: none") && text.contains("no checkpoint has left the machine"),
        "{text}"
    );
    assert!(text.contains("whoever owns the disk could have written all of this anew"), "{text}");
    let kept = folder.path().join("kept.txt");
    std::fs::write(&kept, said(&run(&registry, &["journal", "checkpoint"]))).unwrap();
    call(&registry, "unit_convert");
    let since = run(&registry, &["journal", "verify", "--since", kept.to_str().unwrap()]);
    assert!(
        said(&since).contains("the first 4 entries are those of a given checkpoint; the 1 behind"),
        "{since:?}"
    );
    let connection = rusqlite::Connection::open(folder.path().join("state/journal.db")).unwrap();
    connection.execute("UPDATE records SET code = 'refused' WHERE id = ?1", [&ids[0]]).unwrap();
    connection.execute("DELETE FROM committed WHERE id = ?1", [&ids[1]]).unwrap();
    drop(connection);
    let wrong = run(&registry, &["journal", "verify"]);
    assert_eq!(wrong.status.code(), Some(1));
    let text = said(&wrong);
    let edited =
        format!("edited entry 0 {}: the column `code` does not repeat what the record says\n", ids[0]);
    let dropped = format!("dropped entry 2 {}: its record is missing\n", ids[1]);
    assert!(text.contains(&edited) && text.contains(&dropped), "{text}");
    let json: Value =
        serde_json::from_slice(&run(&registry, &["journal", "verify", "--json"]).stdout).unwrap();
    assert_eq!((&json["faults_count"], &json["faults"][0]["kind"]), (&2.into(), &"edited".into()));
}

#[test]
fn a_proof_and_the_consistency_of_two_checkpoints_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path(), "");
    let id = call(&registry, "unit_convert");
    let old = folder.path().join("old.txt");
    std::fs::write(&old, said(&run(&registry, &["journal", "checkpoint"]))).unwrap();
    call(&registry, "unit_convert");
    let proof = said(&run(&registry, &["journal", "prove", &id[..13]]));
    let lines: Vec<&str> = proof.lines().collect();
    assert_eq!((lines[0], lines[2]), ("c2sp.org/tlog-proof@v1", "index 0"), "{proof}");
    let key = said(&run(&registry, &["journal", "key"]));
    assert!(
        key.starts_with("airlock-journal/")
            && proof.contains(&format!("\n\n{}\n2\n", key.split('+').next().unwrap()))
    );
    let new = folder.path().join("new.txt");
    std::fs::write(&new, said(&run(&registry, &["journal", "checkpoint"]))).unwrap();
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let grown = run(&registry, &["journal", "consistency", paths[0], paths[1]]);
    let json: Value = serde_json::from_slice(&grown.stdout).unwrap();
    assert_eq!((&json["old"]["size"], &json["new"]["size"]), (&1.into(), &2.into()));
    let shrunk = run(&registry, &["journal", "consistency", paths[1], paths[0]]);
    assert_eq!(shrunk.status.code(), Some(1));
    assert!(stderr(&shrunk).contains("not consistent: "), "{}", stderr(&shrunk));
    let missing = run(&registry, &["journal", "prove", "01a21ae9-0000"]);
    assert!(!missing.status.success() && stderr(&missing).contains("no record `01a21ae9-0000`"));
    let other = run(&registry, &["journal", "verify", "--since", registry.to_str().unwrap()]);
    assert!(stderr(&other).contains("is not what a checkpoint has there"), "{}", stderr(&other));
}

#[test]
fn a_journal_from_before_the_log_is_covered_from_its_migration_on() {
    // Their schemas are compared, too: those of early versions differ in the texts of their tables.
    for recording in ["format-2", "format-3", "schema-4", "schema-5"] {
        let folder = tempfile::tempdir().unwrap();
        let journal = recordings::open(recording, folder.path());
        let verified = journal.verify(&[], None).unwrap();
        assert_eq!((verified.faults, verified.unreadable), (vec![], 0), "{recording}");
        // One that says what retention did has an entry with which the key began.
        let own = 1 + u64::from(verified.begun.is_some());
        assert!(verified.before > 10 && verified.entries == verified.before + own, "{recording}");
        // Retention finds the heads that the migration committed to.
        let keep = airlock_journal::retention::Keep { payload_ms: Some(1), ..Default::default() };
        let by = airlock_journal::retention::By::Command;
        let pruned = journal.prune(&|_| keep, by, 1 << 50).unwrap();
        assert!(pruned.erased > 10, "{recording}: {pruned:?}");
        assert_eq!(journal.verify(&[], None).unwrap().faults, [], "{recording}");
    }
}

#[tokio::test]
async fn a_server_builds_tiles_and_appends_checkpoints_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let to = kept.path().join("checkpoints.txt");
    let more = format!("[journal]\ncheckpoint = {{ every = \"1s\", to = {to:?} }}");
    let registry = registry(folder.path(), &more);
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let notes = async |count: usize| {
        for _ in 0..200 {
            let text = std::fs::read_to_string(&to).unwrap_or_default();
            if text.matches('\u{2014}').count() >= count {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{count} checkpoints are not there: {}", server.said());
    };
    let call = async || {
        let reply =
            server.call("unit_convert", r#"{"value": 3, "from": "km", "to": "m"}"#).send().await.unwrap();
        assert!(reply.status().is_success());
    };
    call().await;
    notes(1).await;
    call().await;
    notes(2).await;
    drop(server);
    let verified = run(&registry, &["journal", "verify", "--since", to.to_str().unwrap()]);
    let text = said(&verified);
    assert!(verified.status.success(), "{text}{}", stderr(&verified));
    assert!(text.contains(&format!("and went to {}", to.display())), "{text}");
    assert!(text.contains("entries are those of a given checkpoint"), "{text}");
}

#[tokio::test]
async fn a_server_whose_key_was_lost_says_so_once_and_to_probes() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path(), "[journal]\ncheckpoint = { every = \"1s\" }");
    call(&registry, "unit_convert");
    assert!(run(&registry, &["journal", "checkpoint"]).status.success());
    let key = folder.path().join("state/journal.db-log-key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let degraded = async |expected: &str| {
        for _ in 0..200 {
            let ready = server.request(reqwest::Method::GET, "/readyz").send().await.unwrap();
            // It answers calls.
            assert!(ready.status().is_success());
            if ready.text().await.unwrap().contains("checkpoints-failing") == (expected == "failing") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it is not {expected}: {}", server.said());
    };
    degraded("failing").await;
    assert!(!key.exists(), "no other key is made");
    std::fs::write(&key, kept).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    degraded("working").await;
    let said = server.said();
    assert_eq!(said.matches("is missing, and the checkpoint in").count(), 1, "{said}");
}

#[test]
fn a_check_warns_of_checkpoints_that_go_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path(), "[journal]\ncheckpoint = { to = \"kept/checkpoints.txt\" }");
    let said = |output: &Output| format!("{}{}", said(output), stderr(output));
    let warned = run(&registry, &["check"]);
    assert!(said(&warned).contains("make its folder `"), "{}", said(&warned));
    std::fs::create_dir(folder.path().join("kept")).unwrap();
    assert!(!said(&run(&registry, &["check"])).contains("make its folder"));
}

#[tokio::test]
async fn a_server_sends_checkpoints_to_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/checkpoints", listener.local_addr().unwrap());
    let registry =
        registry(folder.path(), &format!("[journal]\ncheckpoint = {{ every = \"1s\", to = \"{url}\" }}"));
    call(&registry, "unit_convert");
    let _server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    // The first one is refused, and tried again.
    let mut bodies = Vec::new();
    for status in ["503 Service Unavailable", "204 No Content"] {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("\n\n\u{2014} ") || !request.ends_with(b"\n") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..read]);
        }
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        bodies.push(String::from_utf8(request).unwrap());
    }
    for body in &bodies {
        assert!(body.starts_with("POST /checkpoints HTTP/1.1\r\n") && body.contains("text/plain"), "{body}");
        assert!(body.contains("\r\n\r\nairlock-journal/"), "{body}");
    }
    for _ in 0..100 {
        let text = said(&run(&registry, &["journal", "verify"]));
        if text.contains(&format!("went to {url}")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the export is not on record");
}

#[tokio::test]
async fn a_server_that_is_killed_loses_no_acknowledged_effect_and_says_what_else_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let seen = kills(folder.path(), 3, 1).await.unwrap();
    assert_eq!(seen.wrong(), [] as [String; 0], "{seen}");
}

/// The proofs of a journal in the package pymerkle, which nobody here wrote. `cargo xtask interop` runs it.
#[test]
#[ignore = "needs Python and its package index"]
fn pymerkle() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path(), "");
    let mut ids: Vec<String> = (0..7).map(|_| call(&registry, "unit_convert")).collect();
    let old = said(&run(&registry, &["journal", "checkpoint"]));
    std::fs::write(folder.path().join("old.txt"), &old).unwrap();
    ids.extend((0..5).map(|_| call(&registry, "unit_convert")));
    for (i, id) in ids.iter().enumerate() {
        let proof = said(&run(&registry, &["journal", "prove", id]));
        std::fs::write(folder.path().join(format!("{i}.tlog-proof")), proof).unwrap();
    }
    std::fs::write(folder.path().join("new.txt"), said(&run(&registry, &["journal", "checkpoint"]))).unwrap();
    let paths = ["old.txt", "new.txt"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let consistency = said(&run(&registry, &["journal", "consistency", &paths[0], &paths[1]]));
    std::fs::write(folder.path().join("consistency.json"), consistency).unwrap();
    let venv = folder.path().join("venv");
    let made = std::process::Command::new("python3").args(["-m", "venv"]).arg(&venv).status().unwrap();
    assert!(made.success());
    let python = venv.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "pymerkle==7.0.0"];
    assert!(std::process::Command::new(&python).args(pip).status().unwrap().success());
    let script = root().join("tests/interop/proofs.py");
    let output = std::process::Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}{}", said(&output), stderr(&output));
    assert_eq!(said(&output).trim(), "12 inclusion proofs and 1 consistency proof hold");
}
