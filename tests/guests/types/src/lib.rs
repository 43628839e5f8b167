//! A guest that returns what it was given, in each type of the mapping between WIT and JSON.

use std::cell::Cell;

use exports::airlock_tests::types::counters;

wit_bindgen::generate!({ path: "wit" });
export!(Types);

struct Types;

/// Functions that return their argument.
macro_rules! echo {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(fn $name(value: $type) -> $type {
            value
        })*
    };
}

impl Guest for Types {
    echo! {
        echo_bool: bool,
        echo_s8: i8,
        echo_s16: i16,
        echo_s32: i32,
        echo_s64: i64,
        echo_u8: u8,
        echo_u16: u16,
        echo_u32: u32,
        echo_u64: u64,
        echo_f32: f32,
        echo_f64: f64,
        echo_char: char,
        echo_string: String,
        echo_bytes: Vec<u8>,
        echo_list: Vec<Vec<String>>,
        echo_tuple: (u16, String, bool),
        echo_option: Option<u32>,
        echo_option_option: Option<Option<u32>>,
        echo_enum: Color,
        echo_flags: Permissions,
        echo_record: Point,
        echo_variant: Shape,
        echo_nested_result: Vec<Result<u32, String>>,
        echo_everything: Everything,
        pass: Result<u32, Color>,
    }

    fn nan() -> f64 {
        f64::NAN
    }

    fn infinity() -> f32 {
        f32::INFINITY
    }

    fn nothing() {}
}

struct Counter(Cell<u32>);

impl counters::GuestCounter for Counter {
    fn new(start: u32) -> Self {
        Self(Cell::new(start))
    }

    fn next(&self) -> u32 {
        self.0.replace(self.0.get().wrapping_add(1))
    }
}

impl counters::Guest for Types {
    type Counter = Counter;

    fn drain(counter: counters::Counter) -> u32 {
        counter.into_inner::<Counter>().0.get()
    }
}
