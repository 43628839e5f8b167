use std::collections::BTreeSet;
use std::sync::Arc;

use wasmtime::Engine;

use super::*;
use crate::capability::{Facts, Provider, Versions};
use airlock_types::grant::clock::ClockMode;

struct Fake(Facts);

impl Provider for Fake {
    fn facts(&self) -> Facts {
        self.0
    }

    fn link(&self, _: &mut Linker<State>, _: &Import) -> wasmtime::Result<()> {
        Ok(())
    }
}

const OUTBOX: Facts = Facts::custom("outbox", &["example:mail/outbox"], Effect::Write, "sends mail");

fn import(name: &str) -> Import {
    Import { name: name.into(), functions: [("f".to_owned(), None)].into() }
}

#[track_caller]
fn check(added: &[Facts], expect: Result<(), CapabilityError>) {
    let added = added.iter().map(|facts| Capability::Custom(Arc::new(Fake(*facts)))).collect();
    assert_eq!(Capabilities::with(added).map(drop), expect);
}

#[test]
fn a_name_and_an_interface_have_one_owner() {
    let named = |name, interfaces| Facts::custom(name, interfaces, Effect::Read, "reads");
    check(&[OUTBOX, named("inbox", &["example:mail/inbox"])], Ok(()));
    check(&[OUTBOX, OUTBOX], Err(CapabilityError::Twice("outbox")));
    check(&[named("clock", &["example:mail/outbox"])], Err(CapabilityError::Twice("clock")));
    check(&[named("Out box", &["example:mail/outbox"])], Err(CapabilityError::Name("Out box")));
    check(&[named("outbox", &[])], Err(CapabilityError::Empty("outbox")));
    let owned = |name, interface, owner| Err(CapabilityError::Owned { name, interface, owner });
    check(
        &[OUTBOX, named("inbox", &["example:mail/outbox"])],
        owned("inbox", "example:mail/outbox", "outbox"),
    );
    check(&[named("time", &["wasi:clocks/wall-clock"])], owned("time", "wasi:clocks/wall-clock", "clock"));
    let added = Capabilities::with(vec![Capability::Clock]).map(drop);
    assert_eq!(added, Err(CapabilityError::BuiltIn("clock")));
}

/// The interfaces that a component built for WASI 0.2 may import, as the engine's library links them in one lump.
const WASI: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

#[test]
fn each_interface_of_wasi_has_one_owner() {
    let owned = BUILT_IN.iter().map(Capability::facts).filter(|facts| facts.versions == Versions::Wasi02);
    let mut owned: Vec<&str> = owned.flat_map(|facts| facts.interfaces).copied().collect();
    owned.sort_unstable();
    assert_eq!(owned, WASI);
}

/// All interfaces of the facts, as a component would import them.
fn all_imports() -> Vec<Import> {
    let name = |facts: &Facts, interface: &str| match facts.versions {
        Versions::Wasi02 => format!("{interface}@0.2.0"),
        Versions::Exact(known) => format!("{interface}@{}", known[0]),
        Versions::Any => interface.to_owned(),
    };
    let facts = BUILT_IN.iter().map(Capability::facts);
    facts.flat_map(|facts| facts.interfaces.iter().map(move |one| import(&name(&facts, one)))).collect()
}

#[test]
fn each_owner_links_its_interfaces_and_denies_them() {
    let mut linker = Linker::new(&Engine::default());
    let (capabilities, imports) = (Capabilities::default(), all_imports());
    capabilities.link(&mut linker, &imports).unwrap();
    linker.allow_shadowing(true);
    for import in &imports {
        let owner = capabilities.owner(&import.name).unwrap();
        // The list of folders is the only function of files that is replaced, and the others ask for a grant themselves.
        let denies = !matches!(
            owner,
            Capability::Files
                | Capability::Http
                | Capability::Keyvalue
                | Capability::Config
                | Capability::Env
        );
        assert_eq!(owner.deny(&mut linker, import).unwrap(), denies, "{}", import.name);
    }
}

#[test]
fn an_interface_in_two_versions_is_linked_once() {
    let imports = [import("wasi:clocks/wall-clock@0.2.0"), import("wasi:clocks/wall-clock@0.2.3")];
    Capabilities::default().link(&mut Linker::new(&Engine::default()), &imports).unwrap();
}

#[test]
fn what_is_granted_says_which_effects_are_possible() {
    let inside = OUTBOX.closed_world();
    let read = Facts::custom("feed", &["example:news/feed"], Effect::Read, "reads news");
    let added = [inside, read].map(|facts| Capability::Custom(Arc::new(Fake(facts))));
    let capabilities = Capabilities::with(added.to_vec()).unwrap();
    let granted = |names: &[&str]| Effective {
        clock: names.contains(&"clock").then(ClockMode::default),
        custom: names.iter().filter(|name| **name != "clock").map(|name| (*name).to_owned()).collect(),
        ..Effective::default()
    };
    for (names, effect, is_open_world) in [
        (&[][..], Effect::Pure, false),
        (&["clock"], Effect::Read, false),
        (&["clock", "outbox"], Effect::Write, false),
        (&["feed"], Effect::Read, true),
    ] {
        let effective = granted(names);
        assert_eq!(capabilities.effect(&effective), effect, "{names:?}");
        assert_eq!(capabilities.is_open_world(&effective), is_open_world, "{names:?}");
    }
}

#[test]
fn only_the_states_of_the_library_need_its_context() {
    let need = |name: &str| Capabilities::default().need_context(&[import(name)]);
    assert!(need("wasi:random/random@0.2.0") && need("wasi:sockets/tcp@0.2.0"));
    assert!(!need("wasi:clocks/wall-clock@0.2.0") && !need("wasi:keyvalue/store@0.2.0-draft"));
    assert!(!need("wasi:logging/logging") && !need("wasi:io/streams@0.2.0") && !need("example:mail/outbox"));
    let types_only = Import { functions: Default::default(), ..import("wasi:random/random@0.2.0") };
    assert!(!Capabilities::default().need_context(&[types_only]));
}

#[test]
fn names_are_unique_among_the_built_in_ones() {
    let names: BTreeSet<&str> = BUILT_IN.iter().map(|capability| capability.facts().name).collect();
    assert_eq!(names.len(), BUILT_IN.len());
}
