//! A capability that is granted in one of several modes: `true` for the whole of it, or a narrower one by name.
//!
//! Owns the forms of such a request and grant, and how the two meet. Must not know any mode.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::flag::Flag;
use super::{IMPLIED, Missing, Request};
use crate::difference::Difference;

/// A way to have a capability. The default is the whole of it.
pub trait Mode: Copy + Default + PartialEq + Serialize + DeserializeOwned {
    /// The forms of a grant, for the error of any other one.
    const FORMS: &'static str;

    /// ∩: what both allow.
    #[must_use]
    fn meet(self, other: Self) -> Self;
}

/// The operator's grant: whether, and in which mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ModeGrant<M> {
    /// All of it, or nothing.
    Whole(bool),
    /// In this mode.
    In(M),
}

/// The author's request: the most that the tool needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "M: Mode")]
pub struct ModeRequest<M> {
    /// The mode that suffices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: M,
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it. A tool that then uses it all the same is stopped.
    #[serde(default)]
    pub optional: bool,
}

fn is_default<M: Mode>(mode: &M) -> bool {
    *mode == M::default()
}

impl<M> Default for ModeGrant<M> {
    fn default() -> ModeGrant<M> {
        ModeGrant::Whole(false)
    }
}

impl<'de, M: Mode> Deserialize<'de> for ModeGrant<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ModeGrant<M>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, bound = "M: DeserializeOwned")]
        enum Form<M> {
            Whole(bool),
            In(M),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::Whole(is_granted)) => Ok(ModeGrant::Whole(is_granted)),
            Ok(Form::In(mode)) => Ok(ModeGrant::In(mode)),
            Err(_) => Err(D::Error::custom(M::FORMS)),
        }
    }
}

impl<M: Mode> ModeGrant<M> {
    /// The granted mode; `None` where nothing is granted.
    pub fn mode(self) -> Option<M> {
        match self {
            ModeGrant::Whole(is_granted) => is_granted.then(M::default),
            ModeGrant::In(mode) => Some(mode),
        }
    }

    /// ∩: what it leaves of a mode.
    pub(super) fn meet(self, mode: M) -> Option<M> {
        Some(self.mode()?.meet(mode))
    }

    /// ∩: what is both requested and granted.
    pub(super) fn effective(self, request: Option<&ModeRequest<M>>) -> Option<M> {
        self.meet(request?.mode)
    }
}

impl<M: Mode> ModeRequest<M> {
    /// The request of a component without a contract, inferred from its imports.
    pub(super) fn implied() -> ModeRequest<M> {
        ModeRequest { mode: M::default(), reason: IMPLIED.into(), optional: true }
    }

    fn flag(&self) -> Request {
        Request { reason: self.reason.clone(), optional: self.optional }
    }
}

/// ⊆: whether a mode shows no more than another.
pub(super) fn is_within<M: Mode>(mode: Option<M>, other: Option<M>) -> bool {
    mode.is_none_or(|mode| other.is_some_and(|other| mode.meet(other) == mode))
}

/// What was requested and not granted. A narrower mode than the requested one is the operator's choice.
pub(super) fn missing<M: Mode>(
    flag: Flag<'_>,
    request: Option<&ModeRequest<M>>,
    effective: Option<M>,
) -> Option<Missing> {
    flag.missing(request.map(ModeRequest::flag).as_ref(), effective.is_some())
}

/// What differs between two requests.
pub(super) fn differences<M: Mode>(
    flag: Flag<'_>,
    old: Option<&ModeRequest<M>>,
    new: Option<&ModeRequest<M>>,
) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        return Difference::of(flag.0, &old, &new, new.is_some()).into_iter().collect();
    };
    // Not wider only if the new mode lies within the old one.
    let is_wider = new.mode.meet(old.mode) != new.mode;
    let mode = Difference::of(&[flag.0, &["mode"]].concat(), &old.mode, &new.mode, is_wider);
    let rest = flag.differences(Some(&old.flag()), Some(&new.flag()));
    mode.into_iter().chain(rest).collect()
}
