//! Reports progress, through `airlock:tool/progress`. Reports reach the caller if it asked for them. A tool cannot tell
//! whether it did.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-progress; world progress { import airlock:tool/progress@0.1.0; }",
        generate_all,
    });
}

use bindings::airlock::tool::progress;

/// Reports that `done` of `total` is done, in a unit of the tool's choice. The host drops values that do not grow.
pub fn report(done: f64, total: f64, message: &str) {
    progress::report(done, Some(total), Some(message));
}

/// Reports that `done` is done, when the total is unknown.
pub fn done(done: f64, message: &str) {
    progress::report(done, None, Some(message));
}
