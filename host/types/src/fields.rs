//! Writes the fields of a struct into a map that another type serializes as.
//!
//! Owns the forms that are a part of another form: one list of fields serves both, and a new field is in both. Serde's
//! `flatten` cannot leave fields out. Must not know which struct it is.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeStruct, Serializer};

/// Writes each field of `value`, in order, except those whose names `omits` holds for. It is a function and not a list,
/// because each call is written this way and a `matches!` compiles to a few comparisons.
///
/// # Errors
/// When a field cannot be serialized, or `value` is not a struct with named fields.
pub fn write<M: SerializeMap>(
    map: &mut M,
    value: &impl Serialize,
    omits: impl Fn(&str) -> bool,
) -> Result<(), M::Error> {
    value.serialize(Fields { map, omits })
}

/// A serializer for structs alone.
struct Fields<'m, M, F> {
    map: &'m mut M,
    omits: F,
}

impl<M: SerializeMap, F: Fn(&str) -> bool> SerializeStruct for Fields<'_, M, F> {
    type Ok = ();
    type Error = M::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), M::Error> {
        if (self.omits)(key) { Ok(()) } else { self.map.serialize_entry(key, value) }
    }

    fn end(self) -> Result<(), M::Error> {
        Ok(())
    }
}

/// Methods of a serializer that refuse what they get.
macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, M::Error> { Err(not_a_struct()) })*
    };
}

impl<M: SerializeMap, F: Fn(&str) -> bool> Serializer for Fields<'_, M, F> {
    type Ok = ();
    type Error = M::Error;
    type SerializeSeq = Impossible<(), M::Error>;
    type SerializeTuple = Impossible<(), M::Error>;
    type SerializeTupleStruct = Impossible<(), M::Error>;
    type SerializeTupleVariant = Impossible<(), M::Error>;
    type SerializeMap = Impossible<(), M::Error>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), M::Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, M::Error> {
        Ok(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), M::Error> {
        Err(not_a_struct())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), M::Error> {
        Err(not_a_struct())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), M::Error> {
        Err(not_a_struct())
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), M::Error> {
        Err(not_a_struct())
    }

    refused! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

fn not_a_struct<E: serde::ser::Error>() -> E {
    E::custom("only the fields of a struct can be written into a map")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize)]
    struct Point {
        x: u8,
        y: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'static str>,
    }

    fn check(value: &impl Serialize, omits: fn(&str) -> bool) -> serde_json::Result<Value> {
        let mut map = serde_json::value::Serializer.serialize_map(None)?;
        write(&mut map, value, omits)?;
        SerializeMap::end(map)
    }

    #[test]
    fn writes_the_fields_that_are_not_omitted() {
        let point = Point { x: 1, y: 2, label: None };
        assert_eq!(check(&point, |_| false).unwrap(), json!({"x": 1, "y": 2}));
        assert_eq!(check(&point, |name| name == "x").unwrap(), json!({"y": 2}));
    }

    #[test]
    fn refuses_what_is_not_a_struct() {
        check(&[1, 2], |_| false).unwrap_err();
        check(&"text", |_| false).unwrap_err();
        check(&Some(Point { x: 1, y: 2, label: Some("a") }), |_| false).unwrap_err();
    }
}
