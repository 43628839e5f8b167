//! Calls under a wall clock that jumps by years, in a host in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use airlock::environment::World;
use airlock::host::Host;
use airlock_journal::Journal;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::environment::{Environment, Sleep};

use super::clients::Tally;
use crate::draw::Draw;
use crate::soak::now;

/// The jumps lie between 1970 and 2106.
const SECONDS: u64 = u32::MAX as u64;

/// Pause between two calls: this client is one of many.
const PAUSE: Duration = Duration::from_millis(20);

/// This machine's clocks, but for the time of day.
struct Jumping {
    world: World,
    wall_s: AtomicU64,
}

impl Environment for Jumping {
    fn wall(&self) -> Duration {
        Duration::from_secs(self.wall_s.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    fn seed(&self) -> [u8; 32] {
        self.world.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.world.sleep(duration)
    }
}

/// Calls a tool until the time is over. The clock jumps before each call, and once while it runs.
pub(super) async fn run(registry: PathBuf, until: Instant) -> Tally {
    let mut tally = Tally::default();
    if let Err(err) = call(registry, until, &mut tally).await {
        tally.fault(format!("jumping: {err:#}"));
    }
    tally
}

async fn call(registry: PathBuf, until: Instant, tally: &mut Tally) -> anyhow::Result<()> {
    let clock = Arc::new(Jumping { world: World::new(), wall_s: AtomicU64::new(0) });
    let builder = Host::builder().registry(registry).environment(clock.clone()).journal(Journal::memory());
    let host = builder.open().await?;
    let mut draw = Draw(0);
    while now() < until {
        let mut jump = || clock.wall_s.store(draw.below(SECONDS), Ordering::Release);
        jump();
        let args = Arguments::Text(r#"{"value": 3, "from": "km", "to": "m"}"#.to_owned().into());
        let call = host.call(Call::new("unit_convert", args));
        let (reply, ()) = tokio::join!(call, async { jump() });
        tally.saw("jumping", reply.code.as_str(), &["ok"]);
        anyhow::ensure!(reply.code != Code::Ok || reply.result.is_some(), "an answer without a value");
        anyhow::ensure!(host.journal().find(&reply.record)?.is_some(), "a call without a record");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
