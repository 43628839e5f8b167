//! Figures of wrong arguments and of many callers.

use serde::{Deserialize, Serialize};

use super::HttpRow;
use crate::stats::Times;

/// What calls at the edges cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edges {
    /// Wrong arguments, by their form and size.
    pub refused: Vec<Refused>,
    /// One caller, and many with tokens and budgets of their own, over `/v1`.
    pub callers: Vec<HttpRow>,
}

/// Calls with wrong arguments, beside calls of the same tool with right ones of the same size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// What is wrong.
    pub form: String,
    /// Bytes of the arguments.
    pub bytes: usize,
    /// Calls with right arguments, which the tool answers.
    pub right: Times,
    /// Calls with wrong arguments, which are answered with every violation.
    pub wrong: Times,
    /// `wrong` as a multiple of `right`: the median, over the rounds, of the ratio of medians.
    pub ratio: f64,
    /// The same for parsing and validation alone, without a call.
    pub alone_ratio: f64,
}
