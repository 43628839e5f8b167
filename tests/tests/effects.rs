//! What becomes of a call whose effect left: tried again only with proof that nothing happened.

use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::orders::{Fate, Orders};
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::{Code, Ran, Status};
use airlock_types::record::v3::Step;
use futures::FutureExt as _;
use serde_json::json;

use crate::keep;
use crate::shop::{Later, Shop, VERIFY, call};

async fn shop(fates: &[Fate]) -> Shop {
    Shop::new(Orders::start(fates).await.unwrap())
}

#[tokio::test]
async fn what_ended_before_an_effect_is_tried_again() {
    let shop = shop(&[Fate::Answered]).await;
    let host = shop.open("", "").await;
    let (_, record) = shop.place(&host, "a", "abort-before", Code::Trap).await;
    assert_eq!((record.attempts.len(), shop.orders.came().0), (3, 0));
    assert!(record.attempts.iter().all(|attempt| attempt.effects.is_none()), "{record:?}");
}

#[tokio::test]
async fn what_was_answered_is_not_tried_again_and_is_known() {
    for fate in [Fate::Answered, Fate::Refused(503)] {
        let shop = shop(&[fate]).await;
        let host = shop.open("", "").await;
        let (reply, record) = shop.place(&host, "a", "abort-after", Code::Trap).await;
        let effects = record.attempts[0].effects.clone().unwrap();
        assert_eq!((record.attempts.len(), effects.dispatched, effects.settled), (1, 1, 1), "{fate:?}");
        let error = reply.error.unwrap();
        assert!(!error.retryable && error.message.contains("it was made, or was refused"), "{error:?}");
    }
}

/// Fates of an order, and how the tool ends that has no answer.
const UNANSWERED: [(Fate, &str); 6] = [
    (Fate::AnswerLost, "return"),
    (Fate::Lost, "return"),
    (Fate::Hangs, "return"),
    (Fate::Refused(504), "abort-after"),
    (Fate::Refused(520), "abort-after"),
    (Fate::Refused(599), "abort-after"),
];

#[tokio::test]
async fn what_was_not_answered_is_unknown_and_never_tried_again() {
    for (fate, manner) in UNANSWERED {
        let shop = shop(&[fate]).await;
        let host = shop.open("", "limits.deadline_ms = 400\n").await;
        let (reply, record) = shop.place(&host, "a", manner, Code::OutcomeUnknown).await;
        assert_eq!((record.attempts.len(), shop.orders.came().0), (1, 1), "{fate:?}");
        let effects = record.attempts[0].effects.clone().unwrap();
        assert_eq!((effects.settled, effects.open_at), (0, vec!["127.0.0.1".to_owned()]), "{fate:?}");
        assert_eq!((reply.status, record.code.as_ref()), (Status::Failed, "outcome-unknown"));
        let error = reply.error.unwrap();
        assert_eq!((error.ran, error.retryable, error.retry_after_ms), (Ran::MayHave, false, None));
        let first = "`shop_place` had begun to change something at `127.0.0.1` and got no answer: the change may have been \
                     made, or not.";
        assert_eq!(reply.notice.as_deref(), Some(first), "models read the beginning");
        assert!(
            error.message.ends_with("Find out first whether the change was made, or ask your user."),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_with_an_open_change_is_on_record_as_unknown() {
    let shop = shop(&[Fate::Hangs]).await;
    let file = shop.file("", "limits.deadline_ms = 25_000\n");
    let journal = Journal::open(&shop.folder.path().join("cancelled.db"), 64 << 20).unwrap();
    let host = Host::builder().registry(file).journal(journal).open().await.unwrap();
    let args = Arguments::Text(shop.args("a", "return").to_string().into());
    let mut call = Box::pin(host.call(Call::new("shop_place", args)));
    // Polled until the order has come, whose answer never does.
    while shop.orders.came().0 == 0 {
        assert!(call.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(call);
    host.journal().flush().unwrap();
    let journal = rusqlite::Connection::open(host.journal().path().unwrap()).unwrap();
    let code: String = journal.query_row("SELECT code FROM calls", [], |row| row.get(0)).unwrap();
    assert_eq!(code, "outcome-unknown");
}

#[tokio::test]
async fn an_unknown_outcome_says_how_the_tool_ended() {
    let shop = shop(&[Fate::AnswerLost]).await;
    let host = shop.open("", "").await;
    let (reply, _) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    let error = reply.error.unwrap();
    assert!(error.message.contains("answered with an error; its own words, as data:"), "{error:?}");
    assert!(error.detail.unwrap().as_str().unwrap().contains("ConnectionTerminated"));
    let shop = self::shop(&[Fate::Hangs]).await;
    let host = shop.open("", "limits.deadline_ms = 300\n").await;
    let (reply, _) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    let message = reply.error.unwrap().message;
    assert!(message.contains("no answer within 300 ms; it was waiting for `127.0.0.1`"), "{message}");
}

#[tokio::test]
async fn a_value_with_an_effect_that_was_not_answered_is_delivered_and_flagged() {
    let shop = shop(&[Fate::Eager]).await;
    let host = shop.open("", "").await;
    let (reply, _) = shop.place(&host, "a", "forget", Code::Degraded).await;
    assert_eq!(reply.findings[0].kind, "effect.unsettled");
    assert!(reply.notice.unwrap().contains("`127.0.0.1`"));
}

#[tokio::test]
async fn an_idempotent_tool_is_tried_again_under_the_same_key() {
    let shop = shop(&[Fate::Hangs, Fate::Stuck, Fate::Answered]).await;
    let host = shop.open("", "effects = \"idempotent\"\nlimits.deadline_ms = 400\n").await;
    let (_, record) = shop.place(&host, "a", "return", Code::Ok).await;
    assert_eq!((record.attempts.len(), shop.orders.came().0, shop.orders.applied("a")), (3, 3, 1));
    let codes: Vec<&str> = record.attempts.iter().map(|attempt| attempt.code.as_ref()).collect();
    assert_eq!(codes, ["outcome-unknown", "outcome-unknown", "ok"]);
    let last = record.attempts[2].effects.clone().unwrap();
    assert_eq!((last.settled, last.open_at.len()), (1, 0), "the key settles what was open under it");
}

#[tokio::test]
async fn a_key_that_stays_without_an_answer_is_unknown_in_the_end() {
    let shop = shop(&[Fate::Hangs]).await;
    let host = shop.open("", "effects = \"idempotent\"\nlimits.deadline_ms = 300\n").await;
    let (reply, record) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    assert_eq!((record.attempts.len(), shop.orders.applied("a")), (3, 1));
    assert!(!reply.error.unwrap().retryable, "a new call has a new key");
}

#[tokio::test]
async fn what_a_tool_proves_not_to_have_happened_is_tried_again() {
    let shop = shop(&[Fate::Stuck, Fate::Stuck, Fate::Answered]).await;
    let (host, later) = shop.verified("limits.deadline_ms = 400\n", |_| {}).await;
    let (reply, record) = shop.place(&host, "a", "return", Code::Ok).await;
    assert_eq!((shop.orders.applied("a"), shop.orders.came(), later.waits()), (1, (3, 2), 2));
    let routes: Vec<&str> = record.attempts.iter().map(|attempt| attempt.route.as_ref()).collect();
    assert_eq!(routes, ["shop_place", "look", "shop_place", "look", "shop_place"]);
    assert_eq!(
        (reply.usage.attempts, reply.usage.requests),
        (3, 5),
        "what verifies is no attempt of the call"
    );
    let plan = record.plan.unwrap();
    assert_eq!(plan.routes[0].from.verify.as_ref().unwrap().after_ms, 7_777);
}

#[tokio::test]
async fn what_is_applied_late_is_not_tried_again() {
    for fate in [Fate::Late, Fate::Hangs] {
        let shop = shop(&[fate, Fate::Answered]).await;
        let (host, later) = shop.verified("limits.deadline_ms = 400\n", |orders| orders.apply_late()).await;
        let (reply, record) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
        assert_eq!((shop.orders.applied("a"), shop.orders.came(), later.waits()), (1, (1, 1), 1), "{fate:?}");
        let said = |step: &Step| matches!(step, Step::Verified { found, .. } if found == "applied");
        assert!(record.path.iter().any(said), "{:?}", record.path);
        let error = reply.error.unwrap();
        assert_eq!((error.ran, error.retryable), (Ran::Ran, false));
        assert!(
            error.message.contains("has made its change at `127.0.0.1`, and its answer was lost"),
            "{error:?}"
        );
        assert!(error.message.contains("`look` was asked, and says that the change was made"), "{error:?}");
    }
}

#[tokio::test]
async fn a_caller_learns_that_nothing_happened_where_no_attempt_follows() {
    let shop = shop(&[Fate::Lost]).await;
    let (host, _) = shop.verified("", |_| {}).await;
    // An error of the tool's own is no reason for another attempt.
    let (reply, record) = shop.place(&host, "a", "return", Code::ToolError).await;
    assert_eq!((record.attempts.len(), shop.orders.came()), (2, (1, 1)));
    let message = reply.error.unwrap().message;
    assert!(message.contains("`look` says that the change was not made"), "{message}");
}

#[tokio::test]
async fn an_answer_that_cannot_tell_repeats_nothing() {
    let shop = shop(&[Fate::Stuck]).await;
    // Asked for an order that it does not know by this name, the service cannot be reached.
    let contract =
        "[tool.place]\nverify = { tool = \"was-placed\", args = { service = \"id\" }, after_ms = 1 }\n";
    let host = shop.open(contract, "limits.deadline_ms = 300\n").await;
    let (reply, record) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    assert_eq!((record.attempts.len(), shop.orders.came()), (2, (1, 0)));
    let message = reply.error.unwrap().message;
    assert!(message.contains("`look` was asked, and cannot tell whether it was made"), "{message}");
}

#[tokio::test]
async fn a_question_for_which_the_call_has_no_time_is_not_asked() {
    let shop = shop(&[Fate::Stuck]).await;
    let contract = VERIFY.replace("7777", "29_900");
    let host = shop.open(&contract, "limits.deadline_ms = 300\n").await;
    let (_, record) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    assert_eq!((record.attempts.len(), shop.orders.came()), (1, (1, 0)));
    let skipped = |step: &Step| matches!(step, Step::Skipped { tool, why } if &**tool == "look" && why.contains("29900 ms"));
    assert!(record.path.iter().any(skipped), "{:?}", record.path);
    let host = shop.open(&VERIFY.replace("7777", "30_000"), "").await;
    let (_, warnings) = host.summary();
    assert!(
        warnings.iter().any(|warning| warning.contains("`shop_place` is never verified")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_caller_that_may_not_call_what_verifies_gets_no_question_asked() {
    let shop = shop(&[Fate::Stuck]).await;
    let settings = "limits.deadline_ms = 300\n[callers.local]\ntools = [\"shop_*\"]\n";
    let (host, later) = shop.verified(settings, |_| {}).await;
    let (_, record) = shop.place(&host, "a", "return", Code::OutcomeUnknown).await;
    assert_eq!((record.attempts.len(), later.waits()), (1, 0));
}

#[tokio::test]
async fn what_verifies_must_read_and_fit() {
    let shop = shop(&[Fate::Answered]).await;
    let note = async |contract: &str| {
        let host = shop.open(contract, "").await;
        host.summary().1.join("\n")
    };
    let missing = note("[tool.place]\nverify = { tool = \"was-plced\", after_ms = 1 }\n").await;
    assert!(missing.contains("its component has no tool `was-plced` in this registry"), "{missing}");
    let writes = note("[tool.place]\nverify = { tool = \"place-many\", after_ms = 1 }\n").await;
    assert!(
        writes.contains("`shop_place_many` counts as write, and what verifies must only read"),
        "{writes}"
    );
    for (verify, says) in [
        ("tool = \"was-placed\", args = { id = \"nr\" }, after_ms = 1", "no argument `nr`"),
        ("tool = \"was-placed\", args = { nr = \"id\" }, after_ms = 1", "`look` has no argument `nr`"),
        ("tool = \"was-placed\", args = { id = \"manner\" }, after_ms = 1", "takes `id` as string"),
        ("tool = \"was-placed\", after_ms = 0", "`after_ms` is 0"),
        ("tool = \"was-placed\"", "missing field `after_ms`"),
    ] {
        let contract = format!("[tool.place]\nverify = {{ {verify} }}\n");
        let Err(OpenError::Registry(problems)) = shop.try_open(&contract, "").await else {
            panic!("{verify}")
        };
        assert!(problems.to_string().contains(says), "{problems}");
    }
}

#[tokio::test]
async fn the_example_of_the_page_of_capabilities_verifies() {
    let heading = "### Asking whether it happened: `verify`";
    let (contract, registry) = (keep::example(heading, 0), keep::example(heading, 1));
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(root().join("tests/guests/build/orders.wasm")).unwrap();
    let bytes = embed(&bytes, &Packed { contract: Some(contract), ..Packed::default() }).unwrap();
    std::fs::write(folder.path().join("orders.wasm"), bytes).unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, registry).unwrap();
    let file = ConfigFile::read(&path).unwrap();
    let host = Host::builder().registry(file).journal(Journal::memory()).open().await.unwrap();
    let notes = host.summary().1.join("\n");
    assert!(!notes.contains("verif") && !notes.contains("does not get"), "{notes}");
    let args = json!({"service": "https://orders.example.com", "id": "a", "manner": "return"});
    let call = Call::new("shop", Arguments::Text(args.to_string().into()));
    let explained = host.explain(&call).unwrap_or_else(|failure| panic!("{failure:?}"));
    let plan = serde_json::to_string(&explained.plan.unwrap()).unwrap();
    assert!(plan.contains("\"look\"") && plan.contains("20000"), "{plan}");
}

#[tokio::test]
async fn a_thousand_writes_wait_for_one_intent() {
    let (many, one) = (shop(&[Fate::Kept]).await, shop(&[Fate::Answered]).await);
    for (shop, tool, args, dispatched) in [
        (&many, "shop_place_many", json!({"service": many.orders.url(), "id": "a", "times": 1000}), 1_000),
        (&one, "shop_place_in_parts", json!({"service": one.orders.url(), "id": "b", "parts": 1000}), 1),
    ] {
        let file = shop.file("", "limits.deadline_ms = 25_000\n");
        let journal = Journal::open(&shop.folder.path().join(format!("{tool}.db")), 64 << 20).unwrap();
        let host = Host::builder().registry(file).journal(journal).open().await.unwrap();
        let before = host.journal().view();
        let (_, record) = call(&host, tool, &args, Code::Ok).await;
        assert_eq!(record.attempts[0].effects.as_ref().unwrap().dispatched, dispatched);
        let view = host.journal().view();
        assert_eq!(
            (view.intents - before.intents, view.commits - before.commits),
            (1, 2),
            "intent and outcome"
        );
    }
}

#[tokio::test]
async fn the_example_of_the_page_of_capabilities_works() {
    let shop = shop(&[Fate::Stuck, Fate::Answered]).await;
    let page = std::fs::read_to_string(root().join("docs/capabilities.md")).unwrap();
    let (_, section) = page.split_once("### Asking whether it happened: `verify`").unwrap();
    let block =
        |place: usize| section.split("```toml\n").nth(place + 1).unwrap().split("```").next().unwrap();
    let contract = block(0).replace("20_000", "7777");
    // The component is made for these tests: its requests name the port of the service.
    let path = shop.registry(&contract, "");
    let place = format!(
        "\"127.0.0.1\", scheme = \"http\", port = {}, addresses = [\"127.0.0.1\"]",
        shop.orders.address.port()
    );
    let registry = block(1).replace("\"orders.example.com\"", &place);
    let registry = registry.replace("[tools.shop]\n", "[tools.shop]\nlimits.deadline_ms = 1_500\n");
    std::fs::write(&path, registry.replace("  ", "")).unwrap();
    let later = Later::new(|| {});
    let builder = Host::builder().registry(path).journal(Journal::memory()).environment(later.clone());
    let host = builder.open().await.unwrap();
    let (_, record) = call(&host, "shop", &shop.args("a", "return"), Code::Ok).await;
    assert_eq!((record.attempts.len(), shop.orders.applied("a"), later.waits()), (3, 1, 1));
}

/// Two tenants of one component. They differ in what tells them apart.
fn tenants(port: u16, apart: [&str; 2], more: &str) -> String {
    let entry = |name: &str, functions: &str, method: &str, apart: &str, more: &str| {
        format!(
            "[tools.{name}]\ncomponent = \"orders.wasm\"\nfunctions = [\"{functions}\"]\nuseful_ms_min = 1\n{more}{apart}\
             grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"], \
             methods = [\"{method}\"] }}]\n"
        )
    };
    [
        entry("look_eu", "was-placed", "GET", apart[0], ""),
        entry("look_us", "was-placed", "GET", apart[1], ""),
        entry("shop_us", "place", "POST", apart[1], more),
    ]
    .concat()
}

#[tokio::test]
async fn an_entry_that_cannot_know_of_an_effect_is_not_asked() {
    let shop = shop(&[Fate::Lost]).await;
    let port = shop.orders.address.port();
    let config =
        "[[capabilities.config]]\nkey = \"tenant\"\nreason = \"whose orders they are\"\noptional = true\n";
    let path = shop.registry(&format!("{config}{VERIFY}"), "");
    let open = async |apart: [&str; 2], more: &str| {
        std::fs::write(&path, tenants(port, apart, more)).unwrap();
        Host::builder().registry(&*path).journal(Journal::memory()).open().await
    };
    let by = |host: &Host| {
        let tools = host.visible(&Caller::local());
        tools.resolve("shop_us").unwrap().verify.as_deref().map(str::to_owned)
    };
    let [eu, us] = ["grants.config = { tenant = \"eu\" }\n", "grants.config = { tenant = \"us\" }\n"];
    let same = open([eu, us], "").await.unwrap();
    assert_eq!(by(&same).as_deref(), Some("look_us"), "the other tenant is passed over");
    let none = open([eu, ""], "grants.config = { tenant = \"us\" }\n").await.unwrap();
    assert_eq!(by(&none), None);
    let (_, warnings) = none.summary();
    let line =
        "`look_eu` has values of `config` that differ from its own; name the tool that knows with `verify`";
    assert!(warnings.iter().any(|warning| warning.contains(line)), "{warnings:?}");
    let bound = open([eu, ""], "verify = \"look_eu\"\ngrants.config = { tenant = \"us\" }\n").await.unwrap();
    assert_eq!(by(&bound).as_deref(), Some("look_eu"), "the operator knows better");
    let Err(err) = open([eu, us], "verify = \"lok_us\"\n").await else { panic!("it opens") };
    assert!(err.to_string().contains("did you mean `look_us`"), "{err}");
    let Err(err) = open([&format!("verify = \"look_us\"\n{eu}"), us], "").await else { panic!("it opens") };
    assert!(err.to_string().contains("no contract of this entry asks for `verify`"), "{err}");
}
