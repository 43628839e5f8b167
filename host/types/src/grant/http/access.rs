//! What a tool gets of a grant.

use serde::Serialize;

use super::HttpGrant;
use crate::effect::Effect;

/// A grant, narrowed to one request of the author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpAccess {
    /// Place of the grant in the registry's list. All accesses of one grant share its bounds, or an author could
    /// multiply them by asking several times.
    pub grant: usize,
    /// Whether it is tried by a grant of `report`, and would be denied without.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_tried: bool,
    /// What is allowed.
    pub allowed: HttpGrant,
}

/// The strongest effect that a list of accesses makes possible.
pub fn effect(accesses: &[HttpAccess]) -> Effect {
    accesses.iter().map(|access| access.allowed.effect()).max().unwrap_or(Effect::Pure)
}
