//! How to mend a value: the lossless change that would make it right.
//!
//! Owns hints. The host never makes the change itself: a guess that fits is still a guess.

use serde_json::{Value, json};

use super::fits;
use crate::lossless;
use crate::phrase;
use crate::schema::cases;
use crate::ty::Ty;
use airlock_types::shorten::{is_within, shorten};
use airlock_types::words::{GOT_CHARS_MAX, did_you_mean, nearest};

/// Size in bytes of the largest value that other forms are tried for. The hint would not show a larger one.
const HINT_BYTES_MAX: usize = 4096;

/// The hint for a value that broke a keyword, if one is known.
pub(super) fn hint(ty: &Ty, keyword: &str, value: &Value) -> Option<String> {
    if !is_within(value, HINT_BYTES_MAX) {
        return None;
    }
    match (ty, value) {
        (Ty::Option(inner), value) if inner.as_option().is_none() => hint(inner, keyword, value),
        (Ty::Option(_), value) => rewrite(ty, json!({"some": value}), "Wrap it"),
        // The digits are lost already: the caller has to send the value again, so there is no form to propose.
        (Ty::S64 | Ty::U64, Value::Number(_)) if keyword == "precision" => {
            let range = phrase::bounds(ty).map(|(min, max)| format!(", from {min} to {max}"));
            Some(format!("Write all digits, as a decimal string{}.", range.unwrap_or_default()))
        }
        (Ty::Enum(names), Value::String(name)) => did_you_mean(name, names.iter().map(String::as_str)),
        // The digits that were written are known of an integer alone.
        (Ty::String | Ty::Char, Value::Number(n)) if n.is_f64() => {
            Some("Send the text itself, in quotes.".into())
        }
        (Ty::String | Ty::Char, Value::Number(_) | Value::Bool(_)) => {
            rewrite(ty, value.to_string().into(), "Put it in quotes")
        }
        (Ty::List(item), Value::String(_) | Value::Array(_)) if **item == Ty::U8 => {
            Some("Send standard base64 with padding, or an object with the text under `utf8`.".into())
        }
        (Ty::Variant(_) | Ty::Result(..), Value::String(_)) => tag(ty, value),
        (_, Value::String(text)) => unquote(ty, text),
        // Last: most values fit a list, and every hint above says more.
        (Ty::List(_), value) if !value.is_null() => rewrite(ty, json!([value]), "Put it in a list"),
        _ => None,
    }
}

/// Proposes another form of the value, if that form can be lowered. A hint that fails again would cost the model
/// another call.
fn rewrite(ty: &Ty, form: Value, how: &str) -> Option<String> {
    let text = form.to_string();
    fits(ty, form).then(|| format!("{how}: {}", shorten(&text, GOT_CHARS_MAX)))
}

/// The hint for a string that contains the expected JSON, or that is one item of the expected list.
fn unquote(ty: &Ty, text: &str) -> Option<String> {
    let held = lossless::value(text).ok().and_then(|value| rewrite(ty, value, "Send it without the quotes"));
    held.or_else(|| {
        let list = matches!(ty, Ty::List(_)).then(|| json!([text]))?;
        rewrite(ty, list, "Put it in a list")
    })
}

/// The hint for a case that was sent as its bare name.
fn tag(ty: &Ty, value: &Value) -> Option<String> {
    let name = nearest(value.as_str()?, cases(ty).into_iter().map(|(name, _)| name))?;
    let payload = cases(ty).iter().any(|(case, payload)| *case == name && payload.is_some());
    // Without a payload in the hint: models copy a placeholder as if it were a value.
    let val = if payload { " and its value under `val`" } else { " alone" };
    Some(format!("Send an object with `tag` \"{name}\"{val}."))
}
