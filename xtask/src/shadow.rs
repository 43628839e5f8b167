//! `cargo xtask shadow`: plants sixty changes of each kind and looks at each verdict, and simulates nights without a change. CI does
//! both with a sample.

use std::path::Path;

use anyhow::Result;

use crate::run::cargo;

pub(crate) fn run(root: &Path) -> Result<()> {
    // The program that the tests start.
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    let planted = "shadow_planted::sixty";
    cargo(root, &["test", "--workspace", "--test", "all", planted, "--", "--ignored", "--nocapture"])?;
    let nights = "trend::tests";
    cargo(root, &["test", "--workspace", "--lib", nights, "--", "--include-ignored", "--nocapture"])
}
