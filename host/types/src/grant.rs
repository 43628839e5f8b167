//! What a tool asks for, what the operator grants, and what comes of both.
//!
//! Owns the intersection: effective = requested ∩ granted, with a reason for each thing that is missing.
//! Must not know how a capability is linked, and does no I/O. To add a capability: a field in [`Requests`],
//! [`Grants`] and [`Effective`], then follow the compiler; and a file under `capability/`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;

/// What the author asks for, each with a reason that a reviewer reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilesRequest>,
    /// The clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Request>,
    /// Unpredictable bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<Request>,
}

/// A request that has no parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool can do without: it runs, and is ended when it reaches for it all the same.
    #[serde(default)]
    pub optional: bool,
}

/// A request for a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// Where the guest wants to see it.
    pub path: String,
    /// How it is to be used.
    #[serde(default)]
    pub access: Access,
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool can do without.
    #[serde(default)]
    pub optional: bool,
}

/// How a folder may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading only.
    #[default]
    Read,
}

/// What the operator grants to a tool; nothing unless said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Folders.
    #[serde(default)]
    pub files: Vec<FilesGrant>,
    /// The clocks: wall and monotonic, sleeping included.
    #[serde(default)]
    pub clock: bool,
    /// Unpredictable bytes.
    #[serde(default)]
    pub random: bool,
}

/// A folder of the host's, shown to a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesGrant {
    /// The host's folder; a relative one is relative to the registry's file.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: String,
    /// How it may be used.
    #[serde(default)]
    pub access: Access,
}

/// Requested ∩ granted: what an attempt really gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Folders.
    pub files: Vec<FilesGrant>,
    /// The clocks.
    pub clock: bool,
    /// Unpredictable bytes.
    pub random: bool,
}

/// Something that was asked for and not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The capability, as it is written in a registry: `files`.
    pub capability: String,
    /// What was asked for: `/data (read)`.
    pub asked: String,
    /// The author's reason.
    pub reason: String,
    /// The line that would grant it.
    pub grant: String,
    /// Whether the tool can do without.
    pub optional: bool,
}

impl Effective {
    /// The capabilities that a tool gets something of, as they are written in a registry.
    pub fn granted(&self) -> impl Iterator<Item = &'static str> {
        let Effective { files, clock, random } = self;
        let all = [("files", !files.is_empty()), ("clock", *clock), ("random", *random)];
        all.into_iter().filter_map(|(capability, is_granted)| is_granted.then_some(capability))
    }

    /// The intersection, and what the author asked for in vain.
    pub fn of(requests: &Requests, grants: &Grants) -> (Effective, Vec<Missing>) {
        let Requests { files, clock, random } = requests;
        let mut missing = Vec::new();
        let effective = Effective {
            files: grants
                .files
                .iter()
                .filter(|grant| files.iter().any(|r| covers(r, grant)))
                .cloned()
                .collect(),
            clock: grants.clock && clock.is_some(),
            random: grants.random && random.is_some(),
        };
        for request in files {
            if !effective.files.iter().any(|grant| covers(request, grant)) {
                missing.push(Missing {
                    capability: "files".into(),
                    asked: format!("{} (read)", request.path),
                    reason: request.reason.clone(),
                    grant: format!("grants.files = [{{ host = \"…\", guest = \"{}\" }}]", request.path),
                    optional: request.optional,
                });
            }
        }
        let mut plain = |name: &str, request: &Option<Request>, granted: bool| {
            if let (Some(request), false) = (request, granted) {
                missing.push(Missing {
                    capability: name.into(),
                    asked: name.into(),
                    reason: request.reason.clone(),
                    grant: format!("grants.{name} = true"),
                    optional: request.optional,
                });
            }
        };
        plain("clock", clock, effective.clock);
        plain("random", random, effective.random);
        (effective, missing)
    }

    /// The strongest effect that these capabilities make possible.
    pub fn effect(&self) -> Effect {
        let Effective { files, clock, random } = self;
        if files.is_empty() && !clock && !random { Effect::Pure } else { Effect::Read }
    }
}

/// Whether a grant lies within what was asked for: the same folder, or one below it.
fn covers(request: &FilesRequest, grant: &FilesGrant) -> bool {
    let asked = request.path.trim_end_matches('/');
    let rest = grant.guest.trim_end_matches('/').strip_prefix(asked);
    request.access == grant.access && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(guest: &str) -> Grants {
        let grant = FilesGrant { host: "data".into(), guest: guest.into(), access: Access::Read };
        Grants { files: vec![grant], clock: true, random: false }
    }

    fn asks_for_data() -> Requests {
        let request = FilesRequest {
            path: "/data".into(),
            access: Access::Read,
            reason: "figures".into(),
            optional: false,
        };
        Requests { files: vec![request], ..Requests::default() }
    }

    #[test]
    fn grants_only_what_was_asked_for() {
        let (effective, missing) = Effective::of(&asks_for_data(), &files("/data"));
        assert_eq!(effective.files.len(), 1);
        assert!(!effective.clock, "granted, but never asked for");
        assert!(missing.is_empty());
    }

    #[test]
    fn says_what_is_missing_and_how_to_grant_it() {
        let (effective, missing) = Effective::of(&asks_for_data(), &files("/database"));
        assert!(effective.files.is_empty());
        assert_eq!(missing[0].grant, "grants.files = [{ host = \"…\", guest = \"/data\" }]");
    }
}
