//! What follows from a plan: the wait before each retry, and the most that the call can do.
//!
//! Owns what people and reviewers read of a plan and no call needs. A call that succeeds at once asks for none of it, and
//! a retry for its own wait alone, so a plan does not hold it: jitter is two blocks of SHA-256 for each retry. Must not
//! know how a call goes on.

use serde::{Deserialize, Serialize};

use super::{Jitter, Plan, Repeat, Route, RouteInput, quota, retry};

/// The wait before one retry, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// After a transient fault.
    pub transient_ms: u64,
    /// After throttling.
    pub throttled_ms: u64,
}

/// The most that a call can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstCase {
    /// Attempts in all, with those of the tools that verify.
    pub executions: u32,
    /// Time, in milliseconds.
    pub latency_ms: u64,
    /// Quota tokens spent, all routes together.
    pub quota: u32,
}

impl Route {
    /// Retries at most, however many tokens are left in the quota.
    pub fn retries_max(&self) -> u32 {
        if self.repeat == Repeat::Never { 0 } else { self.input.retry.attempts_max.saturating_sub(1) }
    }
}

impl Plan {
    /// The wait before each retry on a route when the upstream gives no hint.
    pub fn waits(&self, route: usize) -> Vec<Wait> {
        let Some(Route { input, .. }) = self.routes.get(route) else { return Vec::new() };
        let factors = self.jitter.factors(&self.args_digest, route);
        let wait = |k| {
            let factor = factors.factor(k);
            let wait_ms = |throttled| input.retry.wait_ms(k, throttled, factor, None);
            Wait { transient_ms: wait_ms(false), throttled_ms: wait_ms(true) }
        };
        (1..=self.routes[route].retries_max()).map(wait).collect()
    }

    /// Upper bounds over all routes.
    pub fn worst_case(&self) -> WorstCase {
        // The plan holds the breakers as they were when it was made, so a route that is paused then is never attempted.
        let open = self
            .routes
            .iter()
            .enumerate()
            .filter(|(_, route)| !route.input.breaker.is_open() && !route.input.is_cached());
        let mut worst = WorstCase { executions: 0, latency_ms: 0, quota: 0 };
        for (index, route) in open {
            worst.add(&route.input, &self.waits(index));
        }
        // No attempt starts or runs beyond the deadline of the call, whatever the routes add up to.
        worst.latency_ms = worst.latency_ms.min(self.deadline_ms);
        worst
    }
}

impl WorstCase {
    /// Adds a route that is tried to its end. Times saturate: a registry may set any deadline.
    fn add(&mut self, input: &RouteInput, waits: &[Wait]) {
        // Both are upper bounds: the cheapest kind of retry bounds their number, the dearest kind bounds what they
        // cost.
        let affordable = input.quota / quota::RETRY_COST_MIN;
        let retries = u32::try_from(waits.len()).unwrap_or(u32::MAX).min(affordable);
        let attempts = 1 + retries;
        self.executions += attempts;
        if let Some(verify) = &input.verify {
            // Each attempt may be asked about, the last one too: the caller shall know.
            self.executions += attempts;
            let once_ms = verify.after_ms.saturating_add(verify.attempt_deadline_ms);
            self.add_ms(once_ms.saturating_mul(u64::from(attempts)));
        }
        self.quota += (retries * quota::RETRY_COST).min(input.quota);
        self.add_ms(input.attempt_deadline_ms.saturating_mul(u64::from(attempts)));
        for wait in waits.iter().take(retries as usize) {
            // An upstream's hint can lengthen any wait, throttled or not, by at most this much.
            self.add_ms(wait.throttled_ms.saturating_add(retry::HINT_MS_MAX));
        }
    }

    fn add_ms(&mut self, ms: u64) {
        self.latency_ms = self.latency_ms.saturating_add(ms);
    }
}

/// A plan as JSON, with what follows from it.
#[derive(Serialize)]
pub(super) struct Written {
    version: u32,
    args_digest: String,
    jitter: Jitter,
    deadline_ms: u64,
    routes: Vec<WrittenRoute>,
    worst_case: WorstCase,
}

#[derive(Serialize)]
struct WrittenRoute {
    from: RouteInput,
    repeat: Repeat,
    reserve_ms: u64,
    waits: Vec<Wait>,
}

impl From<Plan> for Written {
    fn from(plan: Plan) -> Written {
        let worst_case = plan.worst_case();
        let waits: Vec<Vec<Wait>> = (0..plan.routes.len()).map(|route| plan.waits(route)).collect();
        let Plan { version, args_digest, jitter, deadline_ms, routes } = plan;
        let routes = routes.into_iter().zip(waits);
        let routes = routes.map(|(Route { input, repeat, reserve_ms }, waits)| WrittenRoute {
            from: input,
            repeat,
            reserve_ms,
            waits,
        });
        Written { version, args_digest, jitter, deadline_ms, routes: routes.collect(), worst_case }
    }
}
