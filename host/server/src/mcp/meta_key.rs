//! This project's keys in `_meta` of requests and results.
//!
//! Owns their common prefix. To add a key: a line.

macro_rules! keys {
    ($prefix:literal: $($(#[$doc:meta])* $name:ident = $key:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = concat!($prefix, "/", $key);)*
    };
}

keys! { "dev.airlock":
    /// Outcome code of a call.
    CODE = "code";
    /// Machine-readable facts about a failed call.
    ERROR = "error";
    /// The hold that a call waits in.
    HOLD = "hold";
    /// In a request: the caller's key, with which the same call is made once.
    IDEMPOTENCY = "idempotency_key";
    /// Where an answer comes from, with the digest of the component.
    PROVENANCE = "provenance";
    /// Id of a call's record.
    RECORD = "record";
    /// Session handle. In a request: the session to use. In a reply: the session that the host opened.
    SESSION = "session";
    /// Resources that a call used.
    USAGE = "usage";
}
