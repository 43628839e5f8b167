//! What stands beside the journal in the place of its own files: pipes, links, damaged numbers, and no key.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::forged::say;
use super::*;
use crate::log::Kind;

impl Sample {
    /// A journal with records and tiles of which nothing is signed but the checkpoint.
    async fn unsigned_log() -> (Sample, Journal) {
        let sample = Sample { folder: tempfile::tempdir().unwrap() };
        let journal = sample.open();
        for minute in 0..3 {
            journal.seal(at(minute, "reads"), Durability::Committed).await.unwrap();
        }
        journal.checkpoint().unwrap();
        (sample, journal)
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
}

fn link(path: &Path) {
    let aside = path.with_file_name("aside");
    fs::rename(path, &aside).unwrap();
    symlink(aside, path).unwrap();
}

#[tokio::test]
async fn what_owners_and_gaps_say_is_summed_up_to_a_bound() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    let journal = sample.open();
    for owner in ["00000000000000aa", "00000000000000bb"] {
        let path = sample.beside(&format!("journal.db-owner-{owner}"));
        fs::write(&path, [0xff; 8]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(journal.verify(&[], None).unwrap().owed, 2 << 50);
    journal.seal(at(1, "reads"), Durability::Committed).await.unwrap();
    // A forged gap takes nothing away from another.
    for lost in [5, u64::MAX - 4] {
        let text = format!(r#"{{"lost":{lost},"process":"x","why":"ended"}}"#);
        say(&sample.connection(), Kind::Gap, &text);
    }
    assert_eq!(journal.verify(&[], None).unwrap().lost, u64::MAX);
}

#[tokio::test]
async fn pipes_and_links_among_the_tiles_are_told_and_not_opened() {
    type Spoil = fn(&Path);
    let spoils: [(Spoil, &str); 2] = [(pipe, "is not a regular file"), (link, "is a symbolic link")];
    for (spoil, says) in spoils {
        for name in ["journal.db-log/checkpoint", "journal.db-log/tile/0/000.p/3", "journal.db-log/lock"] {
            let (sample, journal) = Sample::unsigned_log().await;
            spoil(&sample.beside(name));
            let [fault] = &journal.verify(&[], None).unwrap().faults[..] else { panic!("{name}") };
            assert!(fault.kind == FaultKind::Tile && fault.what.contains(says), "{name}: {}", fault.what);
            let err = journal.checkpoint().unwrap_err().to_string();
            assert!(err.contains(says) && err.contains(name), "{name}: {err}");
        }
        let (sample, journal) = Sample::unsigned_log().await;
        spoil(&sample.beside("journal.db-log/checkpoint"));
        fs::remove_file(sample.beside("journal.db-log-key")).unwrap();
        let err = journal.new_checkpoint_key().unwrap_err().to_string();
        assert!(err.contains("it is missing, and whether it signed") && err.contains(says), "{err}");
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_a_folder_within_the_tiles_is_told_and_not_followed() {
    for name in ["journal.db-log/tile", "journal.db-log/tile/0", "journal.db-log/tile/0/000.p"] {
        let (sample, journal) = Sample::unsigned_log().await;
        let tile = sample.beside("journal.db-log/tile/0/000.p/3");
        link(&sample.beside(name));
        let [fault] = &journal.verify(&[], None).unwrap().faults[..] else { panic!("{name}") };
        assert!(
            fault.kind == FaultKind::Tile && fault.what.contains("is a symbolic link"),
            "{name}: {}",
            fault.what
        );
        journal.seal(at(3, "reads"), Durability::Committed).await.unwrap();
        let err = journal.checkpoint().unwrap_err().to_string();
        assert!(err.contains("is a symbolic link") && err.contains(name), "{name}: {err}");
        assert!(tile.exists() && !tile.with_file_name("4").exists(), "{name}: nothing is written through it");
    }
}

#[tokio::test]
async fn what_is_in_the_place_of_the_tiles_is_a_fault_and_everything_else_is_verified() {
    let (sample, journal) = Sample::unsigned_log().await;
    let ways: [(&dyn Fn(), &str); 2] = [
        (&|| fs::write(sample.tiles(), "").unwrap(), "is not a folder"),
        (&|| symlink("nowhere", sample.tiles()).unwrap(), "is a symbolic link"),
    ];
    fs::rename(sample.tiles(), sample.beside("aside")).unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().faults, [], "none are no fault");
    for (place, says) in ways {
        place();
        let verified = journal.verify(&[], None).unwrap();
        let [fault] = &verified.faults[..] else { panic!("{says}: {:?}", verified.faults) };
        assert!(fault.kind == FaultKind::Tile && fault.what.contains(says), "{}", fault.what);
        assert_eq!((verified.entries, verified.tiles), (3, None));
        fs::remove_file(sample.tiles()).unwrap();
    }
}

#[tokio::test]
async fn the_lost_key_of_a_log_without_signed_entries_is_not_replaced_unasked() {
    let (sample, journal) = Sample::unsigned_log().await;
    let old = journal.checkpoint().unwrap();
    drop(journal);
    let key = sample.beside("journal.db-log-key");
    fs::remove_file(&key).unwrap();
    let err = sample.open().checkpoint().unwrap_err().to_string();
    assert!(err.contains("move that folder away"), "{err}");
    fs::remove_dir_all(sample.tiles()).unwrap();
    let err = sample.open().checkpoint().unwrap_err().to_string();
    assert!(err.contains("is missing, and what the log says of retention") && !key.exists(), "{err}");
    sample.open().new_checkpoint_key().unwrap();
    let verified = sample.verify();
    assert_eq!((verified.faults, verified.entries), (vec![], 4));
    assert_eq!(verified.begun.map(|begun| begun.number), Some(3));
    assert_ne!(sample.open().checkpoint().unwrap().checkpoint.origin, old.checkpoint.origin);
}

#[tokio::test]
async fn a_log_without_entries_and_one_of_an_earlier_version_get_the_key_that_is_missing() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    let key = sample.beside("journal.db-log-key");
    drop(sample.open());
    fs::remove_file(&key).unwrap();
    drop(sample.open());
    assert!(key.exists());
    let (sample, journal) = Sample::unsigned_log().await;
    drop(journal);
    // Versions before 8 made the key with the first checkpoint.
    let key = sample.beside("journal.db-log-key");
    fs::remove_file(&key).unwrap();
    fs::remove_dir_all(sample.tiles()).unwrap();
    sample.connection().pragma_update(None, "user_version", 7).unwrap();
    drop(sample.open());
    assert!(fs::read_to_string(&key).unwrap().ends_with("\nbegun\n"));
    assert_eq!(sample.open().checkpoint().unwrap().checkpoint.size, 3);
}
