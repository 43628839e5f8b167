//! The reference of settings describes every setting, and the page of bounds names existing files.

use airlock_tests::root;
use airlock_tests::server::Server;

/// The fields of structs that are read from TOML, found in the text of a source file.
fn fields(source: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(source)).unwrap();
    let mut fields = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside = (inside || line.starts_with("pub struct")) && !line.starts_with('}');
        let field = line.strip_prefix("    pub ").and_then(|rest| rest.split_once(": "));
        if let (true, Some((name, _))) = (inside, field) {
            fields.push(name.to_owned());
        }
    }
    fields
}

#[test]
fn every_setting_of_a_registry_is_in_the_reference() {
    let reference = std::fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let sources = [
        "host/engine/src/config.rs",
        "host/engine/src/config/caller.rs",
        "host/engine/src/config/hold.rs",
        "host/engine/src/config/http.rs",
        "host/engine/src/config/journal.rs",
        "host/engine/src/config/secret.rs",
        "host/engine/src/config/server.rs",
        "host/engine/src/config/session.rs",
        "host/engine/src/config/signature.rs",
        "host/types/src/limit.rs",
        "host/types/src/grant.rs",
        "host/types/src/grant/files.rs",
        "host/types/src/grant/flag.rs",
        "host/types/src/grant/http.rs",
        "host/types/src/grant/keyvalue.rs",
        "host/types/src/grant/modal.rs",
        "host/types/src/grant/values.rs",
    ];
    for source in sources {
        for field in fields(source) {
            // These fields are not settings.
            if ["path", "source", "config", "missing", "asked", "grant", "capability", "message", "hint"]
                .contains(&field.as_str())
            {
                continue;
            }
            let forms =
                [format!("`{field}"), format!(".{field}`"), format!("`[{field}"), format!("{field} =")];
            assert!(forms.iter().any(|form| reference.contains(form)), "{source}: {field}");
        }
    }
}

/// Expands braces: `a/{b,c}.rs` is two paths.
fn paths(text: &str) -> Vec<String> {
    match text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (among, after))) => {
            among.split(',').map(|one| format!("{before}{one}{after}")).collect()
        }
        None => vec![text.to_owned()],
    }
}

#[test]
fn every_bound_is_where_the_page_says() {
    let page = std::fs::read_to_string(root().join("docs/internals/hardening.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| input"))
        .map(|line| line.split('|').collect())
        .collect();
    assert!(rows.len() > 50, "{}", rows.len());
    for row in rows {
        let [_, input, bound, place, beyond, _] = &*row else { panic!("not four columns: {row:?}") };
        assert!([input, bound, beyond].iter().all(|cell| !cell.trim().is_empty()), "{row:?}");
        for path in place.split('`').skip(1).step_by(2).flat_map(paths) {
            let (floor, rest) = path.split_once('/').unwrap();
            let found = root().join("host").join(floor).join("src").join(rest);
            assert!(found.exists() || found.with_extension("rs").exists(), "{path}: {row:?}");
        }
    }
}

#[test]
fn a_former_name_of_a_setting_is_accepted_with_a_warning_at_every_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, "[http]\ndrain_ms = 50\n[tools]\n").unwrap();
    let checked = crate::airlock(path.to_str().unwrap(), &["check"]);
    let said = crate::stderr(&checked);
    assert!(checked.status.success() && said.contains("former name of `server.drain_ms`"), "{said}");
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    assert!(server.said().contains("former name of `server.drain_ms`"), "{}", server.said());
    std::fs::write(&path, "http.drain_ms = 50\nserver.drain_ms = 50\n[tools]\n").unwrap();
    let refused = crate::airlock(path.to_str().unwrap(), &["check"]);
    let said = crate::stderr(&refused);
    assert!(!refused.status.success() && said.contains("are both set"), "{said}");
}
