//! The tools of the comparison, as a component for act.

use act_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
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

#[act_component]
mod component {
    use super::*;

    #[act_tool(description = "Converts a value from one unit to another of the same kind", read_only)]
    fn unit_convert(value: f64, from: Unit, to: Unit) -> ActResult<f64> {
        let ((kind, size, zero), (other, to_size, to_zero)) = (scale(&from), scale(&to));
        if kind != other {
            return Err(ActError::invalid_args(format!("A {kind} cannot be converted into a {other}.")));
        }
        Ok((value - zero) * size / to_size + to_zero)
    }

    #[act_tool(description = "Sleeps", read_only)]
    fn sleep(ms: u64) -> ActResult<String> {
        std::thread::sleep(std::time::Duration::from_millis(ms));
        Ok("slept".to_owned())
    }

    #[act_tool(description = "Never returns", read_only)]
    fn looping() -> ActResult<String> {
        let mut round = 0_u64;
        loop {
            round = std::hint::black_box(round.wrapping_add(1));
        }
    }
}
