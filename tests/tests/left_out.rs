//! An entry of a registry that is broken, ambiguous or not accepted is left out; the others are served.

use std::path::Path;
use std::process::{Command, Output};

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_tests::{program, root};
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use serde_json::Value;

use crate::{stderr, stdout};

/// A component with a function `run` that returns this number, exported by each of these interfaces; `""` is the world.
fn component(exports: &[(&str, u32)]) -> Vec<u8> {
    let mut text = "(component".to_owned();
    for (n, (interface, number)) in exports.iter().enumerate() {
        text += &format!(
            r#" (core module $m{n} (func (export "f") (result i32) (i32.const {number})))
            (core instance $c{n} (instantiate $m{n}))
            (func $f{n} (result u32) (canon lift (core func $c{n} "f")))"#
        );
        text += &match *interface {
            "" => format!(r#" (export "run" (func $f{n}))"#),
            name => {
                format!(r#" (instance $i{n} (export "run" (func $f{n}))) (export "{name}" (instance $i{n}))"#)
            }
        };
    }
    wat::parse_str(text + ")").unwrap()
}

fn write(folder: &Path, name: &str, exports: &[(&str, u32)]) {
    std::fs::write(folder.join(name), component(exports)).unwrap();
}

fn run(folder: &Path, registry: &str, args: &[&str]) -> Output {
    let path = folder.join("airlock.toml");
    std::fs::write(&path, registry).unwrap();
    Command::new(program()).arg("--registry").arg(&path).args(args).output().unwrap()
}

fn tools(folder: &Path, registry: &str) -> Vec<(String, String)> {
    let output = run(folder, registry, &["tools", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |tool: &Value, key: &str| tool[key].as_str().unwrap_or_default().to_owned();
    listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (text(tool, "name"), text(tool, "description")))
        .collect()
}

const BROKEN: &str = "[tools.good]\ncomponent = \"good.wasm\"\nfallback = [\"bad\"]\n\
                      [tools.bad]\ncomponent = \"bad.wasm\"\n";

#[test]
fn a_broken_entry_stops_only_what_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.wasm", &[("", 1)]);
    std::fs::write(folder.path().join("bad.wasm"), b"\0asm\x0d\0\x01\0 and not a component").unwrap();
    let run = |args: &[&str]| run(folder.path(), BROKEN, args);
    let checked = run(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stderr(&checked).contains("bad.wasm"), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("`good` has no fallback `bad`"), "{}", stderr(&checked));
    let called = run(&["call", "good", "{}"]);
    assert!(called.status.success() && stderr(&called).contains("bad.wasm"), "{}", stderr(&called));
    let called = run(&["call", "bad", "{}"]);
    assert_eq!(called.status.code(), Some(1));
    assert!(
        stderr(&called).contains("bad.wasm") && !stderr(&called).contains("no tool"),
        "{}",
        stderr(&called)
    );
    assert_eq!(tools(folder.path(), BROKEN).len(), 1);
    for (verb, code) in
        [(&["lock"][..], 1), (&["explain", "good"], 0), (&["inspect", "bad"], 1), (&["inspect", "good"], 0)]
    {
        assert_eq!(run(verb).status.code(), Some(code), "{verb:?}");
    }
    let strict = run(&["serve", "--stdio", "--strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}", stderr(&strict));
    // Its stdin is at its end: it starts and ends.
    let mut served = Command::new(program());
    served.arg("--registry").arg(folder.path().join("airlock.toml")).args(["serve", "--stdio"]);
    let served = served.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(stderr(&served).contains("bad.wasm") && served.status.code() != Some(1), "{}", stderr(&served));
}

#[test]
fn without_any_tool_left_nothing_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let served = run(folder.path(), "[tools.bad]\ncomponent = \"bad.wasm\"\n", &["serve", "--stdio"]);
    assert_eq!(served.status.code(), Some(1), "{}", stderr(&served));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_the_tools_of_entries_that_broke_or_are_not_accepted_and_serves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let read = |names: &[&str]| {
        let entries: String =
            names.iter().map(|name| format!("[tools.{name}]\ncomponent = \"{name}.wasm\"\n")).collect();
        std::fs::write(&path, entries).unwrap();
        ConfigFile::read(&path).unwrap()
    };
    write(folder.path(), "one.wasm", &[("", 1)]);
    write(folder.path(), "two.wasm", &[("", 1)]);
    write(folder.path(), "gone.wasm", &[("", 1)]);
    let host = Host::builder().registry(read(&["one", "two", "gone"])).open().await.unwrap();
    let answer = async |tool: &str| {
        let reply = host.call(Call::new(tool, Arguments::Text("{}".into()))).await;
        reply.result.and_then(|result| result.as_u64()).ok_or(reply.code)
    };
    // One is broken, the other one's definition changes, a third one is new.
    std::fs::write(folder.path().join("one.wasm"), b"no component").unwrap();
    write(folder.path(), "two.wasm", &[("", 2), ("a:b/c", 3)]);
    write(folder.path(), "new.wasm", &[("", 4)]);
    host.reload(&read(&["one", "two", "new"])).await.unwrap();
    assert_eq!(answer("one").await, Ok(1));
    assert_eq!(answer("new").await, Ok(4));
    assert_eq!(answer("gone").await, Err(Code::Unknown));
    assert!(host.problems().unwrap().to_string().contains("one.wasm"));
    // What was accepted returns; without a lock a changed component waits for a restart.
    write(folder.path(), "one.wasm", &[("", 1)]);
    write(folder.path(), "new.wasm", &[("", 5)]);
    host.reload(&read(&["one", "new"])).await.unwrap();
    assert_eq!((answer("one").await, answer("new").await), (Ok(1), Ok(4)));
    assert!(host.problems().is_none());
    assert_eq!(host.visible(&Caller::local()).tools().count(), 2);
}

/// Functions of one name, by the interfaces that export them, and the names that tell them apart.
#[test]
fn functions_of_one_name_get_names_of_their_own() {
    for (interfaces, names) in [
        (["s:orders/api@1.0.0", "s:refunds/api@1.0.0"], ["shop_orders_api_run", "shop_refunds_api_run"]),
        (["s:shop/orders@1.0.0", "s:shop/refunds@1.0.0"], ["shop_orders_run", "shop_refunds_run"]),
        (["a:shop/api", "b:shop/api"], ["shop_a_shop_api_run", "shop_b_shop_api_run"]),
        (
            ["s:shop/api@1.0.0", "s:shop/api@2.0.0"],
            ["shop_s_shop_api_v1_0_0_run", "shop_s_shop_api_v2_0_0_run"],
        ),
        (["", "s:shop/api@1.0.0"], ["shop_run", "shop_api_run"]),
        (["orders", "refunds"], ["shop_orders_run", "shop_refunds_run"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "shop.wasm", &[(interfaces[0], 1), (interfaces[1], 2)]);
        let registry = "[tools.shop]\ncomponent = \"shop.wasm\"\n";
        let mut expected = names.map(str::to_owned);
        expected.sort();
        let listed: Vec<String> = tools(folder.path(), registry).into_iter().map(|(name, _)| name).collect();
        assert_eq!(listed, expected, "{interfaces:?}");
        for (n, name) in names.iter().enumerate() {
            let called = run(folder.path(), registry, &["call", name, "{}"]);
            assert!(
                stdout(&called).contains(&format!("\"result\": {}", n + 1)),
                "{name}: {}",
                stdout(&called)
            );
        }
        // Each can be named, by its interface with or without the version.
        for (n, interface) in interfaces.iter().enumerate() {
            let registry = format!("{registry}functions = {{ \"{interface}#run\" = \"mine\" }}\n");
            let called = run(folder.path(), &registry, &["call", "mine", "{}"]);
            assert!(stdout(&called).contains(&format!("\"result\": {}", n + 1)), "{}", stderr(&called));
        }
        // The bare name is of neither.
        let ambiguous = run(folder.path(), &format!("{registry}functions = [\"run\"]\n"), &["check"]);
        let said = stderr(&ambiguous);
        assert_eq!(ambiguous.status.code(), Some(1), "{said}");
        assert!(said.contains("several functions") && said.contains("#run"), "{said}");
    }
}

#[test]
fn what_is_said_of_one_function_is_not_said_of_another_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let wit = folder.path().join("wit");
    std::fs::create_dir(&wit).unwrap();
    let text = "package s:app@1.0.0;\n\
        interface orders {\n/// Deletes an order for good.\nrun: func() -> u32;\n}\n\
        interface refunds {\n/// Lists refunds.\nrun: func() -> u32;\n}\n\
        world app { export orders; export refunds; }\n";
    std::fs::write(wit.join("w.wit"), text).unwrap();
    let contract = "[tool.\"s:app/refunds#run\"]\ntitle = \"Refunds\"\neffects = \"pure\"\n";
    std::fs::write(folder.path().join("contract.toml"), contract).unwrap();
    write(folder.path(), "shop.wasm", &[("s:app/orders@1.0.0", 1), ("s:app/refunds@1.0.0", 2)]);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let pack = |contract: &str| {
        let (shop, wit, contract) = (file("shop.wasm"), file("wit"), file(contract));
        run(folder.path(), "", &["pack", &shop, "--wit", &wit, "--contract", &contract])
    };
    let packed = pack("contract.toml");
    assert!(packed.status.success(), "{}", stderr(&packed));
    let listed = tools(folder.path(), "[tools.shop]\ncomponent = \"shop.wasm\"\n");
    assert!(listed[0].0 == "shop_orders_run" && listed[0].1.starts_with("Deletes"), "{listed:?}");
    assert!(listed[1].0 == "shop_refunds_run" && listed[1].1.starts_with("Lists"), "{listed:?}");
    // A bare name in a contract could mean either.
    std::fs::write(folder.path().join("bare.toml"), "[tool.run]\ntitle = \"Which?\"\n").unwrap();
    let packed = pack("bare.toml");
    assert_eq!(packed.status.code(), Some(1));
    assert!(stderr(&packed).contains("several functions"), "{}", stderr(&packed));
}

/// What a reload to this registry makes of a tool that may read a folder: whether it is still served.
async fn still_served(more: &str, entry: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let component = root().join("example-tools/build/sector-metrics.wasm");
    let read = |more: &str, entry: &str| {
        let text = format!(
            "{more}[tools.figures]\ncomponent = \"{}\"\ngrants.clock = true\n{entry}",
            component.display()
        );
        std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
        ConfigFile::read(&folder.path().join("airlock.toml")).unwrap()
    };
    let host = Host::builder().registry(read("", DATA)).leave_out_broken().open().await.unwrap();
    host.reload(&read(more, entry)).await.unwrap();
    host.visible(&Caller::local()).resolve("figures").is_ok()
}

const DATA: &str = "grants.files = [{ host = \"data\", guest = \"/data\" }]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_whose_entry_broke_stays_as_long_as_its_grants_are_those_of_the_new_registry() {
    let broken = "functions = [\"nope\"]\n";
    assert!(still_served("", &format!("{broken}{DATA}")).await);
    let narrowed = DATA.replace("/data", "/figures");
    assert!(!still_served("", &format!("{broken}{narrowed}")).await, "it was granted another folder");
    assert!(!still_served("", broken).await, "it was granted nothing");
    // The secret is not written yet.
    assert!(!still_served("[secrets.K]\nfile = \"data/key\"\n", DATA).await, "it could read a secret");
    assert!(still_served("[secrets.K]\nfile = \"keys/key\"\n", DATA).await);
}
