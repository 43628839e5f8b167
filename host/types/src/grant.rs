//! What a tool asks for, what the operator grants, and what an attempt gets: effective = requested ∩ granted.
//!
//! Owns the three tables and the reason for each request that is not granted. A file per capability has its request,
//! its grant, their intersection, and what differs between two requests. Must not know how a capability is linked, and
//! does no I/O. To add a capability: a file here, a field in [`Requests`], [`Grants`] and [`Effective`], which the
//! compiler then follows through this file; and the file of the same name under the engine's `capability/`.

mod asked;
pub mod clock;
pub mod custom;
mod denial;
mod entries;
pub mod files;
mod flag;
pub mod http;
pub mod keyvalue;
mod lattice;
pub mod modal;
pub mod narrowing;
pub mod random;
mod refused;
mod requested;
pub mod values;
mod written;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::difference::Difference;
use crate::text::clean;
pub use asked::{Asked, NotAsked};
use clock::{CLOCK, ClockMode};
pub use custom::{CustomGrants, CustomRequests};
pub use denial::{Denial, Lack};
pub use entries::Entries;
pub use files::{Access, FilesGrant, FilesRequest, WriteBounds};
pub use flag::Request;
pub use http::{HttpAccess, HttpGrant, HttpRequest};
pub use keyvalue::{KeyvalueGrant, KeyvalueRequest};
pub use lattice::{Change, Turn};
pub use modal::{ModeGrant, ModeRequest};
pub use narrowing::Narrowing;
use random::{RANDOM, RandomMode};
pub use refused::{Help, Refused, Why};
pub use requested::RequestProblem;
pub use values::{ValueRequest, Values};
pub use written::{FOLDER, VALUE, key as text_key, quoted as text_line};

/// The reason of requests that are read from a component's imports.
const IMPLIED: &str = "its imports";

/// What the author asks for, each with a reason that a reviewer reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilesRequest>,
    /// Hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRequest>,
    /// Pairs of keys and values that it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyvalue: Option<KeyvalueRequest>,
    /// Values of the operator, by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<ValueRequest>,
    /// Variables of the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<ValueRequest>,
    /// The clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ModeRequest<ClockMode>>,
    /// Random bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<ModeRequest<RandomMode>>,
    /// Capabilities that the embedding program adds.
    #[serde(default, skip_serializing_if = "CustomRequests::is_empty")]
    pub custom: CustomRequests,
}

/// What the operator grants to a tool. Everything that is not named is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Folders.
    #[serde(default)]
    pub files: Vec<FilesGrant>,
    /// Hosts.
    #[serde(default)]
    pub http: Vec<HttpGrant>,
    /// Pairs of keys and values that it keeps.
    #[serde(default)]
    pub keyvalue: Option<KeyvalueGrant>,
    /// Values by key.
    #[serde(default)]
    pub config: Values,
    /// Variables of the environment, by name. Nothing of the host's own environment is added.
    #[serde(default)]
    pub env: Values,
    /// The clocks: wall and monotonic, sleeping included.
    #[serde(default)]
    pub clock: ModeGrant<ClockMode>,
    /// Random bytes.
    #[serde(default)]
    pub random: ModeGrant<RandomMode>,
    /// Capabilities that the embedding program adds.
    #[serde(default)]
    pub custom: CustomGrants,
}

/// Requested ∩ granted: what an attempt gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Folders.
    pub files: Vec<FilesGrant>,
    /// Hosts. Shared, since each attempt of a tool holds the list.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub http: Arc<[HttpAccess]>,
    /// Pairs of keys and values that it keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyvalue: Option<Arc<KeyvalueGrant>>,
    /// Values by key.
    #[serde(skip_serializing_if = "values::is_empty")]
    pub config: Arc<Values>,
    /// Variables of the environment.
    #[serde(skip_serializing_if = "values::is_empty")]
    pub env: Arc<Values>,
    /// The clocks.
    pub clock: Option<ClockMode>,
    /// Random bytes.
    pub random: Option<RandomMode>,
    /// Capabilities that the embedding program adds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub custom: BTreeSet<String>,
}

/// Something that was requested and not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The capability's name: `files`.
    pub capability: String,
    /// What was asked for: `/data (read)`.
    pub asked: String,
    /// The author's reason.
    pub reason: String,
    /// The line that would grant it.
    pub grant: String,
    /// Whether the tool runs without it.
    pub optional: bool,
}

/// A grant that is invalid on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantProblem {
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub hint: &'static str,
}

impl Grants {
    /// All problems of the grants that can be found without access to this machine.
    pub fn problems(&self) -> Vec<GrantProblem> {
        // Destructured without `..`, here and below: a new capability does not compile until each function treats it.
        let Grants { files, http, keyvalue, config, env, clock: _, random: _, custom: _ } = self;
        let files = files.iter().filter_map(FilesGrant::problem).chain(files::twice(files));
        let values = [values::problem(values::CONFIG, config), values::problem(values::ENV, env)];
        files
            .chain(http.iter().filter_map(HttpGrant::problem))
            .chain(keyvalue.iter().filter_map(KeyvalueGrant::problem))
            .chain(values.into_iter().flatten())
            .collect()
    }
}

impl Requests {
    /// The requests of a component without a contract: every granted capability that its imports can use. `imports`
    /// returns whether it imports an interface of the capability with this name.
    pub fn implied(imports: impl Fn(&str) -> bool, grants: &Grants) -> Requests {
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = grants;
        let named = |name, values| if imports(name) { values::implied(values) } else { Vec::new() };
        Requests {
            files: if imports(files::NAME) { files::implied(files) } else { Vec::new() },
            http: if imports(http::NAME) { http::implied(http) } else { Vec::new() },
            keyvalue: keyvalue.as_ref().filter(|_| imports(keyvalue::NAME)).map(keyvalue::implied),
            config: named(values::CONFIG, config),
            env: named(values::ENV, env),
            clock: clock.mode().filter(|_| imports(clock::NAME)).map(|_| ModeRequest::implied()),
            random: random.mode().filter(|_| imports(random::NAME)).map(|_| ModeRequest::implied()),
            custom: custom::implied(&imports, custom),
        }
    }

    /// What differs between two versions, in the order of the capabilities' names.
    pub fn differences(&self, new: &Requests) -> Vec<Difference> {
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = self;
        let mut differences = modal::differences(CLOCK, clock.as_ref(), new.clock.as_ref());
        differences.extend(values::differences(values::CONFIG, config, &new.config));
        differences.extend(custom::differences(custom, &new.custom));
        differences.extend(values::differences(values::ENV, env, &new.env));
        differences.extend(files::differences(files, &new.files));
        differences.extend(http::differences(http, &new.http));
        differences.extend(keyvalue::differences(keyvalue.as_ref(), new.keyvalue.as_ref()));
        differences.extend(modal::differences(RANDOM, random.as_ref(), new.random.as_ref()));
        differences
    }
}

impl Effective {
    /// The intersection, and the requests that are not granted.
    pub fn of(requests: &Requests, grants: &Grants) -> (Effective, Vec<Missing>) {
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = requests;
        let effective = Effective {
            files: files::effective(files, &grants.files),
            http: http::effective(http, &grants.http),
            keyvalue: keyvalue::effective(keyvalue.as_ref(), grants.keyvalue.as_ref()),
            config: values::effective(config, &grants.config),
            env: values::effective(env, &grants.env),
            // A grant alone gives nothing: a tool gets only what was also requested.
            clock: grants.clock.effective(clock.as_ref()),
            random: grants.random.effective(random.as_ref()),
            custom: custom::effective(custom, &grants.custom),
        };
        let missing = effective.missing(requests);
        (effective, missing)
    }

    /// The requests that it does not serve.
    pub fn missing(&self, requests: &Requests) -> Vec<Missing> {
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = requests;
        let mut missing = files::missing(files, &self.files);
        missing.extend(http::missing(http, &self.http));
        missing.extend(keyvalue::missing(keyvalue.as_ref(), self.keyvalue.as_deref()));
        missing.extend(values::missing(values::CONFIG, config, &self.config));
        missing.extend(values::missing(values::ENV, env, &self.env));
        missing.extend(modal::missing(CLOCK, clock.as_ref(), self.clock));
        missing.extend(modal::missing(RANDOM, random.as_ref(), self.random));
        missing.extend(custom::missing(custom, &self.custom));
        // Names and reasons are texts of the author, and are printed in lines of their own.
        let one_line = |Missing { asked, reason, capability, .. }: &mut Missing| {
            [asked, reason, capability].into_iter().for_each(|text| *text = clean(text));
        };
        missing.iter_mut().for_each(one_line);
        missing
    }

    /// The same, with what is beyond `usual` marked as tried.
    #[must_use]
    pub fn tried_beyond(mut self, usual: &Effective) -> Effective {
        let is_usual = |grant| usual.http.iter().any(|access| access.grant == grant);
        let mark = |access: &HttpAccess| HttpAccess { is_tried: !is_usual(access.grant), ..access.clone() };
        self.http = self.http.iter().map(mark).collect();
        self
    }

    /// The names of the capabilities that it has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let Effective { files, http, keyvalue, config, env, clock, random, custom } = self;
        let built_in = [
            (files::NAME, !files.is_empty()),
            (http::NAME, !http.is_empty()),
            (keyvalue::NAME, keyvalue.is_some()),
            (values::CONFIG, !config.is_empty()),
            (values::ENV, !env.is_empty()),
            (clock::NAME, clock.is_some()),
            (random::NAME, random.is_some()),
        ];
        let granted = built_in.into_iter().filter_map(|(name, granted)| granted.then_some(name));
        granted.chain(custom.iter().map(String::as_str))
    }

    /// Whether it has the capability of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|granted| granted == name)
    }
}

#[cfg(test)]
mod tests;
