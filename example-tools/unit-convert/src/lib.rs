//! Converts a value between units of one kind.
use airlock_sdk::Refusal;
airlock_sdk::tool!(UnitConvert, silent);
struct UnitConvert;

impl Guest for UnitConvert {
    fn convert(value: f64, from: Unit, to: Unit) -> Result<Converted, Failure> {
        let ((kind, size, zero), (other, to_size, to_zero)) = (scale(from), scale(to));
        if kind != other {
            let cannot = format!("A {kind} cannot be converted into a {other}.");
            return Err(Refusal::new("units-differ", cannot).need("two units of one kind").into());
        }
        Ok(Converted { value: (value - zero) * size / to_size + to_zero, unit: to })
    }
}

/// The kind, the size in the kind's base unit, and the reading of this unit at zero of the base unit.
fn scale(unit: Unit) -> (&'static str, f64, f64) {
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
