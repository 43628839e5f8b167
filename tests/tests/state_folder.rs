//! The state folder: which folders and files of the journal are refused, and that no tool can reach them.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use airlock_tests::program;

use crate::http::KM;
use crate::journal::registry_in;

pub(super) fn airlock(registry: &Path, args: &[&str]) -> Output {
    Command::new(program()).arg("--registry").arg(registry).args(args).output().unwrap()
}

/// Spoils something about the state folder and expects an error with these texts.
#[track_caller]
fn refuses(spoil: impl FnOnce(&Path), says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    assert!(airlock(&path, &["call", "reads", KM]).status.success());
    spoil(&folder.path().join(".airlock"));
    let output = airlock(&path, &["call", "reads", KM]);
    let said = crate::stderr(&output);
    assert!(!output.status.success() && !said.contains("panicked"), "{said}");
    for piece in says {
        assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
    }
}

pub(super) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_state_folder_that_others_can_write_to_is_refused() {
    refuses(|state| mode(state, 0o777), &[".airlock", "0777", "chmod"]);
    refuses(|state| mode(state, 0o730), &["0730"]);
    refuses(
        |state| {
            std::fs::rename(state, state.with_extension("real")).unwrap();
            symlink(state.with_extension("real"), state).unwrap();
        },
        &["symbolic link", "host.state"],
    );
}

#[test]
fn files_of_the_journal_that_are_links_or_open_to_others_are_refused() {
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db-journal"] {
        let made = move |state: &Path| {
            let path = state.join(name);
            std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
            path
        };
        refuses(|state| mode(&made(state), 0o666), &["journal", name, "0666"]);
        refuses(
            |state| std::fs::hard_link(made(state), state.join("other")).unwrap(),
            &[name, "hard-linked"],
        );
        refuses(
            |state| {
                std::fs::rename(made(state), state.join("other")).unwrap();
                symlink("other", state.join(name)).unwrap();
            },
            &[name, "symbolic link"],
        );
        refuses(
            |state| {
                let _ = std::fs::remove_file(state.join(name));
                symlink("/nonexistent/x.db", state.join(name)).unwrap();
            },
            &[name, "symbolic link"],
        );
        // Only root can change the owner of a file.
        if rustix::process::geteuid().is_root() {
            refuses(
                |state| chown(made(state), Some(65_534), None).unwrap(),
                &[name, "belongs to user 65534"],
            );
        }
    }
}

#[test]
fn no_tool_can_be_granted_the_folder_of_the_journal() {
    for host in [".", ".airlock", ".airlock/code", "/"] {
        let folder = tempfile::tempdir().unwrap();
        let path = registry_in(folder.path(), "");
        assert!(airlock(&path, &["check"]).status.success());
        let text = std::fs::read_to_string(&path).unwrap();
        let grant = format!("grants.files = [{{ host = \"{host}\", guest = \"/data\" }}]\n");
        std::fs::write(&path, format!("{text}{grant}")).unwrap();
        let said = crate::stderr(&airlock(&path, &["check"]));
        assert!(said.contains("state folder") && said.contains("records of all calls"), "{host}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    assert!(airlock(&path, &["call", "reads", KM]).status.success());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}[tools.odd]\ncomponent = \".airlock/journal.db\"\n")).unwrap();
    let said = crate::stderr(&airlock(&path, &["check"]));
    assert!(said.contains("lies in the state folder"), "{said}");
}
