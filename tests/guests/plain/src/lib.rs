//! A guest without anything of Airlock: no SDK, no contract, and an error that is a text.

wit_bindgen::generate!({ path: "wit" });
export!(Plain);

struct Plain;

impl Guest for Plain {
    fn greet(name: String) -> String {
        format!("Hello, {name}!")
    }

    fn divide(a: f64, b: f64) -> Result<f64, String> {
        if b == 0.0 { Err("division by zero".to_owned()) } else { Ok(a / b) }
    }
}
