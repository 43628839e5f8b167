//! Requests and grants as a reviewer reads them: the entries of each capability, one line each, as registries and contracts
//! write them.
//!
//! Owns that no value of the operator is shown. Lines hold texts of an author on one line, with hidden characters left out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::http::line as http_line;
use super::written::{list, quoted};
use super::{
    Access, Effective, FilesRequest, Grants, HttpRequest, KeyvalueRequest, ModeGrant, ModeRequest, Requests,
    ValueRequest, clock, files, http, keyvalue, random, values,
};
use crate::text::clean;

/// The entries of each capability, by its name.
pub type Entries = BTreeMap<String, Vec<String>>;

impl Grants {
    /// The entries, without the values of `config` and `env`.
    pub fn entries(&self) -> Entries {
        // Destructured without `..`, here and below: a new capability does not compile until it is shown.
        let Grants { files, http, keyvalue, config, env, clock, random, custom } = self;
        let built_in = [
            (files::NAME, files.iter().map(|grant| grant.line()).collect()),
            (http::NAME, http.iter().map(|grant| grant.line()).collect()),
            (keyvalue::NAME, keyvalue.iter().map(|grant| grant.line()).collect()),
            (values::CONFIG, config.keys().map(|key| clean(key)).collect()),
            (values::ENV, env.keys().map(|key| clean(key)).collect()),
            (clock::NAME, clock.mode().and_then(mode).into_iter().collect()),
            (random::NAME, random.mode().and_then(mode).into_iter().collect()),
        ];
        let granted = custom.iter().filter(|(_, granted)| **granted);
        with_custom(built_in, granted.map(|(name, _)| (name, "true".to_owned())))
    }
}

impl Effective {
    /// The grants that give exactly this.
    pub fn as_grants(&self) -> Grants {
        let Effective { files, http, keyvalue, config, env, clock, random, custom } = self;
        Grants {
            files: files.clone(),
            http: http.iter().map(|access| access.allowed.clone()).collect(),
            keyvalue: keyvalue.as_deref().cloned(),
            config: (**config).clone(),
            env: (**env).clone(),
            clock: clock.map_or_else(ModeGrant::default, ModeGrant::In),
            random: random.map_or_else(ModeGrant::default, ModeGrant::In),
            custom: custom.iter().map(|name| (name.clone(), true)).collect(),
        }
    }
}

impl Requests {
    /// The entries, each with its reason.
    pub fn entries(&self) -> Entries {
        let Requests { files, http, keyvalue, config, env, clock, random, custom } = self;
        let value =
            |ValueRequest { key, reason, optional }: &ValueRequest| told(&clean(key), reason, *optional);
        let built_in = [
            (files::NAME, files.iter().map(files_request).collect()),
            (http::NAME, http.iter().map(http_request).collect()),
            (keyvalue::NAME, keyvalue.iter().map(keyvalue_request).collect()),
            (values::CONFIG, config.iter().map(value).collect()),
            (values::ENV, env.iter().map(value).collect()),
            (clock::NAME, clock.iter().map(mode_request).collect()),
            (random::NAME, random.iter().map(mode_request).collect()),
        ];
        let custom = custom.iter();
        with_custom(
            built_in,
            custom.map(|(name, request)| (name, told("true", &request.reason, request.optional))),
        )
    }
}

fn with_custom<'n>(
    built_in: [(&str, Vec<String>); 7],
    custom: impl Iterator<Item = (&'n String, String)>,
) -> Entries {
    let built_in = built_in.into_iter().map(|(name, lines)| (name.to_owned(), lines));
    let custom = custom.map(|(name, line)| (clean(name), vec![line]));
    built_in.chain(custom).filter(|(_, lines)| !lines.is_empty()).collect()
}

/// A request with the reason of its author.
fn told(what: &str, reason: &str, is_optional: bool) -> String {
    let optional = if is_optional { "; it can do without" } else { "" };
    format!("{what} ({}{optional})", clean(reason))
}

fn mode<M: Serialize>(mode: M) -> Option<String> {
    toml::Value::try_from(mode).ok().map(|mode| mode.to_string())
}

fn mode_request<M: Serialize>(ModeRequest { mode: own, reason, optional }: &ModeRequest<M>) -> String {
    told(&mode(own).unwrap_or_default(), reason, *optional)
}

fn files_request(FilesRequest { path, access, reason, optional }: &FilesRequest) -> String {
    let access = match access {
        Access::Read => String::new(),
        Access::ReadWrite => format!(", access = {}", quoted(access.as_str())),
    };
    told(&format!("{{ path = {}{access} }}", quoted(path)), reason, *optional)
}

fn http_request(request: &HttpRequest) -> String {
    told(&http_line(&request.extent()), &request.reason, request.optional)
}

fn keyvalue_request(KeyvalueRequest { buckets, reason, optional }: &KeyvalueRequest) -> String {
    told(&format!("{{ buckets = {} }}", list(buckets)), reason, *optional)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_lines_without_values() {
        let grants: Grants = serde_json::from_value(json!({
            "http": [{"host": "a.example", "path": "/v1"}, {"host": "b.example"}],
            "config": {"key": "v4lue"},
            "clock": true,
            "random": false,
            "custom": {"mail": true, "fax": false},
        }))
        .unwrap();
        let expect = json!({
            "http": ["{ host = \"a.example\", path = \"/v1\" }", "{ host = \"b.example\" }"],
            "config": ["key"],
            "clock": ["\"real\""],
            "mail": ["true"],
        });
        assert_eq!(json!(grants.entries()), expect);
    }

    #[test]
    fn an_author_writes_no_line_of_the_report() {
        let requests: Requests = serde_json::from_value(json!({
            "files": [{"path": "/x\", access = \"read-write", "reason": "a\n\nadd (verified)\u{202e}"}],
            "custom": {"a\nb": {"reason": "c\r\nd", "optional": true}},
        }))
        .unwrap();
        let expect = json!({
            "files": ["{ path = \"/x\\\", access = \\\"read-write\" } (a  add (verified))"],
            "a b": ["true (c  d; it can do without)"],
        });
        assert_eq!(json!(requests.entries()), expect);
    }
}
