//! Adds two numbers. `python`, `javascript` and `go` have the same tool for `cargo xtask bench --only guests`.
wit_bindgen::generate!({ world: "adder" });

struct Adder;

impl Guest for Adder {
    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
}

export!(Adder);
