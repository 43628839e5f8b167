//! Numbers, texts and choices, with the keywords that contracts have for them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Shape;
use crate::label::{Labels, can_be_value};
use airlock_contract::validate::Validator;
use airlock_types::words::count;

/// Values of the largest WIT enum that is made; a longer list is an `enum` over texts.
const CASES_MAX: usize = 100;

/// The formats that contracts check. All others only describe.
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// An integer or a float. `None` for keywords that contracts do not have here.
pub(super) fn number(keywords: &Map<String, Value>, said: &mut Map<String, Value>) -> Option<Shape> {
    if keywords.contains_key("enum") {
        return None;
    }
    let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    for keyword in bounds {
        match keywords.get(keyword) {
            None => {}
            Some(Value::Number(bound)) => drop(said.insert(keyword.into(), Value::Number(bound.clone()))),
            Some(_) => return None,
        }
    }
    if keywords.get("type").is_some_and(|ty| ty == "number") {
        return Some(Shape::Float);
    }
    // A bound of an integer is one, or the contract would refuse it.
    if said.values().any(|bound| bound.as_i64().is_none()) {
        return None;
    }
    let bound = |keyword: &str| said.get(keyword).and_then(Value::as_i64);
    let (least, most) = (bound("minimum"), bound("maximum"));
    let fits = |low: i64, high: i64| {
        least.is_some_and(|least| least >= low) && most.is_some_and(|most| most <= high)
    };
    let is_small = keywords.get("format").is_some_and(|format| format == "int32")
        && said.values().all(|bound| bound.as_i64().is_some_and(|bound| i32::try_from(bound).is_ok()));
    Some(Shape::Int(if fits(0, i64::from(u32::MAX)) {
        "u32"
    } else if fits(i64::from(i32::MIN), i64::from(i32::MAX)) || is_small {
        "s32"
    } else {
        "s64"
    }))
}

/// The keywords of a text. Returns what contracts cannot say.
pub(super) fn text(keywords: &Map<String, Value>, said: &mut Map<String, Value>) -> Vec<String> {
    let mut lost = Vec::new();
    for keyword in ["minLength", "maxLength"] {
        said.extend(
            keywords.get(keyword).filter(|value| value.is_u64()).map(|value| (keyword.into(), value.clone())),
        );
    }
    let format = keywords.get("format").and_then(Value::as_str);
    if let Some(format) = format.filter(|format| FORMATS.contains(format)) {
        said.insert("format".into(), format.into());
    }
    if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
        let schema = Value::Object([("pattern".to_owned(), pattern.into())].into_iter().collect());
        // The engine of contracts takes linear time, and has no look-around.
        match Validator::new(&schema) {
            Ok(_) => drop(said.insert("pattern".into(), pattern.into())),
            Err(_) => lost.push("its `pattern` is none that contracts can check".to_owned()),
        }
    }
    lost
}

/// Whether a schema without a type lists texts alone.
pub(super) fn is_texts(keywords: &Map<String, Value>) -> bool {
    let values = keywords.get("enum").and_then(Value::as_array);
    !keywords.contains_key("type")
        && values.is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string))
}

/// Keywords of texts that refuse some of those that an `enum` lists.
const BESIDE_ENUM: [&str; 3] = ["maxLength", "minLength", "pattern"];

/// The keywords with those texts of the `enum` alone that the keywords beside it accept, what contracts cannot say, and what says
/// less. With none left all stay, so that one keyword does not cost the function.
pub(super) fn chosen(keywords: &Map<String, Value>) -> (Map<String, Value>, Vec<String>, Option<String>) {
    let beside = keywords.iter().filter(|(name, _)| BESIDE_ENUM.contains(&name.as_str()));
    let beside: Map<String, Value> = beside.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut checked = Map::new();
    let mut lost = text(&beside, &mut checked);
    let mut made = keywords.clone();
    let (Some(values), Ok(validator)) = (
        keywords.get("enum").and_then(Value::as_array).filter(|_| !checked.is_empty()),
        Validator::new(&Value::Object(checked.clone())),
    ) else {
        return (made, lost, None);
    };
    let kept: Vec<Value> = values.iter().filter(|value| validator.is_valid(value)).cloned().collect();
    let names = checked.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let gone = values.len() - kept.len();
    if kept.is_empty() {
        lost.push(format!("beside `enum` is left out: {names}, which no value of it meets"));
        return (made, lost, None);
    }
    made.insert("enum".into(), Value::Array(kept));
    let said = count(gone as u64, "value");
    let note = (gone > 0).then(|| format!("of its `enum`, {said} left out: refused by {names} beside it"));
    (made, lost, note)
}

/// A choice among texts: a WIT enum, or a text with a list. `None` if a value is no text.
pub(super) fn choice(keywords: &Map<String, Value>, said: &mut Map<String, Value>) -> Option<Shape> {
    let values = keywords.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty())?;
    let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
    let mut seen = BTreeSet::new();
    let texts: Vec<&str> = texts?.into_iter().filter(|text| seen.insert(*text)).collect();
    if texts.len() > CASES_MAX || !texts.iter().all(|text| can_be_value(text)) {
        said.insert("enum".into(), texts.into_iter().collect());
        return Some(Shape::Text);
    }
    let cases = Labels::of(&texts, |label, value| label == value).into_iter();
    Some(Shape::Enum(cases.map(|(label, value)| (label, value.to_owned())).collect()))
}
