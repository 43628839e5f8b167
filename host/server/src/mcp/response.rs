//! The JSON-RPC response to a request that was read, over every transport that does not leave it to rmcp.
//!
//! Owns its form. A result is serialized directly: rmcp's message type would need a tree of it. Must not know what is in a
//! result.

use rmcp::ErrorData;
use rmcp::model::{JsonRpcVersion2_0, RequestId};
use serde::Serialize;

/// The response to a request.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Response<R> {
    Result { jsonrpc: JsonRpcVersion2_0, id: RequestId, result: R },
    Error { jsonrpc: JsonRpcVersion2_0, id: RequestId, error: ErrorData },
}

impl<R> Response<R> {
    /// The response to the request with this id.
    pub(crate) fn to(id: RequestId, ended: Result<R, ErrorData>) -> Response<R> {
        let jsonrpc = JsonRpcVersion2_0;
        match ended {
            Ok(result) => Response::Result { jsonrpc, id, result },
            Err(error) => Response::Error { jsonrpc, id, error },
        }
    }
}
