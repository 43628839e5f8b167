//! Arguments that were sent inside another object: `{"input": {…}}`, or a whole tool call.
//!
//! Owns the names that wrap arguments. Must not know what is inside.

use serde_json::Value;

use super::fault::{Advice, Fault, Fix, Mend, Says};
use super::text;
use airlock_types::code::Code;
use airlock_types::place::Step;
use airlock_types::words::{got, pair};

/// Names under which models send all arguments of a tool.
const WRAPPERS: [&str; 9] =
    ["args", "arguments", "input", "inputs", "kwargs", "parameters", "params", "properties", "tool_input"];

/// Names that stand beside them when a whole tool call was sent.
const BESIDE: [&str; 6] = ["function", "id", "name", "tool", "tool_name", "type"];

/// The fault of wrapped arguments, if the schema knows what is inside and does not know the wrapper.
pub(super) fn fault(schema: &Value, args: &Value) -> Option<Fault> {
    let known = schema.get("properties")?.as_object()?;
    let object = args.as_object()?;
    let is_wrapper = |key: &str| WRAPPERS.iter().any(|wrapper| key.eq_ignore_ascii_case(wrapper));
    let mut wrappers = object.iter().filter(|(key, _)| is_wrapper(key));
    let (Some((key, value)), None) = (wrappers.next(), wrappers.next()) else { return None };
    let is_beside = |name: &str, value: &Value| name == key || (BESIDE.contains(&name) && value.is_string());
    if !object.iter().all(|(name, value)| is_beside(name, value) && !known.contains_key(name)) {
        return None;
    }
    let inner = match value {
        Value::String(text) => text::structured(text)?,
        value => value.clone(),
    };
    let given: Vec<&str> = inner.as_object()?.keys().map(String::as_str).collect();
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    if !given.is_empty() && pair(&given, &names).iter().all(Option::is_none) {
        return None;
    }
    let says = Says {
        code: Code::ArgsUnknown,
        keyword: "additionalProperties",
        expected: "the arguments themselves".to_owned(),
        got: got(value),
    };
    let fix = Fix::Replace { at: vec![], with: inner };
    let mend = Mend::named(fix, format!("send what is in `{key}` as the arguments themselves"));
    Some(Fault::new(vec![Step::Key(key.clone())], says, Some(Advice::Mend(mend))))
}
