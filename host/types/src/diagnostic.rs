//! Problems in a file, shown as a compiler shows them.
//!
//! Owns the form of such messages. Must not know what any file means.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::text::{visible, visible_styled};
use crate::words::did_you_mean;

/// One problem in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The file, as its reader names it.
    pub file: String,
    /// The file's whole text.
    pub source: Arc<str>,
    /// Byte range in the text. `None` for a problem of the whole file.
    pub span: Option<Range<usize>>,
    /// The text shown at the place.
    pub label: String,
    /// How it can be fixed.
    pub hint: Option<String>,
}

/// Every problem found, in the order found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostic {
    /// A syntax or shape error of a TOML file, with the nearest right name where a name is wrong.
    pub fn from_toml(error: &toml::de::Error, file: &str, source: &Arc<str>) -> Diagnostic {
        let mut message = plain(error.message());
        // serde knows no dates: the parser hands one on as a table.
        let at = error.span().and_then(|span| source.get(span)).unwrap_or_default();
        if at.starts_with(|first: char| first.is_ascii_digit()) {
            message = message.replace("this is a table, ", "this is a date, ");
        }
        Diagnostic {
            message,
            file: file.to_owned(),
            source: Arc::clone(source),
            span: error.span(),
            label: String::new(),
            hint: None,
        }
        .suggesting()
    }

    /// A problem with a file that could not be parsed, so that there is no place to show.
    pub fn without_place(message: impl Into<String>, hint: Option<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            file: String::new(),
            source: Arc::from(""),
            span: None,
            label: String::new(),
            hint,
        }
    }

    /// Adds "did you mean" to an unknown-field or unknown-variant error of serde.
    pub fn suggesting(mut self) -> Diagnostic {
        // serde writes: unknown field `x`, expected one of `a`, `b`. Every second part is a name.
        let mut names = self.message.split('`').skip(1).step_by(2);
        let unknown = self.message.starts_with("unknown ").then(|| names.next()).flatten();
        let known: Vec<&str> = names.collect();
        self.hint = self.hint.take().or_else(|| did_you_mean(unknown?, known.iter().copied()));
        self
    }

    /// The text as a terminal shows it, with color or without.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        // Escaped before the renderer adds its own styles: afterwards its escape sequences and those of a text look
        // alike.
        let (message, file, label) = (visible(&self.message), visible(&self.file), visible(&self.label));
        let hint = self.hint.as_deref().map(visible);
        let title = Level::ERROR.primary_title(&*message);
        // Without a file there is no source line to show under the title.
        if self.file.is_empty() {
            let group = match &hint {
                Some(hint) => {
                    annotate_snippets::Group::with_title(title).element(Level::HELP.message(&**hint))
                }
                None => annotate_snippets::Group::with_title(title),
            };
            return renderer.render(&[group]).to_string();
        }
        let place = Snippet::source(&*self.source).path(&*file);
        let annotation = AnnotationKind::Primary.span(self.place()).label(&*label);
        let group = title.element(place.annotation(annotation));
        let group = match &hint {
            Some(hint) => group.element(Level::HELP.message(&**hint)),
            None => group,
        };
        // The output includes lines of the file, in which the renderer replaces terminal control characters but not
        // every hidden character.
        let rendered = renderer.render(&[group]).to_string();
        let shown = if color { visible_styled(&rendered) } else { visible(&rendered) };
        shown.into_owned()
    }

    /// The span, clamped to the text and to character boundaries, since parsers may report any.
    fn place(&self) -> Range<usize> {
        let span = self.span.clone().unwrap_or(0..0);
        let start = self.source.floor_char_boundary(span.start);
        start..self.source.floor_char_boundary(span.end).max(start)
    }
}

/// An error of serde about a value's type, without the names of types in the program.
fn plain(message: &str) -> String {
    // A number of the wrong size is an invalid value, or one of another type.
    let wrong = ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    let Some((found, expected)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    // What no number of TOML fits into is read as a larger type, which is named.
    let found = found.trim_end_matches(" as i128").trim_end_matches(" as u128");
    let range = if found.starts_with("integer ") { range(expected) } else { None };
    let expected = match range.as_deref().unwrap_or(expected) {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        name if name.starts_with("struct ") || name.starts_with("internally tagged enum") => "a table",
        other => other,
    };
    let found = match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        "date" => "a date".to_owned(),
        // With its value: integer `5`.
        other => format!("the {other}"),
    };
    // An untagged enum is read ahead, as anything.
    if expected == "any value" {
        return format!("this is {found}, which cannot stand here");
    }
    format!("this is {found}, and {expected} is expected here")
}

/// The whole numbers of a type, as far as TOML has them.
fn range(name: &str) -> Option<String> {
    let most = match name {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" | "usize" => i64::MAX.unsigned_abs(),
        _ => return None,
    };
    Some(format!("a whole number from 0 to {most}"))
}

impl Diagnostics {
    /// All of them as a terminal shows them.
    pub fn render(&self, color: bool) -> String {
        self.0.iter().map(|one| one.render(color)).collect::<Vec<_>>().join("\n\n")
    }

    /// The value, if nothing was found.
    ///
    /// # Errors
    /// These problems, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Diagnostics {
        Diagnostics(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[expect(dead_code, reason = "only its name is needed")]
        deadline: u32,
    }

    #[test]
    fn shows_the_place_and_the_nearest_name() {
        let source: Arc<str> = "\ndeadlin = 1\n".into();
        let error = toml::from_str::<Settings>(&source).unwrap_err();
        let text = Diagnostics::from(Diagnostic::from_toml(&error, "a.toml", &source)).to_string();
        assert!(text.contains("a.toml:2:1"), "{text}");
        assert!(text.contains("did you mean `deadline`?"), "{text}");
    }

    #[test]
    fn a_date_is_no_table() {
        let source: Arc<str> = "deadline = 2026-01-01\n".into();
        let error = toml::from_str::<Settings>(&source).unwrap_err();
        let text = Diagnostic::from_toml(&error, "a.toml", &source).message;
        assert!(text.starts_with("this is a date, and a whole number"), "{text}");
    }

    #[test]
    fn says_what_is_expected_in_words_of_the_file() {
        for (found, said) in [
            (
                "deadline = true",
                "this is the boolean `true`, and a whole number that is not negative is expected here",
            ),
            ("deadline = []", "this is a list, and a whole number that is not negative is expected here"),
            (
                "deadline = { a = 1 }",
                "this is a table, and a whole number that is not negative is expected here",
            ),
        ] {
            assert_eq!(plain(toml::from_str::<Settings>(found).unwrap_err().message()), said);
        }
        for (found, said) in [
            (
                "invalid value: integer `-1`, expected u16",
                "this is the integer `-1`, and a whole number from 0 to 65535 is expected here",
            ),
            (
                "invalid type: integer `99999999999999999999` as i128, expected u32",
                "this is the integer `99999999999999999999`, and a whole number from 0 to 4294967295 is expected here",
            ),
        ] {
            assert_eq!(plain(found), said);
        }
        assert_eq!(
            plain("invalid type: string \"x\", expected struct KeyvalueGrant"),
            "this is the string \"x\", and a table is expected here"
        );
    }
}
