//! `clock`: the wall clock and the monotonic clock, sleeping included.
//!
//! The pure part: how much of the clocks a tool sees. The host functions are the engine's.

use serde::{Deserialize, Serialize};

use super::flag::Flag;
use super::modal::Mode;
use crate::duration;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "clock";

/// Its place in requests and grants.
pub(super) const CLOCK: Flag<'static> = Flag(&[NAME]);

/// Milliseconds of the finest clock. Finer ones allow timing attacks on other guests.
const FINEST_MS: u64 = 1;

/// Milliseconds of the coarsest clock: a day. A tool that needs no time at all is granted no clock.
const COARSEST_MS: u64 = duration::DAY_MS;

/// What a tool sees of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ClockForm", into = "ClockForm")]
pub struct ClockMode {
    /// Clocks show multiples of this.
    pub resolution: Resolution,
    /// Whether the clocks stand still at the time at which an attempt began.
    pub is_frozen: bool,
}

/// The step of a clock: `100ms`, `1s`, `5m`, `1h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resolution(u64);

/// A mode as it is written.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "a clock is \"real\", \"frozen\" or { coarse = \"1s\" }")]
enum ClockForm {
    Word(ClockWord),
    Coarse(#[serde(deserialize_with = "crate::tables::table")] Coarse),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClockWord {
    Real,
    Frozen,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Coarse {
    coarse: Resolution,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    frozen: bool,
}

impl Resolution {
    /// The finest one.
    pub const FINEST: Resolution = Resolution(FINEST_MS);

    /// Its milliseconds, at least 1.
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for Resolution {
    type Error = String;

    fn try_from(text: String) -> Result<Resolution, String> {
        let ms = duration::parse(&text).filter(|ms| (FINEST_MS..=COARSEST_MS).contains(ms));
        ms.map(Resolution).ok_or_else(|| format!("`{text}` is not a time from `1ms` to `1d`, such as `1s`"))
    }
}

impl From<Resolution> for String {
    /// In the largest unit of which it is a multiple.
    fn from(Resolution(ms): Resolution) -> String {
        duration::print(ms)
    }
}

impl Default for ClockMode {
    fn default() -> ClockMode {
        ClockMode { resolution: Resolution::FINEST, is_frozen: false }
    }
}

impl Mode for ClockMode {
    const FORMS: &'static str = "the grant of the clock is `true`, `false`, `\"real\"`, `\"frozen\"` or \
                                 `{ coarse = \"1s\" }`, with a time from `1ms` to `1d`";

    fn meet(self, other: ClockMode) -> ClockMode {
        ClockMode {
            resolution: self.resolution.max(other.resolution),
            is_frozen: self.is_frozen || other.is_frozen,
        }
    }
}

impl From<ClockForm> for ClockMode {
    fn from(form: ClockForm) -> ClockMode {
        let real = ClockMode::default();
        match form {
            ClockForm::Word(ClockWord::Real) => real,
            ClockForm::Word(ClockWord::Frozen) => ClockMode { is_frozen: true, ..real },
            ClockForm::Coarse(Coarse { coarse, frozen }) => {
                ClockMode { resolution: coarse, is_frozen: frozen }
            }
        }
    }
}

impl From<ClockMode> for ClockForm {
    fn from(ClockMode { resolution, is_frozen }: ClockMode) -> ClockForm {
        match (resolution, is_frozen) {
            (Resolution::FINEST, false) => ClockForm::Word(ClockWord::Real),
            (Resolution::FINEST, true) => ClockForm::Word(ClockWord::Frozen),
            (coarse, frozen) => ClockForm::Coarse(Coarse { coarse, frozen }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::modal::ModeGrant;
    use super::*;

    fn mode(value: serde_json::Value) -> ClockMode {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_mode_is_read_and_written_in_the_same_form() {
        for form in [
            json!("real"),
            json!("frozen"),
            json!({"coarse": "1s"}),
            json!({"coarse": "90s", "frozen": true}),
            json!({"coarse": "1d"}),
        ] {
            assert_eq!(serde_json::to_value(mode(form.clone())).unwrap(), form);
        }
        assert_eq!(mode(json!({"coarse": "60s"})), mode(json!({"coarse": "1m"})));
    }

    #[test]
    fn a_grant_is_a_mode_or_a_boolean() {
        let grant = |value| serde_json::from_value::<ModeGrant<ClockMode>>(value);
        assert_eq!(grant(json!(true)).unwrap().mode(), Some(ClockMode::default()));
        assert_eq!(grant(json!("real")).unwrap().mode(), Some(ClockMode::default()));
        assert_eq!(grant(json!(false)).unwrap().mode(), None);
        for wrong in [
            json!("slow"),
            json!(1),
            json!({}),
            json!({"coarse": "0s"}),
            json!({"coarse": "25h"}),
            json!({"coarse": "1"}),
            json!({"coarse": "s"}),
            json!({"coarse": "99999999999999999999d"}),
            json!({"coarse": "1s", "fine": true}),
        ] {
            let said = grant(wrong.clone()).unwrap_err().to_string();
            assert!(said.contains("{ coarse = \"1s\" }"), "{wrong}: {said}");
        }
    }

    #[test]
    fn the_meet_of_two_modes_shows_no_more_than_each() {
        let (real, frozen) = (mode(json!("real")), mode(json!("frozen")));
        let (second, hour) = (mode(json!({"coarse": "1s"})), mode(json!({"coarse": "1h"})));
        assert_eq!(real.meet(second), second);
        assert_eq!(hour.meet(second), hour);
        assert_eq!(frozen.meet(hour), mode(json!({"coarse": "1h", "frozen": true})));
    }
}
