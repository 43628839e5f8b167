//! JSON Schema of component types: what agents and providers see.
//!
//! Owns the mapping from WIT types to schemas in a portable subset of draft 2020-12: `anyOf` and single-value
//! `enum`, never `oneOf` or `const`, which OpenAI's strict mode and Gemini refuse. Must not know values, tools
//! or providers. To add a type: a row in [`of`], then in `lower` and `lift`.

mod defs;
mod exact;
pub(crate) mod overlay;
mod words;

use serde_json::{Map, Value, json};

pub use self::defs::share;
pub(super) use self::defs::{children_mut, inline, take};
pub use self::exact::broken;
pub(super) use self::exact::less;
pub(crate) use self::overlay::is_note;
pub(super) use self::overlay::{HEADER, inside};
pub use self::overlay::{OverlayError, overlay};
pub(super) use self::words::{append_missing, clean};
use super::path::snake;
use super::phrase;
use super::ty::{Field, Ty};

/// The direction of a value. The schemas differ where the host accepts more forms than it writes, or writes
/// values that JSON lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From an agent to a tool. Bytes are also accepted as text.
    Input,
    /// From a tool to an agent. A float can be NaN or infinite.
    Output,
}

/// The schema of a function's arguments: a closed object with one property for each parameter. Repeated parts
/// of a large schema are under `$defs`.
pub fn input(params: &[Field]) -> Value {
    let mut schema = arguments(params);
    share(&mut schema);
    schema
}

/// The same without `$defs`, to be changed before [`share`] is called.
pub(crate) fn arguments(params: &[Field]) -> Value {
    object(params, Direction::Input)
}

/// The schema of a result, without `$defs`. To use it inside an envelope, call [`share`] on the envelope,
/// because references start at the root.
pub fn output(ty: &Ty) -> Value {
    of(ty, Direction::Output)
}

/// The schema of a type, without references.
pub fn of(ty: &Ty, direction: Direction) -> Value {
    match ty {
        Ty::Bool => json!({"type": "boolean"}),
        Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 => integer(ty),
        Ty::S64 => wide(ty, "^-?(0|[1-9][0-9]{0,18})$"),
        Ty::U64 => wide(ty, "^(0|[1-9][0-9]{0,19})$"),
        Ty::F32 => float(json!({"type": "number", "description": phrase::expected(ty)}), direction),
        Ty::F64 => float(json!({"type": "number"}), direction),
        Ty::Char => {
            json!({"type": "string", "minLength": 1, "maxLength": 1})
        }
        Ty::String => json!({"type": "string"}),
        // Base64 takes a third of the tokens of a list of numbers. This row is above the row of other lists.
        Ty::List(item) if **item == Ty::U8 => bytes(direction),
        Ty::List(item) => json!({"type": "array", "items": of(item, direction)}),
        Ty::FixedList(item, len) => json!({
            "type": "array", "items": of(item, direction), "minItems": len, "maxItems": len,
        }),
        Ty::Map(key, value) => {
            // An array of entries: OpenAI's strict mode has no open objects, and Gemini mishandles them.
            let entry = [field("key", key), field("value", value)];
            json!({"type": "array", "items": object(&entry, direction), "description": "keys must be unique"})
        }
        Ty::Record(fields) => object(fields, direction),
        Ty::Tuple(parts) => tuple(ty, parts, direction),
        Ty::Variant(_) | Ty::Result(..) => {
            let branches: Vec<_> = cases(ty).into_iter().map(|(n, ty)| branch(n, ty, direction)).collect();
            json!({"anyOf": branches})
        }
        Ty::Enum(names) => names_of(names),
        Ty::Option(inner) => option(inner, direction),
        // Without `uniqueItems`, which OpenAI's strict mode refuses. `lower` accepts a repeated name.
        Ty::Flags(names) => json!({"type": "array", "items": names_of(names)}),
    }
}

/// The cases of a variant or a result, each with the type of its payload. Empty for other types.
pub(super) fn cases(ty: &Ty) -> Vec<(&str, Option<&Ty>)> {
    if let Ty::Variant(cases) = ty {
        return cases.iter().map(|case| (case.name.as_str(), case.ty.as_ref())).collect();
    }
    let Ty::Result(ok, err) = ty else { return vec![] };
    vec![("ok", ok.as_deref()), ("err", err.as_deref())]
}

/// The type of the payload of one case. The outer `None` means that the type has no such case.
pub(super) fn case<'t>(ty: &'t Ty, tag: &str) -> Option<Option<&'t Ty>> {
    match (ty, tag) {
        (Ty::Variant(cases), tag) => cases.iter().find(|case| case.name == tag).map(|case| case.ty.as_ref()),
        (Ty::Result(ok, _), "ok") => Some(ok.as_deref()),
        (Ty::Result(_, err), "err") => Some(err.as_deref()),
        _ => None,
    }
}

fn field(name: &str, ty: &Ty) -> Field {
    Field { name: name.into(), ty: ty.clone() }
}

fn object(fields: &[Field], direction: Direction) -> Value {
    let properties: Map<_, _> =
        fields.iter().map(|field| (snake(&field.name).into_owned(), of(&field.ty, direction))).collect();
    // An option may be absent or null: models send both. Both mean `none`.
    let required = fields.iter().filter(|field| field.ty.as_option().is_none());
    closed(properties.into(), required.map(|field| snake(&field.name).into_owned()).collect())
}

/// A closed object. An empty `required` is omitted, because some providers refuse it.
fn closed(properties: Value, required: Vec<String>) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn integer(ty: &Ty) -> Value {
    let mut schema = json!({"type": "integer"});
    if let Some((min, max)) = phrase::bounds(ty) {
        schema["minimum"] = min.into();
        schema["maximum"] = max.into();
    }
    schema
}

/// A 64-bit integer. JavaScript clients lose precision beyond 2^53, so a decimal string is accepted too.
fn wide(ty: &Ty, pattern: &str) -> Value {
    let text = json!({"type": "string", "pattern": pattern, "description": "the same as a decimal string"});
    json!({"anyOf": [integer(ty), text]})
}

fn float(number: Value, direction: Direction) -> Value {
    match direction {
        Direction::Input => number,
        Direction::Output => {
            json!({"anyOf": [number, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]})
        }
    }
}

fn bytes(direction: Direction) -> Value {
    let base64 = json!({"type": "string", "contentEncoding": "base64", "description": "bytes in base64"});
    // Models cannot encode base64 reliably, so text is accepted as it is.
    let text = json!({"utf8": {"type": "string", "description": "text that stands for its UTF-8 bytes"}});
    match direction {
        Direction::Input => json!({"anyOf": [base64, closed(text, vec!["utf8".into()])]}),
        Direction::Output => base64,
    }
}

fn tuple(ty: &Ty, parts: &[Ty], direction: Direction) -> Value {
    let prefix: Vec<_> = parts.iter().map(|part| of(part, direction)).collect();
    json!({
        "type": "array", "prefixItems": prefix, "items": false,
        "minItems": parts.len(), "maxItems": parts.len(), "description": phrase::expected(ty),
    })
}

/// The schema of one case: the tag alone, or the tag with its payload. A payload whose type is an option may be
/// absent.
fn branch(name: &str, payload: Option<&Ty>, direction: Direction) -> Value {
    let mut properties = json!({"tag": {"type": "string", "enum": [name]}});
    let mut required = vec!["tag".to_owned()];
    if let Some(ty) = payload {
        properties["val"] = of(ty, direction);
        if ty.as_option().is_none() {
            required.push("val".into());
        }
    }
    closed(properties, required)
}

fn names_of(names: &[String]) -> Value {
    json!({"type": "string", "enum": names})
}

/// `T` or null. An option inside an option is wrapped in an object, or `some(none)` would be lost. There null
/// comes first: [`overlay`] tells the two forms apart by the position of null.
fn option(inner: &Ty, direction: Direction) -> Value {
    let schema = of(inner, direction);
    if inner.as_option().is_some() {
        return json!({"anyOf": [{"type": "null"}, closed(json!({"some": schema}), vec!["some".into()])]});
    }
    json!({"anyOf": [schema, {"type": "null"}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Ty, expect: Value) {
        assert_eq!(of(&ty, Direction::Input), expect, "{ty}");
    }

    fn opt(ty: Ty) -> Ty {
        Ty::Option(Box::new(ty))
    }

    #[test]
    fn closes_the_root_and_requires_what_is_no_option() {
        let params = [field("max-items", &Ty::Bool), field("q", &opt(Ty::String))];
        let expect = json!({
            "type": "object",
            "properties": {
                "max_items": {"type": "boolean"},
                "q": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["max_items"],
            "additionalProperties": false,
        });
        assert_eq!(input(&params), expect);
    }

    #[test]
    fn writes_bounds_as_keywords_alone() {
        check(Ty::U8, json!({"type": "integer", "minimum": 0, "maximum": 255}));
    }

    #[test]
    fn offers_a_decimal_string_for_64_bits() {
        let schema = of(&Ty::U64, Direction::Input);
        assert_eq!(schema["anyOf"][0]["maximum"], json!(u64::MAX));
        assert_eq!(schema["anyOf"][1]["type"], "string");
    }

    #[test]
    fn tags_cases_by_a_single_value_enum() {
        let tag = |name| json!({"type": "string", "enum": [name]});
        let ok = json!({
            "type": "object", "properties": {"tag": tag("ok"), "val": {"type": "string"}},
            "required": ["tag", "val"], "additionalProperties": false,
        });
        let err = json!({
            "type": "object", "properties": {"tag": tag("err")}, "required": ["tag"],
            "additionalProperties": false,
        });
        check(Ty::Result(Some(Box::new(Ty::String)), None), json!({"anyOf": [ok, err]}));
    }

    #[test]
    fn wraps_an_option_of_an_option() {
        let some = closed(json!({"some": of(&opt(Ty::Bool), Direction::Input)}), vec!["some".into()]);
        check(opt(opt(Ty::Bool)), json!({"anyOf": [{"type": "null"}, some]}));
    }

    #[test]
    fn allows_non_finite_floats_in_results_only() {
        check(Ty::F64, json!({"type": "number"}));
        assert_eq!(output(&Ty::F64)["anyOf"][1]["enum"], json!(["NaN", "Infinity", "-Infinity"]));
    }

    #[test]
    fn takes_bytes_as_base64_or_text_and_gives_base64() {
        let bytes = Ty::List(Box::new(Ty::U8));
        assert_eq!(of(&bytes, Direction::Input)["anyOf"][0]["contentEncoding"], "base64");
        assert_eq!(output(&bytes)["contentEncoding"], "base64");
    }
}
