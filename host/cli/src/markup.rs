//! What the HTML pages of the program share: one file each, without scripts, and without anything that is loaded from elsewhere.
//!
//! Owns the head of a page with its style, and that every text of an author or of a record is shown as text. Must not know what
//! a page says. How it looks is in `markup.css`.

use std::fmt::{Result, Write as _};

use airlock_types::text::visible;

/// A page may use its own style and nothing else, whatever its texts say.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes a page around its body. Title and heading are HTML.
pub(super) fn page(
    title: &str,
    over: &str,
    heading: &str,
    body: impl FnOnce(&mut String) -> Result,
) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut out, (title, over, heading), body);
    out
}

fn write(
    out: &mut String,
    (title, over, heading): (&str, &str, &str),
    body: impl FnOnce(&mut String) -> Result,
) -> Result {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>",
        include_str!("markup.css")
    )?;
    writeln!(out, "<header><p class=\"over\">{over}</p><h1>{heading}</h1></header>")?;
    body(out)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

/// Writes figures as tiles: a class, what it is, and the figure. A figure of zero is quiet.
pub(super) fn tiles(out: &mut String, tiles: &[(&str, &str, usize)]) -> Result {
    writeln!(out, "<dl class=\"tiles\">")?;
    for (class, what, value) in tiles {
        let class = if *value == 0 { "zero" } else { class };
        writeln!(out, "<div class=\"{class}\"><dt>{what}</dt><dd>{value}</dd></div>")?;
    }
    writeln!(out, "</dl>")
}

/// A text whose parts in backticks are names. Which parts those are is a matter of style alone.
pub(super) fn marked(said: &str) -> String {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => text(part),
        _ => format!("<code>{}</code>", text(part)),
    };
    said.split('`').enumerate().map(part).collect()
}

/// A text as HTML shows it, hidden characters as escapes.
pub(super) fn text(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
