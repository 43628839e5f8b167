//! What is shown of a contract on request: its schemas and an example.
//!
//! Owns what is made each time, or at the first time, since many tools of a registry are listed seldom and never called.

use serde_json::Value;

use super::Contract;
use crate::example;

impl Contract {
    /// The schema of the arguments.
    pub fn input_schema(&self) -> Value {
        (&*self.input_schema).into()
    }

    /// The schema of the typed value alone, if there is one.
    pub fn result_schema(&self) -> Option<Value> {
        self.result_schema.as_ref().map(Value::from)
    }

    /// One valid example of the arguments, if one is known.
    pub fn example(&self) -> Option<&Value> {
        let best = || {
            let author = self.examples.first().map(|example| &example.args);
            let example = example::best(author, &self.validator, &self.input_schema());
            example.filter(|example| self.accepts(example, None))
        };
        self.example.get_or_init(best).as_ref()
    }
}
