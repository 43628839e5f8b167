//! JSON whose keys come once.
//!
//! Owns the reading of a value that begins with `{` or `[`, alone or one a line, and the search for integers that are rounded. Must
//! not know forms of documents.

use serde_json::Value;

use super::rounded::Rounded;
use crate::ImportError;
use airlock_contract::lossless::{self, Loss};

/// Reads one value, or one a line.
pub(super) fn read(text: &str) -> Result<(Value, Rounded), ImportError> {
    let mut rounded = Rounded::default();
    lossless::numbers(text).for_each(|number| rounded.add(number));
    let whole = match value(text, 0) {
        Err(ImportError::Json(why)) => why,
        read => return Ok((read?, rounded)),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    match lines.map(|(above, line)| value(line, above)).collect::<Result<Vec<Value>, _>>() {
        Ok(lines) if lines.len() > 1 => Ok((Value::Array(lines), rounded)),
        Err(twice @ ImportError::Twice { .. }) => Err(twice),
        _ => Err(ImportError::Json(whole)),
    }
}

/// The value of a text with this many lines above it.
fn value(text: &str, above: usize) -> Result<Value, ImportError> {
    // As deep as the parser goes.
    lossless::keys_once(text, usize::MAX).map_err(|loss| match loss {
        Loss::Twice { path, line, column } => ImportError::Twice { line: above + line, column, key: path },
        Loss::NoJson { said, .. } => ImportError::Json(said),
        other => ImportError::Json(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let refused = read(text).unwrap_err().to_string();
        assert_eq!(refused, says);
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_with_its_place() {
        check_refused(
            "{\"a\": 1,\n \"b\": [{\"c\": 1,\n  \"c\": 2}]}",
            "line 3, column 5: the key `b[0].c` is there twice; keep one of the two",
        );
        // One value a line.
        check_refused(
            "{\"a\": 1}\n\n{\"a\": 1, \"a\": 1}",
            "line 3, column 12: the key `a` is there twice; keep one of the two",
        );
        check_refused(
            "{\"\\u0061\": 1, \"a\": 1}\n{}",
            "line 1, column 17: the key `a` is there twice; keep one of the two",
        );
        let long = "k".repeat(100_000);
        assert!(read(&format!("{{\"{long}\": 1, \"{long}\": 2}}")).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let text = r#"{"a": [null, true, -1, 18446744073709551615, 1.5, "x\n", {}], "b": {"a": []}}"#;
        let wanted = json!({"a": [null, true, -1, u64::MAX, 1.5, "x\n", {}], "b": {"a": []}});
        assert_eq!(read(text).unwrap().0, wanted);
        assert_eq!(read("{}\n\n[1]\n").unwrap().0, json!([{}, [1]]));
        check_refused("{\"a\": 1e400}", "it is not JSON: number out of range at line 1 column 11");
        check_refused("{\"a\"", "it is not JSON: EOF while parsing an object at line 1 column 4");
        let deep = read(&format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))).unwrap_err().to_string();
        assert!(deep.contains("recursion limit"), "{deep}");
    }

    #[test]
    fn integers_that_are_rounded_are_found_outside_of_texts() {
        let large = "12345678901234567890123";
        let found = |text: &str| {
            let (value, rounded) = read(text).unwrap();
            rounded.of(&value["a"]).map(str::to_owned)
        };
        assert_eq!(found(&format!(r#"{{"a": {large}}}"#)).as_deref(), Some(large));
        assert_eq!(
            found(&format!(r#"{{"b": "\"", "a": -{large}}}"#)).as_deref(),
            Some("-12345678901234567890123")
        );
        assert_eq!(found(&format!(r#"{{"a": "{large}"}}"#)), None);
        // As it was written, or as near as a double is.
        assert_eq!(found(r#"{"a": 1e30, "b": 1.00000000000000000000001}"#), None);
        assert_eq!(found(r#"{"a": 18446744073709551616}"#), None);
    }
}
