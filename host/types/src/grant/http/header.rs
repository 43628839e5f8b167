//! Names of headers as servers compare them.

/// The one spelling of all names that a server may take for this one, which is in lower case. Many servers hand headers on
/// as variables (`HTTP_X_FORWARDED_FOR`), in which each character but letters and digits is a `_`: for these
/// `x_forwarded_for` is `x-forwarded-for`.
pub fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
