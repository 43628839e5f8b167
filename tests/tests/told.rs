//! Calls in words: what `airlock show` and `airlock why` print of a record.
//!
//! A case is a file `tests/told/NAME.json` with a record, where its call stands and perhaps grades, and `NAME.txt` with the texts. `BLESS=1`
//! writes the texts.

use std::path::{Path, PathBuf};

use airlock_journal::grade::Given;
use airlock_journal::telling::{Stand, Told, show, why};
use airlock_tests::root;
use airlock_types::record::Record;
use airlock_types::text::is_hidden;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    stand: String,
    record: Record,
    #[serde(default)]
    grades: Vec<Given>,
}

fn cases() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("tests/told")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    cases.sort();
    cases
}

fn told(path: &Path) -> [Told; 2] {
    let Case { stand, record, grades } =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let stand = match &*stand {
        "ended" => Stand::Ended,
        "running" => Stand::Running,
        "interrupted" => Stand::Interrupted,
        other => panic!("{other}"),
    };
    [show(&record, stand, &grades), why(&record, stand, &grades)]
}

#[test]
fn every_record_is_told_as_its_case_says() {
    let cases = cases();
    assert!(cases.len() > 15, "{}", cases.len());
    for path in cases {
        let [show, why] = told(&path);
        let text = format!("$ airlock show\n{show}\n$ airlock why\n{why}");
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(text, expected, "{}: `BLESS=1` writes what is told now", path.display());
    }
}

#[test]
fn no_line_of_any_case_hides_text_or_has_another_line_in_it() {
    for told in cases().iter().flat_map(|path| told(path)) {
        for line in told.sections.iter().flat_map(|section| &section.lines) {
            assert!(!line.text.chars().any(is_hidden), "{:?}", line.text);
            assert!(line.text.chars().count() <= 1_000, "{}", line.text);
        }
    }
}
