//! `cargo xtask replay`: records a thousand calls of the example tools, and replays each attempt. CI does it with a sample.

use std::path::Path;

use anyhow::Result;

use crate::run::cargo;

pub(crate) fn run(root: &Path) -> Result<()> {
    let test = "replay_examples::a_thousand_calls";
    let all = ["test", "--workspace", "--test", "all", test, "--", "--ignored"];
    // The program that compiles components.
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    cargo(root, &all)
}
