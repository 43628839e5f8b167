//! Measures one call at a time over `/v1`, by the size of its argument or of its result.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::load::Load;
use super::request::{Door, Request};
use super::serving::Serving;
use crate::server::Call;
use crate::stats::Times;

/// Every size takes at least so many calls, also one of which a single call takes longer than a turn.
const LEAST: usize = 5;

/// A call whose size is given.
pub type Sized = fn(usize) -> Value;

/// The median of each size of calls of a tool, in microseconds.
///
/// # Errors
/// When the server does not start, or a call is not answered with `ok`.
pub fn sizes(
    registry: &Path,
    (tool, args): (&str, Sized),
    bytes: impl Iterator<Item = usize>,
    time: Duration,
) -> Result<Vec<(f64, f64)>> {
    let serving = Serving::ours(registry, &["--allow-anonymous"])?;
    let door = Door::open(serving.port);
    let one = |bytes: usize| {
        // At the beginning of the answer, so that a large one is not searched.
        let call = Call { expect: Some("\"status\":\"ok\"".into()), ..Call::new(tool, args(bytes)) };
        let requests = [Request::api(door, &call)];
        let load = Load { port: door.port, connections: 1, time, least: LEAST };
        // The first call of a size faults its memory in.
        Load { time: Duration::ZERO, least: 1, ..load }.run(&requests)?;
        Ok((bytes as f64, Times::of(&load.run(&requests)?.times).p50_us))
    };
    bytes.map(one).collect()
}
