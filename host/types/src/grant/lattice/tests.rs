//! The order over small worlds, in which every use can be tried.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::grant::{Access, CustomGrants, Narrowing};

/// Cases of each property.
const CASES: u32 = 10_000;

/// Uses that are tried in each case.
const USES: usize = 6;

const HOSTS: [&str; 4] = ["a.x.example", "other.x.example", "x.example", "10.0.0.1"];
const PATHS: [&str; 6] = ["/", "/v1", "/v1/data", "/v1/data/x", "/v1/other", "/other"];
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];
const ADDRESSES: [&str; 5] = ["1.1.1.1", "10.0.0.1", "10.200.0.1", "127.0.0.1", "::1"];
const NETWORKS: [&str; 6] = ["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "127.0.0.1", "1.0.0.0/8", "::1"];
const FOLDERS: [&str; 4] = ["/", "/data", "/data/eu", "/database"];
const NAMES: [&str; 3] = ["a", "b", "default"];

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

fn some(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(words, 0..=words.len())
}

fn patterns() -> impl Strategy<Value = &'static str> {
    select(&["a.x.example", "*.x.example", "x.example", "10.0.0.1"][..])
}

prop_compose! {
    /// What requests, grants and narrowings say alike of http.
    fn extent()(host in patterns(), scheme in word(&["http", "https"]), port in select(vec![json!(null), json!(80), json!(443)]),
        methods in subsequence(&METHODS[..], 1..=METHODS.len()), path in word(&PATHS[..4])) -> Value {
        let mut extent = json!({"host": host, "scheme": scheme, "methods": methods, "path": path});
        if !port.is_null() {
            extent["port"] = port;
        }
        extent
    }
}

prop_compose! {
    fn http_grant()(mut grant in extent(), requests in 1_u32..3, headers in some(&["cookie", "authorization"]),
        addresses in some(&NETWORKS)) -> Value {
        grant["requests_max"] = json!(requests);
        grant["headers"] = json!(headers);
        grant["addresses"] = json!(addresses);
        grant
    }
}

prop_compose! {
    fn files_grant()(guest in word(&FOLDERS), is_elsewhere in any::<bool>(), writes in any::<bool>(), bound in of(1_u64..3)) -> Value {
        // The same folder of the host for the same folder of the guest, or another one.
        let host = format!("{}{guest}", if is_elsewhere { "/other" } else { "/srv" });
        match (writes, bound) {
            (true, Some(bound)) => json!({"host": host, "guest": guest, "access": "read-write", "bytes_max": bound}),
            (true, None) => json!({"host": host, "guest": guest, "access": "read-write"}),
            (false, _) => json!({"host": host, "guest": guest}),
        }
    }
}

fn mode(forms: &'static [&'static str]) -> impl Strategy<Value = Value> {
    select(forms).prop_map(|form| serde_json::from_str(form).unwrap())
}

const CLOCKS: [&str; 5] =
    ["false", "true", "\"frozen\"", "{\"coarse\": \"1s\"}", "{\"coarse\": \"1m\", \"frozen\": true}"];
const RANDOMS: [&str; 3] = ["false", "true", "\"seeded\""];

fn pairs() -> impl Strategy<Value = Value> {
    btree_map(word(&NAMES), word(&["1", "2"]), 0..3).prop_map(|pairs| json!(pairs))
}

fn custom() -> impl Strategy<Value = CustomGrants> {
    btree_map(word(&NAMES).prop_map(str::to_owned), any::<bool>(), 0..3)
}

prop_compose! {
    fn keyvalue()(buckets in subsequence(&NAMES[..], 1..=NAMES.len()), scope in word(&["tool", "caller", "session"]), keys in 1_u64..3) -> Value {
        json!({"buckets": buckets, "scope": scope, "keys_max": keys})
    }
}

prop_compose! {
    fn grants()(files in vec(files_grant(), 0..3), http in vec(http_grant(), 0..3), keyvalue in of(keyvalue()), config in pairs(),
        env in pairs(), clock in mode(&CLOCKS), random in mode(&RANDOMS), custom in custom()) -> Grants {
        let value = json!({"files": files, "http": http, "keyvalue": keyvalue, "config": config, "env": env, "clock": clock, "random": random, "custom": custom});
        serde_json::from_value(value).unwrap()
    }
}

/// Requests of a component with a contract.
fn requests() -> impl Strategy<Value = Requests> {
    let reasoned = |mut value: Value| {
        value["reason"] = json!("r");
        value
    };
    let folder = (word(&FOLDERS), word(&["read", "read-write"]));
    let files =
        vec(folder.prop_map(|(path, access)| json!({"path": path, "access": access, "reason": "r"})), 0..3);
    let keys = || {
        btree_set(word(&NAMES), 0..3).prop_map(|keys| {
            json!(keys.iter().map(|key| json!({"key": key, "reason": "r"})).collect::<Vec<_>>())
        })
    };
    let keyvalue = of(subsequence(&NAMES[..], 1..=NAMES.len())
        .prop_map(|buckets| json!({"buckets": buckets, "reason": "r"})));
    let modes = (of(mode(&CLOCKS[1..])), of(mode(&RANDOMS[2..])));
    let custom = btree_set(word(&NAMES), 0..3).prop_map(|names: BTreeSet<&str>| {
        names
            .into_iter()
            .map(|name| (name, json!({"reason": "r"})))
            .collect::<std::collections::BTreeMap<_, _>>()
    });
    (files, vec(extent().prop_map(reasoned), 0..3), keyvalue, (keys(), keys()), modes, custom).prop_map(|(files, http, keyvalue, (config, env), (clock, random), custom)| {
        let mode = |mode: Option<Value>| mode.map(|mode| if mode == json!(true) { json!({"reason": "r"}) } else { json!({"mode": mode, "reason": "r"}) });
        let value = json!({"files": files, "http": http, "keyvalue": keyvalue, "config": config, "env": env, "clock": mode(clock), "random": mode(random), "custom": custom});
        serde_json::from_value(value).unwrap()
    })
}

prop_compose! {
    fn narrowing()(files in vec((word(&FOLDERS), word(&["read", "read-write"])), 0..3), http in vec(extent(), 0..3), buckets in of(subsequence(&NAMES[..], 1..=NAMES.len())),
        config in some(&NAMES), env in pairs(), clock in mode(&CLOCKS), random in mode(&RANDOMS), custom in custom()) -> Narrowing {
        let files: Vec<Value> = files.into_iter().map(|(guest, access)| json!({"guest": guest, "access": access})).collect();
        let keyvalue = buckets.map(|buckets| json!({"buckets": buckets}));
        let value = json!({"files": files, "http": http, "keyvalue": keyvalue, "config": config, "env": env, "clock": clock, "random": random, "custom": custom});
        serde_json::from_value(value).unwrap()
    }
}

fn asked_of_http() -> impl Strategy<Value = Asked> {
    let place = (word(&["http", "https"]), select(vec![80, 443]), word(&HOSTS), word(&PATHS), word(&METHODS));
    (place, of(word(&ADDRESSES))).prop_map(|((scheme, port, host, path, method), address)| {
        let target = Target::read(method, scheme, &format!("{host}:{port}"), path).unwrap();
        Asked::Http(target, address.map(|address| address.parse().unwrap()))
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let name = || word(&NAMES).prop_map(str::to_owned);
    let folder = select(vec!["/", "/data", "/data/eu", "/database", "/data/eu/x", "/data/../etc"]);
    prop_oneof![
        6 => asked_of_http(),
        3 => (select(vec![Access::Read, Access::ReadWrite]), folder).prop_map(|(access, path)| Asked::Files(access, path.to_owned())),
        1 => name().prop_map(Asked::Keyvalue),
        1 => name().prop_map(Asked::Config),
        1 => name().prop_map(Asked::Env),
        1 => name().prop_map(Asked::Custom),
        1 => Just(Asked::Clock),
        1 => Just(Asked::Random),
    ]
}

/// Uses to try on one case.
fn uses() -> impl Strategy<Value = Vec<Asked>> {
    vec(asked(), USES)
}

/// Each use of http to one port: with one of each kind that no entry names, as these tell a wildcard from a list.
static WORLD: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let target = |(host, path, method)| Target::read(method, "https", host, path).unwrap();
    let hosts = ["a.x.example", "other.x.example", "x.example"];
    let paths = ["/", "/v1", "/v1/other", "/other"];
    let all = hosts.iter().flat_map(|host| {
        paths.iter().flat_map(move |path| ["GET", "POST"].map(|method| (*host, *path, method)))
    });
    all.map(target).collect()
});

/// The uses of http that grants allow.
fn allowed(grants: &[HttpGrant]) -> BTreeSet<Asked> {
    let addresses = ADDRESSES.map(|address| address.parse::<IpAddr>().unwrap());
    let mut uses = BTreeSet::new();
    for target in WORLD.iter() {
        let admitting: Vec<&HttpGrant> = grants.iter().filter(|grant| grant.admits(target)).collect();
        let networks: Vec<Network> =
            admitting.iter().flat_map(|grant| grant.addresses.iter().copied()).collect();
        if !admitting.is_empty() {
            let reached = addresses.iter().filter(|address| address::is_allowed(**address, &networks));
            uses.extend(reached.map(|address| Asked::Http(target.clone(), Some(*address))));
        }
    }
    uses
}

/// All that is written in grants, one entry less at each place.
fn with_one_less(grants: &Grants) -> Vec<Grants> {
    let mut less = Vec::new();
    less.extend((0..grants.files.len()).map(|place| {
        let mut grants = grants.clone();
        grants.files.remove(place);
        grants
    }));
    less.extend((0..grants.http.len()).map(|place| {
        let mut grants = grants.clone();
        grants.http.remove(place);
        grants
    }));
    less.push(Grants { keyvalue: None, ..grants.clone() });
    less.push(Grants { clock: Default::default(), ..grants.clone() });
    less.push(Grants { random: Default::default(), ..grants.clone() });
    less.push(Grants { config: Default::default(), ..grants.clone() });
    less.push(Grants { env: Default::default(), ..grants.clone() });
    less.push(Grants { custom: Default::default(), ..grants.clone() });
    less
}

#[derive(serde::Deserialize)]
struct Printed {
    #[serde(default)]
    grants: Grants,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_effective_lies_within_each_side(asks in requests(), grants in grants(), caller in narrowing(), uses in uses()) {
        let (effective, missing) = Effective::of(&asks, &grants);
        let narrowed = effective.narrowed(&caller);
        for asked in uses {
            let by_all = asks.admits(&asked) && grants.admits(&asked) && caller.admits(&asked);
            prop_assert!(!narrowed.admits(&asked) || (by_all && effective.admits(&asked)), "{asked}");
            // Exact: nothing is lost that all sides allow. But a folder is used whole or not at all, and the caller's side
            // may name the value of a variable.
            let is_whole = matches!(asked, Asked::Files(..) | Asked::Env(_));
            prop_assert!(is_whole || !by_all || narrowed.admits(&asked), "{asked}");
        }
        for access in narrowed.http.iter() {
            prop_assert!(http::is_within(&access.allowed, std::slice::from_ref(&grants.http[access.grant])));
        }
        for folder in &narrowed.files {
            prop_assert!(grants.files.iter().any(|grant| folder.is_within(grant)));
        }
        if let Some(kept) = &narrowed.keyvalue {
            prop_assert!(kept.is_within(grants.keyvalue.as_ref().unwrap()));
        }
        prop_assert!(modal::is_within(narrowed.clock, grants.clock.mode()) && modal::is_within(narrowed.random, grants.random.mode()));
        prop_assert!(missing.len() <= narrowed.missing(&asks).len(), "a caller has no more");
    }

    #[test]
    fn removing_a_grant_never_enables_anything(asks in requests(), grants in grants(), uses in uses()) {
        let (whole, _) = Effective::of(&asks, &grants);
        for less in with_one_less(&grants) {
            prop_assert!(less.is_within(&grants));
            let (effective, _) = Effective::of(&asks, &less);
            for asked in &uses {
                prop_assert!(!effective.admits(asked) || whole.admits(asked), "{asked}");
            }
        }
    }

    #[test]
    fn the_meet_is_what_both_allow(one in grants(), other in grants(), uses in uses()) {
        let meet = one.meet(&other);
        prop_assert!(meet.is_within(&one) && meet.is_within(&other));
        prop_assert!(one.is_within(&one) && Grants::default().is_within(&one));
        for asked in &uses {
            let both = one.admits(asked) && other.admits(asked);
            prop_assert!(both || !meet.admits(asked), "{asked}");
            // Of values and folders both sides must mean the same one.
            let is_same = !matches!(asked, Asked::Config(_) | Asked::Env(_) | Asked::Files(..));
            prop_assert!(!both || !is_same || meet.admits(asked), "{asked}");
            prop_assert!(!one.is_within(&other) || !one.admits(asked) || other.admits(asked), "{asked}");
        }
        if one.is_within(&other) {
            prop_assert!(one.is_within(&meet), "the lesser of two is their meet");
        }
    }

    #[test]
    fn of_two_lists_of_hosts_one_lies_within_the_other_if_and_only_if_its_uses_do(one in vec(http_grant(), 1..3), other in vec(http_grant(), 0..3)) {
        // To one port, and with bounds and headers that are equal: these are no uses.
        let list = |list: Vec<Value>| -> Vec<HttpGrant> {
            let entry = |grant: &Value| json!({"host": grant["host"], "methods": grant["methods"], "path": grant["path"], "addresses": grant["addresses"]});
            let entries: Vec<Value> = list.iter().map(entry).collect();
            let is_of_world = |grant: &HttpGrant| grant.path.to_string().len() <= "/v1".len() && !grant.host.to_string().starts_with("10.");
            let grants: Vec<HttpGrant> = serde_json::from_value(json!(entries)).unwrap();
            grants.into_iter().filter(is_of_world).map(|grant| HttpGrant { methods: grant.methods.into_iter().filter(|method| method.as_str() != "HEAD").collect(), ..grant }).filter(|grant| !grant.methods.is_empty()).collect()
        };
        let (one, other) = (list(one), list(other));
        let more = &allowed(&one) - &allowed(&other);
        let is_within = Grants { http: one, ..Grants::default() }.is_within(&Grants { http: other, ..Grants::default() });
        prop_assert_eq!(is_within, more.is_empty(), "{:?}", more);
    }

    #[test]
    fn grants_read_back_as_they_are_printed(grants in grants()) {
        let printed: Printed = toml::from_str(&grants.to_string()).unwrap();
        prop_assert_eq!(printed.grants, grants);
    }

    #[test]
    fn uses_read_back_as_they_are_printed(asked in asked()) {
        prop_assert_eq!(&Asked::read(asked.capability(), &asked.to_string()).unwrap(), &asked);
    }

    #[test]
    fn the_least_grants_allow_a_use(asked in asked()) {
        let leaves = matches!(&asked, Asked::Files(_, path) if path.contains(".."));
        prop_assert_eq!(Grants::least(&asked).unwrap().admits(&asked), !leaves);
    }
}
