//! Measures many callers, each with a token and budgets of its own, beside one caller with as many connections.

use airlock::caller::token;
use anyhow::Result;

use super::request::{Door, Request};
use super::serving::Serving;
use super::{Subject, all_present, in_turns};
use crate::figures::HttpRow;
use crate::load::Pace;
use crate::registry::Repository;
use crate::server;

/// Callers, and connections of the one that they are compared with.
const CALLERS: u8 = 64;

/// Measures every row over `/v1` of one server.
///
/// # Errors
/// When the server does not start, or a call is not answered as expected.
pub fn measure(repository: &Repository, pace: Pace) -> Result<Vec<HttpRow>> {
    let call = server::convert();
    let (tokens, digests): (Vec<String>, Vec<_>) = (0..CALLERS + 2).map(|i| token::new([i; 32])).unzip();
    let digests: Vec<String> = digests.iter().map(ToString::to_string).collect();
    let [free, one, many @ ..] = &digests[..] else { return Ok(Vec::new()) };
    let serving = Serving::ours(&repository.callers(free, one, many)?, &[])?;
    let request = |token: &String| Request::api(Door { port: serving.port, token: Some(token) }, &call);
    let subject = |name, token| Subject::of(name, serving.port, request(token));
    let [free, one, many @ ..] = &tokens[..] else { return Ok(Vec::new()) };
    let requests = many.iter().map(request).collect();
    let subjects = vec![
        subject("one caller", free),
        subject("one caller with budgets", one),
        Subject { requests, ..subject("64 callers, each with budgets", one) },
    ];
    all_present(in_turns(subjects, pace))
}
