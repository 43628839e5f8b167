//! act, whose components have an ABI of their own.

use anyhow::{Result, bail};
use serde_json::Value;

use super::Place;

pub(super) fn server(place: &Place<'_>) -> Result<Value> {
    let version = place.pip("act-cli")?;
    bail!("act-cli {version} installs, but its components have an ABI of their own, and none is built here")
}
