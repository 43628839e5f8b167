//! TOML of settings, in which a table is written as a table.
//!
//! Derived code of serde also takes a list for a struct, by the order of its fields, and an empty one where each field has a
//! default: `grants.keyvalue = []` would grant. A date comes as a table with one key of the parser's own, which a table with
//! any keys would take: `grants.config = 1979-05-27` would grant that key. Owns the one answer to both, at any depth:
//! [`from_str`] hands its types a deserializer that refuses lists for structs, and dates for whatever is no date. serde reads
//! untagged and tagged enums ahead, out of reach of it, so a struct in one is read by [`table`]. Must not know any file.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::{Deserialize, Deserializer};

use crate::words::quoted_list;

/// Reads a file of settings.
///
/// # Errors
/// When it is not TOML, or not of the type; where the type has a struct and the text has a list, too.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    T::deserialize(Strict::of(toml::Deserializer::parse(text)?))
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

/// The name of the struct that a date is read as, by which a type says that it takes one.
pub const DATE: &str = "$__toml_private_Datetime";
/// Its only key.
pub const DATE_KEY: &str = "$__toml_private_datetime";

/// What the parser says of a value that is no variant of an enum, whose names it does not say.
const NO_VARIANT: &str = "wanted string or table";

/// What reads a value, or hands one on, so that everything beneath it is read as strictly.
struct Strict<T> {
    inner: T,
    /// What was expected in the place of a table, where this reads keys of it.
    instead: Option<Rc<str>>,
}

impl<T> Strict<T> {
    fn of(inner: T) -> Strict<T> {
        Strict { inner, instead: None }
    }
}

/// What is told of a value, and what it takes.
struct Told<V> {
    visitor: V,
    is_struct: bool,
    is_date: bool,
    /// As that of the reader.
    instead: Option<Rc<str>>,
}

impl<V> Told<V> {
    fn of(visitor: V) -> Told<V> {
        Told { visitor, is_struct: false, is_date: false, instead: None }
    }

    fn of_struct(visitor: V) -> Told<V> {
        Told { is_struct: true, ..Told::of(visitor) }
    }

    /// Whether a text may be read: as a key, only one that is no mark of a date.
    fn check<E: Error>(&self, text: &str) -> Result<(), E> {
        match &self.instead {
            Some(expected) if text == DATE_KEY => {
                Err(E::invalid_type(Unexpected::Other("date"), &&**expected))
            }
            _ => Ok(()),
        }
    }
}

/// The functions of a deserializer, which differ in what they are told beside the visitor.
macro_rules! deserialize {
    ($($told:ident $method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($arg,)* Told { instead: self.instead, ..Told::$told(visitor) })
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
        of deserialize_identifier();
        of deserialize_ignored_any();
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let told = Told { is_date: name == DATE, instead: self.instead, ..Told::of_struct(visitor) };
        self.inner.deserialize_struct(name, fields, told)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let told = Told { instead: self.instead, ..Told::of(visitor) };
        let read = self.inner.deserialize_enum(name, variants, told);
        read.map_err(|err| {
            if !err.to_string().contains(NO_VARIANT) {
                return err;
            }
            // Without a place, which the value around it adds.
            D::Error::custom(format!("one of {} is expected here", quoted_list(variants.iter().copied())))
        })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
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
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        self.check(text)?;
        self.visitor.visit_str(text)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<V::Value, E> {
        self.check(text)?;
        self.visitor.visit_borrowed_str(text)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<V::Value, E> {
        self.check(&text)?;
        self.visitor.visit_string(text)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict { inner: deserializer, instead: self.instead })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict { inner: deserializer, instead: self.instead })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        if self.is_struct {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self.visitor));
        }
        self.visitor.visit_seq(Strict::of(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let instead = (!self.is_date).then(|| expected(&self.visitor).into());
        self.visitor.visit_map(Strict { inner: map, instead })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Strict { inner: data, instead: self.instead })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Strict { inner: deserializer, instead: self.instead })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Strict::of(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(Strict { inner: seed, instead: self.instead.clone() })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Strict::of(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(Strict { inner: seed, instead: self.instead })?;
        Ok((value, Strict::of(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Strict::of(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Told::of(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Told::of_struct(visitor))
    }
}

/// What a visitor takes, for an error. What is read ahead takes anything.
fn expected<'de>(visitor: &impl Visitor<'de>) -> String {
    struct Words<'v, V>(&'v V);
    impl<'de, V: Visitor<'de>> fmt::Display for Words<'_, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(f)
        }
    }
    Words(visitor).to_string()
}

#[cfg(test)]
mod tests;
