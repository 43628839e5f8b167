//! Measures the memory that a server holds, and what it returns to the system.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::client::Client;
use crate::figures::Memory;
use crate::load::{self, mib};
use crate::process::{peak_bytes, resident_bytes};
use crate::registry::Repository;
use crate::server::{self, Call};

/// Memory that the large guest allocates, in bytes.
const LARGE_BYTES: u64 = 200 << 20;

/// Calls in flight.
const WINDOW: usize = 64;

/// Time after which freed memory has been returned to the system.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures memory with one tool, with a thousand, and around a large guest.
///
/// # Errors
/// When a call is answered with an error.
pub fn measure(repository: &Repository) -> Result<Memory> {
    // One server after the other, since they share a state folder.
    let (idle_mib, full_mib) = tools(&repository.many(1_000)?)?;
    let (one_idle_mib, one_full_mib) = tools(&repository.many(1)?)?;
    let mut client = Client::start(server::airlock("airlock", "", &repository.mixed()?)?.start(None)?)?;
    // One call first, so that memory of the first use does not count as growth.
    client.ask("tools/call", server::convert().params())?;
    std::thread::sleep(SETTLE);
    let before_mib = mib(resident_bytes(client.pid()));
    let call = Call::new("large", json!({"bytes": LARGE_BYTES}));
    let pid = client.pid();
    let (answer, peak) = peak_bytes(pid, || client.ask("tools/call", call.params()));
    answer?;
    std::thread::sleep(SETTLE);
    let after_mib = mib(resident_bytes(client.pid()));
    Ok(Memory { one_idle_mib, one_full_mib, idle_mib, full_mib, before_mib, large_mib: mib(peak), after_mib })
}

/// Resident memory in MiB at rest, and the peak with [`WINDOW`] calls in flight.
fn tools(registry: &Path) -> Result<(f64, f64)> {
    let mut client = Client::start(server::airlock("airlock", "", registry)?.start(None)?)?;
    let call = server::convert();
    client.ask("tools/call", call.params())?;
    std::thread::sleep(SETTLE);
    let idle = mib(resident_bytes(client.pid()));
    let (pid, frame) = (client.pid(), call.frame());
    let (ran, peak) = peak_bytes(pid, || load::rate(&mut client, &frame, WINDOW, Duration::from_secs(1)));
    ran?;
    Ok((idle, mib(peak)))
}
