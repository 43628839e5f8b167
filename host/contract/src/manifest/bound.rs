//! What a contract may cost: it is a stranger's text, and a host binds it each time that it loads the component.
//!
//! Owns the bounds on a contract as a whole, and how many problems are told. Reading a contract takes time in
//! proportion to its size; these bounds are on what takes more: programs that a text describes.

use serde_json::Value;

use super::{Manifest, ToolContract, WrittenTool};
use crate::expression::COST_CALL_MAX;
use airlock_types::diagnostic::{Diagnostic, Diagnostics};

/// The largest contract: thirty times the longest of the examples.
pub const CONTRACT_BYTES_MAX: usize = 256 << 10;

/// Problems that are told of one contract: enough for an author, who mends the first ones first.
pub const PROBLEMS_MAX: usize = 20;

/// Relations and checks of all functions together. Each is compiled against all types of its function.
const RULES_MAX: usize = 256;

/// Patterns of all functions together. One may take a megabyte when it is compiled.
const PATTERNS_MAX: usize = 128;

/// Examples of all functions together.
const EXAMPLES_MAX: usize = 256;

/// What judging the examples by their tools' relations may cost, in the steps of expressions: each example must pass
/// when its tool is loaded. Ten times what a call may cost.
const EXAMPLES_COST_MAX: u64 = 10 * COST_CALL_MAX;

/// Problems as they are found, up to the bound.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Diagnostic>,
    cut: bool,
}

impl Problems {
    /// Adds a problem, which is only made where there is room for it: its hint looks at every known name.
    pub(super) fn add(&mut self, problem: impl FnOnce() -> Diagnostic) {
        if self.found.len() < PROBLEMS_MAX { self.found.push(problem()) } else { self.cut = true }
    }

    /// Whether no more problems are told, so that looking for them is in vain.
    pub(super) fn is_full(&self) -> bool {
        self.cut
    }

    pub(super) fn into_diagnostics(mut self) -> Diagnostics {
        if let (true, Some(last)) = (self.cut, self.found.last_mut()) {
            let hint = last.hint.take().map_or_else(String::new, |hint| format!("{hint}; "));
            last.hint = Some(format!("{hint}only the first {PROBLEMS_MAX} problems are shown"));
        }
        Diagnostics(self.found)
    }
}

/// Refuses a text that is too long to be parsed.
pub(super) fn bytes(text: &str, file: &str) -> Result<(), Diagnostics> {
    if text.len() <= CONTRACT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("`{file}` has {} bytes; at most {CONTRACT_BYTES_MAX}", text.len());
    let hint = "shorten descriptions and examples".to_owned();
    Err(Diagnostic::without_place(message, Some(hint)).into())
}

impl Manifest {
    /// Holds the contract against the bounds on all its functions together, before any of its programs is compiled.
    pub(super) fn bounds(&self) -> Result<(), Diagnostics> {
        let mut problems = Problems::default();
        let rules = |tool: &WrittenTool| tool.require.len() + tool.expect.len();
        let examples = |tool: &WrittenTool| tool.example.len();
        let sum = |count: &dyn Fn(&WrittenTool) -> usize| self.tools.values().map(count).sum::<usize>();
        for (things, count, max) in [
            ("relations and checks", sum(&rules), RULES_MAX),
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

/// Holds what judging the examples costs against the bound.
pub(super) fn examples_cost<'c>(
    manifest: &Manifest,
    contracts: impl Iterator<Item = &'c ToolContract>,
    problems: &mut Problems,
) {
    let cost = contracts.fold(0u64, |sum, contract| {
        let once =
            contract.requires.iter().fold(0u64, |sum, require| sum.saturating_add(require.rule.cost()));
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

/// The patterns among the keywords of a function.
fn patterns(tool: &WrittenTool) -> usize {
    let mut count = 0;
    let places = tool.args.values().chain(tool.result.values()).flat_map(|keywords| keywords.iter());
    places.for_each(|(keyword, value)| each_pattern(keyword, value, &mut |_| count += 1));
    tool.schema.iter().for_each(|(keyword, value)| {
        each_pattern(keyword.get_ref(), value, &mut |_| count += 1);
    });
    count
}

/// Shows each pattern in a keyword's value. What only looks like one, in an `enum`, is shown too.
pub(super) fn each_pattern<'v>(keyword: &str, value: &'v Value, show: &mut impl FnMut(&'v str)) {
    match (keyword, value) {
        ("pattern", Value::String(pattern)) => show(pattern),
        ("patternProperties", Value::Object(patterns)) => patterns.keys().for_each(|pattern| show(pattern)),
        _ => {}
    }
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, below)| each_pattern(name, below, show)),
        Value::Array(items) => items.iter().for_each(|item| each_pattern("", item, show)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
