//! Who may call, and how callers are known.
//!
//! Owns what a registry says of callers, and what is left of it while a changed registry is being loaded: no more
//! than both the old and the new one allow. Must not know tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::caller::Rules;
use crate::caller::token::TokenDigest;
use crate::config::{ConfigFile, OauthConfig};
use airlock_types::principal::{ANONYMOUS, LOCAL, Principal};

/// What a registry's file says of callers.
pub(crate) struct Access {
    rules: BTreeMap<String, Arc<Rules>>,
    /// The rules of `local` and `anonymous` where the file has no entry for them.
    open: Arc<Rules>,
    tokens: Vec<(TokenDigest, Principal)>,
    oauth: Option<Arc<OauthConfig>>,
    allow_anonymous: bool,
}

/// What the newest file says, and what the file of the tools that are served said.
pub(crate) struct Accesses {
    /// Of the tools that are served.
    served: Arc<Access>,
    newest: Arc<Access>,
    /// Counts the files that were read.
    revision: u64,
}

impl Access {
    pub(crate) fn of(file: &ConfigFile) -> Access {
        let config = &file.config;
        let tokens = config.callers.iter().flat_map(|(name, caller)| {
            caller.tokens.iter().map(|token| (*token, Principal::named(name.get_ref())))
        });
        let rules =
            config.callers.iter().map(|(name, caller)| (name.get_ref().clone(), Arc::new(caller.rules())));
        Access {
            rules: rules.collect(),
            open: Arc::new(Rules::open()),
            tokens: tokens.collect(),
            oauth: config.oauth.as_ref().map(|oauth| Arc::new(oauth.get_ref().clone())),
            allow_anonymous: config.http.allow_anonymous,
        }
    }

    /// What both allow. A caller or a token that only one of them knows is left out.
    fn narrowed(&self, newer: &Access) -> Access {
        let named = |entry: &str| Principal::named(entry);
        // An entry for `local` narrows what it may do without one, and taking it away must not widen that yet.
        let entries = self.rules.keys().chain(newer.rules.keys());
        let both = entries.filter_map(|entry| {
            let (old, new) = (self.rules(&named(entry))?, newer.rules(&named(entry))?);
            Some((entry.clone(), Arc::new(old.narrowed(&new))))
        });
        let kept = |(token, who): &&(TokenDigest, Principal)| newer.holder(token).as_ref() == Some(who);
        Access {
            rules: both.collect(),
            open: self.open.clone(),
            tokens: self.tokens.iter().filter(kept).cloned().collect(),
            // Who a caller is may change at once: what it may do is bounded by the rules.
            oauth: self.oauth.as_ref().and(newer.oauth.clone()),
            allow_anonymous: self.allow_anonymous && newer.allow_anonymous,
        }
    }

    /// The rules of a caller; none for one whose entry is gone.
    pub(crate) fn rules(&self, who: &Principal) -> Option<Arc<Rules>> {
        self.rules.get(who.entry()).cloned().or_else(|| {
            let open = who.entry() == LOCAL || (who.entry() == ANONYMOUS && self.allow_anonymous);
            open.then(|| self.open.clone())
        })
    }

    /// Every token is looked at, so that the time says nothing about which one it was.
    pub(crate) fn holder(&self, digest: &TokenDigest) -> Option<Principal> {
        let look = |found, (token, who): &(TokenDigest, Principal)| {
            if token.same(digest) { Some(who.clone()) } else { found }
        };
        self.tokens.iter().fold(None, look)
    }

    /// Whether calls of more than one caller can come. The command line and stdio serve `local` alone.
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
        Accesses { served: access.clone(), newest: access, revision: 0 }
    }

    /// Takes note of a file that was read, whose tools are not served yet: its revision, and what holds until then.
    pub(crate) fn read(&mut self, newest: Access) -> (u64, Arc<Access>) {
        self.newest = Arc::new(newest);
        self.revision += 1;
        (self.revision, Arc::new(self.served.narrowed(&self.newest)))
    }

    /// Takes note that the tools of a file are served. When a newer one was read meanwhile, no more holds than both
    /// allow.
    pub(crate) fn serve(&mut self, access: Access, revision: u64) -> Arc<Access> {
        self.served = Arc::new(access);
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
        access.rules(&Principal::named(who)).is_some_and(|rules| rules.shows(tool))
    }

    #[test]
    fn until_its_tools_are_served_a_changed_file_takes_away_and_gives_nothing() {
        let old = [caller("dan", "*", &['1', '2']), caller("eve", "a*", &['3'])].concat();
        let new = [caller("dan", "b*", &['2', '4']), caller("fay", "*", &['5'])].concat();
        let mut accesses = Accesses::new(Arc::new(access(&old)));
        let (revision, between) = accesses.read(access(&new));
        for (byte, who) in [('1', None), ('2', Some("dan")), ('3', None), ('4', None), ('5', None)] {
            let holder = between.holder(&token(byte));
            assert_eq!(holder.as_ref().map(Principal::entry), who, "{byte}");
        }
        assert!(shows(&between, "dan", "b1") && !shows(&between, "dan", "a1"));
        assert!(!shows(&between, "eve", "a1") && !shows(&between, "fay", "a1"));
        let served = accesses.serve(access(&new), revision);
        assert!(served.holder(&token('5')).is_some() && shows(&served, "fay", "a1"));
    }

    #[test]
    fn what_was_revoked_while_an_older_file_was_loaded_stays_revoked() {
        let file = |tokens: &[char]| access(&caller("dan", "*", tokens));
        let mut accesses = Accesses::new(Arc::new(file(&['1', '2'])));
        let (first, _) = accesses.read(file(&['1', '2', '3']));
        let (second, _) = accesses.read(file(&['2', '3']));
        let served = accesses.serve(file(&['1', '2', '3']), first);
        assert!(served.holder(&token('1')).is_none() && served.holder(&token('2')).is_some());
        assert!(accesses.serve(file(&['2', '3']), second).holder(&token('3')).is_some());
    }

    #[test]
    fn an_entry_of_local_or_anonymous_that_goes_does_not_widen_at_once() {
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
