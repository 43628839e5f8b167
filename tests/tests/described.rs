//! What a component shows is read from its bytes, before anything is compiled.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use airlock::seam::Examiner;
use airlock_tests::{program, root};

use crate::{stderr, stdout};

/// A component with this beside its tool `f`.
pub(crate) fn beside(parts: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {parts}
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#
    );
    wat::parse_str(text).unwrap()
}

/// A folder with a registry of one component `one`, and a cache for components that are in no registry.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new(component: &[u8], settings: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::write(place.path("one.wasm"), component).unwrap();
        let registry = format!("[tools.one]\ncomponent = \"one.wasm\"\n{settings}");
        std::fs::write(place.path("airlock.toml"), registry).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_in(".", args)
    }

    /// Runs in a folder below the place.
    pub(crate) fn run_in(&self, folder: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.current_dir(self.path(folder)).env("XDG_CACHE_HOME", self.path("user"));
        command.args(args).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn does(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// The files of both caches.
    fn cached(&self) -> Vec<PathBuf> {
        [".airlock/code", "user/airlock/code"].iter().flat_map(|folder| files(&self.path(folder))).collect()
    }

    /// The compiled code, by the file and not by its name.
    fn code(&self) -> Vec<u64> {
        let code = self.cached().into_iter().filter(|path| path.extension().is_some_and(|e| e == "cwasm"));
        code.map(|path| path.metadata().unwrap().ino()).collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

#[test]
fn what_is_wrong_with_imports_names_and_contracts_is_found_without_compiling() {
    let plain = beside("");
    let cases = [
        (beside(r#"(import "some:where/else" (instance (export "g" (func))))"#), "", "nothing provides"),
        (plain.clone(), "imports.\"a:b/c\" = \"trap\"\n", "does not import `a:b/c`"),
        (plain.clone(), "functions = [\"other\"]\n", "other"),
        (plain.clone(), "grants.files = [{ host = \"absent\", guest = \"/a\" }]\n", "absent"),
        (plain, "grants.custom.none = true\n", "no custom capability"),
    ];
    for (component, settings, says) in cases {
        let place = Place::new(&component, settings);
        let checked = place.run(&["check"]);
        let said = stderr(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "it does not say {says:?}: {said}");
        assert_eq!(place.cached(), Vec::<PathBuf>::new(), "{says}");
    }
}

#[test]
fn a_review_names_what_imports_need_beyond_the_grants() {
    let clock = beside(
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))
           (import "wasi:filesystem/types@0.2.0" (instance))"#,
    );
    let imports = "`one` imports `wasi:clocks/monotonic-clock@0.2.0`, which is not granted";
    let notes = |place: &Place| stderr(&place.run(&["check"]));
    let place = Place::new(&clock, "");
    let said = notes(&place);
    assert!(
        said.contains(&format!("note: {imports}")) && said.contains("`grants.clock` would grant it"),
        "{said}"
    );
    // An interface without functions reaches nothing.
    assert!(!said.contains("filesystem"), "{said}");
    std::fs::write(place.path("contract.toml"), "effects = \"pure\"\n").unwrap();
    place.does(&["pack", "one.wasm", "--contract", "contract.toml"]);
    let said = notes(&place);
    assert!(said.contains("its contract would have to ask for `capabilities.clock`"), "{said}");
    let said = notes(&Place::new(&clock, "grants.clock = true\n"));
    assert!(!said.contains("not granted"), "{said}");
}

#[test]
fn looking_at_components_and_packing_them_compiles_nothing() {
    let place = Place::new(&beside(""), "");
    std::fs::write(place.path("contract.toml"), "effects = \"pure\"\n").unwrap();
    place.does(&["inspect", "one.wasm"]);
    place.does(&["pack", "one.wasm", "--contract", "contract.toml", "--out", "two.wasm"]);
    place.does(&["diff", "one.wasm", "two.wasm"]);
    place.does(&["inspect", "one"]);
    place.does(&["diff", "airlock.toml", "airlock.toml"]);
    assert_eq!(place.cached(), Vec::<PathBuf>::new());
}

#[test]
fn another_contract_is_loaded_with_the_code_that_is_there() {
    let place = Place::new(&beside(""), "");
    place.does(&["check"]);
    let code = place.code();
    assert_eq!(code.len(), 1);
    for effects in ["pure", "read"] {
        std::fs::write(place.path("contract.toml"), format!("effects = \"{effects}\"\n")).unwrap();
        place.does(&["pack", "one.wasm", "--contract", "contract.toml"]);
        place.does(&["check"]);
        assert_eq!(place.code(), code);
        let shown = place.does(&["inspect", "one"]);
        assert!(shown.contains(&format!("({effects})")), "{shown}");
    }
}

#[test]
fn a_description_that_was_tampered_with_is_read_again() {
    let place = Place::new(&beside(""), "");
    place.does(&["check"]);
    let kept: Vec<PathBuf> = place.cached();
    let description = kept.iter().find(|path| path.extension().is_some_and(|e| e == "description")).unwrap();
    let whole = std::fs::read(description).unwrap();
    for change in [b"{}".to_vec(), Vec::new(), whole[..whole.len() - 1].to_vec()] {
        std::fs::remove_file(description).unwrap();
        std::fs::write(description, change).unwrap();
        place.does(&["check"]);
        assert_eq!(std::fs::read(description).unwrap(), whole);
    }
}

#[test]
fn the_host_reads_every_guest_as_the_engine_does() {
    let examiner = Examiner::new().unwrap();
    let folders = ["example-tools/build", "tests/guests/build", "tests/conformance/build"];
    let guests: Vec<PathBuf> = folders.iter().flat_map(|folder| files(&root().join(folder))).collect();
    assert!(guests.len() >= 8, "{guests:?}");
    for guest in guests.iter().filter(|path| path.extension().is_some_and(|e| e == "wasm")) {
        assert!(examiner.answers(&std::fs::read(guest).unwrap()), "{}", guest.display());
    }
}

/// Shapes that no guest has: nested components, aliases of modules and components, types within types.
#[test]
fn the_host_reads_unusual_components_as_the_engine_does() {
    let nested = r#"(component $c
            (core module $n (memory 3) (table 7 funcref))
            (core instance (instantiate $n)) (core instance (instantiate $n)))
        (component $d (alias outer 1 $c (component $e)) (instance (instantiate $e)) (export "e" (component $e)))
        (instance $once (instantiate $d)) (instance (instantiate $d))
        (alias export $once "e" (component $f))"#;
    let modules = r#"(core module $n (memory 2))
        (component $c (import "m" (core module $m)) (core instance (instantiate $m)))
        (instance (instantiate $c (with "m" (core module $n))))
        (component $d (alias outer 1 $n (core module $m)) (core instance (instantiate $m)))
        (instance (instantiate $d))"#;
    let types = r#"(type $r' (record (field "a" (list (option (tuple u8 char float64))))))
        (import "r" (type $r (eq $r')))
        (type $v' (variant (case "none") (case "some" $r)))
        (import "v" (type $v (eq $v')))
        (type $e' (enum "x" "y")) (import "e" (type $e (eq $e')))
        (type $f' (flags "p" "q")) (import "f" (type $f (eq $f')))
        (import "g" (func (param "v" $v) (param "e" $e) (result (result $f (error string)))))
        (import "thing" (type $thing (sub resource)))
        (import "h" (func (param "t" (borrow $thing)) (result (result))))
        (import "a:b/c" (instance
            (export "k" (type (sub resource))) (export "[method]k.go" (func (param "self" (borrow 0))))
            (export "z" (func)) (export "a" (func (result bool)))))"#;
    let examiner = Examiner::new().unwrap();
    for parts in [nested, modules, types, ""] {
        assert!(examiner.answers(&beside(parts)), "{parts}");
    }
}

/// Two to the power of its depth instances, from a few hundred bytes.
#[test]
fn components_that_instantiate_without_end_are_refused_before_they_are_compiled() {
    let mut parts = String::from("(component $c0 (core module $m) (core instance (instantiate $m)))");
    for level in 1..40 {
        let below = level - 1;
        let part = format!(
            "(component $c{level} (alias outer 1 $c{below} (component $x)) (instance (instantiate $x)) \
             (instance (instantiate $x)))"
        );
        write!(parts, "{part}").unwrap();
    }
    let place = Place::new(&beside(&format!("{parts} (instance (instantiate $c39))")), "");
    let checked = place.run(&["check"]);
    let said = stderr(&checked);
    assert!(said.contains("core instances, and at most 64"), "{said}");
    assert_eq!((checked.status.code(), place.cached()), (Some(1), Vec::new()));
}

#[test]
fn what_this_version_does_not_run_is_named() {
    let cases = [
        (r#"(import "later" (func async (result u32)))"#, "async functions, streams and futures (WASI 0.3)"),
        (r#"(import "s" (func (param "s" (stream u8))))"#, "async functions, streams and futures (WASI 0.3)"),
        (
            r#"(import "s" (func (result (future string))))"#,
            "async functions, streams and futures (WASI 0.3)",
        ),
        (r#"(import "l" (func (param "l" (list u8 4))))"#, "lists of a fixed length"),
        (r#"(import "m" (func (param "m" (map string u32))))"#, "maps"),
        (r#"(import "m" (func (param "m" (map string (stream u8)))))"#, "maps (`map<K, V>`)"),
    ];
    for (import, feature) in cases {
        let place = Place::new(&beside(import), "");
        let checked = place.run(&["check"]);
        let said = stderr(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(
            said.contains(feature) && said.contains("does not run; version 0.2 is to"),
            "{import}: {said}"
        );
        assert!(!said.contains("not valid"), "{said}");
        // It can be looked at.
        let shown = place.does(&["inspect", "one.wasm"]);
        assert!(
            shown.contains(&format!("not run    it uses {feature}")) || shown.contains(feature),
            "{shown}"
        );
        assert!(shown.contains("  f: "), "{shown}");
        let json: serde_json::Value =
            serde_json::from_str(&place.does(&["inspect", "one.wasm", "--json"])).unwrap();
        assert!(json["unsupported"].as_str().unwrap().contains(feature), "{json}");
    }
    let place = Place::new(&beside(""), "");
    assert!(!place.does(&["inspect", "one.wasm"]).contains("not run"));
}

#[test]
fn an_interface_of_wasi_03_is_named_as_such() {
    let import =
        r#"(import "wasi:random/random@0.3.0" (instance (export "get-random-u64" (func (result u64)))))"#;
    let said = stderr(&Place::new(&beside(import), "").run(&["check"]));
    assert!(said.contains("nothing provides") && said.contains("does not run WASI 0.3"), "{said}");
}

/// The shape of what SDKs build for `wasi:http`, of another owner: its types use the host's streams, and its handler uses
/// its types.
#[test]
fn a_component_for_a_foreign_http_loads_once_its_interfaces_are_declared_and_is_denied_at_the_first_use() {
    let text = r#"(component
        (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
        (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
        (import "wasi:io/streams@0.2.0" (instance $streams
            (export "input-stream" (type (sub resource))) (export "output-stream" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (alias export $errors "error" (type $error))
        (alias export $streams "input-stream" (type $input))
        (alias export $streams "output-stream" (type $output))
        (import "acme:http/types@0.2.0" (instance $http
            (alias outer 1 $pollable (type $p)) (export "pollable" (type $pollable (eq $p)))
            (alias outer 1 $error (type $e)) (export "io-error" (type $error (eq $e)))
            (alias outer 1 $input (type $i)) (export "input-stream" (type $input (eq $i)))
            (alias outer 1 $output (type $o)) (export "output-stream" (type $output (eq $o)))
            (export "fields" (type $fields (sub resource)))
            (export "outgoing-request" (type $request (sub resource)))
            (export "incoming-body" (type $body (sub resource)))
            (export "future-incoming-response" (type $response (sub resource)))
            (export "http-error-code" (func (param "err" (borrow $error)) (result (option u32))))
            (export "[constructor]fields" (func (result (own $fields))))
            (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
            (export "[method]incoming-body.stream"
                (func (param "self" (borrow $body)) (result (result (own $input)))))
            (export "[method]future-incoming-response.subscribe"
                (func (param "self" (borrow $response)) (result (own $pollable))))))
        (alias export $http "outgoing-request" (type $request))
        (alias export $http "future-incoming-response" (type $response))
        (import "acme:http/outgoing-handler@0.2.0" (instance
            (alias outer 1 $request (type $q)) (export "outgoing-request" (type $request (eq $q)))
            (alias outer 1 $response (type $r)) (export "future-incoming-response" (type $response (eq $r)))
            (export "handle" (func (param "request" (own $request)) (result (result (own $response) (error u32)))))))
        (core func $new (canon lower (func $http "[constructor]fields")))
        (core module $m
            (import "http" "new" (func $new (result i32)))
            (func (export "ask") (drop (call $new)))
            (func (export "rest")))
        (core instance $i (instantiate $m (with "http" (instance (export "new" (func $new))))))
        (func (export "ask") (canon lift (core func $i "ask")))
        (func (export "rest") (canon lift (core func $i "rest"))))"#;
    let component = wat::parse_str(text).unwrap();
    let undeclared = stderr(&Place::new(&component, "").run(&["check"]));
    assert!(
        undeclared.contains("`acme:http/types@0.2.0`, `acme:http/outgoing-handler@0.2.0`"),
        "{undeclared}"
    );
    let declared = "imports.\"acme:http/types@0.2.0\" = \"trap\"\n\
                    imports.\"acme:http/outgoing-handler@0.2.0\" = \"trap\"\n";
    let place = Place::new(&component, declared);
    place.does(&["check"]);
    place.does(&["call", "one_rest", "{}"]);
    let called = place.run(&["call", "one_ask", "{}"]);
    assert!(!called.status.success() && stdout(&called).contains("one_ask"), "{}", stdout(&called));
}
