//! Bounds on the cost of a contract. It is untrusted text, and a host binds it each time that it loads the component.
//!
//! Owns the bounds on a contract as a whole, and the number of reported problems. Reading a contract takes time in
//! proportion to its size; these bounds are for what takes more: relations, patterns and examples, which are compiled
//! or run.

use serde_json::Value;

use super::{Manifest, ToolContract, WrittenTool};
use crate::expression::COST_CALL_MAX;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};
use airlock_types::words::{GOT_CHARS_MAX, one_line};

/// Size in bytes of the largest contract: thirty times the longest of the examples in this repository.
pub const CONTRACT_BYTES_MAX: usize = 256 << 10;

/// Number of problems that are reported for one contract. An author repairs the first ones first.
pub const PROBLEMS_MAX: usize = 20;

/// Number of relations, rules that hold, terms, checks and names of facts of all functions together. Each is compiled against all types of its function.
const RULES_MAX: usize = 256;

/// Number of patterns of all functions together. A compiled pattern can take a megabyte (see `pattern`).
const PATTERNS_MAX: usize = 128;

/// Number of examples of all functions together. Each is validated when its tool is loaded.
const EXAMPLES_MAX: usize = 256;

/// Largest cost, in steps of expressions, of evaluating the relations for all examples: each example must satisfy them
/// when its tool is loaded. Ten times the bound for a call.
const EXAMPLES_COST_MAX: u64 = 10 * COST_CALL_MAX;

/// The problems found so far, up to [`PROBLEMS_MAX`].
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Diagnostic>,
    /// Whether a problem was left out.
    cut: bool,
}

impl Problems {
    /// Adds a problem. It is only made if there is room, because its hint compares every known name.
    pub(super) fn add(&mut self, problem: impl FnOnce() -> Diagnostic) {
        if self.found.len() < PROBLEMS_MAX { self.found.push(problem()) } else { self.cut = true }
    }

    /// Whether a problem was left out already, so that looking for more is useless.
    pub(super) fn is_full(&self) -> bool {
        self.cut
    }

    pub(super) fn into_diagnostics(mut self) -> Diagnostics {
        // A note on the last problem: one more diagnostic would have no place in the file.
        if let (true, Some(last)) = (self.cut, self.found.last_mut()) {
            let hint = last.hint.take().map_or_else(String::new, |hint| format!("{hint}; "));
            last.hint = Some(format!("{hint}only the first {PROBLEMS_MAX} problems are shown"));
        }
        Diagnostics(self.found)
    }
}

/// Refuses a text that is larger than [`CONTRACT_BYTES_MAX`].
pub(super) fn bytes(text: &str, file: &str) -> Result<(), Diagnostics> {
    if text.len() <= CONTRACT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("`{file}` has {} bytes; at most {CONTRACT_BYTES_MAX}", text.len());
    let hint = "shorten descriptions and examples".to_owned();
    Err(Diagnostic::without_place(message, Some(hint)).into())
}

impl Manifest {
    /// Checks the contract against the bounds on all its functions together, before any pattern or relation is
    /// compiled.
    pub(super) fn bounds(&self) -> Result<(), Diagnostics> {
        let mut problems = Problems::default();
        let rules = |tool: &WrittenTool| {
            let facts = tool.facts.len() + tool.needs.len();
            tool.require.len() + tool.hold.len() + tool.expect.len() + tool.terms.len() + facts
        };
        let examples = |tool: &WrittenTool| tool.example.len();
        let sum = |count: &dyn Fn(&WrittenTool) -> usize| self.tools.values().map(count).sum::<usize>();
        for (things, count, max) in [
            // Sums over all functions: a bound for each one would be multiplied by their number.
            ("relations, rules that hold, terms, checks and facts", sum(&rules), RULES_MAX),
            ("patterns", sum(&patterns), PATTERNS_MAX),
            ("examples", sum(&examples), EXAMPLES_MAX),
        ] {
            if count > max {
                problems.add(|| {
                    let message = format!("the contract has {count} {things}; at most {max}");
                    self.plain(0..0, message, "in this contract")
                });
            }
        }
        problems.into_diagnostics().or(())
    }
}

/// Checks the cost of evaluating the relations for all examples against the bound.
pub(super) fn examples_cost<'c>(
    manifest: &Manifest,
    contracts: impl Iterator<Item = &'c ToolContract>,
    problems: &mut Problems,
) {
    // Saturating: many costly relations and many examples must not wrap around to a small product.
    let cost = contracts.fold(0u64, |sum, contract| {
        let once =
            contract.requires.iter().fold(0u64, |sum, require| sum.saturating_add(require.rule.new_cost()));
        sum.saturating_add(once.saturating_mul(contract.examples.len() as u64))
    });
    if cost > EXAMPLES_COST_MAX {
        problems.add(|| {
            let message = format!(
                "judging the examples by the relations may cost {cost} steps; at most {EXAMPLES_COST_MAX}"
            );
            manifest.plain(0..0, message, "in this contract")
        });
    }
}

/// Number of patterns in the keywords of a function.
fn patterns(tool: &WrittenTool) -> usize {
    let mut count = 0;
    let places = tool.args.values().chain(tool.result.values()).flat_map(|keywords| keywords.iter());
    places.for_each(|(keyword, value)| each_pattern(keyword, value, &mut |_| count += 1));
    tool.schema.iter().for_each(|(keyword, value)| {
        each_pattern(keyword.get_ref(), value, &mut |_| count += 1);
    });
    count
}

/// Whether there is a null in a value: what becomes of `nan` and `inf`, since TOML has no null and JSON no such number.
pub(super) fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(has_null),
        Value::Array(items) => items.iter().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The message about a key whose value has one.
pub(super) fn not_finite(key: &str) -> String {
    let key = one_line(key, GOT_CHARS_MAX);
    format!(
        "`{key}` has a number that is not finite (`nan` or `inf`), and JSON has none: write another value"
    )
}

/// Calls `show` with each pattern in the value of a keyword. Data that only looks like one, such as in an `enum`, is
/// included: counting too many is safe, and missing one is not.
pub(super) fn each_pattern<'v>(keyword: &str, value: &'v Value, show: &mut impl FnMut(&'v str)) {
    match (keyword, value) {
        ("pattern", Value::String(pattern)) => show(pattern),
        // Its keys are the patterns.
        ("patternProperties", Value::Object(patterns)) => patterns.keys().for_each(|pattern| show(pattern)),
        _ => {}
    }
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, below)| each_pattern(name, below, show)),
        Value::Array(items) => items.iter().for_each(|item| each_pattern("", item, show)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
