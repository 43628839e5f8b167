//! A JSON value that is kept and seldom looked at: a map of `serde_json` takes some 600 bytes for its first field.
//!
//! Owns the forms in memory alone. Values come back as they were, numbers to the last bit, which text would not promise.

use litemap::LiteMap;
use serde_json::{Number, Value};

/// Texts of an author by what they are about. Kept for each tool, most of which have few.
pub type Texts = LiteMap<String, String>;

/// A JSON value in little memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Compact {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Box<[Compact]>),
    /// In the order of the map.
    Map(Box<[(Box<str>, Compact)]>),
}

impl From<&Value> for Compact {
    fn from(value: &Value) -> Compact {
        match value {
            Value::Null => Compact::Null,
            Value::Bool(bool) => Compact::Bool(*bool),
            Value::Number(number) => Compact::Number(number.clone()),
            Value::String(text) => Compact::Text(text.as_str().into()),
            Value::Array(items) => Compact::List(items.iter().map(Compact::from).collect()),
            Value::Object(fields) => Compact::Map(
                fields.iter().map(|(name, field)| (name.as_str().into(), field.into())).collect(),
            ),
        }
    }
}

impl From<&Compact> for Value {
    fn from(compact: &Compact) -> Value {
        match compact {
            Compact::Null => Value::Null,
            Compact::Bool(bool) => Value::Bool(*bool),
            Compact::Number(number) => Value::Number(number.clone()),
            Compact::Text(text) => Value::String(text.as_ref().to_owned()),
            Compact::List(items) => items.iter().map(Value::from).collect(),
            Compact::Map(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.as_ref().to_owned(), field.into()));
                Value::Object(fields.collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_was(value in json()) {
            prop_assert_eq!(Value::from(&Compact::from(&value)), value);
        }
    }

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let value = json!({"a": [-459.67000001, 1.0, 1, u64::MAX, 5e-324]});
        let back = Value::from(&Compact::from(&value));
        assert_eq!(back.to_string(), value.to_string());
    }
}
