//! A guest cannot slow down other tools beyond its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use airlock::host::Host;
use airlock_tests::registry;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;

async fn host() -> Arc<Host> {
    Arc::new(Host::builder().registry(registry("hostile")).open().await.unwrap())
}

fn call(tool: &str, args: &str) -> Call {
    Call::new(tool, Arguments::Text(args.to_owned().into()))
}

/// Four guests that loop until their deadline share two workers with a small tool. The test asserts that the tool
/// answers many times meanwhile, not how fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_tool_answers_while_four_guests_loop() {
    let host = host().await;
    let looping: Vec<_> = (0..4)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.call(call("trusted_loop_forever", "{}")).await })
        })
        .collect();
    let answered = Arc::new(AtomicU32::new(0));
    let small = {
        let (host, answered) = (host.clone(), answered.clone());
        tokio::spawn(async move {
            loop {
                let reply = host.call(call("plain_greet", r#"{"name": "Ada"}"#)).await;
                assert_eq!(reply.code, Code::Ok, "{reply:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for task in looping {
        let reply = task.await.unwrap();
        assert!(matches!(reply.code, Code::LimitDeadline | Code::LimitFuel), "{reply:?}");
    }
    small.abort();
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered >= 10, "the small tool answered {answered} times while four guests looped");
}
