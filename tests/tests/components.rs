//! Hostile components: each is refused, or accepted without harm to the host that loads it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use airlock_contract::package::{Packed, embed};
use airlock_tests::program;

use crate::{stderr, stdout};

/// The custom section that `airlock pack` writes.
const SECTION: &str = "airlock:contract/1";

/// Checks a registry with one tool for each component, named after its file.
fn check(folder: &Path, components: &[(String, Vec<u8>)], settings: &str) -> Output {
    let mut text = String::new();
    for (name, bytes) in components {
        std::fs::write(folder.join(format!("{name}.wasm")), bytes).unwrap();
        writeln!(text, "[tools.{name}]\ncomponent = \"{name}.wasm\"\n{settings}").unwrap();
    }
    run(folder, &text, &["check"])
}

fn run(folder: &Path, registry: &str, args: &[&str]) -> Output {
    let path = folder.join("airlock.toml");
    std::fs::write(&path, registry).unwrap();
    Command::new(program()).arg("--registry").arg(&path).args(args).output().unwrap()
}

#[track_caller]
fn refuses(component: &[u8], says: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), &[("one".into(), component.to_vec())], "");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for piece in says {
        assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn accepts(component: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), &[("one".into(), component.to_vec())], "");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A component with these types. Its function `f` returns the last one.
fn returning(types: &str, last: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            {types}
            (func (export "f") (result {last})
                (canon lift (core func $i "f") (memory $i "memory"))))"#
    ))
    .unwrap()
}

/// A component with types that each use the previous one twice.
fn doubling(levels: usize, twice: impl Fn(&str) -> String) -> Vec<u8> {
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..=levels {
        write!(types, "(type $t{level} {})", twice(&format!("$t{}", level - 1))).unwrap();
    }
    returning(&types, &format!("$t{levels}"))
}

/// A component that imports an interface with one item, and exports a tool.
fn importing(interface: &str, item: &str) -> Vec<u8> {
    let import = format!(r#"(import "{interface}" (instance {item}))"#);
    exporting_beside(&import)
}

fn exporting_beside(import: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            {import}
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#
    ))
    .unwrap()
}

#[test]
fn types_that_expand_are_refused_by_their_count() {
    let parts = "more than 10000 parts";
    let bomb = doubling(17, |t| format!("(tuple {t} {t})"));
    assert!(bomb.len() < 400, "{} bytes", bomb.len());
    refuses(&bomb, &[parts]);
    refuses(&doubling(17, |t| format!("(result {t} (error {t}))")), &[parts]);
    refuses(&doubling(14, |t| format!("(tuple (option {t}) (list {t}))")), &[parts]);
    accepts(&doubling(11, |t| format!("(tuple {t} {t})")));
}

#[test]
fn types_of_a_declared_import_count_too() {
    let mut item = "(type (tuple u8 u8))".to_owned();
    for level in 0..17 {
        write!(item, "(type (tuple {level} {level}))").unwrap();
    }
    // A type that JSON cannot express must not hide the others from the count.
    let hidden =
        r#"(export "r" (type (sub resource))) (export "f" (func (param "r" (own 18)) (param "t" 17)))"#;
    let plain = r#"(export "f" (func (param "t" 17)))"#;
    for export in [plain, hidden] {
        refuses(&importing("some:where/else", &format!("{item} {export}")), &["more than 10000 parts"]);
    }
}

#[test]
fn types_that_are_too_deep_or_name_too_much_are_refused() {
    let mut types = "(type $t0 (list u8))".to_owned();
    for level in 1..40 {
        write!(types, "(type $t{level} (list $t{}))", level - 1).unwrap();
    }
    refuses(&returning(&types, "$t39"), &["nested more than 32 deep"]);
    let name = "n".repeat(60_000);
    let record = format!(
        r#"(type $e0 (enum "{name}")) (export $e "e" (type $e0)) (type $t (tuple {}))"#,
        "$e ".repeat(40)
    );
    refuses(&returning(&record, "$t"), &["names in its types take more than 1048576 bytes"]);
}

#[test]
fn a_component_with_too_many_functions_is_refused() {
    let mut exports = String::new();
    for i in 0..1_001 {
        write!(exports, r#"(func (export "f{i}") (canon lift (core func $i "f")))"#).unwrap();
    }
    let component = wat::parse_str(format!(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            {exports})"#
    ));
    refuses(&component.unwrap(), &["more than 1000 functions"]);
}

fn plain() -> Vec<u8> {
    exporting_beside("")
}

/// The plain component with a custom section at its end.
fn with_section(name: &str, data: &[u8]) -> Vec<u8> {
    let length = |mut n: usize| {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    };
    let body = [&length(name.len()), name.as_bytes(), data].concat();
    [&plain(), &[0][..], &length(body.len()), &body].concat()
}

fn packed(contract: &str) -> Vec<u8> {
    embed(&plain(), &Packed { contract: Some(contract.into()), ..Packed::default() }).unwrap()
}

#[test]
fn a_contract_that_names_thousands_of_unknown_functions_is_refused_with_twenty_problems() {
    let contract: String = (0..15_000).map(|i| format!("[tool.f{i}]\n")).collect();
    let said = refuses(&packed(&contract), &["shows no function `f0`", "only the first 20 problems"]);
    assert_eq!(said.matches("error: ").count(), 20, "{said}");
}

#[test]
fn a_contract_section_that_is_too_large_is_refused_unread() {
    let data = format!("{{\"contract\":\"{}\"}}", "#".repeat(11 << 20));
    refuses(&with_section(SECTION, data.as_bytes()), &["at most 262144"]);
}

#[test]
fn a_contract_that_describes_large_programs_is_refused() {
    let relation = "[[tool.f.require]]\nthat = \"1 == 1\"\n".repeat(300);
    refuses(&packed(&relation), &["300 relations, rules that hold, terms, checks and facts; at most 256"]);
    let patterns = "{ properties = { a = { pattern = \"\\\\w{500}\" } } }, ".repeat(200);
    refuses(&packed(&format!("[tool.f.schema]\nallOf = [{patterns}]\n")), &["200 patterns; at most 128"]);
    let pattern = "[tool.f.schema]\nallOf = [{ properties = { a = { pattern = \"\\\\w{5000}\" } } }]\n";
    refuses(&packed(pattern), &["cannot be used", "size limit"]);
}

#[test]
fn a_damaged_contract_does_not_count_as_missing() {
    let whole = packed("[capabilities]\nclock = { reason = \"dates\" }\n");
    accepts(&whole);
    let at = whole.windows(10).position(|bytes| bytes == b"{\"contract").unwrap();
    let mut damaged = whole.clone();
    damaged[at] = b'[';
    refuses(&damaged, &["`airlock:contract/1` is damaged"]);
    let mut renamed = whole.clone();
    renamed[at - 3] = b'T';
    refuses(&renamed, &["is not one that this host reads"]);
    refuses(&with_section("airlock:contract/2", b"{}"), &["airlock:contract/2"]);
    let none = b"{\"contract\":null}";
    accepts(&with_section(SECTION, none));
    let twice = [whole, with_section(SECTION, none)[plain().len()..].to_vec()].concat();
    refuses(&twice, &["several sections"]);
}

#[test]
fn a_file_that_is_too_large_or_not_regular_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.wasm");
    std::fs::File::create(&large).unwrap().set_len(3 << 30).unwrap();
    let fifo = Command::new("mkfifo").arg(folder.path().join("fifo.wasm")).status().unwrap();
    assert!(fifo.success());
    let registry = "[tools.large]\ncomponent = \"large.wasm\"\n[tools.fifo]\ncomponent = \"fifo.wasm\"\n";
    let said = stderr(&run(folder.path(), registry, &["check"]));
    assert!(said.contains("3221225472 bytes; at most 67108864"), "{said}");
    assert!(said.contains("not a regular file"), "{said}");
    // The other files that are read as a whole.
    let registry = folder.path().join("airlock.toml");
    for file in ["airlock.toml", "airlock.lock"] {
        std::fs::write(&registry, "").unwrap();
        let path = folder.path().join(file);
        std::fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
        let output = Command::new(program()).arg("--registry").arg(&registry).arg("check").output().unwrap();
        assert!(stderr(&output).contains("3221225472 bytes; at most"), "{file}: {}", stderr(&output));
    }
}

/// Functions of every provided interface. Methods of resources are left out.
const PROVIDED: &[(&str, &[&str])] = &[
    ("airlock:tool/progress@0.1.0", &["report"]),
    ("wasi:logging/logging@0.1.0-draft", &["log"]),
    ("wasi:cli/environment@0.2.0", &["get-environment", "get-arguments", "initial-cwd"]),
    ("wasi:cli/exit@0.2.0", &["exit"]),
    ("wasi:cli/stdin@0.2.0", &["get-stdin"]),
    ("wasi:cli/stdout@0.2.0", &["get-stdout"]),
    ("wasi:cli/stderr@0.2.0", &["get-stderr"]),
    ("wasi:cli/terminal-stdin@0.2.0", &["get-terminal-stdin"]),
    ("wasi:clocks/monotonic-clock@0.2.0", &["now", "resolution", "subscribe-instant", "subscribe-duration"]),
    ("wasi:clocks/wall-clock@0.2.0", &["now", "resolution"]),
    ("wasi:filesystem/preopens@0.2.0", &["get-directories"]),
    ("wasi:filesystem/types@0.2.0", &["filesystem-error-code"]),
    ("wasi:io/poll@0.2.0", &["poll"]),
    ("wasi:random/random@0.2.0", &["get-random-bytes", "get-random-u64"]),
    ("wasi:random/insecure@0.2.0", &["get-insecure-random-bytes"]),
    ("wasi:random/insecure-seed@0.2.0", &["insecure-seed"]),
    ("wasi:sockets/instance-network@0.2.0", &["instance-network"]),
    ("wasi:sockets/tcp-create-socket@0.2.0", &["create-tcp-socket"]),
    ("wasi:sockets/udp-create-socket@0.2.0", &["create-udp-socket"]),
    ("wasi:sockets/ip-name-lookup@0.2.0", &["resolve-addresses"]),
];

/// Items that differ from all of these functions.
const OTHERS: [&str; 3] = [
    r#"(func (param "a" (tuple u8 u8 u8)) (result (tuple u8 char)))"#,
    "(instance)",
    "(type (sub resource))",
];

#[test]
fn an_import_of_a_known_name_with_another_signature_is_refused_by_name() {
    let mut components = Vec::new();
    let mut names = Vec::new();
    for (interface, functions) in PROVIDED {
        for function in *functions {
            for other in OTHERS {
                let item = format!(r#"(export "{function}" {other})"#);
                components.push((format!("t{}", components.len()), importing(interface, &item)));
                names.push((interface, Some(function)));
            }
        }
        components.push((
            format!("t{}", components.len()),
            exporting_beside(&format!("(import \"{interface}\" (func))")),
        ));
        names.push((interface, None));
    }
    // With and without grants: the functions that deny accept every signature.
    for settings in ["", "grants.clock = true\ngrants.random = true\n"] {
        let folder = tempfile::tempdir().unwrap();
        let said = stderr(&check(folder.path(), &components, settings));
        assert!(!said.contains("panicked"), "{said}");
        let problems: Vec<&str> = said.split("error: ").skip(1).collect();
        assert_eq!(problems.len(), components.len(), "{said}");
        for (name, (interface, function)) in components.iter().zip(&names).map(|((name, _), of)| (name, of)) {
            let file = format!("{name}.wasm`");
            let problem = problems.iter().find(|problem| problem.contains(&file)).unwrap();
            assert!(problem.contains(*interface), "{interface}: {problem}");
            if let Some(function) = function {
                assert!(problem.contains(&format!("`{function}`")), "{function}: {problem}");
            }
        }
    }
}

#[test]
fn a_function_that_its_interface_does_not_have_is_refused() {
    for interface in ["wasi:random/random@0.2.0", "wasi:filesystem/preopens@0.2.0", "wasi:logging/logging"] {
        refuses(&importing(interface, r#"(export "frobnicate" (func))"#), &["`frobnicate`"]);
    }
}

#[test]
fn a_declared_import_whose_function_has_its_own_name_is_an_instance() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.wasm"), importing("echo", r#"(export "echo" (func))"#)).unwrap();
    let registry = "[tools.one]\ncomponent = \"one.wasm\"\nimports.echo = \"trap\"\n";
    let output = run(folder.path(), registry, &["call", "one"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

/// Interfaces that nothing provides use resources of those that the host provides, as `wasi:http/types` uses streams. The
/// alias is the same type, so declaring the interface is enough. A resource needs no declaration.
#[test]
fn a_declared_interface_may_use_any_resource_of_the_host() {
    const RESOURCES: [(&str, &[&str]); 10] = [
        ("wasi:io/error@0.2.0", &["error"]),
        ("wasi:io/poll@0.2.0", &["pollable"]),
        ("wasi:io/streams@0.2.6", &["input-stream", "output-stream"]),
        ("wasi:cli/terminal-input@0.2.0", &["terminal-input"]),
        ("wasi:cli/terminal-output@0.2.0", &["terminal-output"]),
        ("wasi:filesystem/types@0.2.0", &["descriptor", "directory-entry-stream"]),
        ("wasi:sockets/network@0.2.0", &["network"]),
        ("wasi:sockets/ip-name-lookup@0.2.0", &["resolve-address-stream"]),
        ("wasi:sockets/tcp@0.2.0", &["tcp-socket"]),
        ("wasi:sockets/udp@0.2.0", &["udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream"]),
    ];
    let (mut owners, mut uses) = (String::new(), String::new());
    for (n, (interface, resources)) in RESOURCES.into_iter().enumerate() {
        write!(owners, r#"(import "{interface}" (instance $o{n}"#).unwrap();
        resources
            .iter()
            .for_each(|name| write!(owners, r#" (export "{name}" (type (sub resource)))"#).unwrap());
        owners.push_str("))");
        for name in resources {
            write!(owners, r#"(alias export $o{n} "{name}" (type ${name}))"#).unwrap();
            // Under a name of its own, as `use` with `as` gives it.
            write!(uses, r#"(alias outer 1 ${name} (type $a-{name})) (export "an-{name}" (type $b-{name} (eq $a-{name})))"#)
                .unwrap();
            write!(uses, r#"(export "take-{name}" (func (param "r" (own $b-{name}))))"#).unwrap();
        }
    }
    let others = r#"(import "a:b/types" (instance $own (export "thing" (type (sub resource)))))
        (alias export $own "thing" (type $thing))
        (import "worldly" (type $worldly (sub resource)))
        (import "use-worldly" (func (param "r" (own $worldly)) (param "t" (own $thing))))"#;
    let component = exporting_beside(&format!(r#"{owners} (import "x:y/uses" (instance {uses})) {others}"#));
    let folder = tempfile::tempdir().unwrap();
    let settings = "imports.\"x:y/uses\" = \"trap\"\nimports.use-worldly = \"trap\"\n";
    let output = check(folder.path(), &[("one".into(), component)], settings);
    assert!(output.status.success(), "{}", stderr(&output));
}
