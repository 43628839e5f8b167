//! Keeps confidential fields out of records: every record passes here on its way to the journal.
//!
//! Owns which fields are confidential in a call, and what stands in their places. `record` and `reply` go through the parts of
//! a record, `texts` finds values in what a tool wrote. Must not know how records are stored. A call whose tools declare nothing
//! confidential costs one comparison here.

mod record;
mod reply;
mod texts;

use std::iter::once;

use serde_json::Value;

use super::judge::Asked;
use crate::config::Fallback;
use crate::generation::Generation;
use crate::registry::{Registry, Sealer, Tool};
use airlock_contract::published::Form;
use airlock_types::digest::{hex, sha256_of};
use airlock_types::event::Event;
use airlock_types::json::Json;
use airlock_types::record::Record;
use airlock_types::record::v3;
use airlock_types::record::v3::{MASK, is_mark, salted_mark, sealed_mark};
use texts::Texts;

/// Why a cassette is confidential.
pub(super) const WHY: &str = "its tool has confidential fields";

/// What is confidential in one call.
pub(super) struct Confidential<'h> {
    /// The called tool and its fallbacks, which are of its type. Empty for an unknown tool.
    routes: Vec<&'h Tool>,
    /// The tools that say whether an effect of one of these happened.
    verifying: Vec<&'h Tool>,
    /// Whether the arguments on record passed the inner door. Others may have a confidential value anywhere.
    is_valid: bool,
    /// Confidential values of the results of attempts.
    values: Vec<Value>,
    sealer: Option<&'h Sealer>,
}

/// What is confidential in the call of a tool. None where nothing is, as in most calls.
pub(super) fn of<'h>(host: &'h Generation, tool: &str, events: &[Event]) -> Option<Confidential<'h>> {
    if !host.has_confidential() {
        return None;
    }
    let registry = host.registry();
    let routes: Vec<&Tool> =
        registry.resolve(tool).map_or_else(|_| Vec::new(), |tool| routes(registry, tool));
    let verifying = routes.iter().filter_map(|tool| registry.resolve(tool.verify.as_ref()?).ok());
    let verifying: Vec<&Tool> = verifying.map(|tool| &**tool).collect();
    let declares = |tool: &&Tool| !tool.contract.confidential.is_empty();
    // The arguments of an unknown tool may be those of one whose name was misspelled.
    let is_any = routes.is_empty() || routes.iter().chain(&verifying).any(declares);
    is_any.then(|| Confidential {
        is_valid: events.iter().any(|event| matches!(event, Event::Validated { .. })),
        values: events.iter().flat_map(values_of).cloned().collect(),
        // The same for all tools.
        sealer: registry.tools().find_map(|tool| tool.record.sealing()),
        routes,
        verifying,
    })
}

/// A tool and its fallbacks.
fn routes<'h>(registry: &'h Registry, called: &'h Tool) -> Vec<&'h Tool> {
    let fallbacks = called.fallback.iter().filter_map(Fallback::tool);
    let fallbacks = fallbacks.filter_map(|name| registry.resolve(name).ok()).map(|tool| &**tool);
    once(called).chain(fallbacks).collect()
}

fn values_of(event: &Event) -> &[Value] {
    if let Event::AttemptEnded { traces, .. } = event { &traces.confidential } else { &[] }
}

/// The confidential values of a result, whether it is delivered or not.
pub(super) fn values(asked: Asked<'_>, result: Option<&Value>) -> Vec<Value> {
    let mut found = Vec::new();
    let confidential = &asked.tool.contract.confidential;
    if let Some(result) = result.filter(|_| confidential.has_result()) {
        let form = asked.called.contract.result_form();
        confidential.each_result(&mut result.clone(), form, &mut |value| leaves(value, &mut found));
    }
    found
}

/// The values within a value that a text could repeat.
fn leaves(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) | Value::String(_) => found.push(value.clone()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
    }
}

impl Confidential<'_> {
    /// The record without anything confidential. `salt` is drawn for this record, and kept nowhere.
    pub(super) fn masked(self, record: Box<Record<Json>>, salt: [u8; 32]) -> Box<Record<Json>> {
        let sealed = self.sealer.map(|seal| seal(&record.to_seal()));
        let (sealed, lacks) = match sealed {
            Some(Ok(sealed)) => (sealed, None),
            Some(Err(why)) => {
                (String::new(), Some(format!("it cannot be encrypted to `journal.recipient`: {why}")))
            }
            None => (String::new(), Some("no `journal.recipient` was set to encrypt it to".to_owned())),
        };
        let mask = Mask { salt, is_sealed: !sealed.is_empty(), texts: Texts::default() };
        let kept = v3::Confidential { fields: self.fields(), sealed, lacks };
        Box::new(Record { confidential: Some(kept), ..self.without(*record, mask) })
    }

    /// The form in which the result is published: that of the called tool.
    fn result_form(&self) -> Option<&Form> {
        self.routes.first().and_then(|called| called.contract.result_form())
    }

    /// The fields, each once.
    fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> =
            self.tools().flat_map(|tool| tool.contract.confidential.fields()).collect();
        fields.sort();
        fields.dedup();
        fields
    }

    /// Whether a field of the arguments is confidential.
    fn has_args(&self) -> bool {
        self.routes.iter().any(|tool| tool.contract.confidential.has_args())
    }

    /// Whether a field of the result is.
    fn has_result(&self) -> bool {
        self.routes.iter().any(|tool| tool.contract.confidential.has_result())
    }
}

/// What stands in the places of confidential values.
struct Mask {
    salt: [u8; 32],
    /// Whether the record is kept under the operator's key, so that no digest is needed.
    is_sealed: bool,
    texts: Texts,
}

impl Mask {
    /// Puts a mark into the place of a value.
    fn value(&self, value: &mut Value) {
        if is_mark(value) {
            return;
        }
        *value = if self.is_sealed { sealed_mark() } else { salted_mark(&self.digest(&value.to_string())) };
    }

    /// A digest from which no value can be guessed.
    fn digest(&self, text: &str) -> String {
        hex(&sha256_of(&[&self.salt, text.as_bytes()]))
    }

    /// Masks the confidential values that a text repeats.
    fn text(&self, text: &mut String) {
        if let Some(masked) = self.texts.masked(text) {
            *text = masked;
        }
    }

    /// Masks a whole text.
    fn whole(text: &mut String) {
        if !text.is_empty() {
            MASK.clone_into(text);
        }
    }

    /// Masks the confidential values that a value repeats.
    fn tree(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if self.texts.has(&number.to_string()) {
                    self.value(value);
                }
            }
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.tree(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.tree(member)),
        }
    }
}
