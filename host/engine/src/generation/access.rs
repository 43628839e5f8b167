//! Access: which callers exist, their rules and their tokens.
//!
//! Owns what a registry states about callers, and the intersection that holds while a changed registry is being loaded:
//! only what both the old and the new file allow. Must not know tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::caller::Rules;
use crate::caller::token::TokenDigest;
use crate::config::{CallerConfig, ConfigFile, OauthConfig};
use airlock_types::caller::{ANONYMOUS, Caller, LOCAL};

/// The callers that one registry file states.
pub(crate) struct Access {
    rules: BTreeMap<String, Arc<Rules>>,
    /// The rules of `local` and `anonymous` where the file has no entry for them.
    open: Arc<Rules>,
    /// Every token digest, with the caller that holds it.
    tokens: Vec<(TokenDigest, Caller)>,
    oauth: Option<Arc<OauthConfig>>,
    allow_anonymous: bool,
}

/// The access of the newest file, and the access of the file whose tools are served.
pub(crate) struct Accesses {
    /// Of the file whose tools are served.
    served: Arc<Access>,
    newest: Arc<Access>,
    /// Number of files that were read. Tells whether a newer file was read while an older one was loading.
    revision: u64,
    /// The file whose tools are served.
    served_revision: u64,
}

impl Access {
    pub(crate) fn of(file: &ConfigFile) -> Access {
        let config = &file.config;
        let tokens = config.callers.iter().flat_map(|(name, caller)| {
            caller.tokens.iter().map(|token| (*token, Caller::named(name.get_ref())))
        });
        let rules =
            config.callers.iter().map(|(name, caller)| (name.get_ref().clone(), Arc::new(caller.rules())));
        Access {
            rules: rules.collect(),
            open: Arc::new(CallerConfig::open().rules()),
            tokens: tokens.collect(),
            oauth: config.oauth.as_ref().map(|oauth| Arc::new(oauth.get_ref().clone())),
            allow_anonymous: config.http.allow_anonymous,
        }
    }

    /// The access that both files allow. A caller or a token that only one of them has is left out.
    fn narrowed(&self, newer: &Access) -> Access {
        let named = |entry: &str| Caller::named(entry);
        // Entries of both: an entry for `local` restricts its defaults, and removing the entry must not lift the
        // restriction yet.
        let entries = self.rules.keys().chain(newer.rules.keys());
        let both = entries.filter_map(|entry| {
            let (old, new) = (self.rules(&named(entry))?, newer.rules(&named(entry))?);
            Some((entry.clone(), Arc::new(old.narrowed(&new))))
        });
        // A token that moved to another caller is revoked, too, until the new tools are served.
        let kept = |(token, who): &&(TokenDigest, Caller)| newer.holder(token).as_ref() == Some(who);
        Access {
            rules: both.collect(),
            open: self.open.clone(),
            tokens: self.tokens.iter().filter(kept).cloned().collect(),
            // The newer settings, if both files use OAuth: they define who a caller is. What it may do is bounded by
            // the rules.
            oauth: self.oauth.as_ref().and(newer.oauth.clone()),
            allow_anonymous: self.allow_anonymous && newer.allow_anonymous,
        }
    }

    /// The rules of a caller. `None` when the caller has no entry and needs one.
    pub(crate) fn rules(&self, who: &Caller) -> Option<Arc<Rules>> {
        self.rules.get(who.entry()).cloned().or_else(|| {
            let open = who.entry() == LOCAL || (who.entry() == ANONYMOUS && self.allow_anonymous);
            // `local` always has defaults; `anonymous` only while the setting allows it.
            open.then(|| self.open.clone())
        })
    }

    /// The caller that holds a token. Compares with every token, so that the time does not tell which one matched.
    pub(crate) fn holder(&self, digest: &TokenDigest) -> Option<Caller> {
        let look = |found, (token, who): &(TokenDigest, Caller)| {
            if token.same(digest) { Some(who.clone()) } else { found }
        };
        self.tokens.iter().fold(None, look)
    }

    /// Whether calls of more than one caller are possible. The command line and stdio serve `local` alone.
    pub(crate) fn has_several_callers(&self) -> bool {
        let named = self.rules.keys().filter(|entry| ![LOCAL, ANONYMOUS].contains(&entry.as_str())).count();
        self.oauth.is_some() || named + usize::from(self.allow_anonymous) > 1
    }

    pub(crate) fn oauth(&self) -> Option<&Arc<OauthConfig>> {
        self.oauth.as_ref()
    }

    pub(crate) fn allows_anonymous(&self) -> bool {
        self.allow_anonymous
    }
}

impl Accesses {
    pub(crate) fn new(access: Arc<Access>) -> Accesses {
        Accesses { served: access.clone(), newest: access, revision: 0, served_revision: 0 }
    }

    /// Notes a file that was read, whose tools are not served yet. Returns its revision and the access that holds until
    /// then.
    pub(crate) fn read(&mut self, newest: Access) -> (u64, Arc<Access>) {
        self.newest = Arc::new(newest);
        self.revision += 1;
        (self.revision, Arc::new(self.served.narrowed(&self.newest)))
    }

    /// Whether the newest file is this one, and its tools are served.
    pub(crate) fn is_served(&self, revision: u64) -> bool {
        self.revision == revision && self.served_revision == revision
    }

    /// Notes that the tools of a file are served, and returns the access that holds now. If a newer file was read
    /// meanwhile, only what both allow holds.
    pub(crate) fn serve(&mut self, access: Access, revision: u64) -> Arc<Access> {
        (self.served, self.served_revision) = (Arc::new(access), revision);
        // Otherwise a newer file was read while this one loaded, and what that file revokes must stay revoked.
        if revision == self.revision {
            self.served.clone()
        } else {
            Arc::new(self.served.narrowed(&self.newest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(text: &str) -> Access {
        Access::of(&ConfigFile::parse(text, "a.toml".as_ref()).unwrap())
    }

    fn digest(byte: char) -> String {
        format!("sha256:{}", byte.to_string().repeat(64))
    }

    fn token(byte: char) -> TokenDigest {
        serde_json::from_value(digest(byte).into()).unwrap()
    }

    fn caller(name: &str, tools: &str, tokens: &[char]) -> String {
        let tokens: Vec<String> = tokens.iter().map(|byte| format!("\"{}\"", digest(*byte))).collect();
        format!("[callers.{name}]\ntools = [\"{tools}\"]\ntokens = [{}]\n", tokens.join(", "))
    }

    fn shows(access: &Access, who: &str, tool: &str) -> bool {
        access.rules(&Caller::named(who)).is_some_and(|rules| rules.shows(tool))
    }

    #[test]
    fn a_changed_file_only_revokes_until_its_tools_are_served() {
        let old = [caller("dan", "*", &['1', '2']), caller("eve", "a*", &['3'])].concat();
        let new = [caller("dan", "b*", &['2', '4']), caller("fay", "*", &['5'])].concat();
        let mut accesses = Accesses::new(Arc::new(access(&old)));
        let (revision, between) = accesses.read(access(&new));
        for (byte, who) in [('1', None), ('2', Some("dan")), ('3', None), ('4', None), ('5', None)] {
            let holder = between.holder(&token(byte));
            assert_eq!(holder.as_ref().map(Caller::entry), who, "{byte}");
        }
        assert!(shows(&between, "dan", "b1") && !shows(&between, "dan", "a1"));
        assert!(!shows(&between, "eve", "a1") && !shows(&between, "fay", "a1"));
        let served = accesses.serve(access(&new), revision);
        assert!(served.holder(&token('5')).is_some() && shows(&served, "fay", "a1"));
    }

    #[test]
    fn a_token_revoked_while_an_older_file_loads_stays_revoked() {
        let file = |tokens: &[char]| access(&caller("dan", "*", tokens));
        let mut accesses = Accesses::new(Arc::new(file(&['1', '2'])));
        let (first, _) = accesses.read(file(&['1', '2', '3']));
        let (second, _) = accesses.read(file(&['2', '3']));
        let served = accesses.serve(file(&['1', '2', '3']), first);
        assert!(served.holder(&token('1')).is_none() && served.holder(&token('2')).is_some());
        assert!(accesses.serve(file(&['2', '3']), second).holder(&token('3')).is_some());
    }

    #[test]
    fn removing_an_entry_of_local_or_anonymous_widens_nothing_at_once() {
        let open = "[http]\nallow_anonymous = true\n";
        let some = format!("{open}[callers.anonymous]\ntools = [\"a\"]\n[callers.local]\ntools = [\"a\"]\n");
        for (old, new) in [(some.as_str(), open), (open, some.as_str())] {
            let between = access(old).narrowed(&access(new));
            for who in [LOCAL, ANONYMOUS] {
                assert!(shows(&between, who, "a") && !shows(&between, who, "b"), "{who}");
            }
        }
        let closed = access(open).narrowed(&access(""));
        assert!(!shows(&closed, ANONYMOUS, "a") && shows(&closed, LOCAL, "a"));
    }
}
