//! Constraint keywords as words, for descriptions.
//!
//! Owns one phrase for each keyword. Exporters drop keywords, and models read descriptions. Must not know where
//! a keyword is allowed.

use serde_json::{Map, Value};

use airlock_types::shorten::clean_lines;
use airlock_types::words::list;

/// The phrase of a keyword, or `None` for a keyword that does not constrain a value.
pub(super) fn words(keyword: &str, value: &Value) -> Option<String> {
    Some(match keyword {
        "minimum" => format!("at least {value}"),
        "maximum" => format!("at most {value}"),
        "exclusiveMinimum" => format!("more than {value}"),
        "exclusiveMaximum" => format!("less than {value}"),
        "multipleOf" => format!("a multiple of {value}"),
        "minLength" => format!("at least {}", counted(value, "character")),
        "maxLength" => format!("at most {}", counted(value, "character")),
        "minItems" => format!("at least {}", counted(value, "item")),
        "maxItems" => format!("at most {}", counted(value, "item")),
        "pattern" => format!("matching `{}`", text(value)),
        "format" => format!("format {}", text(value)),
        "contentEncoding" => format!("in {}", text(value)),
        "enum" => format!("one of {}", choices(value)),
        "examples" => format!("examples: {}", choices(value)),
        "default" => format!("default {value}"),
        _ => return None,
    })
}

/// Appends a phrase to the description of a schema.
pub(super) fn append(schema: &mut Map<String, Value>, words: &str) {
    let old = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let new = if old.is_empty() { words.to_owned() } else { format!("{old}; {words}") };
    schema.insert("description".into(), new.into());
}

/// Appends the phrase of a keyword to the description, unless the description already contains it.
pub(crate) fn append_missing(schema: &mut Map<String, Value>, keyword: &str, value: &Value) {
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    if let Some(words) = words(keyword, value).filter(|words| !says(said, keyword, value, words)) {
        append(schema, &words);
    }
}

fn says(text: &str, keyword: &str, value: &Value, words: &str) -> bool {
    // Phrases of types state their bounds in a form of their own: `integer 0–255` covers `minimum` and
    // `maximum`.
    let range = match keyword {
        "minimum" => mentions(text, &format!("integer {value}–")),
        "maximum" => mentions(text, &format!("–{value}")),
        // Types with a fixed length say so themselves.
        "minItems" | "maxItems" => mentions(text, &format!("array of {}", counted(value, "item"))),
        "minLength" | "maxLength" => mentions(text, "string of one character"),
        "pattern" => mentions(text, "the same as a decimal string"),
        _ => false,
    };
    range || mentions(text, words)
}

/// Whether the text contains the phrase at the end of a word or number. `at least 1` is not contained in `at
/// least 10`.
fn mentions(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let rest = &text[at + phrase.len()..];
        let mut next = rest.chars();
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        // A period may end the sentence or continue the number, so the character after it decides.
        phrase.ends_with('–') || ends(next.next().filter(|c| *c != '.').or_else(|| next.next()))
    })
}

/// Removes hidden characters from the texts of a schema that are shown. Values stay unchanged, because
/// arguments are compared with them.
pub(crate) fn clean(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, value) in keywords {
                match (keyword.as_str(), value) {
                    ("description" | "title" | "$comment", Value::String(text)) => *text = clean_lines(text),
                    ("enum" | "const" | "default" | "examples", _) => {}
                    (_, value) => clean(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn counted(n: &Value, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn choices(values: &Value) -> String {
    let texts: Vec<_> = values.as_array().into_iter().flatten().map(text).collect();
    list(texts.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(description: &str, keyword: &str, value: Value, expect: &str) {
        let mut schema = Map::from_iter([("description".to_owned(), json!(description))]);
        append_missing(&mut schema, keyword, &value);
        assert_eq!(schema["description"], expect);
    }

    #[test]
    fn appends_what_the_description_does_not_say() {
        check("Age", "minimum", json!(1), "Age; at least 1");
        check("Age; at least 10", "minimum", json!(1), "Age; at least 10; at least 1");
        check("", "maxItems", json!(1), "at most 1 item");
    }

    #[test]
    fn repeats_nothing() {
        check("integer 0–255", "minimum", json!(0), "integer 0–255");
        check("Age (integer 0–255)", "maximum", json!(255), "Age (integer 0–255)");
        check("integer 0–255", "maximum", json!(25), "integer 0–255; at most 25");
        check("at least 1.5.", "minimum", json!(1.5), "at least 1.5.");
        check("at least 1.5", "minimum", json!(1), "at least 1.5; at least 1");
    }
}
