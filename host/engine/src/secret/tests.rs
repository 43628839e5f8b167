use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Says what it was given, without its first byte.
struct Fake;

impl Unseal for Fake {
    fn unseal(&self, sealed: &[u8], identities: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        match sealed.strip_prefix(identities) {
            Some(value) => Ok(Zeroizing::new(value.to_vec())),
            None => Err("no identity fits".into()),
        }
    }
}

fn write(folder: &Path, name: &str, content: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Reads the secret `K` with this entry. Returns its value, or the error as a terminal shows it.
fn check(folder: &Path, entry: &str, unseal: Option<&dyn Unseal>) -> Result<String, String> {
    let file = ConfigFile::parse(&format!("[secrets.K]\n{entry}\n"), &folder.join("airlock.toml")).unwrap();
    let secrets = Secrets::read(&file, unseal);
    match (secrets.get("K"), secrets.problem("K")) {
        (Some(secret), None) => Ok(secret.expose().to_owned()),
        (None, Some(problem)) => Err(problem.render(false)),
        found => panic!("{entry}: {found:?}"),
    }
}

#[test]
fn a_file_of_this_user_alone_is_read_without_its_line_end() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "k", "0123456789\n", 0o600);
    assert_eq!(check(folder.path(), "file = \"k\"", None), Ok("0123456789".into()));
    write(folder.path(), "k", "0123456789", 0o400);
    let path = folder.path().join("k");
    assert_eq!(check(folder.path(), &format!("file = {path:?}"), None), Ok("0123456789".into()), "absolute");
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604, 0o644, 0o660, 0o666] {
        write(folder.path(), "k", "0123456789\n", mode);
        let said = check(folder.path(), "file = \"k\"", None).unwrap_err();
        let path = folder.path().join("k");
        assert!(
            said.contains("`K`") && said.contains(&format!("chmod 600 {}", path.display())),
            "{mode:o}: {said}"
        );
        assert!(!said.contains("01234"), "{said}");
    }
    write(folder.path(), "k", "0123456789\n", 0o600);
    symlink(folder.path().join("k"), folder.path().join("link")).unwrap();
    assert!(check(folder.path(), "file = \"link\"", None).unwrap_err().contains("no link"));
    assert!(check(folder.path(), "file = \".\"", None).unwrap_err().contains("not a regular file"));
    let said = check(folder.path(), "file = \"none\"", None).unwrap_err();
    assert!(said.contains("airlock secret set K"), "{said}");
}

#[test]
fn files_of_the_host_are_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "other", "", 0o600);
    let state = folder.path().join(".airlock");
    std::fs::create_dir_all(state.join("secrets")).unwrap();
    write(&state, "journal.db", "0123456789", 0o600);
    write(&state, "secrets/K", "0123456789", 0o600);
    assert!(
        check(folder.path(), "file = \".airlock/journal.db\"", None).unwrap_err().contains("state folder")
    );
    assert_eq!(check(folder.path(), "file = \".airlock/secrets/K\"", None), Ok("0123456789".into()));
}

#[test]
fn values_that_cannot_be_sent_or_searched_for_are_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    for value in ["", "s3cr3t", "s3cr3t-s3cr3t\n\n", "s3cr3t-s3cr3t ä", &"s3cr3t".repeat(800)] {
        write(folder.path(), "k", value, 0o600);
        let said = check(folder.path(), "file = \"k\"", None).unwrap_err();
        assert!(said.contains("its value") && !said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn a_variable_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    // A variable that every process has.
    let (_, value) = std::env::vars().find(|(name, _)| name == "PATH").unwrap();
    assert_eq!(check(folder.path(), "env = \"PATH\"", None), Ok(value));
    let said = check(folder.path(), "env = \"AIRLOCK_NO_SUCH_VARIABLE\"", None).unwrap_err();
    assert!(
        said.contains("`AIRLOCK_NO_SUCH_VARIABLE` is not set") && said.contains("before the program starts"),
        "{said}"
    );
}

#[test]
fn an_age_file_is_read_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "k.age", "ID0123456789\n", 0o644);
    write(folder.path(), "id", "ID", 0o600);
    let entry = "age = \"k.age\"\nidentity = \"id\"";
    assert_eq!(check(folder.path(), entry, Some(&Fake)), Ok("0123456789".into()));
    assert!(check(folder.path(), entry, None).unwrap_err().contains("reads no age files"));
    write(folder.path(), "id", "other", 0o600);
    assert!(check(folder.path(), entry, Some(&Fake)).unwrap_err().contains("no identity fits"));
    write(folder.path(), "id", "ID", 0o644);
    let said = check(folder.path(), entry, Some(&Fake)).unwrap_err();
    assert!(said.contains("chmod 600"), "{said}");
    // Without both, what is made first.
    for name in ["id", "k.age"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let said = check(folder.path(), entry, Some(&Fake)).unwrap_err();
        let how = format!("age-keygen -o {}", folder.path().join("id").display());
        assert!(said.contains(&how) && !said.contains("secret set"), "{said}");
    }
    write(folder.path(), "id", "ID", 0o600);
    assert!(check(folder.path(), entry, Some(&Fake)).unwrap_err().contains("airlock secret set K"));
}

#[test]
fn a_value_in_the_place_of_a_path_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "id", "ID", 0o600);
    for value in ["sk-live-51f0c9e2", "abcdef+7/0123456789+a=", &"s3cr3t".repeat(100)] {
        for entry in [
            format!("file = \"{value}\""),
            format!("age = \"{value}\"\nidentity = \"id\""),
            format!("age = \"id\"\nidentity = \"{value}\""),
        ] {
            let said = check(folder.path(), &entry, Some(&Fake)).unwrap_err();
            assert!(said.contains("not shown") && said.contains("line 1") && !said.contains(value), "{said}");
        }
    }
    write(folder.path(), "sk-live-51f0c9e2", "0123456789", 0o644);
    let said = check(folder.path(), "file = \"sk-live-51f0c9e2\"", None).unwrap_err();
    assert!(said.contains("sk-live-51f0c9e2") && said.contains("chmod 600"), "a file: {said}");
}

#[test]
fn debug_shows_no_value() {
    let secret = Secret::of("K", "0123456789");
    assert_eq!(format!("{secret:?}"), "Secret(K)");
    let secrets = Secrets(BTreeMap::from([("K".into(), Ok(Arc::new(secret)))]));
    assert!(!format!("{secrets:?}").contains("0123"));
}
