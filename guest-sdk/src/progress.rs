//! How far the tool is, through `airlock:tool/progress`. Reports reach the caller if it asked for them; a tool never
//! learns whether it did.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-progress; world progress { import airlock:tool/progress@0.1.0; }",
        generate_all,
    });
}

use bindings::airlock::tool::progress;

/// So much is done of so much, in a unit of the tool's own. Numbers should grow: the others are dropped.
pub fn report(done: f64, total: f64, message: &str) {
    progress::report(done, Some(total), Some(message));
}

/// So much is done, of nobody knows how much.
pub fn done(done: f64, message: &str) {
    progress::report(done, None, Some(message));
}
