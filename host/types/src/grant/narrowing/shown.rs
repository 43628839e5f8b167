//! A caller's entry as a reviewer reads it: its lines, its parts, and texts of compared entries without what bounds nothing.

use super::super::http::{GuestHeader, Network, address};
use super::super::{keyvalue, written};
use super::{BOUND_TOP, Keys, Narrowing};

/// An entry without the parts that bound nothing, which a registry leaves out.
pub(super) fn without_tops(line: &str) -> String {
    let tops = [BOUND_TOP.to_string(), u32::MAX.to_string()];
    let is_top = |part: &&str| {
        part.split_once(" = ")
            .is_some_and(|(name, bound)| name.ends_with("_max") && tops.iter().any(|top| top == bound))
            || part.starts_with("host = \"*/")
    };
    let everywhere =
        format!(", addresses = {}", written::list(address::everywhere().iter().map(Network::to_string)));
    let headers = [GuestHeader::Authorization, GuestHeader::Cookie].map(GuestHeader::as_str);
    let line = line.replace(&everywhere, "").replace(&format!(", headers = {}", written::list(headers)), "");
    let Some(inner) = line.strip_prefix("{ ").and_then(|line| line.strip_suffix(" }")) else { return line };
    let parts: Vec<&str> = inner.split(", ").filter(|part| !is_top(part)).collect();
    if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
}

impl Narrowing {
    /// The lines of a registry that say this, one for each capability that is left.
    pub fn lines(&self) -> Vec<String> {
        let is_none = |value: &toml::Value| match value {
            toml::Value::Array(all) => all.is_empty(),
            toml::Value::Table(all) => all.is_empty(),
            toml::Value::Boolean(granted) => !granted,
            _ => false,
        };
        let Ok(toml::Value::Table(table)) = toml::Value::try_from(self) else { return Vec::new() };
        // An empty bucket grant leaves the default bucket.
        let left = table.into_iter().filter(|(name, value)| name == keyvalue::NAME || !is_none(value));
        left.map(|(name, value)| format!("grants.{name} = {value}")).collect()
    }

    /// Each part as an entry of its own, with its name: what one of them leaves can be looked at alone.
    pub fn parts(&self) -> Vec<(String, Narrowing)> {
        let Narrowing { files, http, keyvalue, config, env, clock, random, custom } = self;
        let none = Narrowing::default;
        let files = files.iter().enumerate().map(|(place, one)| {
            (format!("grants.files[{place}]"), Narrowing { files: vec![one.clone()], ..none() })
        });
        let http = http.iter().enumerate().map(|(place, one)| {
            (format!("grants.http[{place}]"), Narrowing { http: vec![one.clone()], ..none() })
        });
        let keyvalue = keyvalue
            .iter()
            .map(|one| ("grants.keyvalue".to_owned(), Narrowing { keyvalue: Some(one.clone()), ..none() }));
        let config = config
            .parts()
            .map(|(key, own)| (format!("grants.config.{key}"), Narrowing { config: own, ..none() }));
        let env =
            env.parts().map(|(key, own)| (format!("grants.env.{key}"), Narrowing { env: own, ..none() }));
        let clock = clock.mode().map(|_| ("grants.clock".to_owned(), Narrowing { clock: *clock, ..none() }));
        let random =
            random.mode().map(|_| ("grants.random".to_owned(), Narrowing { random: *random, ..none() }));
        let custom = custom.iter().filter(|(_, granted)| **granted).map(|(name, granted)| {
            let custom = [(name.clone(), *granted)].into();
            (format!("grants.custom.{name}"), Narrowing { custom, ..none() })
        });
        files
            .chain(http)
            .chain(keyvalue)
            .chain(config)
            .chain(env)
            .chain(clock)
            .chain(random)
            .chain(custom)
            .collect()
    }
}

impl Keys {
    /// Each key as an entry of its own.
    fn parts(&self) -> Box<dyn Iterator<Item = (&String, Keys)> + '_> {
        match self {
            Keys::Listed(keys) => Box::new(keys.iter().map(|key| (key, Keys::Listed([key.clone()].into())))),
            Keys::Valued(values) => {
                let one =
                    |(key, value): (&String, &String)| Keys::Valued([(key.clone(), value.clone())].into());
                Box::new(values.iter().map(move |pair| (pair.0, one(pair))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Narrowing {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn lines_and_changes_have_no_bound_that_is_not_written() {
        let one =
            read(json!({"files": [{"guest": "/d", "access": "read-write"}], "keyvalue": {}, "clock": true}));
        let lines = one.lines().join("\n");
        assert!(lines.contains("grants.clock = true") && lines.contains("guest = \"/d\""), "{lines}");
        assert!(!lines.contains("random") && !lines.contains("http"), "{lines}");
        let less = read(json!({"files": [{"guest": "/d", "access": "read-write", "bytes_max": 5}],
            "http": [{"host": "a.example"}], "keyvalue": {"keys_max": 2}}));
        for change in one.changes(&less).iter().chain(&less.changes(&one)) {
            let text = format!("{change:?}");
            let tops = [BOUND_TOP.to_string(), u32::MAX.to_string(), "0.0.0.0/0".into(), "*/".into()];
            assert!(tops.iter().all(|top| !text.contains(top)), "{text}");
        }
        let changes = one.changes(&less);
        assert!(
            changes
                .iter()
                .any(|change| change.after.as_ref().is_some_and(|text| text.contains("bytes_max = 5")))
        );
    }

    #[test]
    fn each_part_is_named() {
        let all =
            read(json!({"files": [{"guest": "/d"}], "http": [{"host": "a"}, {"host": "b"}], "config": ["k"],
            "env": {"E": "1"}, "random": true, "custom": {"fax": true}}));
        let names: Vec<String> = all.parts().into_iter().map(|(name, _)| name).collect();
        let expect = [
            "grants.files[0]",
            "grants.http[0]",
            "grants.http[1]",
            "grants.config.k",
            "grants.env.E",
            "grants.random",
            "grants.custom.fax",
        ];
        assert_eq!(names, expect);
    }
}
