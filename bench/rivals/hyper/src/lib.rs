//! The tools of the comparison, as a plugin for hyper-mcp.

use std::time::Duration;

use extism_pdk::{FnResult, Json, plugin_fn};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    request: Call,
}

#[derive(Deserialize)]
#[serde(tag = "name", content = "arguments", rename_all = "snake_case")]
enum Call {
    UnitConvert { value: f64, from: Unit, to: Unit },
    Sleep { ms: u64 },
    Looping {},
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    M,
    Km,
    Mile,
    Kg,
    Pound,
    Celsius,
    Fahrenheit,
}

#[plugin_fn]
pub fn list_tools(_: Json<Value>) -> FnResult<Json<Value>> {
    let unit = json!({"enum": ["m", "km", "mile", "kg", "pound", "celsius", "fahrenheit"]});
    let convert = json!({"value": {"type": "number"}, "from": unit, "to": unit});
    let sleep = json!({"ms": {"type": "integer", "minimum": 0}});
    Ok(Json(json!({"tools": [
        tool("unit_convert", "Converts a value from one unit to another of the same kind", convert),
        tool("sleep", "Sleeps", sleep),
        tool("looping", "Never returns", json!({})),
    ]})))
}

fn tool(name: &str, description: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|map| map.keys()).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"name": name, "description": description, "inputSchema": schema})
}

#[plugin_fn]
pub fn call_tool(Json(input): Json<Input>) -> FnResult<Json<Value>> {
    let (text, is_error) = match input.request {
        Call::UnitConvert { value, from, to } => match convert(value, &from, &to) {
            Ok(value) => (value.to_string(), false),
            Err(why) => (why, true),
        },
        Call::Sleep { ms } => {
            std::thread::sleep(Duration::from_millis(ms));
            ("slept".to_owned(), false)
        }
        Call::Looping {} => looping(),
    };
    Ok(Json(json!({"content": [{"type": "text", "text": text}], "isError": is_error})))
}

fn convert(value: f64, from: &Unit, to: &Unit) -> Result<f64, String> {
    let ((kind, size, zero), (other, to_size, to_zero)) = (scale(from), scale(to));
    if kind != other {
        return Err(format!("A {kind} cannot be converted into a {other}."));
    }
    Ok((value - zero) * size / to_size + to_zero)
}

fn scale(unit: &Unit) -> (&'static str, f64, f64) {
    match unit {
        Unit::M => ("length", 1.0, 0.0),
        Unit::Km => ("length", 1_000.0, 0.0),
        Unit::Mile => ("length", 1_609.344, 0.0),
        Unit::Kg => ("mass", 1.0, 0.0),
        Unit::Pound => ("mass", 0.453_592_37, 0.0),
        Unit::Celsius => ("temperature", 1.0, 0.0),
        Unit::Fahrenheit => ("temperature", 5.0 / 9.0, 32.0),
    }
}

fn looping() -> ! {
    let mut round = 0_u64;
    loop {
        round = std::hint::black_box(round.wrapping_add(1));
    }
}
