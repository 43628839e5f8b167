//! Spellings of a path that a shell or a browser would expand, and the host does not.
//!
//! Owns which spellings are recognized, and the word about them. A folder can have such a name, so the word belongs to
//! an error about a path that does not lead anywhere.

use std::path::Path;

/// The word about a path that was to be expanded.
pub fn word(path: &Path) -> Option<&'static str> {
    path.iter().filter_map(|part| part.to_str()).find_map(|part| match part {
        "file:" | "http:" | "https:" => Some("it is a URL; write the path of a local file or folder"),
        _ if part.starts_with('~') => Some("`~` is not expanded here; write the whole path"),
        _ if part.starts_with('$') => Some("variables are not expanded here; write the whole path"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_shell_would_expand() {
        for path in
            ["~", "~/a", "/etc/./~/a.wasm", "$HOME/a", "/x/${STATE}", "file:///a", "./https://a/b.wasm"]
        {
            assert!(word(Path::new(path)).is_some(), "{path}");
        }
        for path in ["a", "/a/b.wasm", "a~", "c:x", "a$b", ""] {
            assert_eq!(word(Path::new(path)), None, "{path}");
        }
    }
}
