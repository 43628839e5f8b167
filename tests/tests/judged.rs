//! A contract that this build has judged is not judged again at the next start. What the cache says of it counts for the same
//! file and the same build alone, and a rule that cannot be read is not met.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_contract::package;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::digest::sha256;
use serde_json::{Value, json};

/// A registry of one component with relations.
struct Place(tempfile::TempDir);

/// A relation of its contract, and one that no function has the arguments for.
const RELATION: (&str, &str) = ("args.value >= 0.0 || !(args.from", "args.nothing >= 0.0 || !(args.from");

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::copy(root().join("example-tools/build/unit-convert.wasm"), place.component()).unwrap();
        place.set("");
        place
    }

    fn component(&self) -> PathBuf {
        self.0.path().join("convert.wasm")
    }

    fn set(&self, settings: &str) {
        let text = format!("[tools.convert]\ncomponent = \"convert.wasm\"\n{settings}");
        std::fs::write(self.0.path().join("airlock.toml"), text).unwrap();
    }

    fn file(&self) -> ConfigFile {
        ConfigFile::read(&self.0.path().join("airlock.toml")).unwrap()
    }

    async fn open(&self) -> Host {
        Host::builder().registry(self.file()).leave_out_broken().open().await.unwrap()
    }

    fn kept(&self, end: &str) -> Vec<PathBuf> {
        let kept = std::fs::read_dir(self.0.path().join(".airlock/code")).unwrap();
        let kept = kept.map(|entry| entry.unwrap().path());
        kept.filter(|path| path.extension().is_some_and(|is| is == end)).collect()
    }

    /// Packs another contract, in which one text is another.
    fn repack(&self, (from, to): (&str, &str)) {
        let bytes = std::fs::read(self.component()).unwrap();
        let mut packed = package::packed(&bytes).unwrap().unwrap();
        let contract = packed.contract.as_deref().unwrap();
        assert!(contract.contains(from));
        packed.contract = Some(contract.replace(from, to));
        let bytes = package::embed(&package::strip(&bytes).unwrap(), &packed).unwrap();
        std::fs::write(self.component(), bytes).unwrap();
    }

    /// Changes what the cache says of the component, with a digest that is right.
    fn rewrite(&self, change: impl FnOnce(&mut Value)) {
        let [path] = &self.kept("description")[..] else { panic!("one component has one description") };
        let text = std::fs::read_to_string(path).unwrap();
        let mut described: Value = serde_json::from_str(&text[64..]).unwrap();
        change(&mut described);
        let json = described.to_string();
        replace(path, (sha256(json.as_bytes()) + &json).as_bytes());
    }
}

fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
}

/// The contract in a description with a relation that is wrong.
fn spoil(described: &mut Value) {
    let contract = described["info"]["contract"].as_str().unwrap().replace(RELATION.0, RELATION.1);
    described["info"]["contract"] = contract.into();
}

async fn converts(host: &Host, value: f64, from: &str, to: &str) -> Code {
    let args = json!({"value": value, "from": from, "to": to}).to_string();
    host.call(Call::new("convert", Arguments::Text(args.into()))).await.code
}

async fn mass(host: &Host, value: f64) -> Code {
    converts(host, value, "kg", "pound").await
}

#[tokio::test]
async fn a_judged_contract_holds_after_the_next_start() {
    let place = Place::new();
    // The second start has it from the cache, and so has one whose operator adds a rule.
    for settings in ["", "", "[[tools.convert.hold]]\nwhen = \"args.value > 100.0\"\n"] {
        place.set(settings);
        let host = place.open().await;
        assert_eq!((mass(&host, 1.0).await, mass(&host, -1.0).await), (Code::Ok, Code::ArgsPrecondition));
        assert_eq!(converts(&host, -300.0, "celsius", "fahrenheit").await, Code::ArgsPrecondition);
        let large = mass(&host, 101.0).await;
        assert_eq!(large != Code::Ok, !settings.is_empty(), "{large:?}");
    }
    place.set("[[tools.convert.hold]]\nwhen = \"args.nothing > 100.0\"\n");
    let problems = place.open().await.problems().unwrap().to_string();
    assert!(problems.contains("nothing"), "a rule of the registry is judged at every start: {problems}");
}

#[tokio::test]
async fn what_another_build_has_judged_is_judged_again() {
    let place = Place::new();
    drop(place.open().await);
    place.rewrite(|described| {
        spoil(described);
        described["judge"] = "another".into();
    });
    let problems = place.open().await.problems().unwrap().to_string();
    assert!(problems.contains("`nothing`"), "{problems}");
    // An older version says nothing of it.
    place.rewrite(|described| {
        described.as_object_mut().unwrap().remove("judge");
    });
    let problems = place.open().await.problems().unwrap().to_string();
    assert!(problems.contains("`nothing`"), "{problems}");
}

#[tokio::test]
async fn a_function_that_was_not_shown_is_judged_when_it_is() {
    let place = Place::new();
    drop(place.open().await);
    place.rewrite(|described| {
        spoil(described);
        described["judged"] = json!(["#other"]);
    });
    let problems = place.open().await.problems().unwrap().to_string();
    assert!(problems.contains("`nothing`"), "{problems}");
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_not_met() {
    let place = Place::new();
    drop(place.open().await);
    place.rewrite(spoil);
    let host = place.open().await;
    assert_eq!(mass(&host, 1.0).await, Code::ArgsPrecondition);
}

#[tokio::test]
async fn a_damaged_description_is_read_anew() {
    let place = Place::new();
    drop(place.open().await);
    let [path] = &place.kept("description")[..] else { panic!("one component has one description") };
    let intact = std::fs::read(path).unwrap();
    let at = String::from_utf8_lossy(&intact).find(RELATION.0).unwrap();
    let mut damaged = intact.clone();
    damaged[at] ^= 1;
    replace(path, &damaged);
    let host = place.open().await;
    assert_eq!((mass(&host, 1.0).await, mass(&host, -1.0).await), (Code::Ok, Code::ArgsPrecondition));
    assert_eq!(std::fs::read(path).unwrap(), intact, "it was made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_judges_another_contract_of_the_same_code() {
    let place = Place::new();
    std::fs::write(place.0.path().join("airlock.lock"), "pin = \"accept\"\n").unwrap();
    let host = place.open().await;
    assert_eq!(mass(&host, -1.0).await, Code::ArgsPrecondition);
    assert_eq!(mass(&host, 1.0).await, Code::Ok);
    place.repack(("args.value >= 0.0 || !(args.from in ['kg', 'pound'])", "args.value >= -5.0"));
    // Twice: the description of a new file is made by the first one.
    for _ in 0..2 {
        host.reload(&place.file()).await.unwrap();
        assert_eq!(place.kept("cwasm").len(), 1, "what is executed is the same");
        assert_ne!(mass(&host, -4.0).await, Code::ArgsPrecondition);
        assert_eq!((mass(&host, 1.0).await, mass(&host, -6.0).await), (Code::Ok, Code::ArgsPrecondition));
    }
    place.repack(("args.value >= -5.0", "args.nothing >= -5.0"));
    host.reload(&place.file()).await.unwrap();
    let problems = host.problems().map(|problems| problems.to_string()).unwrap_or_default();
    assert!(problems.contains("`nothing`"), "{problems}");
}
