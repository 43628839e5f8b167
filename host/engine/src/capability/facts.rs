//! The static facts of a capability.
//!
//! Owns the form of the facts and the match of an import's name against them. The values are in `Capability::facts` and
//! in the providers of embedding programs.

use airlock_types::effect::Effect;
use airlock_types::grant::custom;

/// The facts of a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The name in registries, contracts, records and replies.
    pub name: &'static str,
    /// The interfaces that it owns, without their versions: `wasi:clocks/wall-clock`.
    pub interfaces: &'static [&'static str],
    /// The versions of these interfaces that the capability owns.
    pub versions: Versions,
    /// Whether it needs a grant, and under which setting.
    pub granting: Granting,
    /// The strongest effect on the world that it makes possible when it is granted.
    pub effect: Effect,
    /// Whether it reaches beyond this host, to what other parties change: MCP's `openWorldHint`.
    pub is_open_world: bool,
    /// What a tool does with it, for a reviewer: `reads the time and waits`.
    pub reach: &'static str,
}

/// Which versions of an interface a capability owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Version 0.2 with any patch. WASI imports name a version, and another minor version is another interface.
    Wasi02,
    /// These versions and no other: drafts, each of which is an interface of its own.
    Exact(&'static [&'static str]),
    /// Any version, or none.
    Any,
}

/// Whether a capability needs a grant, and under which setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granting {
    /// No grant needed: it reaches nothing beyond the call.
    Always,
    /// The operator grants it by `grants.NAME`.
    Setting,
    /// The operator grants it by `grants.custom.NAME`.
    CustomSetting,
}

impl Facts {
    /// A capability that an embedding program adds. It counts as open to the world until [`Facts::closed_world`] says
    /// otherwise. The name consists of lower-case letters, digits, `-` and `_`; `effect` is the strongest that it makes
    /// possible; `reach` says what a tool does with it: `sends mail`.
    pub const fn custom(
        name: &'static str,
        interfaces: &'static [&'static str],
        effect: Effect,
        reach: &'static str,
    ) -> Facts {
        let (versions, granting) = (Versions::Any, Granting::CustomSetting);
        Facts { name, interfaces, versions, granting, effect, is_open_world: true, reach }
    }

    /// The same facts, for a capability that stays within this host.
    #[must_use]
    pub const fn closed_world(self) -> Facts {
        Facts { is_open_world: false, ..self }
    }

    /// The facts of a capability that every component has.
    pub(super) const fn always(
        name: &'static str,
        interfaces: &'static [&'static str],
        versions: Versions,
    ) -> Facts {
        let (granting, effect) = (Granting::Always, Effect::Pure);
        Facts { name, interfaces, versions, granting, effect, is_open_world: false, reach: "reaches nothing" }
    }

    /// A capability of WASI 0.2 within this host that the operator grants by `grants.NAME`.
    pub(super) const fn granted(
        name: &'static str,
        interfaces: &'static [&'static str],
        effect: Effect,
    ) -> Facts {
        let (versions, granting) = (Versions::Wasi02, Granting::Setting);
        Facts { name, interfaces, versions, granting, effect, is_open_world: false, reach: "" }
    }

    /// Whether the capability owns an import of this name.
    pub fn owns(&self, import: &str) -> bool {
        let (name, version) = import.split_once('@').map_or((import, None), |(name, of)| (name, Some(of)));
        let known = match self.versions {
            Versions::Any => true,
            Versions::Wasi02 => version.is_some_and(is_wasi_02),
            Versions::Exact(known) => version.is_some_and(|version| known.contains(&version)),
        };
        known && self.interfaces.contains(&name)
    }

    /// What a component that imports the capability needs, as text for a reviewer.
    pub fn standing(&self) -> String {
        let Facts { name, reach, .. } = self;
        match self.granting {
            Granting::Always => format!("always there, {reach}"),
            Granting::Setting => format!("needs `grants.{name}`: {reach}"),
            Granting::CustomSetting => format!("needs `grants.{}.{name}`: {reach}", custom::TABLE),
        }
    }
}

/// Matches `0.2.PATCH`, the versions that the engine's library links. A pre-release such as `0.2.0-rc` is another
/// interface.
fn is_wasi_02(version: &str) -> bool {
    version.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u64>().is_ok())
}

/// The name of an import without its version.
pub(super) fn interface(import: &str) -> &str {
    import.split_once('@').map_or(import, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Facts = Facts::always("clock", &["wasi:clocks/wall-clock"], Versions::Wasi02);
    const OUTBOX: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

    #[test]
    fn wasi_is_owned_in_the_versions_that_the_engine_has() {
        for version in ["0.2.0", "0.2.9", "0.2.12"] {
            assert!(CLOCK.owns(&format!("wasi:clocks/wall-clock@{version}")), "{version}");
        }
        for other in ["", "@0.3.0", "@0.2", "@0.2.0-rc", "@1.2.0", "-two@0.2.0"] {
            assert!(!CLOCK.owns(&format!("wasi:clocks/wall-clock{other}")), "{other}");
        }
    }

    #[test]
    fn of_drafts_only_the_known_ones_are_owned() {
        let drafts = Versions::Exact(&["0.2.0-draft", "0.2.0-draft2"]);
        let store = Facts::always("keyvalue", &["wasi:keyvalue/store"], drafts);
        assert!(
            store.owns("wasi:keyvalue/store@0.2.0-draft") && store.owns("wasi:keyvalue/store@0.2.0-draft2")
        );
        for other in ["", "@0.2.0", "@0.2.0-draft3", "@0.2.0-dra"] {
            assert!(!store.owns(&format!("wasi:keyvalue/store{other}")), "{other}");
        }
    }

    #[test]
    fn a_custom_interface_is_owned_in_every_version() {
        for name in ["example:mail/outbox", "example:mail/outbox@1.0.0"] {
            assert!(OUTBOX.owns(name), "{name}");
        }
        assert!(!OUTBOX.owns("example:mail/inbox"));
        assert_eq!(OUTBOX.standing(), "needs `grants.custom.outbox`: sends mail");
    }
}
