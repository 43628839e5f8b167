//! A use of a capability that was refused, as the place that refused it knows it.
//!
//! Owns the reasons, and the words that an agent reads: a kind, and never what exists. Must not know the registry: policy
//! adds the rule and the grant that would help.

use super::Asked;
use super::http::GuestHeader;

/// A use that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for.
    pub asked: Asked,
    /// The reason.
    pub why: Why,
}

/// Why a use was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No grant has the host, folder, bucket or key.
    NotGranted,
    /// A grant has the host or the folder, and not this use of it.
    Beyond,
    /// The host has an address that is not public, and no grant has it.
    Address,
    /// A grant has the request, and not this header of it.
    Header(GuestHeader),
    /// A bound of the grant is reached: its setting, and the least value that would suffice, where that is known.
    Bound(&'static str, Option<u64>),
    /// The tool counts as one that changes nothing.
    ReadsOnly,
    /// No grant allows it: a path that leaves its folder.
    Never,
    /// The grant has it for each session, and the call has none.
    NoSession,
    /// The grant has it for each caller, and the call came without credentials.
    NoCaller,
}

/// What helps against refusals, as an agent needs to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Help {
    /// Another grant, which is the operator's to give.
    #[default]
    Operator,
    /// Less of what is kept already.
    Room,
    /// A session.
    Session,
    /// Credentials of a caller.
    Credentials,
}

impl Help {
    /// What helps against all of these refusals. Where they differ, that is the operator.
    pub fn against(refused: &[Refused]) -> Help {
        let mut all = refused.iter().map(Refused::help);
        let first = all.next().unwrap_or_default();
        if all.all(|other| other == first) { first } else { Help::Operator }
    }
}

impl Refused {
    fn help(&self) -> Help {
        match (&self.asked, self.why) {
            (Asked::Keyvalue(_), Why::Bound("keys_max" | "bytes_max", _)) => Help::Room,
            (_, Why::NoSession) => Help::Session,
            (_, Why::NoCaller) => Help::Credentials,
            _ => Help::Operator,
        }
    }

    /// The kind of the refusal, for an agent: what exists beside what was asked for is not named.
    pub fn kind(&self) -> String {
        let Refused { asked, why } = self;
        let name = asked.capability();
        match (asked, why) {
            (Asked::Keyvalue(_), Why::Bound("keys_max" | "bytes_max", _)) => {
                "what keyvalue keeps already has the size that is granted".to_owned()
            }
            (Asked::Keyvalue(_), Why::Bound("spaces_max", _)) => {
                "keyvalue for one more caller or session is not granted".to_owned()
            }
            (Asked::Keyvalue(_), Why::Bound(..)) => {
                "keyvalue with values of that size is not granted".to_owned()
            }
            (Asked::Files(..), Why::Bound("file_bytes_max", _)) => {
                "files of that size are not granted".to_owned()
            }
            (_, Why::NoSession) => format!("{name} is granted for each session, and this call has none"),
            (_, Why::NoCaller) => {
                format!("{name} is granted for each caller, and this call came without credentials")
            }
            (_, Why::Bound(..)) => format!("more {name} in one call is not granted"),
            (_, Why::Header(header)) => format!("{name} with the header {} is not granted", header.as_str()),
            (_, Why::ReadsOnly) => {
                format!("{name} that changes something is not allowed to a tool that only reads")
            }
            (Asked::Http(..), Why::NotGranted) => "http to that host is not granted".to_owned(),
            (Asked::Http(..), Why::Address) => "http to the address of that host is not granted".to_owned(),
            (Asked::Http(..), Why::Beyond | Why::Never) => {
                "http of that kind to that host is not granted".to_owned()
            }
            (Asked::Files(..), Why::NotGranted) => "files are not granted".to_owned(),
            (Asked::Files(..), Why::Beyond | Why::Address) => "writing files there is not granted".to_owned(),
            (Asked::Files(..), Why::Never) => {
                "files outside of the granted folders are not granted".to_owned()
            }
            (Asked::Keyvalue(_), _) => "keyvalue with that bucket is not granted".to_owned(),
            (Asked::Config(_), _) => "config with that key is not granted".to_owned(),
            (Asked::Env(_), _) => "env with that name is not granted".to_owned(),
            (Asked::Clock | Asked::Random | Asked::Custom(_), _) => format!("{name} is not granted"),
        }
    }
}
