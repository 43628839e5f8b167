//! The doubts as SARIF 2.1.0, for services that show them beside the code.

use serde_json::{Value, json};

use airlock::audit::{Audit, Lint, RULES, Rule};

/// The rule of what is left out, which is no doubt about a tool: it is not there.
const LEFT_OUT: &str = "tool.left-out";

/// The place of the schema, by which readers know the version.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn log(audit: &Audit) -> Value {
    let rule = |rule: &Rule| {
        json!({
            "id": rule.id,
            "shortDescription": {"text": rule.text},
            "defaultConfiguration": {"level": rule.level.as_str()},
        })
    };
    let left_out = json!({
        "id": LEFT_OUT,
        "shortDescription": {"text": "An entry of the registry is left out."},
        "defaultConfiguration": {"level": "error"},
    });
    let rules: Vec<Value> = RULES.iter().map(rule).chain([left_out]).collect();
    let at = |line: usize| {
        json!([{"physicalLocation": {
            "artifactLocation": {"uri": uri(&audit.registry)},
            "region": {"startLine": line},
        }}])
    };
    let found = audit.tools.iter().flat_map(|tool| tool.lints.iter().map(move |lint| (tool, lint)));
    let result = |(tool, lint): (&airlock::audit::AuditedTool, &Lint)| {
        json!({
            "ruleId": lint.rule.id,
            "level": lint.level().as_str(),
            "message": {"text": format!("{}: {}", tool.name, lint.message)},
            "locations": at(tool.line),
            "partialFingerprints": {"tool/v1": tool.name, "surface/v1": tool.surface},
        })
    };
    let missing = |problem: &String| json!({"ruleId": LEFT_OUT, "level": "error", "message": {"text": problem}, "locations": at(1)});
    let results: Vec<Value> = found.map(result).chain(audit.left_out.iter().map(missing)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "airlock",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    })
}

/// The name of a file as a relative reference.
fn uri(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
