//! Rules that hold a call until a person has decided: those of contracts and of registries. Nothing held runs.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use airlock::backtest::{Backtest, Change};
use airlock::config::ConfigFile;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::{Code, Status};
use airlock_types::decision::Ruling;
use airlock_types::hold::{Approver, HoldDecision};
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::described::Place;
use crate::scripted::Stage;
use crate::{authored, stderr, stdout};

const WIT: &str = "package test:bank;
world bank {
    record account { iban: string, owner: string, limit: f64 }
    export look: func(name: string) -> result<account, string>;
    export pay: func(iban: string, amount: f64, note: option<string>) -> result<string, string>;
}";

const CONTRACT: &str = r#"
[tool.look]
effects = "read"
[tool.look.facts.account]
key = "result.iban"
fields = ["owner", "limit"]
ttl = "1h"
[[tool.look.expect]]
range = { field = "limit", max = 10000 }
verdict = "suspect"

[tool.pay]
effects = "write"
[tool.pay.let]
known = "facts.account[args.iban]"
[[tool.pay.hold]]
when = "args.amount > 500.0"
message = "payments above 500 are approved"
approvals = 2
"#;

const REGISTRY: &str = "[tools.bank]\ncomponent = \"bank.wasm\"\n";

async fn bank(more: &str) -> Stage {
    Stage::open(&[("bank", WIT, CONTRACT)], &format!("{REGISTRY}{more}")).await
}

async fn refused(registry: &str) -> String {
    let parsed = ConfigFile::parse(registry, "airlock.toml".as_ref());
    match parsed {
        Err(problems) => problems.to_string(),
        Ok(_) => Stage::try_open(&[("bank", WIT, CONTRACT)], registry).await.map(drop).unwrap_err(),
    }
}

async fn look(stage: &Stage, session: &str, limit: f64) -> Reply {
    let account = json!({"iban": "DE8937", "owner": "Ann Example", "limit": limit});
    stage.call(session, "bank_look", json!({"name": "ann"}), Ok(account)).await
}

async fn pay(stage: &Stage, session: &str, amount: f64) -> Reply {
    let args = json!({"iban": "DE8937", "amount": amount, "note": null});
    stage.call(session, "bank_pay", args, Ok(json!("paid"))).await
}

/// The values that hold a call, as `explain` tells them.
fn explained(stage: &Stage, args: &Value) -> Vec<(String, Vec<String>)> {
    let call = Call::new("bank_pay", Arguments::Text(args.to_string().into()));
    let explained = stage.host.explain(&call).unwrap();
    let is_held = !explained.held.is_empty();
    assert_eq!(explained.ruling == Ruling::Hold, is_held, "{explained}");
    assert_eq!(explained.plan.is_none(), is_held, "{explained}");
    explained.held.into_iter().map(|rule| (rule.rule, rule.values)).collect()
}

#[track_caller]
fn is_held(stage: &Stage, reply: &Reply) {
    assert_eq!((reply.code, reply.status), (Code::PolicyHeld, Status::Held), "{reply:?}");
    let record = stage.host.journal().find(&reply.record).unwrap().unwrap();
    assert!(record.attempts.is_empty(), "what is held does not run");
    assert_eq!(record.decision.unwrap().ruling, "hold");
}

#[tokio::test]
async fn a_rule_of_a_contract_holds_what_it_is_about_and_nothing_else() {
    let stage = bank("").await;
    assert_eq!(pay(&stage, "a", 500.0).await.code, Code::Ok);
    let before = stage.script.attempts();
    let held = pay(&stage, "a", 900.0).await;
    is_held(&stage, &held);
    assert_eq!(stage.script.attempts(), before);
    let record = stage.host.journal().find(&held.record).unwrap().unwrap();
    let reasons = record.decision.unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("args.amount > 500.0")), "{reasons:?}");
    let args = json!({"iban": "DE8937", "amount": 900.0});
    let values = vec!["args.amount = 900".to_owned()];
    assert_eq!(explained(&stage, &args), [("args.amount > 500.0".to_owned(), values)]);
    assert_eq!(explained(&stage, &json!({"iban": "DE8937", "amount": 1.0})), []);
    let call = Call::new("bank_pay", Arguments::Text(args.to_string().into()));
    let text = stage.host.explain(&call).unwrap().to_string();
    let says = "held by `args.amount > 500.0` (payments above 500 are approved): args.amount = 900; it needs 2 approvals";
    assert!(text.contains(says), "{text}");
}

#[tokio::test]
async fn a_rule_of_a_registry_reads_arguments_facts_and_terms() {
    let rule = "[[tools.bank.hold]]\nfunction = \"pay\"\nwhen = \"args.amount > known.limit\"\n";
    let stage = bank(rule).await;
    // Nothing is known of the account yet, and a person decides.
    is_held(&stage, &pay(&stage, "a", 10.0).await);
    assert_eq!(look(&stage, "a", 100.0).await.code, Code::Ok);
    assert_eq!(pay(&stage, "a", 10.0).await.code, Code::Ok);
    is_held(&stage, &pay(&stage, "a", 101.0).await);
    is_held(&stage, &pay(&stage, "b", 10.0).await);
    // A fact that does not count any more does not let a call pass.
    stage.clock.later(3_600_000);
    is_held(&stage, &pay(&stage, "a", 11.0).await);
    let record = pay(&stage, "a", 12.0).await.record;
    let record = stage.host.journal().find(&record).unwrap().unwrap();
    assert_eq!(record.facts.unwrap().looked.len(), 1, "the facts that held a call are on its record");
}

#[tokio::test]
async fn a_rule_of_a_registry_is_refused_with_its_line() {
    let rule = |rule: &str| format!("{REGISTRY}hold = [{rule}]\n");
    for (text, says) in [
        (
            "{ when = \"args.amont > 1.0\", function = \"pay\" }",
            &["airlock.toml:3", "did you mean `amount`"][..],
        ),
        ("{ when = \"args.amount > 'a'\", function = \"pay\" }", &["airlock.toml:3"]),
        // Of another function of the entry.
        ("{ when = \"args.amount > 1.0\" }", &["a rule that holds `look`", "amount"]),
        ("{ when = \"true\", function = \"pya\" }", &["no function `pya`"]),
        ("{ when = \"true\", function = \"pay\", approvals = 17 }", &["between 1 and 16"]),
        ("{ when = \"true\", approvers = [\"eve\"] }", &["`eve` may not approve", "approve = true"]),
        ("{ wen = \"true\" }", &["wen"]),
    ] {
        let said = refused(&rule(text)).await;
        says.iter().for_each(|says| assert!(said.contains(says), "{text}: no {says:?} in\n{said}"));
    }
    let said = refused(&format!("{REGISTRY}[[holds]]\ntools = [\"bank_pai\"]\n")).await;
    assert!(said.contains("there is no tool `bank_pai`") && said.contains("bank_pay"), "{said}");
}

#[tokio::test]
async fn rules_over_tools_hold_by_class_caller_and_name() {
    let small = json!({"iban": "DE8937", "amount": 1.0});
    for (rule, holds) in [
        ("effect = \"write\"", true),
        ("effect = \"irreversible\"", false),
        ("caller = \"local\"", true),
        ("caller = \"anonymous\"", false),
        ("tools = [\"bank_pay\"]", true),
        ("tools = [\"bank_*\"]", true),
        ("tools = [\"bank_look\"]", false),
        // All conditions of a rule must hold.
        ("effect = \"write\"\ntools = [\"bank_look\"]", false),
        ("first_use = true\ntools = [\"bank_pay\"]", true),
        ("suspect = true", false),
    ] {
        let stage = bank(&format!("[[holds]]\n{rule}\nmessage = \"said\"\n")).await;
        let held = explained(&stage, &small);
        assert_eq!(!held.is_empty(), holds, "{rule}: {held:?}");
        let reply = pay(&stage, "a", 1.0).await;
        if holds {
            is_held(&stage, &reply)
        } else {
            assert_eq!(reply.code, Code::Ok, "{rule}")
        }
        if rule == "effect = \"write\"" {
            assert_eq!(look(&stage, "a", 1.0).await.code, Code::Ok, "what only reads is not held");
        }
    }
    let stage = bank("[[holds]]\neffect = \"write\"\ncaller = \"local\"\n").await;
    let held = explained(&stage, &small);
    let values = ["its effect class is `write`", "the caller is `local`"].map(str::to_owned);
    assert_eq!(held, [("effect, caller".to_owned(), values.to_vec())]);
}

#[tokio::test]
async fn a_value_of_a_suspect_result_holds_a_write_of_the_same_session() {
    let stage = bank("[[holds]]\nsuspect = true\n").await;
    assert_eq!(look(&stage, "clean", 100.0).await.code, Code::Ok);
    assert_eq!(pay(&stage, "clean", 10.0).await.code, Code::Ok);
    let suspect = look(&stage, "doubtful", 20_000.0).await;
    assert_eq!(suspect.code, Code::Degraded, "{suspect:?}");
    is_held(&stage, &pay(&stage, "doubtful", 10.0).await);
    assert_eq!(pay(&stage, "other", 11.0).await.code, Code::Ok, "another session has not seen it");
    let args = json!({"iban": "FR7630", "amount": 20.0, "note": null});
    let other = stage.call("doubtful", "bank_pay", args, Ok(json!("paid"))).await;
    assert_eq!(other.code, Code::Ok, "{other:?}");
}

#[tokio::test]
async fn what_may_not_run_is_denied_and_not_held() {
    let contract =
        format!("capabilities.http = [{{ host = \"bank.example\", reason = \"pays\" }}]\n{CONTRACT}");
    let registry = format!("{REGISTRY}[[holds]]\neffect = \"pure\"\n");
    let stage = Stage::open(&[("bank", WIT, &contract)], &registry).await;
    let args = json!({"iban": "DE8937", "amount": 900.0, "note": null});
    let call = Call::new("bank_pay", Arguments::Text(args.to_string().into()));
    let reply = stage.host.call(call).await;
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
}

#[tokio::test]
async fn a_fallback_that_would_be_held_is_left_out() {
    let wit = "package test:ask; world ask { export ask: func(q: string) -> string; }";
    let contract = "effects = 'read'\n[[tool.ask.hold]]\nwhen = \"args.q == 'secret'\"\n";
    let registry = "[tools.one]\ncomponent = \"one.wasm\"\nfallback = [\"two\"]\n[tools.two]\ncomponent = \"two.wasm\"\n";
    let stage = Stage::open(&[("one", wit, "effects = 'read'"), ("two", wit, contract)], registry).await;
    let routes = |q: &str| {
        let call = Call::new("one", Arguments::Text(json!({"q": q}).to_string().into()));
        let plan = stage.host.explain(&call).unwrap().plan.unwrap();
        plan.routes.iter().map(|route| route.input.tool.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(routes("open").len(), 2);
    assert_eq!(routes("secret").len(), 1, "a rule of the fallback's own contract holds it");
    let held = format!("{registry}[[holds]]\ntools = [\"two\"]\n");
    let stage = Stage::open(&[("one", wit, "effects = 'read'"), ("two", wit, contract)], &held).await;
    let call = Call::new("one", Arguments::Text(json!({"q": "open"}).to_string().into()));
    let plan = stage.host.explain(&call).unwrap().plan.unwrap();
    assert_eq!(plan.routes.len(), 1, "{plan:?}");
    let call = Call::new("two", Arguments::Text(json!({"q": "open"}).to_string().into()));
    let reply = stage.host.call(call).await;
    assert_eq!(reply.code, Code::PolicyHeld);
}

#[tokio::test]
async fn an_older_tool_does_not_stay_without_a_rule_that_came() {
    let stage = bank("").await;
    assert_eq!(pay(&stage, "a", 10.0).await.code, Code::Ok);
    // Broken for another reason, so that the older tool takes its place.
    let broken = format!("{REGISTRY}fallback = [\"nobody\"]\n");
    stage.host.reload(&Stage::registry(stage.folder.path(), &broken)).await.unwrap();
    assert_eq!(pay(&stage, "a", 11.0).await.code, Code::Ok);
    let held = format!("{broken}hold = [{{ when = \"args.amount > 1.0\", function = \"pay\" }}]\n");
    stage.host.reload(&Stage::registry(stage.folder.path(), &held)).await.unwrap();
    assert_eq!(pay(&stage, "a", 12.0).await.code, Code::Unknown);
}

/// The program tells rules to reviewers, and compares them.
#[test]
fn the_program_shows_compares_and_tests_rules() {
    let component = authored::component(WIT, Some(CONTRACT));
    let place =
        Place::new(&component, "[[tools.one.hold]]\nfunction = \"pay\"\nwhen = \"args.amount > 9.0\"\n");
    let said = stdout(&place.run(&["inspect", "one_pay"]));
    for says in [
        "holds      args.amount > 500.0 (payments above 500 are approved): 2 to approve, by the contract",
        "holds      args.amount > 9.0: 1 to approve, by the registry",
    ] {
        assert!(said.contains(says), "no {says:?} in\n{said}");
    }
    let text = std::fs::read_to_string(place.path("airlock.toml")).unwrap();
    let write = |name: &str, more: &str| std::fs::write(place.path(name), format!("{text}{more}")).unwrap();
    write("none.toml", "");
    write("one.toml", "[[holds]]\neffect = \"write\"\n");
    write("two.toml", "[[holds]]\neffect = \"write\"\napprovals = 2\n");
    write("slow.toml", "[approval]\nexpires = \"1h\"\n");
    for (old, new, code, says) in [
        ("none", "one", 0, "narrowed holds"),
        ("one", "none", 3, "widened  holds"),
        ("one", "two", 0, "narrowed holds"),
        ("two", "one", 3, "widened  holds"),
        ("none", "slow", 3, "approval.expires"),
    ] {
        let files = [format!("{old}.toml"), format!("{new}.toml")];
        let compared = place.run(&["policy", "diff", &files[0], &files[1]]);
        let said = stdout(&compared);
        assert_eq!(compared.status.code(), Some(code), "{old} {new}: {said}{}", stderr(&compared));
        assert!(said.contains(says), "{old} {new}: no {says:?} in\n{said}");
    }
    std::fs::write(place.path("airlock.toml"), format!("{text}[[holds]]\ntools = [\"one_pay\"]\n")).unwrap();
    let case = |decision: &str| {
        format!("[[case]]\ntool = \"one_pay\"\ndecision = \"{decision}\"\nrule = \"holds[0]\"\n")
    };
    std::fs::write(place.path("cases.toml"), case("hold")).unwrap();
    let tested = place.run(&["policy", "test", "cases.toml"]);
    assert!(tested.status.success(), "{}{}", stdout(&tested), stderr(&tested));
    std::fs::write(place.path("cases.toml"), case("allow")).unwrap();
    assert_eq!(place.run(&["policy", "test", "cases.toml"]).status.code(), Some(1));
    // The rules over arguments hold it, perhaps.
    std::fs::write(place.path("airlock.toml"), &text).unwrap();
    std::fs::write(place.path("cases.toml"), "[[case]]\ntool = \"one_pay\"\ndecision = \"hold\"\n").unwrap();
    let said = stdout(&place.run(&["policy", "test", "cases.toml"]));
    assert!(
        said.contains("expected hold; rules over arguments, `first_use` and `suspect` are not judged here"),
        "{said}"
    );
}

#[test]
fn a_reviewer_sees_which_results_are_held_and_which_are_given_again() {
    let contract = CONTRACT
        .replace("verdict = \"suspect\"", "verdict = \"escalate\"")
        .replace("[tool.look]\n", "[tool.look]\ncache.max_age = \"30s\"\n");
    let place = Place::new(&authored::component(WIT, Some(&contract)), "");
    let said = stdout(&place.run(&["inspect", "one_look"]));
    for says in [
        "holds      the result, where this check finds a fault: {\"range\":{\"field\":\"limit\",",
        "cache      the same call of a session has its answer again for 30s",
    ] {
        assert!(said.contains(says), "no {says:?} in\n{said}");
    }
    let said = stdout(&place.run(&["inspect", "one_pay"]));
    assert!(!said.contains("cache  ") && !said.contains("finds a fault"), "{said}");
}

/// The page's blocks of TOML, in order.
fn blocks() -> Vec<String> {
    let page = std::fs::read_to_string(airlock_tests::root().join("docs/holds.md")).unwrap();
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix("toml\n")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_about_holds_works_as_it_says() {
    let blocks = blocks();
    let [contract, registry, holds, check, waived, approval] = &*blocks else { panic!("{blocks:?}") };
    let wit = "package doc:bank; world bank {
        record account { iban: string, owner: string, limit: f64 }
        record offer { price: f64 }
        export look: func(name: string) -> account;
        export quote: func(name: string) -> offer;
        export pay: func(iban: string, amount: f64, owner: string) -> string;
    }";
    let facts = "[tool.look]\neffects = 'read'\nfacts.account = { key = 'result.iban', fields = ['owner', 'limit'], ttl = '1h' }\n";
    let contract = format!("{facts}[tool.quote]\neffects = 'read'\n{check}{contract}");
    let callers = "[callers]\nann = { tools = [], approve = true }\nbob = { tools = [], approve = true }\n\
                   agent = { tools = ['*'] }\nlocal = { tools = ['*'] }\n";
    let registry = format!("{registry}{holds}{callers}");
    let stage = Stage::open(&[("bank", wit, &contract)], &registry).await;
    let account = json!({"iban": "DE8937", "owner": "Ann Example", "limit": 700.0});
    stage.call("a", "bank_look", json!({"name": "ann"}), Ok(account)).await;
    let pay = async |amount: f64| {
        let args = json!({"iban": "DE8937", "amount": amount, "owner": "Ann Example"});
        let call = Call::new("bank_pay", Arguments::Text(args.to_string().into()));
        let reply = stage.call("a", "bank_pay", args, Ok(json!("paid"))).await;
        let held = stage.host.explain(&call).unwrap().held;
        (reply.code, held.into_iter().map(|rule| rule.rule).collect::<Vec<_>>().join("; "))
    };
    let (code, held) = pay(900.0).await;
    assert_eq!(code, Code::PolicyHeld);
    assert_eq!(held, "args.amount > 500.0; tool, first-use");
    let wipes = "[tool.look]\neffects = 'read'\n[tool.pay]\neffects = 'irreversible'\n";
    let wipe = Stage::open(&[("wipe", WIT, wipes)], waived).await;
    let args = json!({"iban": "DE8937", "amount": 1.0, "note": null});
    assert_eq!(wipe.call("a", "wipe_pay", args, Ok(json!("paid"))).await.code, Code::Ok);
    let text = format!("{approval}{REGISTRY}");
    let parsed = ConfigFile::parse(&text, "airlock.toml".as_ref()).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(parsed.config.approval.expires.ms(), 900_000);
}

/// What an older registry let pass is told by a backtest of the new one.
#[tokio::test]
async fn a_backtest_says_which_recorded_calls_would_be_held() {
    let stage = bank("").await;
    let paid = pay(&stage, "a", 400.0).await;
    assert_eq!(paid.code, Code::Ok);
    let record = stage.host.journal().find(&paid.record).unwrap().unwrap();
    for (rule, is_held) in [
        ("", false),
        ("[[tools.bank.hold]]\nfunction = \"pay\"\nwhen = \"args.amount > 300.0\"\n", true),
        ("[[tools.bank.hold]]\nfunction = \"pay\"\nwhen = \"args.amount > 400.0\"\n", false),
        ("[[holds]]\neffect = \"write\"\n", true),
    ] {
        let file = Stage::registry(stage.folder.path(), &format!("{REGISTRY}{rule}"));
        let backtest = Backtest::open(airlock::Host::builder(), file).await.unwrap();
        let tested = backtest.test(&record, &|_| Err("nothing is encrypted".to_owned())).await;
        // Its component has no code: what is not held would abort.
        assert_eq!(tested.change == Change::Held, is_held, "{rule}: {tested:?}");
    }
}

/// The heads and bodies of as many requests, each of which is answered.
fn service() -> (String, tokio::task::JoinHandle<Vec<(String, Value)>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/holds", listener.local_addr().unwrap());
    let served = tokio::task::spawn_blocking(move || {
        (0..2)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let (head, body) = loop {
                    let mut buffer = [0; 4096];
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n")
                        && let Ok(body) = serde_json::from_str(body)
                    {
                        break (head.to_owned(), body);
                    }
                };
                stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
                (head, body)
            })
            .collect()
    });
    (url, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_the_operator_is_told_when_a_hold_opens_and_ends() {
    let (url, served) = service();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "whsec-0123456789").unwrap();
    let webhook = format!("{{ url = \"{url}\", secret = \"hook\", allow = [\"127.0.0.1/32\"] }}");
    let key = key.path().display();
    let stage =
        bank(&format!("[approval]\nwebhook = {webhook}\n[secrets]\nhook = {{ file = \"{key}\" }}\n")).await;
    let held = pay(&stage, "a", 900.0).await;
    is_held(&stage, &held);
    let (id, by) = (held.hold.unwrap().id, Approver::Operator);
    let no = HoldDecision::Reject { reason: "too much".into() };
    stage.host.decide_hold(&id, &by, no, None).await.unwrap();
    stage.host.told_of_holds().await;
    let told = served.await.unwrap();
    let event = |(_, body): &(String, Value)| (body["event"].clone(), body["hold"]["standing"].clone());
    let events: Vec<_> = told.iter().map(event).collect();
    assert_eq!(events, [(json!("held"), json!("open")), (json!("ended"), json!("rejected"))]);
    for (head, body) in &told {
        assert!(head.starts_with("POST /holds HTTP/1.1") && head.contains("airlock-signature: t="), "{head}");
        assert_eq!(body["hold"]["arguments"]["amount"], json!(900));
        assert_eq!(body["hold"]["rules"][0]["values"], json!(["args.amount = 900"]));
    }
}
