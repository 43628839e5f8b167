//! Calls whose attempts fail. Faults are injected at the seam through which attempts run; everything else is real.

use std::path::Path;
use std::sync::Arc;

use airlock::config::ConfigFile;
use airlock::execute::{Attempt, Execute, Fault, Faulty};
use airlock::host::Host;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::reply::Reply;
use airlock_types::usage::LimitHit;

/// A registry with the tool `first` and its fallback `second`.
fn registry(folder: &Path) -> ConfigFile {
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!(
        "[tools.first]\ncomponent = \"{0}\"\nfallback = [\"second\"]\n[tools.second]\ncomponent = \"{0}\"\n",
        component.display()
    );
    std::fs::write(folder.join("airlock.toml"), text).unwrap();
    ConfigFile::read(&folder.join("airlock.toml")).unwrap()
}

/// The reply to a call of `first`, and the path in its record.
async fn call(rule: fn(&Attempt<'_>) -> Option<Fault>) -> (Reply, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = registry(folder.path());
    let faulty = move |sandbox| -> Arc<dyn Execute> { Arc::new(Faulty::new(Arc::new(sandbox), rule)) };
    let host = Host::builder().registry(&file).execute(faulty).open().await.unwrap();
    let args = br#"{"value": 10, "from": "km", "to": "mile"}"#.to_vec();
    let reply = host.call(Call::new("first", Arguments::Text(args.into()))).await;
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    let attempts = record
        .attempts
        .iter()
        .map(|attempt| format!("{} {} {}", attempt.route, attempt.number, attempt.code));
    (reply, attempts.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_the_host_is_tried_once_more() {
    let (reply, attempts) = call(|attempt| (attempt.number() == 1).then_some(Fault::HostFailure)).await;
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
    assert_eq!(attempts, ["first 1 host.internal", "first 2 ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_keeps_failing_is_replaced_by_its_fallback() {
    let (reply, attempts) = call(|attempt| (attempt.tool() == "first").then_some(Fault::Trap)).await;
    assert_eq!((reply.code, reply.provenance.unwrap().fallback_because), (Code::Degraded, Some(Code::Trap)));
    assert_eq!(
        attempts,
        ["first 1 trap", "second 1 ok"],
        "the component imports nothing: it would trap again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_the_seam_ends_in_its_code() {
    type Case = (fn(&Attempt<'_>) -> Option<Fault>, Code);
    let cases: [Case; 4] = [
        (|_| Some(Fault::Trap), Code::Trap),
        (|_| Some(Fault::Limit(LimitHit::Memory)), Code::LimitMemory),
        (|_| Some(Fault::Exhausted), Code::Overloaded),
        (|_| Some(Fault::HostFailure), Code::HostInternal),
    ];
    for (rule, code) in cases {
        let (reply, attempts) = call(rule).await;
        assert_eq!(reply.code, code, "{attempts:?}");
        assert_eq!(attempts.is_empty(), code == Code::Overloaded, "an attempt that had no room never ran");
    }
}
