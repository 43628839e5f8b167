//! How a value could be mended without losing anything. Mends are hints for the caller; the host never applies them to
//! a call.
//!
//! Owns the coercions that are worth a hint, and the choice among them: the first form that the schema accepts. Must
//! not know keys: `object` does. To add one: a form in [`forms`], or a word about the form in [`note`].

use serde_json::{Value, json};

use super::fault::{Advice, Fix, Mend, below};
use super::walk::Walk;
use super::{text, wording};
use crate::lossless;
use airlock_types::place::Step;
use airlock_types::words::{nearest_match, quoted};

/// Another form of a value, with its words as in [`Mend`].
struct Form {
    with: Value,
    says: String,
    plain: Option<String>,
    /// Whether its parts may still be wrong. They have faults of their own, which the next round mends.
    is_open: bool,
}

const LIST_OF_EACH: &str = "send a list with one item for each value, not a text";
const ONCE_FOR_EACH: &str = "one value belongs here: call once for each";
const BYTES: &str = "send the bytes as standard base64 with padding, or an object with the text under `utf8`";

/// The advice for a value that does not fit a schema, if there is any.
pub(super) fn of<'s>(walk: &Walk<'s>, schema: &'s Value, value: &Value, at: &[Step]) -> Option<Advice> {
    let resolved = walk.reader.resolve(schema);
    let branches = wording::branches(resolved).map_or(std::slice::from_ref(resolved), Vec::as_slice);
    choose(walk, branches, value, at, |form| walk.count(schema, form, 1) == 0)
}

/// The advice for a value that fits none of these alternatives.
pub(super) fn among<'s>(
    walk: &Walk<'s>,
    branches: &'s [Value],
    value: &Value,
    at: &[Step],
) -> Option<Advice> {
    let shown = || wording::live(&walk.reader, branches).take(wording::BRANCHES_MAX);
    choose(walk, branches, value, at, |form| shown().any(|branch| walk.count(branch, form, 1) == 0))
}

fn choose<'s>(
    walk: &Walk<'s>,
    branches: &'s [Value],
    value: &Value,
    at: &[Step],
    fits: impl Fn(&Value) -> bool,
) -> Option<Advice> {
    let branches: Vec<&Value> = wording::live(&walk.reader, branches).take(wording::BRANCHES_MAX).collect();
    let mut forms: Vec<Form> = branches.iter().flat_map(|branch| forms(walk, branch, value)).collect();
    let fitting = forms.iter().position(|form| fits(&form.with));
    match fitting.or_else(|| forms.iter().position(|form| form.is_open)) {
        Some(chosen) => Some(Advice::Mend(forms.swap_remove(chosen).into_mend(at))),
        None => branches.iter().find_map(|branch| note(branch, value)).map(Advice::Note),
    }
}

impl Form {
    /// A form that is proposed only with its value.
    fn of(with: Value, says: impl Into<String>) -> Form {
        Form { with, says: says.into(), plain: None, is_open: false }
    }

    /// A form that is worth a word without its value, too.
    fn open(with: Value, says: &str, plain: &str) -> Form {
        Form { with, says: says.to_owned(), plain: Some(plain.to_owned()), is_open: true }
    }

    fn into_mend(self, at: &[Step]) -> Mend {
        Mend { fix: Fix::Replace { at: at.to_vec(), with: self.with }, says: self.says, plain: self.plain }
    }
}

fn wants(schema: &Value, ty: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(wanted)) => wanted == ty,
        Some(Value::Array(wanted)) => wanted.iter().any(|wanted| wanted == ty),
        _ => false,
    }
}

/// Whether a schema says what it takes, and no list. One that only tightens says nothing of types.
fn takes_no_list(schema: &Value) -> bool {
    (schema.get("type").is_some() || schema.get("enum").is_some()) && !wants(schema, "array")
}

/// The forms of one type that a value could take, the likeliest first.
fn forms<'s>(walk: &Walk<'s>, schema: &'s Value, value: &Value) -> Vec<Form> {
    // Base64 is text, but a number or a flag is not meant by it.
    let is_text = wants(schema, "string") && schema.get("contentEncoding").is_none();
    let form = match value {
        Value::String(text) => return from_text(walk, schema, value, text),
        // The digits that were written are known of an integer alone.
        Value::Number(n) if is_text && !n.is_f64() => {
            Some(Form::of(json!(n.to_string()), "send the string {}, not the number"))
        }
        Value::Number(n) => flag(n.as_i64(), schema),
        Value::Bool(flag) if is_text => {
            Some(Form::of(json!(flag.to_string()), "send the string {}, not the boolean"))
        }
        Value::Array(items) => alone(schema, items),
        _ => None,
    };
    // Last, since every value could be wrapped: a coercion of the value itself is the likelier mend.
    form.into_iter().chain(listed(walk, schema, value)).collect()
}

fn from_text<'s>(walk: &Walk<'s>, schema: &'s Value, value: &Value, text: &str) -> Vec<Form> {
    let option = schema.get("enum").and_then(Value::as_array).and_then(|options| option(options, text));
    let number = number(schema, text).map(|n| Form::of(n, "send the number {}, not the string"));
    let boolean = boolean(schema, text).map(|flag| Form::of(flag, "send {}, not the string"));
    let (read, parts) = (read(schema, text), parts(walk, schema, text));
    let listed = listed(walk, schema, value);
    [option, number, boolean, read, parts, listed].into_iter().flatten().collect()
}

/// The option that differs by letter case, a separator or one letter. Any other near name is a question: see [`note`].
fn option(options: &[Value], text: &str) -> Option<Form> {
    let meant = nearest_match(text, options.iter().filter_map(Value::as_str))?;
    let is_sure = meant.likeness.is_sure() && meant.is_sole;
    is_sure.then(|| Form::of(json!(meant.name), format!("did you mean {}?", quoted(meant.name))))
}

fn flag(number: Option<i64>, schema: &Value) -> Option<Form> {
    let flag = number.filter(|_| wants(schema, "boolean")).filter(|n| matches!(n, 0 | 1))?;
    Some(Form::of(json!(flag == 1), "send {}, not the number"))
}

fn number(schema: &Value, text: &str) -> Option<Value> {
    let text = text.trim();
    // `i64`, then `u64`, then a float: in a float, a large integer would lose digits.
    let integer =
        || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok();
    // Only if it keeps what was written: a number that was rounded is another one.
    let real = || text.parse::<f64>().ok().filter(|n| n.is_finite() && lossless::is_exactly(text, *n));
    // `12.0` is a whole number, where a float tells all of them apart.
    let whole = || real().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| json!(n as i64));
    match (wants(schema, "integer"), wants(schema, "number")) {
        (_, true) => integer().or_else(|| real().map(Value::from)),
        (true, false) => integer().or_else(whole),
        (false, false) => None,
    }
}

fn boolean(schema: &Value, text: &str) -> Option<Value> {
    let is_one_of = |words: [&str; 3]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    match wants(schema, "boolean") {
        true if is_one_of(["true", "yes", "1"]) => Some(json!(true)),
        true if is_one_of(["false", "no", "0"]) => Some(json!(false)),
        _ => None,
    }
}

/// A list or an object that was sent as text, a frequent mistake of models.
fn read(schema: &Value, text: &str) -> Option<Form> {
    let (list, object) = (wants(schema, "array"), wants(schema, "object"));
    let value = if list || object { text::structured(text)? } else { return None };
    match value {
        Value::Array(_) if list => {
            Some(Form::open(value, "send the list {}, not a text", "send the list itself, not a text"))
        }
        Value::Object(_) if object => {
            Some(Form::open(value, "send the object {}, not a text", "send the object itself, not a text"))
        }
        _ => None,
    }
}

/// `a, b`, where each part is an option, a number or a boolean. In free text a comma can be part of the value.
fn parts<'s>(walk: &Walk<'s>, schema: &'s Value, text: &str) -> Option<Form> {
    let items = schema.get("items").filter(|_| wants(schema, "array"))?;
    let parts = text::parts(text)?;
    let is_closed = |schema: &Value| {
        schema.get("enum").is_some() || ["integer", "number", "boolean"].iter().any(|ty| wants(schema, ty))
    };
    let items = walk.reader.resolve(items);
    let branches = wording::branches(items).map_or_else(|| vec![items], |all| all.iter().collect());
    let branches: Vec<&Value> = branches.into_iter().map(|branch| walk.reader.resolve(branch)).collect();
    let item =
        |part: &&str| branches.iter().find_map(|branch| number(branch, part)).unwrap_or_else(|| json!(part));
    let list = || parts.iter().map(item).collect::<Value>();
    let is_closed = branches.iter().any(|branch| is_closed(branch));
    is_closed.then(|| Form::open(list(), "send the list {}, not a text", LIST_OF_EACH))
}

/// One value where a list of such values belongs.
fn listed<'s>(walk: &Walk<'s>, schema: &'s Value, value: &Value) -> Option<Form> {
    // The items of a tuple differ, so one of them says nothing about the others.
    if !wants(schema, "array") || schema.get("prefixItems").is_some() {
        return None;
    }
    let is_one = match value {
        Value::String(text) => !text::may_be_several(text) && !text.trim().is_empty(),
        Value::Number(_) | Value::Bool(_) => true,
        // What is wrong inside of it is told only where the items are objects.
        Value::Object(_) => {
            schema.get("items").is_some_and(|items| wants(walk.reader.resolve(items), "object"))
        }
        Value::Null | Value::Array(_) => false,
    };
    is_one.then(|| Form::open(json!([value]), "send a list with one item: {}", "send a list of values"))
}

/// A list of one value where that value belongs.
fn alone(schema: &Value, items: &[Value]) -> Option<Form> {
    let [only] = items else { return None };
    let plain = Some("send the item alone, without a list".to_owned());
    takes_no_list(schema).then(|| Form { plain, ..Form::of(only.clone(), "send the item alone: {}") })
}

/// A word about the form of a value, where no value can be proposed.
fn note(schema: &Value, value: &Value) -> Option<String> {
    let note = match value {
        Value::String(text) => return text_note(schema, text),
        Value::Number(n) if wants(schema, "integer") && n.as_f64().is_some_and(|n| n.fract() != 0.0) => {
            "send a whole number"
        }
        Value::Number(n) if n.is_f64() && wants(schema, "string") => "send the text itself, in quotes",
        Value::Array(_) if schema.get("contentEncoding").is_some() => BYTES,
        Value::Array(items) if items.len() > 1 && takes_no_list(schema) => ONCE_FOR_EACH,
        _ => return None,
    };
    Some(note.to_owned())
}

fn text_note(schema: &Value, text: &str) -> Option<String> {
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        let is_option = |part: &&str| options.iter().any(|option| option == part);
        if text::parts(text).is_some_and(|parts| parts.iter().all(is_option)) {
            return Some(ONCE_FOR_EACH.to_owned());
        }
        let meant = nearest_match(text, options.iter().filter_map(Value::as_str));
        return meant.map(|meant| format!("did you mean {}?", quoted(meant.name)));
    }
    let number = text.trim().parse::<f64>().ok();
    let note = match number {
        Some(n) if !n.is_finite() && (wants(schema, "integer") || wants(schema, "number")) => {
            "send a finite number"
        }
        Some(n) if n.fract() != 0.0 && wants(schema, "integer") => "send a whole number",
        _ if wants(schema, "array") => LIST_OF_EACH,
        _ => return None,
    };
    Some(note.to_owned())
}

/// The advice for a variant that was sent in another common form: its bare name, or `{"case": payload}`.
pub(super) fn variant(branches: &[&Value], value: &Value, at: &[Step]) -> Option<Advice> {
    let (name, payload) = match value {
        Value::String(name) => (name, None),
        Value::Object(object) if object.len() == 1 => {
            let (name, payload) = object.iter().next()?;
            (name, Some(payload))
        }
        _ => return None,
    };
    let branch = branches.iter().find(|branch| wording::tag(branch) == Some(name))?;
    let takes_payload = branch.get("properties").is_some_and(|properties| properties.get("val").is_some());
    let plain = format!("send an object with `tag` {}", quoted(name));
    // A payload that is missing cannot be invented, and one that the case does not take would be lost.
    let with = match payload {
        Some(payload) if takes_payload => json!({ "tag": name, "val": payload }),
        None if !takes_payload => json!({ "tag": name }),
        _ => {
            let val = if takes_payload { " and its value under `val`" } else { " alone" };
            return Some(Advice::Note(format!("{plain}{val}")));
        }
    };
    let fix = Fix::Replace { at: at.to_vec(), with };
    Some(Advice::Mend(Mend { fix, says: "send {}".to_owned(), plain: Some(plain) }))
}

/// The advice for a tag that no branch has.
pub(super) fn tag(tags: &[&str], given: &str, at: &[Step]) -> Option<Advice> {
    let meant = nearest_match(given, tags.iter().copied())?;
    let asks = format!("did you mean {}?", quoted(meant.name));
    if !(meant.likeness.is_sure() && meant.is_sole) {
        return Some(Advice::Note(asks));
    }
    let fix = Fix::Replace { at: below(at, "tag"), with: json!(meant.name) };
    Some(Advice::Mend(Mend::named(fix, asks)))
}
