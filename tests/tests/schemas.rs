//! The published schemas of replies: each is generated from the type, so they have the same fields.

use std::collections::BTreeSet;

use airlock_tests::server::Server;
use airlock_tests::wire::Wire;
use airlock_tests::{registry, root};
use airlock_types::reply::{Reply, schema};
use serde_json::{Value, json};

/// A reply with every part.
fn full() -> Value {
    let violation = json!({"code": "args.type", "path": "x", "pointer": "/x", "keyword": "type", "expected": "a", "got": "b", "hint": "c"});
    let finding = json!({"kind": "range", "verdict": "warn", "path": "x", "expected": "a", "got": "b"});
    json!({
        "status": "degraded", "notice": "Not from `a`.", "code": "ok.degraded", "tool": "t", "result": {"x": 1},
        "content": [{"type": "text", "text": "x"}],
        "error": {"message": "m", "retryable": true, "caller_must_change_args": false, "ran": "ran", "retry_after_ms": 1,
            "violations": [violation], "example": {}, "detail": 1},
        "refusal": {"code": "c", "cannot": "x", "needed": [], "contact": "c", "alternatives": [],
            "retryable": {"after_ms": 1}, "decision_id": "d"},
        "clarify": {"question": "q", "options": [{"label": "l", "means": "m", "args": {}}]},
        "findings": [finding], "confidence": {"value": 0.5}, "interpretation": "i", "assumptions": ["a"],
        "uncertainty": "u", "next_steps": ["n"],
        "provenance": {"route": "t", "component": "0".repeat(64), "attempts": 1, "fallback_because": "trap",
            "as_of": "2020-01-01", "source": "s"},
        "usage": {"attempts": 1, "fuel": 1, "wall_us": 1, "cpu_us": 1, "memory_bytes": 1},
        "record": "r".repeat(8), "session": "s".repeat(43),
    })
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_schema_of_replies_is_the_one_that_is_written_down() {
    let generated = format!("{:#}\n", schema::whole());
    let path = root().join("schemas/reply.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        generated == written,
        "the type changed: `BLESS=1` writes {}, which clients rely on",
        path.display()
    );
}

#[test]
fn no_form_has_a_field_that_its_schema_lacks() {
    let reply: Reply = serde_json::from_value(full()).unwrap();
    let (whole, compact) =
        (serde_json::to_value(&reply).unwrap(), serde_json::to_value(reply.compact()).unwrap());
    assert_eq!(whole, full(), "nothing is lost");
    assert!(keys(&whole).is_subset(&keys(&schema::whole()["properties"])), "{whole}");
    assert!(keys(&compact).is_subset(&keys(&schema::compact()["properties"])), "{compact}");
}

#[test]
fn the_schema_of_replies_refuses_what_no_reply_is() {
    let schema = jsonschema::draft202012::new(&schema::whole()).unwrap();
    let mut good = full();
    ["error", "refusal", "clarify"].iter().for_each(|part| drop(good.as_object_mut().unwrap().remove(*part)));
    assert!(
        schema.is_valid(&good),
        "{:?}",
        schema.iter_errors(&good).map(|err| err.to_string()).collect::<Vec<_>>()
    );
    for (place, wrong) in [
        ("/status", json!("fine")),
        ("/notice", json!("")),
        ("/status", json!("failed")),
        ("/code", json!("args.other")),
        ("/result", Value::Null),
        ("/content/0/type", json!("video")),
        ("/confidence/value", json!(1.5)),
        ("/uncertainty", Value::Null),
        ("/findings", json!([])),
        ("/findings/0/verdict", json!("maybe")),
        ("/provenance/attempts", json!(0)),
        ("/provenance/component", json!("00")),
        ("/usage/fuel", json!(-1)),
        ("/usage", json!({})),
        ("/record", json!("r")),
        ("/session", json!("s")),
        ("", json!({})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = wrong;
        // Any value is a result.
        assert_eq!(schema.is_valid(&bad), place == "/result", "{place}: {bad}");
    }
    let failed = json!({"status": "invalid", "notice": "no", "code": "args.type", "tool": "t", "record": "r".repeat(8),
        "usage": full()["usage"], "error": full()["error"]});
    assert!(schema.is_valid(&failed));
    for (place, wrong) in [
        ("/error/message", json!("")),
        ("/error/ran", json!("perhaps")),
        ("/error/example", json!([])),
        ("/error/violations", json!([])),
        ("/error/violations/0/code", json!("trap")),
        ("/status", json!("refused")),
        ("/status", json!("clarify")),
    ] {
        let mut bad = failed.clone();
        *bad.pointer_mut(place).unwrap() = wrong;
        assert!(!schema.is_valid(&bad), "{place}: {bad}");
    }
    for place in ["", "/error", "/error/violations/0", "/usage"] {
        let mut bad = failed.clone();
        bad.pointer_mut(place).unwrap()["more"] = json!(1);
        assert!(!schema.is_valid(&bad), "closed: {place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_publishes_the_schemas_of_the_types() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let document: Value = server.get("/v1/openapi.json").await.unwrap().json().await.unwrap();
    let components = &document["components"]["schemas"];
    let whole = schema::whole().to_string().replace("#/$defs/", "#/components/schemas/");
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(components["Reply"]["properties"], whole["properties"]);
    for (name, definition) in whole["$defs"].as_object().unwrap() {
        assert_eq!(&components[name], definition, "{name}");
    }
    let mut wire = Wire::handshake(&registry("example"), "2025-11-25").unwrap().0;
    let tools = wire.ask(1, "tools/list", json!({})).unwrap()["result"]["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let (shown, all) = (keys(&tool["outputSchema"]["properties"]), schema::compact());
        let absent: BTreeSet<&str> = keys(&all["properties"]).difference(&shown).copied().collect();
        // What a tool without an assessment never returns is not in its schema.
        let has_assessment = ["pay_band", "sector_metrics", "sector_metrics_quarterly"];
        let expected = if has_assessment.contains(&tool["name"].as_str().unwrap()) {
            &[][..]
        } else {
            &schema::ASSESSMENT
        };
        assert_eq!(absent, expected.iter().copied().collect(), "{tool}");
        let path = format!("/v1/tools/{}", tool["name"].as_str().unwrap());
        let described: Value = server.get(&path).await.unwrap().json().await.unwrap();
        assert_eq!(described["output_schema"], tool["outputSchema"]);
    }
}
