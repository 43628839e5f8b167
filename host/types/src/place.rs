//! Where a fault is, in both spellings: code-like for a model, JSON pointer for a program.
//!
//! Owns the two spellings. Must not know what is wrong there.

use super::shorten::{clean, shorten};

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An item of an array, from 0.
    Index(usize),
    /// A member of an object.
    Key(String),
}

/// Longest key in both spellings. Longer ones are cut, since a caller chooses its keys.
const KEY_CHARS_MAX: usize = 60;

/// `passengers[0].age`; a key that is no plain name is quoted: `a["b c"]`.
pub fn path(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Index(i) => out.push_str(&format!("[{i}]")),
            Step::Key(key) if !is_plain(key) => out.push_str(&format!("[{}]", quoted(key))),
            Step::Key(key) if out.is_empty() => out.push_str(&shown(key)),
            Step::Key(key) => out.push_str(&format!(".{}", shown(key))),
        }
    }
    out
}

/// `/passengers/0/age`
pub fn pointer(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        out.push('/');
        match step {
            Step::Index(i) => out.push_str(&i.to_string()),
            Step::Key(key) => out.push_str(&shown(key).replace('~', "~0").replace('/', "~1")),
        }
    }
    out
}

/// The text in double quotes, cleaned and shortened, as JSON would write it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::String(shown(text)).to_string()
}

/// A key, cleaned and cut. Reads no more of a long key than can be shown.
fn shown(key: &str) -> String {
    let end = key.char_indices().nth(4 * KEY_CHARS_MAX).map_or(key.len(), |(end, _)| end);
    shorten(&clean(&key[..end]), KEY_CHARS_MAX)
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_a_place_for_models_and_for_programs() {
        let steps = [Step::Key("a/b".into()), Step::Index(2), Step::Key("c".into())];
        assert_eq!(path(&steps), r#"["a/b"][2].c"#);
        assert_eq!(pointer(&steps), "/a~1b/2/c");
        assert_eq!(path(&steps[2..]), "c");
    }
}
