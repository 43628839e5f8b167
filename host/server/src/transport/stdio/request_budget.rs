//! Bounds the requests of one client that were read and are not answered yet.
//!
//! Owns the bound on their number and bytes, in one budget, because both use memory. A request without a place waits
//! in the reader, and later lines wait in the client's pipe. Must not know what requests mean.

use std::sync::Arc;

use rmcp::model::ClientRequest;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Budget in bytes for all requests of a client: two messages of the largest size.
const BUDGET_BYTES: usize = 16 << 20;

/// Cost of a call besides its text. The caller's admission rules bound the number of running calls; this bounds the
/// calls before admission.
const CALL_BYTES: usize = 16 << 10;

/// Cost of any other request: its answer can be the result of a record, or a page of tools. At most 16 are answered at
/// once.
const REQUEST_BYTES: usize = 1 << 20;

/// Number of subscriptions of one client. They are long-lived, so one without a place is rejected instead of blocking
/// the reader. A client needs only one: this server sends a single kind of notification.
const SUBSCRIPTIONS_MAX: usize = 8;

/// The budgets that requests take places from.
#[derive(Debug)]
pub(super) struct RequestBudget {
    requests: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
}

/// The place of a request. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The client is at its limit of subscriptions.
#[derive(Debug, thiserror::Error)]
#[error("{SUBSCRIPTIONS_MAX} subscriptions are open; cancel one before you open another")]
pub(super) struct TooManySubscriptions;

impl RequestBudget {
    pub(super) fn new() -> RequestBudget {
        let (requests, subscriptions) = (Semaphore::new(BUDGET_BYTES), Semaphore::new(SUBSCRIPTIONS_MAX));
        RequestBudget { requests: Arc::new(requests), subscriptions: Arc::new(subscriptions) }
    }

    /// Takes a place for a request whose line has `line_bytes` bytes. If none is free, `before_waiting` runs and then
    /// the thread blocks. `before_waiting` must start the requests that hold places, or they would never free them.
    pub(super) fn place(
        &self,
        request: &ClientRequest,
        line_bytes: usize,
        runtime: &Handle,
        before_waiting: impl FnOnce(),
    ) -> Result<Place, TooManySubscriptions> {
        let bytes = match request {
            ClientRequest::SubscriptionsListenRequest(_) => {
                let subscription = self.subscriptions.clone().try_acquire_owned();
                return subscription.map(Place).map_err(|_| TooManySubscriptions);
            }
            ClientRequest::CallToolRequest(_) => CALL_BYTES,
            _ => REQUEST_BYTES,
        };
        // Capped at the whole budget: a larger cost could never be acquired.
        let cost = u32::try_from((bytes + line_bytes).min(BUDGET_BYTES)).unwrap_or(u32::MAX);
        // First without waiting, so that `before_waiting` splits a batch of requests only if it must.
        if let Ok(place) = self.requests.clone().try_acquire_many_owned(cost) {
            return Ok(Place(place));
        }
        before_waiting();
        // The semaphore is never closed, so the error cannot occur.
        let place = runtime.block_on(self.requests.clone().acquire_many_owned(cost));
        place.map(Place).map_err(|_| TooManySubscriptions)
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolRequestParams, PingRequest, Request};

    use super::*;

    fn call() -> ClientRequest {
        ClientRequest::CallToolRequest(Request::new(CallToolRequestParams::new("t")))
    }

    /// How many requests find a place before one has to wait; it waits until they are answered.
    fn places(request: &ClientRequest, line_bytes: usize) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (room, mut held) = (RequestBudget::new(), Vec::new());
        loop {
            let mut count = None;
            let place = room.place(request, line_bytes, runtime.handle(), || {
                count = Some(held.len());
                held.clear();
            });
            if let Some(count) = count {
                return count;
            }
            held.push(place.unwrap());
        }
    }

    #[test]
    fn bytes_and_number_are_bounded_together() {
        assert_eq!(places(&call(), 0), 1024);
        assert_eq!(places(&call(), 8 << 20), 1);
        assert_eq!(places(&ClientRequest::PingRequest(PingRequest::default()), 0), 16);
    }
}
