//! One fault: its place, its words, and the change that mends it.
//!
//! Owns the written form of a fault, the application of its mend, and the resolution of references. Must not know how
//! faults are found, nor whether a mend leads to a valid value: `refuse` tries it.

use serde_json::Value;

use airlock_types::code::Code;
use airlock_types::place;
use airlock_types::place::Step;
use airlock_types::shorten::{clean, is_within, shorten};
use airlock_types::violation::Violation;
use airlock_types::words::got;

/// A violation, its place as steps, and what the caller is advised to do.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Without a hint: `refuse` writes it from the advice.
    pub(super) violation: Violation,
    pub(super) steps: Vec<Step>,
    pub(super) advice: Option<Advice>,
}

/// What a caller is advised to do.
#[derive(Clone, Debug)]
pub(super) enum Advice {
    /// A word about the form, or a question. It proposes no value.
    Note(String),
    /// A change that needs no answer of the caller.
    Mend(Mend),
}

/// A change, and its words.
#[derive(Clone, Debug)]
pub(super) struct Mend {
    pub(super) fix: Fix,
    /// The hint. `{}` stands for the new value.
    pub(super) says: String,
    /// The hint when the new value is too long to be shown, or does not become valid.
    pub(super) plain: Option<String>,
}

/// A change of the arguments that loses nothing that the tool knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fix {
    Rename { within: Vec<Step>, from: String, to: String },
    Replace { at: Vec<Step>, with: Value },
    Remove { within: Vec<Step>, key: String },
}

/// Characters of the longest phrase for what several faults of one place expected.
const EXPECTED_CHARS_MAX: usize = 200;

/// Size in bytes of the longest value that a hint shows. It is shown whole or not at all: a cut value would be another
/// one.
const SHOWN_BYTES_MAX: usize = 60;

impl Mend {
    /// A change whose words do not show the new value.
    pub(super) fn named(fix: Fix, says: impl Into<String>) -> Mend {
        let says = says.into();
        Mend { fix, plain: Some(says.clone()), says }
    }

    /// Whether the hint shows the new value.
    pub(super) fn shows_value(&self) -> bool {
        self.says.contains("{}")
    }

    /// The hint, with the new value from the mended arguments.
    pub(super) fn hint(&self, mended: &Value) -> Option<String> {
        let Fix::Replace { at, .. } = &self.fix else { return Some(self.says.clone()) };
        if !self.shows_value() {
            return Some(self.says.clone());
        }
        let value = get(mended, at).filter(|value| is_within(value, SHOWN_BYTES_MAX)).map(Value::to_string);
        // Text is cleaned when it is shown. A value that cleaning changes would be shown as another one.
        let shown = value.filter(|value| clean(value) == *value);
        shown.map(|value| self.says.replace("{}", &value)).or_else(|| self.plain.clone())
    }
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
                    && !object.contains_key(to)
                    && let Some(value) = object.remove(from)
                {
                    object.insert(to.clone(), value);
                }
            }
        }
    }

    /// The changed place, as a pointer into the mended arguments.
    pub(super) fn target(&self) -> String {
        match self {
            Fix::Replace { at, .. } => place::pointer(at),
            Fix::Rename { within, to: key, .. } | Fix::Remove { within, key } => {
                place::pointer(&below(within, key))
            }
        }
    }
}

/// The steps to a member of an object.
pub(super) fn below(within: &[Step], key: &str) -> Vec<Step> {
    within.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
}

fn get<'v>(args: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(args, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
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
}

impl Fault {
    pub(super) fn new(steps: Vec<Step>, says: Says<'_>, advice: Option<Advice>) -> Fault {
        let violation = Violation {
            code: says.code,
            path: place::path(&steps),
            pointer: place::pointer(&steps),
            keyword: says.keyword.to_owned(),
            expected: says.expected,
            got: says.got,
            hint: None,
        };
        Fault { violation, steps, advice }
    }

    /// Replaces the advice for a value that stands for none, such as null, which its property does not accept.
    pub(super) fn leave_out(&mut self, key: &str, is_required: bool) {
        self.advice = Some(if is_required {
            Advice::Note("give a value: it is required".to_owned())
        } else {
            let within = self.steps[..self.steps.len().saturating_sub(1)].to_vec();
            let fix = Fix::Remove { within, key: key.to_owned() };
            Advice::Mend(Mend::named(fix, "leave it out: it is optional"))
        });
    }

    /// Takes in another fault of the same place. The one that can be mended leads, and both expectations are named.
    pub(super) fn join(&mut self, mut other: Fault) {
        if other.rank() < self.rank() {
            std::mem::swap(self, &mut other);
        }
        let (expected, more) = (&mut self.violation.expected, &other.violation.expected);
        if !expected.contains(more.as_str()) {
            *expected = shorten(&format!("{expected} and {more}"), EXPECTED_CHARS_MAX);
        }
    }

    fn rank(&self) -> (u8, Code) {
        let advice = match self.advice {
            Some(Advice::Mend(_)) => 0,
            Some(Advice::Note(_)) => 1,
            None => 2,
        };
        (advice, self.violation.code)
    }

    /// The mend, if there is one.
    pub(super) fn mend(&self) -> Option<&Mend> {
        if let Some(Advice::Mend(mend)) = &self.advice { Some(mend) } else { None }
    }

    /// The fault of arguments that the validator rejects and the walk finds nothing wrong with.
    pub(super) fn unexplained(args: &Value) -> Fault {
        let expected = "arguments that satisfy the input schema".to_owned();
        Fault::new(vec![], Says { code: Code::ArgsType, keyword: "schema", expected, got: got(args) }, None)
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
