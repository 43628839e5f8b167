//! Forms of wrong arguments, each with right ones of the same tool and size.

use serde_json::{Value, json};

/// Levels of a deep value: close to what arguments may have.
const LEVELS: usize = 56;

/// One form.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) tool: &'static str,
    /// JSON that the tool takes.
    pub(super) right: String,
    /// JSON of about the same length that is refused.
    pub(super) wrong: String,
}

/// Every form with about this number of bytes.
pub(super) fn forms(bytes: usize) -> Vec<Form> {
    let text = |change: &dyn Fn(&mut Value)| {
        let mut wrong = filled(bytes);
        change(&mut wrong["value"]);
        (filled(bytes), wrong)
    };
    let numbers = |wrong: Value| {
        let mut right = filled(0);
        right["value"]["numbers"] = json!(vec![1_000_000_000_000_u64; items(bytes)]);
        (right, wrong)
    };
    let at = |key: &str, value: Value| {
        let mut wrong = filled(0);
        wrong["value"][key] = value;
        wrong
    };
    let list = format!("{:?}", vec![1_000_000_000_000_u64; items(bytes)]);
    let keys = (0..items(bytes)).map(|i| (format!("key_{i:05}"), json!(1))).collect();
    let forms = [
        ("wrong type", text(&|value| value["small"] = json!("one"))),
        ("unknown key", text(&|value| value["colour"] = json!("red"))),
        ("out of range", text(&|value| value["small"] = json!(1_000))),
        ("too deep", text(&|value| value["pair"] = deep())),
        ("long text for a case", (filled(bytes), at("color", json!("x".repeat(bytes))))),
        ("text for a list", numbers(at("numbers", json!(list)))),
        ("many unknown keys", numbers(at("point", Value::Object(keys)))),
    ];
    let forms = forms.map(|(name, (right, wrong))| form(name, "everything", &right, &wrong));
    forms.into_iter().chain([many(bytes)]).collect()
}

/// Numbers in place of texts, each of them wrong.
fn many(bytes: usize) -> Form {
    let of = |item: Value| json!({"value": [vec![item; items(bytes)]]});
    form("many of a wrong type", "lists", &of(json!("x".repeat(11))), &of(json!(1_000_000_000_000_u64)))
}

fn form(name: &'static str, tool: &'static str, right: &Value, wrong: &Value) -> Form {
    Form { name, tool, right: right.to_string(), wrong: wrong.to_string() }
}

/// Items of 13 bytes with their commas: far fewer than arguments may have of this size.
fn items(bytes: usize) -> usize {
    bytes / 14
}

/// A value of each type, with a text of this length.
fn filled(bytes: usize) -> Value {
    json!({"value": {
        "boolean": true, "small": -1, "large": "18446744073709551615", "real": 0.5, "letter": "é",
        "text": "x".repeat(bytes), "bytes": "", "numbers": [1], "pair": [1, "p"], "maybe": null,
        "maybe_maybe": {"some": null}, "color": "red", "permissions": [], "shape": {"tag": "none"},
        "outcome": {"tag": "ok", "val": 1}, "point": {"x": 0, "max_items": null},
    }})
}

fn deep() -> Value {
    (0..LEVELS).fold(json!(1), |value, _| json!([value]))
}
