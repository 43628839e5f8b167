//! `random`: random bytes, unpredictable or from the seed of the call.
//!
//! The pure part: which bytes a tool gets. The host functions are the engine's.

use serde::{Deserialize, Serialize};

use super::flag::Flag;
use super::modal::Mode;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "random";

/// Its place in requests and grants.
pub(super) const RANDOM: Flag<'static> = Flag(&[NAME]);

/// Which bytes a tool gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RandomMode {
    /// Unpredictable ones, others in each attempt.
    #[default]
    Real,
    /// Those that follow from the seed of the call, which its record has. The same in each of its attempts.
    Seeded,
}

impl Mode for RandomMode {
    const FORMS: &'static str = "the grant of random bytes is `true`, `false`, `\"real\"` or `\"seeded\"`";

    fn meet(self, other: RandomMode) -> RandomMode {
        match (self, other) {
            (RandomMode::Real, RandomMode::Real) => RandomMode::Real,
            (RandomMode::Seeded, _) | (_, RandomMode::Seeded) => RandomMode::Seeded,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::modal::ModeGrant;
    use super::*;

    #[test]
    fn a_grant_is_a_mode_or_a_boolean() {
        let grant = |value| serde_json::from_value::<ModeGrant<RandomMode>>(value);
        assert_eq!(grant(json!(true)).unwrap().mode(), Some(RandomMode::Real));
        assert_eq!(grant(json!("seeded")).unwrap().mode(), Some(RandomMode::Seeded));
        assert_eq!(grant(json!(false)).unwrap().mode(), None);
        let said = grant(json!("seed")).unwrap_err().to_string();
        assert!(said.contains("`\"seeded\"`"), "{said}");
        assert_eq!(RandomMode::Real.meet(RandomMode::Seeded), RandomMode::Seeded);
    }
}
