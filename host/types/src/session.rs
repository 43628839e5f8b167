//! How a call names its session.
//!
//! Owns the keys, and the header and value with which transports name them. Must not know what a session remembers.

/// The session that a call says it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionKey {
    /// None: the call is its own session.
    #[default]
    None,
    /// Open a new session, and return its handle in the reply.
    New,
    /// A handle that the host minted.
    Handle(String),
    /// A session that a transport holds open: the stdio process, or a session of the legacy protocol.
    Transport(String),
}

/// Value in place of a handle that opens a new session.
pub const NEW_SESSION: &str = "new";

/// The header of a session's handle.
pub const SESSION_HEADER: &str = "airlock-session";

/// How a caller opens a session, for messages.
pub const OPEN_A_SESSION: &str =
    "open a session: `new` as the header `Airlock-Session`, or as `dev.airlock/session` in `_meta`";

impl SessionKey {
    /// Reads the value that a caller gave as its handle.
    pub fn parse(text: &str) -> SessionKey {
        // No handle is rejected here: whether a session exists is checked later, together with its caller.
        if text == NEW_SESSION { SessionKey::New } else { SessionKey::Handle(text.to_owned()) }
    }
}

impl SessionKey {
    /// What names the session, once it is open.
    pub fn id(&self) -> Option<&str> {
        match self {
            SessionKey::Handle(id) | SessionKey::Transport(id) => Some(id),
            SessionKey::None | SessionKey::New => None,
        }
    }

    /// Whether the caller knows the session by a handle.
    pub fn has_handle(&self) -> bool {
        matches!(self, SessionKey::New | SessionKey::Handle(_))
    }
}

/// What names a session: its handle, or the transport's key.
pub type SessionId = String;
