//! No state of one attempt reaches the next one.

use airlock::host::Host;
use airlock_tests::registry;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;

fn call(tool: &str, args: &str) -> Call {
    Call::new(tool, Arguments::Text(args.to_owned().into()))
}

/// Linear memory never shrinks, so a reused instance would still have the memory of the first call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attempt_is_a_fresh_instance() {
    let host = Host::builder().registry(registry("hostile")).open().await.unwrap();
    let small = host.call(call("hostile_allocate", r#"{"bytes": 10}"#)).await;
    let large = host.call(call("hostile_allocate", r#"{"bytes": 4000000}"#)).await;
    assert_eq!(large.code, Code::Ok, "{large:?}");
    assert!(large.usage.memory_bytes > small.usage.memory_bytes + 3_000_000, "{large:?}");
    let greedy = host.call(call("hostile_allocate_forever", "{}")).await;
    assert_eq!(greedy.code, Code::LimitMemory, "{greedy:?}");
    let again = host.call(call("hostile_allocate", r#"{"bytes": 10}"#)).await;
    assert_eq!(again.usage.memory_bytes, small.usage.memory_bytes);
}

/// No text for an agent contains a folder of the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_of_the_host_is_in_a_reply() {
    let host = Host::builder().registry(registry("hostile")).open().await.unwrap();
    let root = airlock_tests::root().display().to_string();
    for (tool, args) in [
        ("trusted_read_file", r#"{"path": "/data/none"}"#),
        ("trusted_read_file", r#"{"path": "/data/../airlock.toml"}"#),
        ("hostile_panic", r#"{"message": "no"}"#),
        ("trusted_folders", "{}"),
    ] {
        let reply = serde_json::to_string(&host.call(call(tool, args)).await).unwrap();
        assert!(!reply.contains(&root), "{tool}: {reply}");
    }
}
