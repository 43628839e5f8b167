//! Our keys in `_meta`: of requests and of results.
//!
//! Owns their prefix, which is written once. To add one: a line.

macro_rules! keys {
    ($prefix:literal: $($(#[$doc:meta])* $name:ident = $key:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = concat!($prefix, "/", $key);)*
    };
}

keys! { "dev.airlock":
    /// The outcome code of a call.
    CODE = "code";
    /// What a client's program needs to know of a call that failed.
    ERROR = "error";
    /// The id of a call's record.
    RECORD = "record";
    /// The handle of a session: of a request's, and of a reply's where the host opened one.
    SESSION = "session";
    /// What a call used.
    USAGE = "usage";
}
