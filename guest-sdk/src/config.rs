//! Values that the operator sets, through `wasi:config/store`.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-config; world config { import wasi:config/store@0.2.0-rc.1; }",
        generate_all,
    });
}

use bindings::wasi::config::store;

/// No value was granted under this key.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSet(String);

impl std::fmt::Display for NotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the operator has set no value `{}`", self.0)
    }
}

impl std::error::Error for NotSet {}

/// The value under a key.
pub fn get(key: &str) -> Result<String, NotSet> {
    store::get(key).ok().flatten().ok_or_else(|| NotSet(key.to_owned()))
}
