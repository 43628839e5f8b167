//! Who made a component: what was signed is loaded, and each attack on it is refused by a code of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::{Arguments, Call, Caller, Code, Host, Journal};
use airlock_tests::{program, root};
use airlock_types::environment::{Environment, Sleep};
use serde_json::Value;

use crate::{stderr, stdout};

/// A folder with a component, two keys and a registry that requires the first key.
struct Shop {
    folder: tempfile::TempDir,
    ours: String,
    theirs: String,
}

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(program()).current_dir(folder).args(args).output().unwrap()
}

fn new_key(folder: &Path, file: &str) -> String {
    let made = run(folder, &["sign", "--new-key", file]);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

impl Shop {
    fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (new_key(folder.path(), "ours.pem"), new_key(folder.path(), "theirs.pem"));
        let shop = Shop { folder, ours, theirs };
        shop.pack(&shop.contract());
        shop.registry(&format!("require = [\"{}\"]", shop.ours), "");
        shop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn contract(&self) -> String {
        fs::read_to_string(root().join("example-tools/unit-convert/contract.toml")).unwrap()
    }

    /// Packs the converter with this contract. Whatever is beside it stays.
    fn pack(&self, contract: &str) {
        fs::write(self.at("contract.toml"), contract).unwrap();
        fs::copy(root().join("example-tools/build/unit-convert.wasm"), self.at("convert.wasm")).unwrap();
        let wit = root().join("example-tools/unit-convert/wit");
        let packed = self.run(&[
            "pack",
            "convert.wasm",
            "--contract",
            "contract.toml",
            "--wit",
            wit.to_str().unwrap(),
        ]);
        assert!(packed.status.success(), "{}", stderr(&packed));
    }

    fn registry(&self, all: &str, one: &str) {
        let text = format!("[signatures]\n{all}\n[tools.convert]\ncomponent = \"convert.wasm\"\n{one}\n");
        fs::write(self.at("airlock.toml"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        run(self.folder.path(), args)
    }

    fn sign(&self, more: &[&str]) {
        let key = if more.contains(&"--key") { &[][..] } else { &["--key", "ours.pem"] };
        let signed = self.run(&[&["sign", "convert.wasm"], key, more].concat());
        assert!(signed.status.success(), "{}", stderr(&signed));
    }

    fn unsign(&self) {
        fs::remove_file(self.at("convert.wasm.intoto.jsonl")).unwrap();
    }

    fn call(&self) -> Output {
        self.run(&["call", "convert", r#"{"value": 1, "from": "km", "to": "m"}"#])
    }

    #[track_caller]
    fn serves(&self) {
        let called = self.call();
        assert!(called.status.success(), "{}", stderr(&called));
    }

    /// The tool is not there, for this reason.
    #[track_caller]
    fn refuses(&self, code: &str) {
        for _ in 0..2 {
            let called = self.call();
            assert_eq!(called.status.code(), Some(1), "{}", stdout(&called));
            assert!(stderr(&called).contains(code), "{code}: {}", stderr(&called));
        }
    }

    #[track_caller]
    fn verifies(&self, state: &str, code: Option<&str>) {
        let verified = self.run(&["verify", "convert", "--json"]);
        let document: Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
        let found = &document["components"][0];
        assert_eq!(found["state"], state, "{found} {}", stderr(&verified));
        assert_eq!(found["code"].as_str(), code, "{found}");
        assert_eq!(verified.status.code(), Some(i32::from(state != "verified")));
    }
}

#[test]
fn a_signed_component_is_loaded_from_a_side_file_and_from_its_own_section() {
    let shop = Shop::new();
    shop.sign(&["--serial", "7", "--expires", "2999-01-31"]);
    shop.serves();
    shop.verifies("verified", None);
    let shown = stdout(&shop.run(&["inspect", "convert"]));
    assert!(shown.contains(&format!("signed     verified by {}, serial 7", shop.ours)), "{shown}");
    shop.unsign();
    let before = fs::read(shop.at("convert.wasm")).unwrap();
    shop.sign(&["--embed"]);
    shop.serves();
    shop.verifies("verified", None);
    let signed = fs::read(shop.at("convert.wasm")).unwrap();
    assert!(signed.starts_with(&before) && signed.len() > before.len());
    // Signed again, it has one signature of the key.
    shop.sign(&["--embed"]);
    assert!(fs::read(shop.at("convert.wasm")).unwrap().len() < signed.len() + 64);
    shop.serves();
}

#[test]
fn ten_attacks_are_refused_by_ten_codes() {
    let shop = Shop::new();
    let contract = shop.contract();

    shop.refuses("signature.missing");
    shop.verifies("failed", Some("signature.missing"));

    shop.sign(&["--key", "theirs.pem"]);
    shop.refuses("signature.key");
    shop.verifies("failed", Some("signature.key"));
    shop.unsign();

    shop.sign(&["--expires", "2020-01-01"]);
    shop.refuses("signature.expired");
    shop.verifies("failed", Some("signature.expired"));

    // Another component of the same author takes its place, with its own signature.
    let whole = fs::read(shop.at("convert.wasm")).unwrap();
    let digest = root().join("example-tools/build/text-digest.wasm");
    fs::copy(digest, shop.at("convert.wasm")).unwrap();
    shop.sign(&["--name", "text-digest.wasm"]);
    shop.refuses("signature.moved");
    shop.verifies("failed", Some("signature.moved"));
    fs::write(shop.at("convert.wasm"), &whole).unwrap();

    shop.sign(&["--serial", "2"]);
    // Wherever the byte is, in the code, in the contract or in a length.
    for at in [whole.len() / 3, whole.len() / 2, 9, whole.len() - 400] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(shop.at("convert.wasm"), flipped).unwrap();
        shop.refuses("signature.");
    }
    let mut flipped = whole.clone();
    let at = find(&whole, b"cannot convert").or_else(|| find(&whole, b"panicked")).unwrap_or(whole.len() / 2);
    flipped[at] ^= 0x01;
    fs::write(shop.at("convert.wasm"), flipped).unwrap();
    shop.refuses("signature.digest");
    shop.verifies("failed", Some("signature.digest"));

    let line = contract.lines().find(|line| line.starts_with("description = ")).unwrap();
    shop.pack(&contract.replacen(line, &line.replacen("Refuses", "Never refuses", 1), 1));
    shop.refuses("signature.surface");
    shop.verifies("failed", Some("signature.surface"));

    let host = "http = [{ host = \"evil.example\", reason = \"rates\" }]";
    let asks = format!("[capabilities]\n{host}\n");
    let more = match contract.contains("[capabilities]\n") {
        true => contract.replace("[capabilities]\n", &asks),
        false => contract.clone() + &asks,
    };
    shop.pack(&more);
    shop.refuses("signature.requests");
    shop.verifies("failed", Some("signature.requests"));

    shop.pack(&contract.replace("output_bytes_max = 1_024", "output_bytes_max = 1_000"));
    shop.refuses("signature.contract");
    shop.verifies("failed", Some("signature.contract"));

    // The accepted version comes back as an older one, and without its signature.
    fs::write(shop.at("convert.wasm"), &whole).unwrap();
    shop.serves();
    assert!(shop.run(&["lock", "--pin", "accept"]).status.success());
    shop.sign(&["--serial", "1"]);
    shop.refuses("signature.rollback");
    shop.verifies("failed", Some("signature.rollback"));
    shop.unsign();
    shop.refuses("signature.stripped");
    shop.verifies("failed", Some("signature.stripped"));
    shop.sign(&["--serial", "3"]);
    shop.serves();
}

#[test]
fn a_lower_serial_in_the_place_of_a_higher_one_is_warned_of() {
    let shop = Shop::new();
    let said = |serial: &str, more: &[&str]| {
        let args = ["sign", "convert.wasm", "--key", "ours.pem", "--serial", serial];
        let signed = shop.run(&[&args[..], more].concat());
        assert!(signed.status.success(), "{}", stderr(&signed));
        stderr(&signed)
    };
    for place in [&[][..], &["--embed"]] {
        for (serial, is_warned) in [("5", false), ("5", false), ("7", false), ("6", true), ("6", false)] {
            let said = said(serial, place);
            assert_eq!(said.contains("the serial 6 is lower than 7"), is_warned, "{serial}: {said}");
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|at| at == wanted)
}

#[test]
fn k_of_n_keys_must_have_signed_and_a_forged_hint_helps_nobody() {
    let shop = Shop::new();
    let both = format!("require = [\"{}\", \"{}\"]", shop.ours, shop.theirs);
    shop.registry(&both, "");
    shop.sign(&[]);
    shop.refuses("signature.threshold");
    shop.sign(&["--key", "theirs.pem"]);
    shop.serves();
    shop.unsign();
    shop.registry(&format!("{both}\nthreshold = 1"), "");
    shop.sign(&["--key", "theirs.pem"]);
    shop.serves();
    // The name of a key in an envelope is a hint, and the signature is not of that key.
    shop.registry(&format!("require = [\"{}\"]", shop.ours), "");
    let side = shop.at("convert.wasm.intoto.jsonl");
    let theirs: Value = serde_json::from_str(&fs::read_to_string(&side).unwrap()).unwrap();
    shop.unsign();
    shop.sign(&[]);
    let mut forged: Value = serde_json::from_str(&fs::read_to_string(&side).unwrap()).unwrap();
    forged["signatures"][0]["sig"] = theirs["signatures"][0]["sig"].clone();
    fs::write(&side, forged.to_string()).unwrap();
    shop.refuses("signature.invalid");
    // Without the hint the signature is just of no required key.
    forged["signatures"][0]["keyid"] = "".into();
    fs::write(&side, forged.to_string()).unwrap();
    shop.refuses("signature.key");
    fs::write(&side, "{}").unwrap();
    shop.refuses("signature.malformed");
}

#[test]
fn what_need_not_be_signed_is_unverified_and_a_trusted_signature_must_hold() {
    let shop = Shop::new();
    shop.registry("", "");
    shop.serves();
    shop.verifies("unverified", None);
    shop.sign(&[]);
    shop.serves();
    shop.verifies("unverified", None);
    // Trusted, it counts; and what contradicts it is never loaded.
    shop.registry(&format!("trust = [\"{}\"]", shop.ours), "");
    shop.verifies("verified", None);
    assert!(shop.run(&["lock"]).status.success());
    shop.pack(&shop.contract().replacen("description = \"", "description = \"Always ", 1));
    shop.refuses("signature.surface");
    shop.unsign();
    // Accepted as signed, it is quarantined without a signature, until exactly that is accepted.
    shop.pack(&shop.contract());
    shop.refuses("signature.stripped");
    let shown = shop.run(&["lock"]);
    assert_eq!(shown.status.code(), Some(3), "{}", stdout(&shown));
    let hint = stderr(&shown);
    let digest = hint.split("--accept ").nth(1).unwrap().split('`').next().unwrap();
    assert_eq!(digest.len(), 64);
    assert!(shop.run(&["lock", "--accept", digest]).status.success());
    shop.serves();
    // A signature that comes is no change.
    shop.sign(&[]);
    shop.serves();
}

#[test]
fn an_entry_has_rules_of_its_own_and_wrong_ones_are_refused() {
    let shop = Shop::new();
    shop.sign(&["--name", "convert-1.0", "--serial", "5"]);
    shop.refuses("signature.moved");
    let all = format!("require = [\"{}\"]", shop.theirs);
    let own = format!("require = [\"{}\"], name = \"convert-1.0\"", shop.ours);
    shop.registry(&all, &format!("signatures = {{ {own}, serial_min = 5 }}"));
    shop.serves();
    shop.registry(&all, &format!("signatures = {{ {own}, serial_min = 6 }}"));
    shop.refuses("signature.rollback");
    let refused = |all: &str, why: &str| {
        shop.registry(all, "");
        let checked = shop.run(&["check"]);
        assert!(stderr(&checked).contains(why), "{}", stderr(&checked));
    };
    refused("require = [\"AAAA\"]", "a key begins with `key:` or `minisign:`");
    refused(&format!("require = [\"{0}\", \"{0}\"]", shop.ours), "is in the list twice");
    refused(&format!("require = [\"{}\"]\nthreshold = 2", shop.ours), "is 2 of 1 keys");
    refused("threshold = 1", "is 1 of 0 keys");
    refused("name = \"x\"", "is the name of one component");
}

#[test]
fn a_file_is_verified_by_the_registry_that_is_there() {
    let shop = Shop::new();
    let says = |args: &[&str], code: i32, piece: &str| {
        let verified = shop.run(&[&["verify"], args].concat());
        assert_eq!(
            verified.status.code(),
            Some(code),
            "{args:?}: {}{}",
            stdout(&verified),
            stderr(&verified)
        );
        assert!(stdout(&verified).contains(piece), "{args:?}: {}", stdout(&verified));
    };
    shop.sign(&[]);
    says(&["convert.wasm"], 0, "verified");
    shop.registry(&format!("require = [\"{}\"]", shop.theirs), "");
    says(&["convert.wasm"], 1, "`signatures.require`");
    // What the options say counts instead, and the hint is one that works here.
    says(&["convert.wasm", "--key", &shop.ours], 0, "verified");
    says(&["convert.wasm", "--key", &shop.theirs], 1, "`--key`, `--threshold`");
    // A file that no entry names, by what is wanted of every component.
    fs::copy(shop.at("convert.wasm"), shop.at("other.wasm")).unwrap();
    fs::copy(shop.at("convert.wasm.intoto.jsonl"), shop.at("other.wasm.intoto.jsonl")).unwrap();
    shop.registry(&format!("require = [\"{}\"]", shop.ours), "");
    says(&["other.wasm"], 1, "signature.moved");
    says(&["other.wasm", "--name", "convert.wasm"], 0, "verified");
    says(&["other.wasm", "--key", &shop.ours], 1, "`--name NAME`");
    fs::remove_file(shop.at("airlock.toml")).unwrap();
    says(&["convert.wasm"], 1, "no key is given to verify that: `--key`");
    // One that cannot be read is named, and the others are verified all the same.
    shop.registry(&format!("require = [\"{}\"]", shop.ours), "[tools.broken]\ncomponent = \"broken.wasm\"");
    says(&[], 1, "broken  unusable");
    says(&[], 1, "convert  verified");
}

#[test]
fn a_damaged_lock_is_to_be_restored_and_a_digest_accepts_what_waits_alone() {
    let shop = Shop::new();
    shop.registry("", "");
    assert!(shop.run(&["lock"]).status.success());
    let nothing = shop.run(&["lock", "--accept", "0123"]);
    assert!(stderr(&nothing).contains("nothing waits"), "{}", stderr(&nothing));
    shop.pack(&shop.contract().replacen("description = \"", "description = \"Always ", 1));
    let short = shop.run(&["lock", "--accept", "0123"]);
    let said = stderr(&short);
    assert!(said.contains("64 digits, and not 4") && said.contains("airlock lock --accept "), "{said}");
    let called = shop.call();
    assert!(stderr(&called).contains("so that no call of them runs"), "{}", stderr(&called));
    for damaged in ["", "\u{1}\u{2}"] {
        fs::write(shop.at("airlock.lock"), damaged).unwrap();
        let said = stderr(&shop.run(&["lock"]));
        assert!(said.contains("restore it from version control") && said.contains("unreviewed"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn what_cannot_sign_is_named() {
    let shop = Shop::new();
    let says = |args: &[&str], piece: &str| {
        let signed = shop.run(&[&["sign"], args].concat());
        assert!(!signed.status.success() && stderr(&signed).contains(piece), "{args:?}: {}", stderr(&signed));
    };
    says(&["--new-key", "ours.pem"], "choose another name");
    let private = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(shop.at(name), text).unwrap();
        fs::set_permissions(shop.at(name), fs::Permissions::from_mode(0o600)).unwrap();
    };
    private("mini.key", "untrusted comment: minisign encrypted secret key\nRWRTY0Iy\n");
    says(&["convert.wasm", "--key", "mini.key"], "minisign -Sm");
    fs::write(shop.at("mini.pub"), "untrusted comment: minisign public key 63DE\nRWRT\n").unwrap();
    says(&["convert.wasm", "--key", "mini.pub"], "is a public one");
    private("empty.pem", "");
    says(&["convert.wasm", "--key", "empty.pem"], "is empty");
    says(&["mini.pub", "--key", "ours.pem"], "it does not begin with");
    says(&["convert.wasm", "--key", "ours.pem", "--serial", "-1"], "invalid value '-1'");
    let ended = shop.run(&["sign", "convert.wasm", "--key", "ours.pem", "--expires", "2020-01-01"]);
    assert!(stderr(&ended).contains("`--expires` has passed"), "{}", stderr(&ended));
}

#[test]
fn a_private_key_stays_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let shop = Shop::new();
    let key = shop.at("ours.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = shop.run(&["sign", "--new-key", "ours.pem"]);
    assert!(!again.status.success(), "never in the place of another key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let signed = shop.run(&["sign", "convert.wasm", "--key", "ours.pem"]);
    assert!(stderr(&signed).contains("not this user's alone"), "{}", stderr(&signed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_longer_required_ends_a_tool_that_runs_and_a_flipped_byte_does_not() {
    let shop = Shop::new();
    shop.sign(&[]);
    let file = || ConfigFile::read(&shop.at("airlock.toml")).unwrap();
    let host = Host::builder().registry(file()).journal(Journal::memory()).open().await.unwrap();
    let answer = async || {
        let args = r#"{"value": 1, "from": "km", "to": "m"}"#;
        host.call(Call::new("convert", Arguments::Text(args.into()))).await.code
    };
    assert_eq!(answer().await, Code::Ok);
    // What was verified stays where what came is not the signed component.
    let whole = fs::read(shop.at("convert.wasm")).unwrap();
    fs::write(shop.at("convert.wasm"), &whole[..whole.len() - 1]).unwrap();
    host.reload(&file()).await.unwrap();
    assert!(host.problems().unwrap().to_string().contains("signature."));
    assert_eq!(answer().await, Code::Ok);
    shop.registry(&format!("require = [\"{}\"]", shop.theirs), "");
    host.reload(&file()).await.unwrap();
    assert_eq!(answer().await, Code::Unknown);
}

/// A wall clock that the test sets, in seconds.
struct Wall(AtomicU64);

impl Environment for Wall {
    fn wall(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_signature_that_ends_while_a_server_runs_ends_the_tool() {
    // The beginning of 2026-12-31 in UTC.
    let end = 1_798_675_200;
    let shop = Shop::new();
    shop.sign(&["--expires", "2026-12-31"]);
    let wall = Arc::new(Wall((end - 1).into()));
    let file = ConfigFile::read(&shop.at("airlock.toml")).unwrap();
    let builder = Host::builder().registry(file).journal(Journal::memory()).environment(wall.clone());
    let host = builder.open().await.unwrap();
    let answer = async || {
        let args = r#"{"value": 1, "from": "km", "to": "m"}"#;
        host.call(Call::new("convert", Arguments::Text(args.into()))).await
    };
    let offered = || host.visible(&Caller::local()).offered().count();
    assert_eq!((answer().await.code, offered()), (Code::Ok, 1));
    wall.0.store(end, Ordering::Release);
    let reply = answer().await;
    assert_eq!((reply.code, offered()), (Code::PolicyDenied, 0));
    assert!(reply.error.unwrap().message.contains("a signature in force"));
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    let lack = &record.decision.unwrap().denied[0];
    assert!(lack.grant.as_ref().unwrap().contains("sign it again"), "{lack:?}");
}

#[test]
fn a_key_that_is_given_twice_or_that_needs_no_private_key_is_refused() {
    let shop = Shop::new();
    shop.sign(&[]);
    let twice =
        shop.run(&["verify", "convert.wasm", "--key", &shop.ours, "--key", &shop.ours, "--threshold", "2"]);
    assert!(!twice.status.success() && stderr(&twice).contains("given twice"), "{}", stderr(&twice));
    let once = shop.run(&["verify", "convert.wasm", "--key", &shop.ours]);
    assert!(once.status.success(), "{}", stderr(&once));
    // The neutral element: R = 1 and S = 0 are a signature of every message.
    let weak = format!("require = [\"key:AQ{}=\"]", "A".repeat(41));
    shop.registry(&weak, "");
    let checked = shop.run(&["check"]);
    assert!(stderr(&checked).contains("small order"), "{}", stderr(&checked));
}

/// The blocks of the page, in this language.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let begin = format!("```{language}\n");
    let blocks = page.split("\n```").collect::<Vec<_>>();
    let inside = blocks.iter().skip(1).step_by(2).map(|block| format!("```{block}\n"));
    inside.filter_map(|block| block.strip_prefix(&begin).map(str::to_owned)).collect()
}

#[test]
fn the_page_about_security_is_right() {
    let shop = Shop::new();
    fs::copy(root().join("example-tools/build/unit-convert.wasm"), shop.at("unit-convert.wasm")).unwrap();
    let lines: Vec<String> = blocks("").concat().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let command = line.split('#').next().unwrap();
        let done = shop.run(&command.split_whitespace().skip(1).collect::<Vec<_>>());
        assert!(done.status.success(), "{line}: {}", stderr(&done));
    }
    assert!(shop.at("unit-convert.wasm.intoto.jsonl").exists());
    let toml = blocks("toml");
    // One of two keys, and two of three.
    assert_eq!(toml.len(), 2);
    for text in &toml {
        ConfigFile::parse(text, Path::new("airlock.toml")).unwrap();
    }
    // Every code is on the page.
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let source = fs::read_to_string(root().join("host/engine/src/signature/fault.rs")).unwrap();
    let codes: Vec<&str> =
        source.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let codes: Vec<&str> = codes.into_iter().filter(|code| code.starts_with("signature.")).collect();
    assert_eq!(codes.len(), 14);
    assert!(codes.iter().all(|code| page.contains(&format!("| `{code}` |"))), "{codes:?}");
}
