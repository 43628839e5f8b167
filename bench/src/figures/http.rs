//! Figures of requests over HTTP.

use serde::{Deserialize, Serialize};

use super::Pipelined;
use crate::stats::Times;

/// Requests over HTTP to one path of a server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HttpRow {
    /// The server and the path.
    pub name: String,
    /// The server, where it is compared with others; empty for a floor.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub server: String,
    /// A short description of the server.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub what: String,
    /// Whether tools run in a sandbox and not as part of the server.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub sandbox: bool,
    /// The reason when there are no figures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub absent: Option<String>,
    /// Times of a request with one connection.
    pub one: Times,
    /// Requests a second, by the number of connections.
    pub rates: Vec<Pipelined>,
}

impl HttpRow {
    /// Requests a second with the most connections; none without figures.
    pub fn most_per_s(&self) -> Option<f64> {
        self.rates.last().map(|rate| rate.per_s)
    }
}
