//! What one attempt may do with pairs: whose they are, and what it used.
//!
//! Everything that is read or changed passes `State::read_pairs` or `State::change_pairs` here. A change is an effect: it leaves
//! through the gate of the attempt before it is made. Must not know the functions of the drafts.

use std::sync::Arc;

use airlock_journal::keyvalue::{Bucket, KeyValue, KeyValueError, Pair, Quota, Space};
use airlock_types::caller::Caller;
use airlock_types::effect::Effect;
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::grant::keyvalue::{DEFAULT_BUCKET, NAME, Scope};
use airlock_types::grant::{Asked, KeyvalueGrant, Why};
use airlock_types::session::SessionId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::shared::Opened;
use super::types::Error;
use crate::capability::noted::{name, whole};
use crate::capability::{Capability, Dispatched, State};
use crate::tape::{Asked as Taped, Kind};

/// For whom a call keeps pairs, and what its changes are.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    /// `None` for a call that has no space of its own under the scope of the grant.
    space: Option<Space>,
    /// The effect of a change.
    effect: Effect,
}

impl Keeper {
    /// `tool` is the key of the tool's entry in the registry: its functions share their pairs. `class` is the effect class
    /// of the called function.
    pub(crate) fn new(
        scope: Scope,
        (tool, class): (&str, Effect),
        caller: &Caller,
        session: Option<&SessionId>,
    ) -> Keeper {
        let space = |caller: String, session: &str| Space {
            tool: tool.to_owned(),
            caller,
            session: session.to_owned(),
        };
        let space = match scope {
            Scope::Tool => Some(space(String::new(), "")),
            // Those without credentials are strangers to each other, and share nothing that one of them said.
            Scope::Caller => (!caller.is_anonymous()).then(|| space(caller.to_string(), "")),
            // A session is unguessable, so this holds for strangers, too. Without one, nothing could ever be read again.
            Scope::Session => session.map(|session| space(caller.to_string(), session)),
        };
        // Only the author or the operator knows that a change may be made twice.
        let effect = if class == Effect::Idempotent { Effect::Idempotent } else { Effect::Write };
        Keeper { space, effect }
    }
}

/// What an attempt did with pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) keys_read: u64,
    pub(crate) keys_written: u64,
    pub(crate) value_bytes_read: u64,
    pub(crate) value_bytes_written: u64,
}

impl KeyUsage {
    /// Counts keys that were looked up.
    pub(super) fn read<'p>(&mut self, found: impl Iterator<Item = Option<&'p Pair>>) {
        for pair in found {
            self.keys_read += 1;
            self.value_bytes_read += pair.map_or(0, |pair| pair.value.len() as u64);
        }
    }

    /// Counts keys that were set or removed, with the bytes of their values.
    pub(super) fn wrote(&mut self, keys: u64, bytes: u64) {
        self.keys_written += keys;
        self.value_bytes_written += bytes;
    }
}

/// The pairs of one attempt.
pub(crate) struct Kept {
    opened: Arc<Opened>,
    grant: Arc<KeyvalueGrant>,
    keeper: Option<Keeper>,
    environment: SharedEnvironment,
    usage: KeyUsage,
    /// Whether the log has a fault of the store already, which each operation would repeat.
    is_reported: bool,
}

impl Kept {
    pub(crate) fn new(
        opened: Arc<Opened>,
        grant: Arc<KeyvalueGrant>,
        keeper: Option<Keeper>,
        environment: SharedEnvironment,
    ) -> Kept {
        Kept { opened, grant, keeper, environment, usage: KeyUsage::default(), is_reported: false }
    }

    pub(crate) fn usage(&self) -> KeyUsage {
        self.usage
    }

    /// The bucket with this identifier.
    fn bucket(&self, identifier: &str) -> Result<Bucket, Error> {
        let space =
            self.keeper.as_ref().and_then(|keeper| keeper.space.clone()).ok_or(Error::AccessDenied)?;
        let name = if identifier.is_empty() { DEFAULT_BUCKET } else { identifier };
        if !self.grant.buckets.contains(name) {
            return Err(Error::NoSuchStore);
        }
        // After the names: two processes must not meet in one session.
        let session = if space.session.is_empty() {
            String::new()
        } else {
            format!("{} {}", self.opened.host, space.session)
        };
        Ok(Bucket { space: Space { session, ..space }, name: name.to_owned() })
    }

    fn quota(&self) -> Quota {
        // Destructured without `..`, so that a bound cannot parse without being enforced.
        let KeyvalueGrant { buckets: _, scope: _, keys_max, bytes_max, value_bytes_max, spaces_max } =
            *self.grant;
        Quota { keys_max, bytes_max, value_bytes_max, spaces_max }
    }
}

/// What an operation gives, which a cassette can keep.
pub(super) trait Answer: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Answer for T {}

/// What a change gets besides its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) quota: Quota,
    pub(super) now_ms: u64,
}

impl State {
    /// Opens a bucket.
    pub(super) fn open_bucket(&mut self, identifier: &str) -> Result<Bucket, Error> {
        // In a replay it stands for the pairs that the cassette has.
        let taped = |name: String| Bucket { space: Space { tool: name.clone(), ..Space::default() }, name };
        match self.tape().ask::<Result<String, Error>>("wasi:keyvalue/store#open", Kind::Read, identifier) {
            Err(stopped) => Err(Error::Other(stopped.to_string())),
            Ok(Taped::Taped(played)) => played.answer.map(taped),
            Ok(Taped::Live(note)) => {
                let bucket = self.find_bucket(identifier);
                note.answer(&bucket.as_ref().map(|bucket| &bucket.name));
                bucket
            }
        }
    }

    fn find_bucket(&mut self, identifier: &str) -> Result<Bucket, Error> {
        let bucket = self.kept().map_or(Err(Error::AccessDenied), |kept| kept.bucket(identifier));
        let asked = Asked::Keyvalue(name(if identifier.is_empty() { DEFAULT_BUCKET } else { identifier }));
        let scope = self.kept().map(|kept| kept.grant.scope);
        match (&bucket, scope) {
            (Ok(_), _) => self.allow(asked),
            // The grant has it, and the call has no space of its own.
            (Err(Error::AccessDenied), Some(Scope::Session)) => self.refuse(asked, Why::NoSession),
            (Err(Error::AccessDenied), Some(Scope::Caller)) => self.refuse(asked, Why::NoCaller),
            (Err(_), _) => self.refuse(asked, Why::NotGranted),
        }
        bucket
    }

    /// Reads pairs. `count` is what the outcome counts as.
    pub(super) async fn read_pairs<T: Answer>(
        &mut self,
        import: &'static str,
        args: impl Serialize,
        work: impl FnOnce(&KeyValue) -> Result<T, KeyValueError> + Send + 'static,
        count: impl FnOnce(&T, &mut KeyUsage),
    ) -> Result<T, Error> {
        match self.tape().ask::<Result<T, Error>>(import, Kind::Read, args) {
            Err(stopped) => Err(Error::Other(stopped.to_string())),
            Ok(Taped::Taped(played)) => played.answer,
            Ok(Taped::Live(note)) => {
                let read = self.on_store(work, count).await;
                note.answer(&read);
                read
            }
        }
    }

    /// Runs work on the store's thread.
    async fn on_store<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&KeyValue) -> Result<T, KeyValueError> + Send + 'static,
        count: impl FnOnce(&T, &mut KeyUsage),
    ) -> Result<T, Error> {
        let kept = self.kept().ok_or(Error::AccessDenied)?;
        let opened = kept.opened.clone();
        let done = opened.clone().lane.run(move || work(&opened.store)).await;
        let done = done.unwrap_or_else(|lost| Err(KeyValueError::Broken(lost.to_string())));
        match (done, self.kept()) {
            (Ok(done), kept) => {
                if let Some(kept) = kept {
                    count(&done, &mut kept.usage);
                }
                Ok(done)
            }
            (Err(err), _) => Err(self.told(&err)),
        }
    }

    /// Changes pairs, as an effect of the attempt.
    pub(super) async fn change_pairs<T: Answer>(
        &mut self,
        import: &'static str,
        args: impl Serialize,
        work: impl FnOnce(&KeyValue, Terms) -> Result<T, KeyValueError> + Send + 'static,
        count: impl FnOnce(&T, &mut KeyUsage),
    ) -> Result<T, Error> {
        match self.tape().ask::<Result<T, Error>>(import, Kind::Effect, args) {
            Err(stopped) => Err(Error::Other(stopped.to_string())),
            Ok(Taped::Taped(played)) => played.answer,
            Ok(Taped::Live(note)) => {
                let changed = self.change_store(work, count).await;
                note.answer(&changed);
                changed
            }
        }
    }

    async fn change_store<T: Answer>(
        &mut self,
        work: impl FnOnce(&KeyValue, Terms) -> Result<T, KeyValueError> + Send + 'static,
        count: impl FnOnce(&T, &mut KeyUsage),
    ) -> Result<T, Error> {
        let kept = self.kept().ok_or(Error::AccessDenied)?;
        let terms = Terms { quota: kept.quota(), now_ms: ms(kept.environment.wall()) };
        let dispatched = self.leave().await?;
        let change = move |store: &KeyValue| {
            let done = work(store, terms);
            settle(dispatched, done.as_ref().err());
            done
        };
        self.on_store(change, count).await
    }

    /// Lets a change leave, or refuses it. The only place where a change meets the gate.
    async fn leave(&mut self) -> Result<Dispatched, Error> {
        let facts = Capability::Keyvalue.facts();
        let effect =
            self.kept().and_then(|kept| kept.keeper.as_ref()).map_or(Effect::Write, |keeper| keeper.effect);
        self.dispatch(&facts, effect).await.map_err(|_| Error::AccessDenied)
    }

    /// What a guest is told of an operation that failed.
    fn told(&mut self, err: &KeyValueError) -> Error {
        if let Some(bound) = bound(err) {
            self.refuse(whole(NAME), bound);
        }
        if let (KeyValueError::Broken(reason), Some(kept)) = (err, self.kept())
            && !std::mem::replace(&mut kept.is_reported, true)
        {
            tracing::error!("the store of `grants.keyvalue` cannot be used: {reason}");
        }
        Error::Other(err.to_string())
    }
}

/// The bound of the grant that an operation would have passed.
fn bound(err: &KeyValueError) -> Option<Why> {
    Some(match err {
        KeyValueError::Value { bytes, most: _ } => Why::Bound("value_bytes_max", Some(*bytes as u64)),
        KeyValueError::Keys(most) => Why::Bound("keys_max", most.checked_add(1)),
        KeyValueError::Bytes(_) => Why::Bound("bytes_max", None),
        KeyValueError::Spaces(most) => Why::Bound("spaces_max", most.checked_add(1)),
        KeyValueError::Key(_)
        | KeyValueError::TooMany(_)
        | KeyValueError::TooMuch(_)
        | KeyValueError::NotANumber
        | KeyValueError::Overflow
        | KeyValueError::Busy
        | KeyValueError::Broken(_)
        // Other crates see an open list of errors; clippy still names each one that would come here.
        | _ => return None,
    })
}

/// Settles a change that was made, and withdraws one that was not: a change is made as a whole or not at all. Where the store
/// failed, neither is known.
fn settle(dispatched: Dispatched, err: Option<&KeyValueError>) {
    match err {
        None => dispatched.settle(),
        Some(KeyValueError::Broken(_)) => {}
        Some(_) => dispatched.withdraw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(scope: Scope, caller: &Caller, session: Option<&str>) -> Option<(String, String)> {
        let session = session.map(str::to_owned);
        let keeper = Keeper::new(scope, ("notebook", Effect::Write), caller, session.as_ref());
        keeper.space.map(|space| (space.caller, space.session))
    }

    #[test]
    fn the_scope_says_whose_pairs_a_call_sees() {
        let (ann, stranger) = (Caller::named("ann"), Caller::named("anonymous"));
        let subject = Caller::subject("ann", "ann");
        let of = |caller: &str, session: &str| Some((caller.to_owned(), session.to_owned()));
        assert_eq!(space(Scope::Tool, &ann, Some("s")), of("", ""));
        assert_eq!(space(Scope::Tool, &stranger, None), of("", ""));
        assert_eq!(space(Scope::Caller, &ann, Some("s")), of("ann", ""));
        assert_ne!(space(Scope::Caller, &ann, None), space(Scope::Caller, &subject, None));
        assert_eq!(space(Scope::Caller, &stranger, Some("s")), None);
        assert_eq!(space(Scope::Session, &ann, Some("s")), of("ann", "s"));
        assert_eq!(space(Scope::Session, &stranger, Some("s")), of("anonymous", "s"));
        assert_eq!(space(Scope::Session, &ann, None), None);
    }

    #[test]
    fn a_change_may_be_made_twice_only_where_the_tool_says_so() {
        let effect = |class| Keeper::new(Scope::Tool, ("t", class), &Caller::local(), None).effect;
        assert_eq!(effect(Effect::Idempotent), Effect::Idempotent);
        for class in [Effect::Pure, Effect::Read, Effect::Write, Effect::Irreversible] {
            assert_eq!(effect(class), Effect::Write);
        }
    }
}
