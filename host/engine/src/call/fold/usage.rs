//! The usage of a call over all its attempts, as the reply shows it.

use airlock_types::event::Event;
use airlock_types::plan::PathStep;
use airlock_types::reply::TotalUsage;

/// The sum over the attempts; for memory, the maximum. An attempt of a tool that was asked about an effect adds to the
/// sum, and is none of the call's own. `wall_us` stays 0: the reply sets it when it is made.
pub(in crate::call) fn usage(events: &[Event]) -> TotalUsage {
    let mut total = TotalUsage::default();
    let mut is_asked = false;
    for event in events {
        is_asked |= matches!(event, Event::Stepped { step: PathStep::Asked { .. } });
        let Event::AttemptEnded { traces, .. } = event else { continue };
        let usage = &traces.usage;
        total.attempts += u32::from(!std::mem::take(&mut is_asked));
        total.fuel = total.fuel.saturating_add(usage.fuel);
        total.requests = total.requests.saturating_add(usage.requests);
        total.up_bytes = total.up_bytes.saturating_add(usage.up_bytes);
        total.down_bytes = total.down_bytes.saturating_add(usage.down_bytes);
        total.written_bytes = total.written_bytes.saturating_add(usage.written_bytes);
        total.files_created = total.files_created.saturating_add(usage.files_created);
        total.keys_read = total.keys_read.saturating_add(usage.keys_read);
        total.keys_written = total.keys_written.saturating_add(usage.keys_written);
        total.value_bytes_read = total.value_bytes_read.saturating_add(usage.value_bytes_read);
        total.value_bytes_written = total.value_bytes_written.saturating_add(usage.value_bytes_written);
        total.cpu_us = total.cpu_us.saturating_add(usage.cpu_us);
        // Attempts run one after another, so their memories are never in use together.
        total.memory_bytes = total.memory_bytes.max(usage.memory_bytes);
    }
    total
}
