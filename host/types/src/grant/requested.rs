//! Requests that no registry can serve, or that no reviewer can judge.
//!
//! Owns that a request is held against the rules of the grant that would serve it: what can be asked for is what can be given.
//! Must not know where a request is written. To add a capability: a line in [`Requests::problems`].

use std::collections::{BTreeMap, BTreeSet};

use super::http::{DOWN_BYTES_MAX, REQUESTS_MAX, UP_BYTES_MAX};
use super::{
    FilesGrant, FilesRequest, GrantProblem, HttpGrant, HttpRequest, KeyvalueGrant, KeyvalueRequest, Requests,
    ValueRequest, clock, files, http, keyvalue, random, values,
};

/// Something that is wrong with a request on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestProblem {
    /// The capability's name: `files`.
    pub capability: String,
    /// What is wrong, and how to fix it.
    pub problem: GrantProblem,
}

impl Requests {
    /// All problems of the requests.
    pub fn problems(&self) -> Vec<RequestProblem> {
        // Destructured without `..`: a new capability does not compile until its requests are looked at.
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = self;
        let mut found = Vec::new();
        let mut look = |name: &str, reason: &str, refused: Option<GrantProblem>| {
            let problems = [refused, unexplained(reason)].into_iter().flatten();
            found.extend(problems.map(|problem| RequestProblem { capability: name.to_owned(), problem }));
        };
        files.iter().for_each(|one| look(files::NAME, &one.reason, one.grant().problem()));
        http.iter().for_each(|one| look(http::NAME, &one.reason, one.grant().problem()));
        keyvalue.iter().for_each(|one| look(keyvalue::NAME, &one.reason, one.grant().problem()));
        config.iter().for_each(|one| look(values::CONFIG, &one.reason, one.problem(values::CONFIG)));
        env.iter().for_each(|one| look(values::ENV, &one.reason, one.problem(values::ENV)));
        clock.iter().for_each(|one| look(clock::NAME, &one.reason, None));
        random.iter().for_each(|one| look(random::NAME, &one.reason, None));
        custom.iter().for_each(|(name, one)| look(name, &one.reason, None));
        found
    }
}

/// A reviewer judges a request by its reason.
fn unexplained(reason: &str) -> Option<GrantProblem> {
    let message = "a request has no reason, by which a reviewer could judge it".to_owned();
    reason
        .trim()
        .is_empty()
        .then_some(GrantProblem { message, hint: "write what the tool needs it for as its `reason`" })
}

impl FilesRequest {
    fn grant(&self) -> FilesGrant {
        FilesGrant {
            host: ".".into(),
            guest: self.path.clone(),
            access: self.access,
            bytes_max: None,
            files_max: None,
            file_bytes_max: None,
        }
    }
}

impl HttpRequest {
    fn grant(&self) -> HttpGrant {
        let HttpRequest { host, scheme, port, methods, path, reason, optional: _ } = self.clone();
        HttpGrant {
            host,
            scheme,
            port,
            methods,
            path,
            requests_max: REQUESTS_MAX,
            up_bytes_max: UP_BYTES_MAX,
            down_bytes_max: DOWN_BYTES_MAX,
            headers: BTreeSet::new(),
            addresses: Vec::new(),
            secret: None,
            reason: Some(reason),
        }
    }
}

impl KeyvalueRequest {
    fn grant(&self) -> KeyvalueGrant {
        KeyvalueGrant::with_defaults(self.buckets.clone())
    }
}

impl ValueRequest {
    fn problem(&self, name: &str) -> Option<GrantProblem> {
        values::problem(name, &BTreeMap::from([(self.key.clone(), String::new())]))
    }
}
