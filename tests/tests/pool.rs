//! Large components: what one call may hold fits the engine's pool, whatever the other calls hold.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use airlock::host::Host;
use airlock_journal::Journal;
use airlock_tests::program;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;

use crate::{stderr, stdout};

/// Counts to `rounds` with its first memory and returns 7.
const WORK: &str = r#"(func (export "f") (param i32) (result i32) (local $n i32)
    (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (local.get 0))))
    (i32.const 7))"#;

/// A tool `go(rounds)` in a component with this number of memories and of tables, each in an instance of its own,
/// and of instances without either.
fn component(memories: usize, tables: usize, plain: usize) -> Vec<u8> {
    let mut parts = format!("(core module $m0 (memory 1) {WORK}) (core instance $i0 (instantiate $m0))");
    let others = [("memory 1", memories.saturating_sub(1)), ("table 1 funcref", tables)];
    let others = others.into_iter().flat_map(|(what, count)| vec![format!("({what})"); count]);
    for (n, content) in others.chain(vec![String::new(); plain]).enumerate() {
        write!(parts, "(core module $n{n} {content}) (core instance $j{n} (instantiate $n{n}))").unwrap();
    }
    whole(&parts, r#"(param "rounds" u32)"#)
}

fn whole(parts: &str, params: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {parts} (func $f {params} (result u32) (canon lift (core func $i0 "f"))) (export "go" (func $f)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A tool `go()` whose core module has this content.
fn plain(content: &str) -> Vec<u8> {
    let module = format!(r#"(core module $m {content} (func (export "f") (result i32) (i32.const 7)))"#);
    whole(&format!("{module} (core instance $i0 (instantiate $m))"), "")
}

fn run(folder: &Path, registry: &str, args: &[&str]) -> Output {
    let path = folder.join("airlock.toml");
    std::fs::write(&path, registry).unwrap();
    Command::new(program()).arg("--registry").arg(&path).args(args).output().unwrap()
}

#[test]
fn the_largest_components_run_where_one_call_at_a_time_may() {
    for (memories, tables, others) in [(1, 0, 0), (8, 0, 0), (1, 32, 0), (1, 0, 63)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), component(memories, tables, others)).unwrap();
        let registry = "[host]\ncalls_max = 1\n[tools.a]\ncomponent = \"a.wasm\"\n";
        let called = run(folder.path(), registry, &["call", "a", r#"{"rounds": 10}"#]);
        assert!(called.status.success(), "{memories}, {tables}, {others}: {}", stdout(&called));
    }
}

#[test]
fn a_component_that_can_never_fit_is_refused_at_load_with_its_count() {
    let cases = [
        (component(9, 0, 0), "9 memories, and at most 8"),
        (component(1, 33, 0), "33 tables, and at most 32"),
        (component(1, 0, 64), "65 core instances, and at most 64"),
        (plain("(table 2000000 funcref)"), "2000000 elements in a table from the start, and at most 100000"),
        (plain("(memory 20000)"), "1310720000 bytes in a memory from the start, and at most 1073741824"),
    ];
    for (component, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), component).unwrap();
        let checked = run(folder.path(), "[tools.a]\ncomponent = \"a.wasm\"\n", &["check"]);
        let said = stderr(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && said.contains("needs more than the host has"), "{said}");
        assert!(!said.contains("is not valid"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_tool_is_served_beside_calls_that_hold_as_much_as_they_may() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("big.wasm"), component(8, 16, 40)).unwrap();
    std::fs::write(folder.path().join("small.wasm"), component(1, 0, 0)).unwrap();
    let registry = "[host]\ncalls_max = 9\n[tools.big]\ncomponent = \"big.wasm\"\n[tools.small]\ncomponent = \"small.wasm\"\n";
    std::fs::write(folder.path().join("airlock.toml"), registry).unwrap();
    let host = Arc::new(Host::builder().registry(folder.path().join("airlock.toml")).open().await.unwrap());
    let call = |tool: &str, rounds: u64| {
        let (host, tool) = (host.clone(), tool.to_owned());
        let args = Arguments::Text(format!(r#"{{"rounds": {rounds}}}"#).into());
        async move { host.call(Call::new(&tool, args)).await }
    };
    // All places of the large tool are taken while the small one is called.
    let big: Vec<_> = (0..8).map(|n| tokio::spawn(call("big", 60_000_000 + n))).collect();
    for n in 0..8 {
        let reply = call("small", 10 + n).await;
        assert_eq!(reply.code, Code::Ok, "{reply:?}");
    }
    for big in big {
        let reply = big.await.unwrap();
        assert_eq!(reply.code, Code::Ok, "{reply:?}");
    }
}

/// The limit that was met is the one that is named, so that raising it helps; `check` finds what can never fit.
#[test]
fn each_limit_names_itself() {
    let grows = "(table 1 funcref) (func $s (if (i32.lt_s (table.grow (ref.null func) (i32.const 30000)) (i32.const 0)) \
                 (then unreachable))) (start $s)";
    for (content, setting, other, enough, is_known) in [
        ("(table 30000 funcref)", "table", "memory", "table_elements_max = 30000", true),
        (grows, "table", "memory", "table_elements_max = 40000", false),
        ("(memory 1100)", "memory", "table", "memory_bytes_max = 100000000", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), plain(content)).unwrap();
        let registry = "[tools.a]\ncomponent = \"a.wasm\"\n";
        let called = run(folder.path(), registry, &["call", "a", "{}"]);
        let said = stdout(&called);
        assert_eq!(called.status.code(), Some(30), "{said}");
        assert!(said.contains(setting) && !said.contains(other), "{said}");
        let checked = run(folder.path(), registry, &["check"]);
        let said = stdout(&checked) + &stderr(&checked);
        assert_eq!(said.contains("can never run") && said.contains(setting), is_known, "{said}");
        let more = format!("{registry}limits.{enough}\n");
        assert!(run(folder.path(), &more, &["call", "a", "{}"]).status.success(), "{enough}");
        assert!(!stderr(&run(folder.path(), &more, &["check"])).contains("can never run"));
    }
}

/// The place of a guest is given back in the thread in which it ended, a moment after its call has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_wait_for_others_find_room_in_every_thread() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wasm"), component(8, 32, 0)).unwrap();
    let registry = "[host]\ncalls_max = 4\n[tools.a]\ncomponent = \"a.wasm\"\nretry.attempts = 1\n\
                    bulkhead = { run = 64, wait = 256 }\n";
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, registry).unwrap();
    let host = Arc::new(Host::builder().registry(path).journal(Journal::memory()).open().await.unwrap());
    for _ in 0..40 {
        let calls = (0..64).map(|_| {
            let host = host.clone();
            tokio::spawn(async move {
                host.call(Call::new("a", Arguments::Text(r#"{"rounds": 10}"#.into()))).await
            })
        });
        for call in calls.collect::<Vec<_>>() {
            let reply = call.await.unwrap();
            assert_eq!(reply.code, Code::Ok, "{:?}", reply.error);
        }
    }
}
