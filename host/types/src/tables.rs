//! TOML of settings, in which a table is written as a table.
//!
//! Derived code of serde also takes a list for a struct, by the order of its fields, and an empty one where each field has a
//! default: `grants.keyvalue = []` would grant. Owns the one answer to that, for each struct at any depth: [`from_str`] hands
//! its types a deserializer that refuses lists there. serde reads untagged and tagged enums ahead, out of reach of it, so a
//! struct in one is read by [`table`]. Must not know any file.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::{Deserialize, Deserializer};

/// Reads a file of settings.
///
/// # Errors
/// When it is not TOML, or not of the type; where the type has a struct and the text has a list, too.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    T::deserialize(Strict(toml::Deserializer::parse(text)?))
}

/// Reads a table alone, for a struct within an enum without names: `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// When it is not a table, or not of the type.
pub fn table<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Table<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Table(PhantomData))
}

/// What reads a value, or hands one on, so that everything beneath it is read as strictly.
struct Strict<T>(T);

/// What is told of a value, and whether it takes a struct.
struct Told<V> {
    visitor: V,
    is_struct: bool,
}

impl<V> Told<V> {
    fn of(visitor: V) -> Told<V> {
        Told { visitor, is_struct: false }
    }

    fn of_struct(visitor: V) -> Told<V> {
        Told { visitor, is_struct: true }
    }
}

/// The functions of a deserializer, which differ in what they are told beside the visitor.
macro_rules! deserialize {
    ($($told:ident $method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($arg,)* Told::$told(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    deserialize! {
        of deserialize_any();
        of deserialize_bool();
        of deserialize_i8();
        of deserialize_i16();
        of deserialize_i32();
        of deserialize_i64();
        of deserialize_i128();
        of deserialize_u8();
        of deserialize_u16();
        of deserialize_u32();
        of deserialize_u64();
        of deserialize_u128();
        of deserialize_f32();
        of deserialize_f64();
        of deserialize_char();
        of deserialize_str();
        of deserialize_string();
        of deserialize_bytes();
        of deserialize_byte_buf();
        of deserialize_option();
        of deserialize_unit();
        of deserialize_unit_struct(name: &'static str);
        of deserialize_newtype_struct(name: &'static str);
        of deserialize_seq();
        of deserialize_tuple(len: usize);
        of deserialize_tuple_struct(name: &'static str, len: usize);
        of deserialize_map();
        of_struct deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        of deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        of deserialize_identifier();
        of deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The functions of a visitor for values that have no others in them.
macro_rules! visit {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Told<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        if self.is_struct {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self.visitor));
        }
        self.visitor.visit_seq(Strict(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Strict(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Strict(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Strict(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Strict(seed))?;
        Ok((value, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Told::of(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Told::of_struct(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use toml::Spanned;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        number: u8,
        names: Vec<String>,
        pair: Option<(i64, bool)>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Plain,
        With { number: u8 },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Word(String),
        Inner(#[serde(deserialize_with = "table")] Inner),
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Whole {
        inner: Inner,
        one: Option<Spanned<Inner>>,
        many: Vec<Inner>,
        named: BTreeMap<String, Spanned<Inner>>,
        kind: Option<Kind>,
        either: Option<Either>,
        #[serde(deserialize_with = "table")]
        ahead: Inner,
    }

    #[test]
    fn tables_and_lists_are_read_where_they_belong() {
        let whole: Whole = from_str(
            "inner = { number = 1, names = [\"a\", \"b\"], pair = [-2, true] }\none = { number = 3 }\n\
             many = [{ number = 4 }, {}]\nnamed.a = { number = 5 }\nkind.with = { number = 6 }\neither = { number = 7 }\n\
             ahead = { number = 8 }\n",
        )
        .unwrap();
        let inner = |number| Inner { number, ..Inner::default() };
        assert_eq!(
            whole.inner,
            Inner { number: 1, names: vec!["a".into(), "b".into()], pair: Some((-2, true)) }
        );
        let one = whole.one.unwrap();
        assert_eq!((one.span().start, one.into_inner()), (68, inner(3)));
        assert_eq!(whole.many, [inner(4), inner(0)]);
        assert_eq!(*whole.named["a"].get_ref(), inner(5));
        assert_eq!(
            (whole.kind, whole.either),
            (Some(Kind::With { number: 6 }), Some(Either::Inner(inner(7))))
        );
        assert_eq!(whole.ahead, inner(8));
        let words: Whole = from_str("kind = \"plain\"\neither = \"x\"").unwrap();
        assert_eq!((words.kind, words.either), (Some(Kind::Plain), Some(Either::Word("x".into()))));
    }

    #[test]
    fn no_list_is_a_table_at_any_depth() {
        for list in ["[]", "[1]", "[1, [\"a\"]]"] {
            for place in
                ["inner = X", "one = X", "many = [X]", "named.a = X", "named = { a = X }", "kind.with = X"]
            {
                let text = place.replace('X', list);
                let error = from_str::<Whole>(&text).unwrap_err();
                assert!(
                    error.message().contains("invalid type: sequence, expected struct"),
                    "{text}: {error}"
                );
                assert!(error.span().is_some(), "{text}");
            }
            for place in ["either = X", "ahead = X"] {
                assert!(from_str::<Whole>(&place.replace('X', list)).is_err(), "{place} {list}");
            }
        }
    }
}
