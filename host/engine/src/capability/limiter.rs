//! Limits on the linear memories and tables of a guest.
//!
//! Owns the sum over all memories of an attempt, and which limit refused a request. Must not know who set the limit.

use airlock_types::limit::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use airlock_types::usage::LimitHit;
use wasmtime::ResourceLimiter;

/// Bounds the sum of all memories, where the engine's own limiter bounds each. Remembers a refusal, since the guest
/// turns it into an abort without a reason.
#[derive(Debug)]
pub(crate) struct Limiter {
    used: usize,
    pub(crate) peak: usize,
    memory_bytes_max: usize,
    table_elements_max: usize,
    /// What was refused last.
    pub(crate) refused: Option<LimitHit>,
}

impl Limiter {
    pub(crate) fn new(memory_bytes_max: u64, table_elements_max: u64) -> Limiter {
        let saturated = |bound| usize::try_from(bound).unwrap_or(usize::MAX);
        Limiter {
            used: 0,
            peak: 0,
            memory_bytes_max: saturated(memory_bytes_max),
            table_elements_max: saturated(table_elements_max),
            refused: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // `current` is the size of the memory that grows, so the rest of the sum is that of the other memories.
        let total = self.used.saturating_sub(current).saturating_add(wanted);
        if total > self.memory_bytes_max {
            self.refused = Some(LimitHit::Memory);
            // `memory.grow` returns -1, and the guest decides what to do without the memory.
            return Ok(false);
        }
        self.used = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // Each table by itself. Their number is bounded, so their sum is, too.
        let fits = wanted <= self.table_elements_max;
        if !fits {
            self.refused = Some(LimitHit::Table);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}
