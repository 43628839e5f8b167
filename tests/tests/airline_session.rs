//! Facts and the ledger on recorded traffic: each episode is a session, and its results are what the tools answered then.
//! `session.toml` says what stops each error, and of each relation over facts how many good calls it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use airlock_tests::root;
use airlock_types::code::{Code, Ran};
use airlock_types::reply::Reply;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::scripted::Stage;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    episode: String,
    tool: String,
    args: Map<String, Value>,
    result: usize,
    #[serde(default)]
    error: bool,
}

/// What became of the errors of one kind.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Met {
    tool: String,
    error: String,
    /// The rule that stopped them: the message of a relation, a keyword of an argument, or `repeat`. None for those that ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    by: Option<String>,
    calls: u64,
    /// Why those that ran could not be stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    why: Option<String>,
}

/// What one rule stopped.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    by: String,
    errors: u64,
    false_alarms: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    error: Vec<Met>,
    rule: Vec<Rule>,
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join("tests/airline").join(name)).unwrap()
}

fn calls() -> Vec<Recorded> {
    read("calls.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn airline() -> Stage {
    let mut registry =
        "[tools.airline]\ncomponent = \"airline.wasm\"\n[tools.airline.functions]\n".to_owned();
    for tool in calls().into_iter().map(|call| call.tool).collect::<BTreeSet<_>>() {
        writeln!(registry, "{} = \"{tool}\"", tool.replace('_', "-")).unwrap();
    }
    Stage::open(&[("airline", &read("wit/airline.wit"), &read("contract.toml"))], &registry).await
}

/// A recorded result in the form of the WIT: what the benchmark keeps by key is a list there.
fn answer(tool: &str, text: &str, is_error: bool) -> Result<Value, Value> {
    if is_error {
        return Err(text.into());
    }
    let values = |object: Value| match object {
        Value::Object(members) => members.into_iter().collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let parsed = || serde_json::from_str::<Value>(text).unwrap();
    Ok(match tool {
        "get_user_details" => {
            let mut user = parsed();
            let methods = values(user["payment_methods"].take()).into_iter().map(|(_, method)| method);
            user["payment_methods"] = methods.collect();
            user
        }
        "list_all_airports" => {
            values(parsed()).into_iter().map(|(code, city)| json!({"code": code, "city": city})).collect()
        }
        "think" | "send_certificate" | "transfer_to_human_agents" => text.into(),
        _ => parsed(),
    })
}

/// What stopped a call before its tool ran. None for one that ran.
fn stopped(reply: &Reply) -> Option<String> {
    let error = reply.error.as_ref().filter(|error| error.ran == Ran::No)?;
    let Some(first) = error.violations.first() else {
        let is_repeat = error.message.contains("will not be run again");
        return Some(if is_repeat { "repeat".to_owned() } else { reply.code.to_string() });
    };
    // What follows the message is about the values.
    let message = |hint: &String| hint.split("; ").next().unwrap_or_default().to_owned();
    let is_relation = first.keyword == "require";
    Some(first.hint.as_ref().filter(|_| is_relation).map_or_else(|| first.keyword.clone(), message))
}

#[tokio::test]
async fn errors_are_stopped_by_name_and_no_good_call_is_refused() {
    let stage = airline().await;
    let results: Vec<String> =
        read("results.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut met: BTreeMap<(String, String, Option<String>), u64> = BTreeMap::new();
    let mut rules: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut good, mut repeats, mut stopped_calls) = (0, 0, 0);
    // The calls of a session with effects, as canonical arguments.
    let mut made: BTreeSet<(String, String, String)> = BTreeSet::new();
    for Recorded { episode, tool, args, result, error } in calls() {
        let args = Value::Object(args);
        let is_write = ["write", "irreversible"].contains(&stage.effect(&tool));
        let is_repeat = is_write && !made.insert((episode.clone(), tool.clone(), args.to_string()));
        let reply = stage.call(&episode, &tool, args.clone(), answer(&tool, &results[result], error)).await;
        let by = stopped(&reply);
        if let Some(by) = &by {
            let (errors, alarms) = rules.entry(by.clone()).or_default();
            *if error { errors } else { alarms } += 1;
        }
        if error {
            stopped_calls += u64::from(by.is_some());
            if is_repeat {
                repeats += 1;
                assert!(by.is_some(), "a repeat ran: {episode} {tool} {args}");
            }
            *met.entry((tool, results[result].clone(), by)).or_default() += 1;
        } else {
            assert_eq!(reply.code, Code::Ok, "{episode} {tool} {args}: {reply:?}");
            assert!(!is_repeat, "{episode} {tool} {args}");
            good += 1;
        }
    }
    assert_eq!((good, repeats), (742, 12));
    let rule = |(by, (errors, false_alarms))| Rule { by, errors, false_alarms };
    let rules: Vec<Rule> = rules.into_iter().map(rule).collect();
    let told: Told =
        toml::from_str(&read("session.toml")).unwrap_or(Told { error: Vec::new(), rule: Vec::new() });
    let why = |of: &(String, String, Option<String>)| {
        let same = |told: &&Met| (&told.tool, &told.error, &told.by) == (&of.0, &of.1, &of.2);
        told.error.iter().find(same).and_then(|told| told.why.clone())
    };
    let errors = met.into_iter().map(|(of, calls)| {
        let why = why(&of);
        let (tool, error, by) = of;
        Met { tool, error, by, calls, why }
    });
    let found = Told { error: errors.collect(), rule: rules };
    if std::env::var_os("BLESS").is_some() {
        fs::write(root().join("tests/airline/session.toml"), toml::to_string(&found).unwrap()).unwrap();
    }
    assert_eq!(found, told, "`BLESS=1` writes `session.toml`");
    assert!(found.rule.iter().all(|rule| rule.false_alarms == 0));
    assert!(
        found.error.iter().all(|met| met.by.is_some() || met.why.is_some()),
        "each error that ran has a reason"
    );
    assert!(stopped_calls >= 15, "{stopped_calls}");
}

#[tokio::test]
async fn a_double_booking_is_held() {
    let stage = airline().await;
    let flight = json!({
        "flight_number": "HAT001", "origin": "SFO", "destination": "JFK", "status": "available",
        "scheduled_departure_time_est": "08:00:00", "scheduled_arrival_time_est": "16:00:00",
        "available_seats": {"basic_economy": 9, "economy": 9, "business": 9},
        "prices": {"basic_economy": 60, "economy": 100, "business": 300}, "date": null,
    });
    let search = json!({"origin": "SFO", "destination": "JFK", "date": "2024-05-20"});
    stage.call("a", "search_direct_flight", search, Ok(json!([flight]))).await;
    let book = json!({
        "user_id": "sara_doe_4961", "origin": "SFO", "destination": "JFK", "flight_type": "one_way", "cabin": "economy",
        "flights": [{"flight_number": "HAT001", "date": "2024-05-20"}],
        "passengers": [{"first_name": "Sara", "last_name": "Doe", "dob": "1990-01-01"}],
        "payment_methods": [{"payment_id": "credit_card_7815826", "amount": 130}],
        "total_baggages": 0, "nonfree_baggages": 0, "insurance": "yes",
    });
    let booked = json!({
        "reservation_id": "HATHAT", "user_id": "sara_doe_4961", "origin": "SFO", "destination": "JFK",
        "flight_type": "one_way", "cabin": "economy",
        "flights": [{"flight_number": "HAT001", "date": "2024-05-20", "price": 100, "origin": "SFO", "destination": "JFK"}],
        "passengers": [{"first_name": "Sara", "last_name": "Doe", "dob": "1990-01-01"}],
        "payment_history": [{"payment_id": "credit_card_7815826", "amount": 130}],
        "created_at": "2024-05-15T15:00:00", "total_baggages": 0, "nonfree_baggages": 0, "insurance": "yes", "status": null,
    });
    let mut short = book.clone();
    short["payment_methods"][0]["amount"] = 100.into();
    let wrong = stage.call("a", "book_reservation", short, Ok(booked.clone())).await;
    let message = &wrong.error.as_ref().unwrap().message;
    assert!(message.contains("paid = 100") && message.contains("price = 130"), "{message}");
    let first = stage.call("a", "book_reservation", book.clone(), Ok(booked.clone())).await;
    assert_eq!(first.code, Code::Ok, "{first:?}");
    let second = stage.call("a", "book_reservation", book, Ok(booked)).await;
    assert_eq!(second.code, Code::PolicyDuplicate, "{second:?}");
    assert_eq!(stage.script.attempts(), 2);
}
