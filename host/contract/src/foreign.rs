//! Bounds on JSON Schemas, checked before a validator is built. A hostile schema is refused at load, with the
//! reason.
//!
//! Owns the bounds. Must not know arguments. Every schema passes here, also those that this crate made: a check
//! that always runs cannot be forgotten. Recursion is refused because it makes the cost of a check depend on
//! the arguments. `$dynamicRef` and a nested `$id` are refused because they hide where a reference leads.

use std::collections::{BTreeMap, BTreeSet};

use regex_syntax::hir::{Hir, HirKind};
use serde_json::Value;

use airlock_types::shorten::{clean, shorten};

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A dialect other than 2020-12. jsonschema would read it as 2020-12 without saying so.
    #[error("unsupported `$schema` `{0}`: only {DIALECT}")]
    Dialect(String),
    /// A reference that leads out of the schema, or to nothing.
    #[error("reference `{0}` leads outside the schema or nowhere")]
    Reference(String),
    /// A keyword whose meaning cannot be bounded at load.
    #[error("keyword `{0}` is not supported here")]
    Keyword(String),
    /// A definition that refers to itself.
    #[error("reference `{0}` is recursive")]
    Recursive(String),
    /// Nested deeper than the bound, with references followed.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// More subschemas than the bound, as written.
    #[error("more than {SUBSCHEMAS_MAX} subschemas")]
    Subschemas,
    /// More subschemas than the bound, with references followed.
    #[error("more than {EXPANSION_MAX} subschemas when references are followed")]
    Expansion,
    /// A pattern that does not parse, or that has more positions than the bound.
    #[error(
        "the pattern `{0}` is not one of Rust's `regex`, or repeats more than {POSITIONS_MAX} characters; `maxLength` \
         bounds a length"
    )]
    Pattern(String),
    /// The schema is malformed.
    #[error("not a valid schema: {0}")]
    Malformed(String),
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
// MCP 2026-07-28 (basic/index.mdx) asks for bounds on the depth of a schema, its number of subschemas, and the
// time of a validation. The three constants below are these bounds.
const DEPTH_MAX: usize = 64;
const SUBSCHEMAS_MAX: usize = 10_000;
/// Largest cost of a schema: an upper bound on the steps that a check takes for each value. OpenAI's Agents SDK
/// has the same node budget against hostile MCP schemas (`strict_schema.py`).
const EXPANSION_MAX: usize = 100_000;

/// Most positions of a pattern, with repetitions written out. A match may keep that many positions active for
/// each character of the text. Authors write patterns and callers write texts, so the product needs a bound:
/// `(a|b)*a(a|b){1500}` took 12 s over 256 KiB.
const POSITIONS_MAX: usize = 512;

/// Facts about a schema that is within the bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Names of formats that no validator checks.
    pub unknown_formats: Vec<String>,
    /// Upper bound on the steps that a check takes for each value.
    pub cost: usize,
}

/// Checks a schema against the bounds.
///
/// # Errors
/// The first bound that the schema exceeds, or the first keyword or reference that it may not have.
pub fn inspect(schema: &Value) -> Result<Inspected, SchemaError> {
    let mut survey = Survey::default();
    // The survey runs before the expansion: it bounds the written schema, and collects the anchors that
    // references resolve to.
    survey.visit(schema, 0)?;
    let mut expansion =
        Expansion { root: schema, anchors: &survey.anchors, costs: BTreeMap::new(), open: vec![] };
    let (cost, _) = expansion.cost(schema, 0)?;
    Ok(Inspected { unknown_formats: survey.unknown_formats.into_iter().collect(), cost })
}

/// The subschemas of a schema, as written. Data under `enum`, `const`, `default` and `examples` is not a
/// subschema.
pub(crate) fn children(schema: &Value) -> Vec<&Value> {
    let keywords = schema.as_object().into_iter().flatten();
    keywords.flat_map(|(keyword, value)| under(keyword, value)).collect()
}

/// The subschemas under one keyword.
pub(crate) fn under<'s>(keyword: &str, value: &'s Value) -> Vec<&'s Value> {
    match (keyword, value) {
        ("enum" | "const" | "default" | "examples", _) => vec![],
        (
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
            Value::Object(map),
        ) => map.values().collect(),
        // Any other object may be a subschema, also below an unknown keyword, where a `$ref` can lead. Counting
        // data as a subschema only makes the bounds stricter.
        (_, Value::Object(_)) => vec![value],
        (_, Value::Array(items)) => items.iter().filter(|item| item.is_object()).collect(),
        _ => vec![],
    }
}

#[derive(Default)]
struct Survey<'s> {
    count: usize,
    anchors: BTreeMap<&'s str, &'s Value>,
    unknown_formats: BTreeSet<String>,
}

impl<'s> Survey<'s> {
    fn visit(&mut self, schema: &'s Value, depth: usize) -> Result<(), SchemaError> {
        self.count += 1;
        // Both bounds are checked before descending, so that the survey itself stays within them.
        if depth > DEPTH_MAX {
            return Err(SchemaError::Depth);
        }
        if self.count > SUBSCHEMAS_MAX {
            return Err(SchemaError::Subschemas);
        }
        self.keywords(schema, depth)?;
        children(schema).into_iter().try_for_each(|child| self.visit(child, depth + 1))
    }

    fn keywords(&mut self, schema: &'s Value, depth: usize) -> Result<(), SchemaError> {
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        // An empty fragment names the same dialect.
        if let Some(dialect) = text("$schema").filter(|dialect| dialect.trim_end_matches('#') != DIALECT) {
            return Err(SchemaError::Dialect(dialect.to_owned()));
        }
        if let Some(keyword) =
            ["$dynamicRef", "$recursiveRef"].into_iter().find(|keyword| text(keyword).is_some())
        {
            return Err(SchemaError::Keyword(keyword.to_owned()));
        }
        // An `$id` below the root changes what references below it resolve against, and `target` resolves
        // against the root.
        if depth > 0 && text("$id").is_some() {
            return Err(SchemaError::Keyword("$id".to_owned()));
        }
        self.anchors.extend(text("$anchor").map(|anchor| (anchor, schema)));
        self.unknown_formats.extend(text("format").filter(|name| !is_known_format(name)).map(str::to_owned));
        Ok(())
    }
}

fn is_known_format(name: &str) -> bool {
    jsonschema::options().is_known_format(jsonschema::Draft::Draft202012, name)
}

/// Where a `$ref` leads within its own schema.
fn target<'s>(root: &'s Value, anchors: &BTreeMap<&str, &'s Value>, reference: &str) -> Option<&'s Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(fragment);
    }
    anchors.get(fragment).copied()
}

struct Expansion<'s, 'a> {
    root: &'s Value,
    anchors: &'a BTreeMap<&'s str, &'s Value>,
    /// Cost and height of each reference that was already followed. Without this table, counting a doubling
    /// bomb would take as long as validating with it: half a second at 25 levels, and twice that for each
    /// further level.
    costs: BTreeMap<&'s str, (usize, usize)>,
    // References that are being followed, the outermost first. One that occurs again is recursive.
    open: Vec<&'s str>,
}

impl<'s> Expansion<'s, '_> {
    // Returns the cost of a schema and its height, both with references followed.
    fn cost(&mut self, schema: &'s Value, depth: usize) -> Result<(usize, usize), SchemaError> {
        // Each position of a pattern counts as one step, like a subschema.
        let mut total = (1 + patterns(schema)?, 1_usize);
        let referred =
            schema.get("$ref").and_then(Value::as_str).map(|reference| self.follow(reference, depth + 1));
        total = add(total, referred.transpose()?.unwrap_or((0, 0)));
        for child in children(schema) {
            total = add(total, self.cost(child, depth + 1)?);
        }
        // The depth is checked here too: a reference whose cost is in the table is not walked again at this
        // depth.
        match total {
            (cost, _) if cost > EXPANSION_MAX => Err(SchemaError::Expansion),
            (_, height) if depth + height > DEPTH_MAX + 2 => Err(SchemaError::Depth),
            _ => Ok(total),
        }
    }

    fn follow(&mut self, reference: &'s str, depth: usize) -> Result<(usize, usize), SchemaError> {
        if let Some(known) = self.costs.get(reference) {
            return Ok(*known);
        }
        if self.open.contains(&reference) {
            return Err(SchemaError::Recursive(reference.to_owned()));
        }
        let schema = target(self.root, self.anchors, reference);
        let schema = schema.ok_or_else(|| SchemaError::Reference(reference.to_owned()))?;
        if depth > DEPTH_MAX {
            return Err(SchemaError::Depth);
        }
        self.open.push(reference);
        let cost = self.cost(schema, depth)?;
        self.open.pop();
        self.costs.insert(reference, cost);
        Ok(cost)
    }
}

/// Number of positions in the patterns that a schema has itself, without those of its subschemas.
fn patterns(schema: &Value) -> Result<usize, SchemaError> {
    let own = schema.get("pattern").and_then(Value::as_str);
    let keys = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    own.into_iter().chain(keys.map(|(key, _)| key.as_str())).map(pattern).sum()
}

/// Number of positions in a pattern.
///
/// # Errors
/// When the pattern does not parse, or has more positions than the bound.
pub(crate) fn pattern(text: &str) -> Result<usize, SchemaError> {
    let bad = || SchemaError::Pattern(shorten(&clean(text), 60));
    let parsed = regex_syntax::parse(text).map_err(|_| bad())?;
    Some(positions(&parsed)).filter(|positions| *positions <= POSITIONS_MAX).ok_or_else(bad)
}

// Additions and multiplications saturate, because nested repetitions multiply.
fn positions(part: &Hir) -> usize {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(text) => text.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Capture(group) => positions(&group.sub),
        HirKind::Repetition(repetition) => {
            // An unbounded repetition is its minimum in copies, and one loop.
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            positions(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(0, |sum, part| sum.saturating_add(positions(part)))
        }
    }
}

/// Costs add up; of the heights the greatest counts.
fn add(total: (usize, usize), part: (usize, usize)) -> (usize, usize) {
    (total.0.saturating_add(part.0), total.1.max(part.1 + 1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, expect: Result<&[&str], SchemaError>) {
        let expect = expect.map(|formats| formats.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(inspect(&schema).map(|inspected| inspected.unknown_formats), expect);
    }

    #[test]
    fn refuses_an_unknown_dialect() {
        let draft = "http://json-schema.org/draft-07/schema#";
        check(json!({"$schema": draft}), Err(SchemaError::Dialect(draft.into())));
        check(json!({"$schema": DIALECT}), Ok(&[]));
    }

    #[test]
    fn refuses_what_refers_outside_itself() {
        for reference in ["https://example.com/a.json", "file:///etc/passwd", "#/nowhere", "a.json", "#gone"]
        {
            check(json!({"$ref": reference}), Err(SchemaError::Reference(reference.into())));
        }
        check(
            json!({"$defs": {"a": {"$anchor": "x"}}, "anyOf": [{"$ref": "#x"}, {"$ref": "#/$defs/a"}]}),
            Ok(&[]),
        );
        check(json!({"properties": {"a": {"$id": "b"}}}), Err(SchemaError::Keyword("$id".into())));
        check(json!({"$dynamicRef": "#a"}), Err(SchemaError::Keyword("$dynamicRef".into())));
    }

    #[test]
    fn data_in_a_schema_is_not_a_schema() {
        check(json!({"properties": {"$ref": {"type": "string"}}, "enum": [{"$ref": "x"}]}), Ok(&[]));
    }

    #[test]
    fn refuses_a_doubling_bomb_and_recursion() {
        let mut defs = serde_json::Map::new();
        defs.insert("a0".into(), json!({"type": "integer"}));
        for level in 1..=25 {
            let below = json!({"$ref": format!("#/$defs/a{}", level - 1)});
            defs.insert(format!("a{level}"), json!({"allOf": [below, below]}));
        }
        check(json!({"$defs": defs, "$ref": "#/$defs/a25"}), Err(SchemaError::Expansion));
        check(json!({"properties": {"a": {"$ref": "#"}}}), Err(SchemaError::Recursive("#".into())));
    }

    #[test]
    fn refuses_what_is_too_deep_or_too_much() {
        let deep = (0..70).fold(json!({}), |inner, _| json!({"items": inner}));
        check(deep, Err(SchemaError::Depth));
        let chain: serde_json::Map<_, _> =
            (0..200).map(|i| (format!("a{i}"), json!({"$ref": format!("#/$defs/a{}", i + 1)}))).collect();
        check(json!({"$defs": chain, "$ref": "#/$defs/a0"}), Err(SchemaError::Depth));
        check(json!({"anyOf": vec![json!({}); 10_001]}), Err(SchemaError::Subschemas));
    }

    #[test]
    fn refuses_patterns_that_repeat_too_much() {
        for fine in [r"^-?(0|[1-9][0-9]{0,18})$", r"^[\p{L} '-]{1,40}$", "^.{0,512}$", "(ab?c*)+"] {
            check(json!({"pattern": fine}), Ok(&[]));
        }
        for slow in ["^(a|b)*a(a|b){1500}$", "(x{100}){100}", "((x{1,999}){1,999}){1,999}"] {
            check(json!({"items": {"pattern": slow}}), Err(SchemaError::Pattern(slow.into())));
            check(json!({"patternProperties": {slow: {}}}), Err(SchemaError::Pattern(slow.into())));
        }
        let pattern = json!({"pattern": "^.{500}$"});
        check(json!({"allOf": vec![pattern; 201]}), Err(SchemaError::Expansion));
    }

    #[test]
    fn reports_formats_that_nothing_checks() {
        check(json!({"items": {"format": "iban"}, "format": "date"}), Ok(&["iban"]));
    }
}
