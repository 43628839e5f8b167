//! Room for requests of one client that were read and are not answered yet.
//!
//! Owns the bound on their number and their bytes, in one budget, since both are memory. A request that finds no room
//! waits in the reader, and the lines behind it in the client's pipe. Must not know what requests mean.

use std::sync::Arc;

use rmcp::model::ClientRequest;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All requests of a client together: two of the largest messages.
const ROOM_BYTES: usize = 16 << 20;

/// The state of a call besides its text. The number of calls is bounded by the rules of the caller, which turn away
/// what is too much at once; this holds for those that are not so far yet.
const CALL_BYTES: usize = 16 << 10;

/// Any other request: its answer may be the result of a record, or a page of tools. At most 16 are made at once.
const REQUEST_BYTES: usize = 1 << 20;

/// Subscriptions of one client. They last, so that one without a place is refused instead of holding up the reader;
/// the protocol knows one kind of notification that this server sends, and a client needs one subscription to it.
const SUBSCRIPTIONS_MAX: usize = 8;

/// What requests take their places of.
#[derive(Debug)]
pub(super) struct Room {
    requests: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
}

/// The place of a request, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The client has as many subscriptions as it may have.
#[derive(Debug, thiserror::Error)]
#[error("{SUBSCRIPTIONS_MAX} subscriptions are open; cancel one before you open another")]
pub(super) struct TooManySubscriptions;

impl Room {
    pub(super) fn new() -> Room {
        let (requests, subscriptions) = (Semaphore::new(ROOM_BYTES), Semaphore::new(SUBSCRIPTIONS_MAX));
        Room { requests: Arc::new(requests), subscriptions: Arc::new(subscriptions) }
    }

    /// A place for a request whose line is this long. `before_waiting` runs if there is none yet: the requests that
    /// hold the places have to be begun by then.
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
        // No more than there is in all, or it would wait without an end.
        let cost = u32::try_from((bytes + line_bytes).min(ROOM_BYTES)).unwrap_or(u32::MAX);
        if let Ok(place) = self.requests.clone().try_acquire_many_owned(cost) {
            return Ok(Place(place));
        }
        before_waiting();
        // The semaphore is never closed.
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
        let (room, mut held) = (Room::new(), Vec::new());
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
