//! What authors wrote beside their types reaches agents, and `check` names what nobody described.

use serde_json::Value;

use crate::described::Place;
use crate::{stderr, stdout};

const WIT: &str = r#"package a:b;

interface shared {
    /// A unit of length.
    enum unit {
        /// A thousand meters.
        km,
        m,
    }

    /// Percent of the whole.
    type percent = f64;

    /// A place on a map.
    record spot {
        /// Degrees north.
        north: f64,
        unit: unit,
    }

    /// What was found.
    record answer {
        /// How many.
        count: u32,
    }
}

world w {
    use shared.{unit, percent, spot, answer};

    /// Looks around.
    export look: func(
        /// Where to look,
        /// and from where.
        at: spot, share: percent,
        /** The unit of the answer. */
        %from: option<unit>,
    ) -> answer;
}
"#;

fn component() -> Vec<u8> {
    let text = r#"(component
        (type $unit' (enum "km" "m")) (export $unit "unit" (type $unit'))
        (type $spot' (record (field "north" float64) (field "unit" $unit))) (export $spot "spot" (type $spot'))
        (type $answer' (record (field "count" u32))) (export $answer "answer" (type $answer'))
        (core module $m (func (export "look") (param f64 i32 f64 i32 i32) (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func (export "look") (param "at" $spot) (param "share" float64) (param "from" (option $unit))
            (result $answer) (canon lift (core func $i "look"))))"#;
    wat::parse_str(text).unwrap()
}

#[test]
fn comments_of_arguments_fields_cases_and_types_reach_agents() {
    let place = Place::new(&component(), "");
    std::fs::write(place.path("world.wit"), WIT).unwrap();
    place.does(&["pack", "one.wasm", "--wit", "world.wit"]);
    let tools: Value = serde_json::from_str(&place.does(&["export", "--for", "anthropic"])).unwrap();
    let properties = &tools[0]["input_schema"]["properties"];
    let at = &properties["at"];
    let cases = [
        (&tools[0], vec!["Looks around."]),
        (at, vec!["Where to look,\nand from where."]),
        (&at["properties"]["north"], vec!["Degrees north."]),
        (&at["properties"]["unit"], vec!["A unit of length.", "- km: A thousand meters."]),
        (&properties["share"], vec!["Percent of the whole."]),
        (&properties["from"], vec!["The unit of the answer.", "- km: A thousand meters."]),
    ];
    for (shown, texts) in cases {
        let description = shown["description"].as_str().unwrap_or_default();
        texts.iter().for_each(|text| assert!(description.contains(text), "no {text:?} in {shown:#}"));
    }
    place.does(&["check", "--strict"]);
}

#[test]
fn another_contract_leaves_the_embedded_comments() {
    let place = Place::new(&component(), "");
    std::fs::write(place.path("world.wit"), WIT).unwrap();
    place.does(&["pack", "one.wasm", "--wit", "world.wit"]);
    std::fs::write(place.path("c.toml"), "effects = \"pure\"\n").unwrap();
    let said = place.does(&["pack", "one.wasm", "--contract", "c.toml"]);
    assert!(said.contains("contract embedded, doc comments of 1 function"), "{said}");
    assert!(place.does(&["export", "--for", "anthropic"]).contains("Looks around."));
    // A new source replaces all of them.
    std::fs::write(place.path("world.wit"), WIT.replace("Looks around.", "Looks twice.")).unwrap();
    place.does(&["pack", "one.wasm", "--wit", "world.wit", "--contract", "c.toml"]);
    let shown = place.does(&["export", "--for", "anthropic"]);
    assert!(shown.contains("Looks twice.") && !shown.contains("Looks around."), "{shown}");
}

#[test]
fn comments_of_functions_that_the_component_lacks_are_named_and_not_counted() {
    let place = Place::new(&component(), "");
    let more = "    /// Looks away.\n    export look-away: func();\n}\n";
    let wit = WIT.trim_end().strip_suffix('}').unwrap();
    std::fs::write(place.path("world.wit"), format!("{wit}{more}")).unwrap();
    let packed = place.run(&["pack", "one.wasm", "--wit", "world.wit"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    assert!(stdout(&packed).contains("doc comments of 1 function"), "{}", stdout(&packed));
    let said = stderr(&packed);
    assert!(said.contains("no function that can be a tool for `look-away`, whose"), "{said}");
    let other = "package a:c;\nworld w { /// Sorts.\nexport sort: func(); }\n";
    std::fs::write(place.path("other.wit"), other).unwrap();
    let packed = place.run(&["pack", "one.wasm", "--wit", "other.wit"]);
    assert!(stdout(&packed).contains("doc comments of 0 functions"), "{}", stdout(&packed));
    assert!(stderr(&packed).contains("is this the WIT"), "{}", stderr(&packed));
}

#[test]
fn comments_that_are_damaged_are_not_dropped_in_silence() {
    let place = Place::new(&component(), "");
    let mut damaged = component();
    // A custom section of our name whose content is not what was packed.
    let name = airlock_contract::package::SECTION;
    let length = u8::try_from(1 + name.len() + 1).unwrap();
    damaged.extend([0, length, u8::try_from(name.len()).unwrap()]);
    damaged.extend(name.bytes().chain([b'{']));
    std::fs::write(place.path("one.wasm"), damaged).unwrap();
    std::fs::write(place.path("c.toml"), "effects = \"pure\"\n").unwrap();
    let packed = place.run(&["pack", "one.wasm", "--contract", "c.toml"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    assert!(
        stderr(&packed).contains("doc comments that were embedded cannot be read"),
        "{}",
        stderr(&packed)
    );
}

#[test]
fn check_names_what_has_no_description() {
    let place = Place::new(&component(), "");
    let said = stderr(&place.run(&["check"]));
    assert!(said.contains("`one` has no description"), "{said}");
    let places = "`at`, `at.north`, `at.unit`, `share`, `from`, `result.count`";
    assert!(said.contains(&format!("`one` does not describe {places}")), "{said}");
    let strict = place.run(&["check", "--strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}{}", stdout(&strict), stderr(&strict));
    // Each of them is named until it is described.
    let contract = "effects = \"pure\"\n[tool.look]\ndescription = \"Looks.\"\n\
                    [tool.look.args.\"at.north\"]\ndescription = \"North.\"\n";
    std::fs::write(place.path("contract.toml"), contract).unwrap();
    place.does(&["pack", "one.wasm", "--contract", "contract.toml"]);
    let said = stderr(&place.run(&["check"]));
    assert!(!said.contains("has no description"), "{said}");
    assert!(said.contains("does not describe `at`, `at.unit`, `share`"), "{said}");
}

#[test]
fn a_contract_beside_the_wit_is_found_however_its_folder_is_written() {
    let place = Place::new(&component(), "");
    std::fs::create_dir_all(place.path("wit/deps")).unwrap();
    std::fs::write(place.path("wit/world.wit"), WIT).unwrap();
    std::fs::write(place.path("contract.toml"), "effects = \"pure\"\n").unwrap();
    let [one, out] = ["one.wasm", "out.wasm"].map(|name| place.path(name).display().to_string());
    for (folder, wit) in [(".", "wit"), (".", "wit/"), (".", "./wit/."), ("wit", "."), ("wit/deps", "..")] {
        let packed = place.run_in(folder, &["pack", &one, "--wit", wit, "--out", &out]);
        let said = stdout(&packed);
        assert!(said.contains("contract embedded"), "{wit} in {folder}: {said}{}", stderr(&packed));
    }
}

#[test]
fn packing_removes_no_embedded_contract() {
    let place = Place::new(&component(), "");
    std::fs::create_dir(place.path("wit")).unwrap();
    std::fs::write(place.path("wit/world.wit"), WIT).unwrap();
    // Without a contract anywhere there is nothing to remove.
    assert!(place.does(&["pack", "one.wasm", "--wit", "wit"]).contains("contract none"));
    std::fs::write(place.path("other.toml"), "effects = \"pure\"\n").unwrap();
    place.does(&["pack", "one.wasm", "--wit", "wit", "--contract", "other.toml"]);
    let before = std::fs::read(place.path("one.wasm")).unwrap();
    let refused = |says: &str| {
        let packed = place.run(&["pack", "one.wasm", "--wit", "wit"]);
        let said = stderr(&packed);
        assert_eq!(packed.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "it does not say {says:?}: {said}");
        assert!(std::fs::read(place.path("one.wasm")).unwrap() == before, "the component is as before");
    };
    refused("its embedded contract would be removed, since no `contract.toml` is beside `wit`");
    std::os::unix::fs::symlink("gone.toml", place.path("contract.toml")).unwrap();
    refused("`contract.toml` cannot be read");
    std::fs::write(place.path("empty.toml"), "").unwrap();
    place.does(&["pack", "one.wasm", "--wit", "wit", "--contract", "empty.toml"]);
}
