//! One fault: its place, its words, and the change that mends it.
//!
//! Owns the written form of a fault, the application of its fix, and the resolution of references. Must not know how
//! faults are found.

use serde_json::Value;

use airlock_types::code::Code;
use airlock_types::place;
use airlock_types::place::Step;
use airlock_types::violation::Violation;
use airlock_types::words::got;

/// A violation, its place as steps, and its mend as a change that can be applied.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) violation: Violation,
    pub(super) steps: Vec<Step>,
    pub(super) fix: Option<Fix>,
}

/// A change of the arguments that loses no information.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fix {
    Rename { within: Vec<Step>, from: String, to: String },
    Replace { at: Vec<Step>, with: Value },
    Remove { within: Vec<Step>, key: String },
}

impl Fix {
    pub(super) fn apply(&self, args: &mut Value) {
        match self {
            Fix::Replace { at, with } => {
                if let Some(value) = find(args, at) {
                    *value = with.clone();
                }
            }
            Fix::Remove { within, key } => {
                find(args, within).and_then(Value::as_object_mut).map(|object| object.remove(key));
            }
            Fix::Rename { within, from, to } => {
                if let Some(object) = find(args, within).and_then(Value::as_object_mut)
                    && let Some(value) = object.remove(from)
                {
                    // An argument that is already there under the right name is not overwritten.
                    object.entry(to.clone()).or_insert(value);
                }
            }
        }
    }
}

fn find<'v>(args: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(args, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// The texts of a fault, before its place is rendered.
pub(super) struct Says<'a> {
    pub(super) code: Code,
    pub(super) keyword: &'a str,
    pub(super) expected: String,
    pub(super) got: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(steps: Vec<Step>, says: Says<'_>, fix: Option<Fix>) -> Fault {
        let violation = Violation {
            code: says.code,
            path: place::path(&steps),
            pointer: place::pointer(&steps),
            keyword: says.keyword.to_owned(),
            expected: says.expected,
            got: says.got,
            hint: says.hint,
        };
        Fault { violation, steps, fix }
    }

    /// Replaces the mend of a null that its property does not accept. Null is how models often write "not given".
    pub(super) fn leave_out(&mut self, key: &str, is_required: bool) {
        if is_required {
            self.violation.hint = Some("give a value: it is required".to_owned());
            return;
        }
        let within = self.steps[..self.steps.len().saturating_sub(1)].to_vec();
        self.violation.hint = Some("leave it out: it is optional".to_owned());
        self.fix = Some(Fix::Remove { within, key: key.to_owned() });
    }

    /// The fault of arguments that the validator rejects and the walk finds nothing wrong with.
    pub(super) fn unexplained(args: &Value) -> Fault {
        let expected = "arguments that satisfy the input schema".to_owned();
        let got = got(args);
        Fault::new(vec![], Says { code: Code::ArgsType, keyword: "schema", expected, got, hint: None }, None)
    }
}

/// Resolves local references within one schema.
#[derive(Clone, Copy)]
pub(super) struct Reader<'s> {
    pub(super) root: &'s Value,
}

impl<'s> Reader<'s> {
    /// The schema at the end of a chain of local references. It ends: recursive references are refused at load.
    pub(super) fn resolve(&self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| self.target(reference));
        target.map_or(schema, |target| self.resolve(target))
    }

    /// The target of a local reference. `$defs` is looked up directly, because resolving a JSON pointer allocates and
    /// most references lead there. A name with `/` or `~` needs the pointer's escapes.
    pub(super) fn target(&self, reference: &str) -> Option<&'s Value> {
        let pointer = reference.strip_prefix('#')?;
        match pointer.strip_prefix("/$defs/") {
            Some(name) if !name.contains(['/', '~']) => self.root.get("$defs")?.get(name),
            // A pointer decodes `~0` and `~1`, which a plain look-up does not.
            _ => self.root.pointer(pointer),
        }
    }
}
