//! `airlock contract import`: what is made of a document of each form loads and accepts what the document accepts, and edits are
//! kept when it is made again. Each folder of `tests/import` has a document, what is made of it, and calls. `BLESS=1` rewrites what
//! is made.

use std::fs;
use std::path::{Path, PathBuf};

use airlock_import::{ImportError, import, load};
use airlock_tests::root;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::described::Place;
use crate::{authored, stderr, stdout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    function: String,
    args: Map<String, Value>,
    valid: bool,
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root().join("tests/import")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 6, "{cases:?}");
    cases
}

/// The document of a case, as JSON or YAML.
fn document(case: &Path) -> String {
    let is_yaml = case.join("document.yaml").exists();
    text(case, if is_yaml { "document.yaml" } else { "document.json" })
}

fn text(case: &Path, name: &str) -> String {
    fs::read_to_string(case.join(name)).unwrap_or_else(|err| panic!("{}: {err}", case.join(name).display()))
}

#[track_caller]
fn is_as_before(case: &Path, name: &str, made: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(case.join(name), made).unwrap();
    }
    assert_eq!(text(case, name), made, "{}: `BLESS=1` rewrites it", case.join(name).display());
}

#[test]
fn what_is_made_of_documents_is_as_before_and_loads() {
    for case in cases() {
        let document = document(&case);
        let name = case.file_name().unwrap().to_string_lossy();
        let made = import(&document, &name, &[]).unwrap_or_else(|err| panic!("{name}: {err}"));
        let said = |kind: &str, notes: &[airlock_import::Note]| {
            let note = |note: &airlock_import::Note| {
                format!("{kind}: {} {}: {}\n", note.function, note.place, note.what)
            };
            notes.iter().map(note).collect::<String>()
        };
        let notes = [("left out", &made.left_out), ("loosened", &made.loosened), ("note", &made.notes)];
        let notes = notes.map(|(kind, notes)| said(kind, notes)).concat();
        is_as_before(&case, "world.wit", &made.wit);
        is_as_before(&case, "contract.toml", &made.contract);
        is_as_before(&case, "notes.txt", &notes);
        let loaded = load(&made.wit, &made.contract).unwrap_or_else(|err| panic!("{name}: {err}"));
        assert_eq!(loaded.len(), made.functions.len(), "{name}");
        for line in text(&case, "calls.jsonl").lines() {
            let Called { function, args, valid } = serde_json::from_str(line).unwrap();
            let label = &made.functions.iter().find(|one| one.published == function).unwrap().label;
            let tool = loaded.iter().find(|one| one.function.name == *label).unwrap();
            let judged = tool.contract.validate(args, None);
            let found = judged.err().map(|(violations, _)| violations);
            assert_eq!(found.is_none(), valid, "{name}: {line}: {found:?}");
        }
    }
}

/// A host takes it: the component of the world, with the contract embedded.
#[test]
fn a_host_serves_what_is_made() {
    for case in cases() {
        let component = authored::component(&text(&case, "world.wit"), Some(&text(&case, "contract.toml")));
        let checked = Place::new(&component, "").run(&["check"]);
        assert!(checked.status.success(), "{}: {}{}", case.display(), stdout(&checked), stderr(&checked));
    }
}

fn function(properties: &Value) -> String {
    json!([{"name": "find", "parameters": {"type": "object", "properties": properties}}]).to_string()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn import(&self, properties: &Value, more: &[&str]) -> (i32, String) {
        fs::write(self.0.path().join("doc.json"), function(properties)).unwrap();
        let mut command = std::process::Command::new(airlock_tests::program());
        command
            .current_dir(self.0.path())
            .args(["contract", "import", "doc.json", "--out", "tool"])
            .args(more);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), format!("{}{}", stdout(&output), stderr(&output)))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join("tool").join(name)).unwrap()
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{text}");
        fs::write(self.0.path().join("tool").join(name), text.replace(from, to)).unwrap();
    }
}

#[test]
fn edits_are_kept_when_a_document_is_imported_again() {
    let folder = Folder::new();
    let (code, said) = folder.import(&json!({"maxItems": {"type": "integer", "maximum": 10}}), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 function from JSON Schema functions, 0 places loosened"), "{said}");
    let relation = "\n[[tool.find.require]]\nthat = \"args.max_items != 3\"\n";
    let edited = format!("{}{relation}", folder.read("contract.toml"));
    fs::write(folder.0.path().join("tool/contract.toml"), &edited).unwrap();
    folder.edit("wit/world.wit", "world tools {", "/// Edited.\nworld tools {");
    // Nothing has changed in the document.
    let same = json!({"maxItems": {"type": "integer", "maximum": 10}});
    assert_eq!(folder.import(&same, &[]).0, 0);
    assert_eq!(folder.read("contract.toml"), edited);
    // A parameter is new, and a bound is another.
    let newer = json!({"maxItems": {"type": "integer", "maximum": 20}, "startAt": {"type": "string", "format": "date"}});
    let (code, said) = folder.import(&newer, &[]);
    assert_eq!(code, 0, "{said}");
    let (contract, wit) = (folder.read("contract.toml"), folder.read("wit/world.wit"));
    assert!(contract.contains("maximum = 20") && contract.contains("name = \"startAt\""), "{contract}");
    assert!(contract.contains(relation), "{contract}");
    assert!(wit.contains("/// Edited.\n") && wit.contains("start-at: option<string>"), "{wit}");
}

#[test]
fn a_line_that_was_edited_and_changed_is_a_conflict_that_names_both() {
    let folder = Folder::new();
    let bound = |most: u32| json!({"count": {"type": "integer", "maximum": most}});
    assert_eq!(folder.import(&bound(10), &[]).0, 0);
    folder.edit("contract.toml", "maximum = 10", "maximum = 5");
    let edited = folder.read("contract.toml");
    let (code, said) = folder.import(&bound(20), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("tool/contract.toml:") && said.contains("maximum = 5") && said.contains("maximum = 20"),
        "{said}"
    );
    assert_eq!(folder.read("contract.toml"), edited, "nothing is written");
    assert_eq!(folder.import(&bound(20), &["--keep", "mine"]).0, 0);
    assert_eq!(folder.read("contract.toml"), edited);
    // Decided once: the next import of the same document has no conflict.
    assert_eq!(folder.import(&bound(20), &[]).0, 0);
    assert_eq!(folder.import(&bound(30), &["--keep", "document"]).0, 0);
    assert!(folder.read("contract.toml").contains("maximum = 30"));
}

#[test]
fn conflicts_can_be_read_as_json() {
    let folder = Folder::new();
    let bound = |most: u32| json!({"count": {"type": "integer", "maximum": most}});
    assert_eq!(folder.import(&bound(10), &[]).0, 0);
    folder.edit("contract.toml", "maximum = 10", "maximum = 5");
    let (code, said) = folder.import(&bound(20), &["--json"]);
    assert_eq!(code, 1, "{said}");
    let mut documents = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let read = documents.next().unwrap().unwrap();
    let conflict = &read["conflicts"][0];
    assert_eq!(conflict["file"], "tool/contract.toml", "{said}");
    assert_eq!(
        (&conflict["edited"], &conflict["document"]),
        (&json!("maximum = 5\n"), &json!("maximum = 20\n"))
    );
    assert!(conflict["line"].as_u64() > Some(1), "{said}");
}

#[test]
fn a_second_import_says_what_it_removes() {
    let folder = Folder::new();
    let functions = |names: &[&str]| {
        let functions: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        Value::from(functions).to_string()
    };
    let import = |name: &str, document: &str, more: &[&str]| {
        fs::write(folder.0.path().join(name), document).unwrap();
        let mut command = std::process::Command::new(airlock_tests::program());
        command.current_dir(folder.0.path()).args(["contract", "import", name, "--out", "tool"]).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(!import("doc.json", &functions(&["find", "getAll", "put"]), &[]).contains("removed"));
    let said = import("doc.json", &functions(&["find", "put"]), &[]);
    assert!(said.contains("removed: the function `get-all`\n"), "{said}");
    let said = import("doc.json", &functions(&["find", "put"]), &["--only", "find"]);
    assert!(said.contains("removed: the function `put`\n"), "{said}");
    let said = import("new.json", &functions(&["find"]), &["--json"]);
    let read: Value = serde_json::from_str(&said).unwrap();
    let removed = read["removed"][0].as_str().unwrap();
    assert!(removed.contains("imported:doc@") && removed.contains("imported:new@"), "{said}");
}

/// Characters that change how a text reads would let a document show a reviewer another contract than the host reads.
#[test]
fn what_is_written_shows_every_character() {
    let hidden = "a\u{202e}b\u{2066}c\u{2028}d\u{7f}e\u{200b}f";
    let document = json!([{
        "name": format!("f{hidden}"), "title": hidden, "description": hidden,
        "inputSchema": {"type": "object", "title": hidden, "properties": {
            hidden: {"type": "string", "description": hidden, "enum": [hidden, "x"]},
            "free": {"description": hidden, "anyOf": [{"type": "string", "pattern": hidden, "enum": [hidden]}, {"properties": {hidden: {}}}]},
            "list": {"type": "array", "items": {"type": "string", "default": hidden, "examples": [hidden]}, "default": [hidden]},
        }},
    }]);
    let refused = import(&document.to_string(), "x", &[]).unwrap_err().to_string();
    assert!(refused.contains("no control characters"), "{refused}");
    let document = document.to_string().replace('\u{7f}', "");
    let made = import(&document, hidden, &[]).unwrap();
    for text in [&made.wit, &made.contract] {
        let shown = text.chars().find(|c| airlock_types::text::is_hidden(*c) && *c != '\n');
        assert_eq!(shown, None, "{text}");
    }
    load(&made.wit, &made.contract).unwrap();
}

#[test]
fn a_function_that_no_host_loads_is_left_out_and_named() {
    let patterns: Map<String, Value> =
        (0..129).map(|n| (format!("a{n}"), json!({"type": "string", "pattern": format!("^{n}")}))).collect();
    let document = json!([
        {"name": "good", "parameters": {"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 4}}}},
        {"name": "bad", "parameters": {"properties": patterns}},
    ]);
    let made = import(&document.to_string(), "x", &[]).unwrap();
    assert_eq!(made.functions.len(), 1, "{made:?}");
    let left = &made.left_out[0];
    assert!(left.function == "bad" && left.what.contains("129 patterns"), "{left:?}");
    assert!(made.loosened.iter().any(|note| note.what.contains("`minimum` 5 is left out")), "{made:?}");
}

#[test]
fn what_was_not_imported_is_not_overwritten() {
    let folder = Folder::new();
    fs::create_dir(folder.0.path().join("tool")).unwrap();
    fs::write(folder.0.path().join("tool/contract.toml"), "effects = \"read\"\n").unwrap();
    let (code, said) = folder.import(&json!({}), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is there and was not imported"), "{said}");
    assert_eq!(folder.read("contract.toml"), "effects = \"read\"\n");
    assert!(!folder.0.path().join("tool/wit").exists());
    // A link is there, too, wherever it leads.
    let contract = folder.0.path().join("tool/contract.toml");
    fs::remove_file(&contract).unwrap();
    std::os::unix::fs::symlink("gone.toml", &contract).unwrap();
    let (code, said) = folder.import(&json!({}), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("tool/contract.toml` cannot be read"), "{said}");
    assert!(contract.is_symlink());
}

/// An edit that the new document leaves without its field is kept, and what does not load is named.
#[test]
fn an_edit_about_a_field_that_is_gone_is_kept_and_named() {
    let folder = Folder::new();
    let two = json!({"a": {"type": "integer"}, "b": {"type": "integer"}});
    assert_eq!(folder.import(&two, &[]).0, 0);
    let relation = "\n[[tool.find.require]]\nthat = \"args.b != 3\"\n";
    let edited = format!("{}{relation}", folder.read("contract.toml"));
    fs::write(folder.0.path().join("tool/contract.toml"), edited).unwrap();
    let (code, said) = folder.import(&json!({"a": {"type": "integer"}}), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("does not load") && said.contains("`args` has no field `b`"), "{said}");
    assert!(folder.read("contract.toml").contains(relation));
}

/// A function that is gone leaves the tables that were edited, and each import says so until they are removed.
#[test]
fn tables_of_a_function_that_is_gone_are_named_with_their_file() {
    let folder = Folder::new();
    let import = |names: &[&str]| {
        let functions: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        fs::write(folder.0.path().join("doc.json"), Value::from(functions).to_string()).unwrap();
        let mut command = std::process::Command::new(airlock_tests::program());
        let output = command
            .current_dir(folder.0.path())
            .args(["contract", "import", "doc.json", "--out", "tool"])
            .output()
            .unwrap();
        (output.status.code().unwrap(), format!("{}{}", stdout(&output), stderr(&output)))
    };
    assert_eq!(import(&["find", "create-pet"]).0, 0);
    let edited = format!("{}\n[[tool.create-pet.require]]\nthat = \"true\"\n", folder.read("contract.toml"));
    fs::write(folder.0.path().join("tool/contract.toml"), edited).unwrap();
    for _ in 0..2 {
        let (code, said) = import(&["find"]);
        assert_eq!(code, 1, "{said}");
        let says = "`tool/contract.toml`: no function `create-pet` is made of the document any more: remove the tables";
        assert!(said.contains(says) && !said.contains("component"), "{said}");
    }
}

#[test]
fn items_of_a_result_that_may_repeat_are_counted() {
    let tags = json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true});
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let tool = json!({"name": "f", "inputSchema": object(json!({"names": tags})), "outputSchema": object(json!({"tags": tags}))});
    let made = import(&json!({"tools": [tool]}).to_string(), "x", &[]).unwrap();
    let [loosened] = made.loosened.as_slice() else { panic!("{:?}", made.loosened) };
    assert!(loosened.place == "result.tags" && loosened.what.contains("`uniqueItems`"), "{loosened:?}");
    assert!(made.contract.contains("unique(item, item)"), "{}", made.contract);
}

#[test]
fn a_bad_document_is_refused_with_its_place() {
    let deep = format!("{}{{}}{}", r#"{"type": "array", "items": "#.repeat(60), "}".repeat(60));
    let deep =
        format!(r#"{{"name": "f", "parameters": {{"type": "object", "properties": {{"a": {deep}}}}}}}"#);
    let next = |n: usize| vec![format!(r##"{{"$ref": "#/$defs/d{}"}}"##, n + 1); 4].join(",");
    let defs: Vec<String> =
        (0..15).map(|n| format!(r#""d{n}": {{"type": "array", "prefixItems": [{}]}}"#, next(n))).collect();
    let bomb = format!(
        r##"{{"name": "f", "parameters": {{"$defs": {{{}, "d15": {{}}}}, "type": "object", "properties": {{"a": {{"$ref": "#/$defs/d0"}}}}}}}}"##,
        defs.join(",")
    );
    let cases: [(&str, &str); 17] = [
        ("", "it is not JSON"),
        ("openapi: 3.1.0\n", "`/paths`: it has no `paths`"),
        ("openapi: 3.1.0\npaths: {}\n", "at `/paths`: no path has an operation"),
        (
            "openapi: 3.0.0\npaths:\n  /a:\n    $ref: paths/a.yaml\n",
            "`/paths/~1a/$ref`: `paths/a.yaml` leads out of the document: bundle the files into one first",
        ),
        ("openapi: 3.1.0\npaths: {a: [}\n", "line 2"),
        (
            "openapi: 3.1.0\npaths:\n  /a:\n    get:\n      parameters:\n      - {name: b, in: query, schema: {items: {$ref: '#/x'}}}\n",
            "`/paths/~1a/get/parameters/0/schema/items/$ref`: `#/x` leads nowhere",
        ),
        (
            "openapi: 3.1.0\npaths:\n  /a:\n    post: {requestBody: {$ref: '#/x'}}\n",
            "`/paths/~1a/post/requestBody/$ref`: `#/x` leads nowhere",
        ),
        ("{\"name\": \"f\",", "it is not JSON"),
        ("{}", "no document that can be imported"),
        ("[]", "no document that can be imported"),
        (r#"{"swagger": "2.0"}"#, "`/openapi`: only OpenAPI 3"),
        (r#"[{"name": "f"}, {"parameters": {}}]"#, "`/1`: no function"),
        (r#"[{"name": "f"}, {"name": "f"}]"#, "`/1`: `f` is there twice"),
        (
            r#"{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "text"}}}}"#,
            "`/parameters/properties/a/type`: `text`",
        ),
        (
            r##"{"name": "f", "parameters": {"type": "object", "properties": {"a": {"$ref": "https://x.example/s"}}}}"##,
            "`/parameters/properties/a/$ref`: `https://x.example/s` leads out of the document",
        ),
        (&deep, "nested deeper than 48"),
        (&bomb, "too large"),
    ];
    for (document, says) in cases {
        let refused = import(document, "x", &[]).unwrap_err().to_string();
        assert!(!refused.contains("``"), "{refused}");
        assert!(refused.contains(says), "{says:?} is not in {refused:?}");
    }
    assert_eq!(import(r#"{"name": "f"}"#, "x", &["g".into()]), Err(ImportError::Unknown("g".into())));
}
