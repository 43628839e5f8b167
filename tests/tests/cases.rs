//! Runs every case of `tests/cases` through the library and through every other door. Each door must show the library's
//! answer.

use airlock::host::Host;
use airlock_tests::case::{self, Case};
use airlock_tests::door::{Door, Kind};
use airlock_tests::{registry, schema_faults};
use airlock_types::call::{Arguments, Call};
use airlock_types::reply::Reply;
use serde_json::Value;
use tokio::sync::OnceCell;

const REGISTRIES: [&str; 2] = ["example", "hostile"];

/// A case, and the library's answer.
struct Answered {
    name: String,
    case: Case,
    reply: Reply,
    record: Value,
}

/// All cases, answered once for all doors.
async fn answered() -> &'static [Answered] {
    static ANSWERED: OnceCell<Vec<Answered>> = OnceCell::const_new();
    ANSWERED.get_or_init(answer).await
}

async fn answer() -> Vec<Answered> {
    let mut cases = case::all().unwrap();
    let mut answered = Vec::new();
    for registry_name in REGISTRIES {
        let path = registry(registry_name);
        let host = Host::builder().registry(path.as_path()).open().await.unwrap();
        for (name, case) in cases.extract_if(.., |(_, case)| case.registry == registry_name) {
            let reply = host.call(Call::new(&case.tool, Arguments::Text(case.args.clone().into()))).await;
            let record = host.journal().find(&reply.record).unwrap();
            assert!(record.is_some(), "{name}: nothing is answered without a record");
            let record = serde_json::to_value(record).unwrap();
            answered.push(Answered { name, case, reply, record });
        }
    }
    assert!(cases.is_empty(), "cases of a registry that has no name: {cases:?}");
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_ends_as_it_says() {
    let answered = answered().await;
    assert!(answered.len() >= 40, "only {} cases", answered.len());
    let faults: Vec<String> = answered
        .iter()
        .flat_map(|Answered { name, case, reply, record }| {
            let envelope = serde_json::to_value(reply).unwrap();
            let mut faults = case.expect.faults(&envelope);
            faults.extend(case.expect.record_faults(record));
            faults.extend(schema_faults(reply));
            faults.into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sends every case through a separate door for each registry, so that the calls of one door do not count as
/// repetitions at another.
async fn check(kind: Kind) {
    let answered = answered().await;
    let mut faults = Vec::new();
    let mut carried = 0;
    for registry_name in REGISTRIES {
        let mut door = Door::open(kind, &registry(registry_name)).await.unwrap();
        let here = answered.iter().filter(|answered| answered.case.registry == registry_name);
        for Answered { name, case, reply, .. } in here.filter(|answered| kind.carries(&answered.case.args)) {
            carried += 1;
            let (expected, shown) = match door.call(&case.tool, &case.args).await {
                Ok(shown) => (comparable(kind.shows(reply), case), comparable(shown, case)),
                Err(err) => (Value::Null, err.to_string().into()),
            };
            if shown != expected {
                faults.push(format!("{name}: {shown}\n  is not {expected}"));
            }
        }
    }
    assert!(carried + 2 >= answered.len(), "only {carried} cases pass this door");
    assert!(faults.is_empty(), "{kind:?}:\n{}", faults.join("\n"));
}

/// Removes the result if it differs for each call.
fn comparable(mut shown: Value, case: &Case) -> Value {
    for pointer in ["/envelope", "/facts"] {
        if let Some(part) = shown.pointer_mut(pointer).and_then(Value::as_object_mut).filter(|_| case.varies)
        {
            part.remove("result");
        }
    }
    shown
}

macro_rules! doors {
    ($($name:ident: $kind:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                check(Kind::$kind).await;
            }
        )*
    };
}

doors! {
    every_case_is_shown_alike_over_mcp_by_stdio: McpStdio;
    every_case_is_shown_alike_over_stateless_mcp_by_stdio: McpStdioStateless;
    every_case_is_shown_alike_over_mcp_by_http: McpHttp;
    every_case_is_shown_alike_over_stateless_mcp_by_http: McpHttpStateless;
    every_case_is_shown_alike_over_the_api: Api;
    every_case_is_shown_alike_on_the_command_line: CommandLine;
}
