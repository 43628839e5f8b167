//! The names at the root of the crate `airlock`: what an embedding program may rely on.

use airlock_tests::root;

/// The names that a crate root re-exports with `pub use`, sorted.
fn exported(source: &str) -> Vec<String> {
    let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let uses = code.split(';').filter_map(|statement| statement.trim().strip_prefix("pub use "));
    let mut names: Vec<String> = uses
        .flat_map(|path| match path.split_once('{') {
            Some((_, list)) => list.trim_end_matches('}').split(',').collect::<Vec<_>>(),
            None => vec![path],
        })
        .map(|path| path.rsplit(" as ").next().unwrap().rsplit("::").next().unwrap().trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names
}

#[test]
fn the_root_of_the_library_exports_what_is_written_down() {
    let source = std::fs::read_to_string(root().join("host/engine/src/lib.rs")).unwrap();
    let names: String = exported(&source).iter().map(|name| format!("{name}\n")).collect();
    let path = root().join("tests/names.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &names).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        names,
        written,
        "the names at the root of `airlock` are not those of {}; `BLESS=1` writes them, and the change belongs into \
         the changelog",
        path.display()
    );
    assert!(!names.contains('*'), "a glob exports what nobody wrote down");
}

#[test]
fn finds_each_name_of_a_use() {
    let source = "pub use a::{B, c::D as E,};\n// pub use no::No;\nuse x::Y;\npub use f::G;\nmod h;";
    assert_eq!(exported(source), ["B", "E", "G"]);
}
