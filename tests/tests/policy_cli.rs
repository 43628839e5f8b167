//! `airlock policy`, and what `check` says about grants: through the program, on registries that a reviewer would write.

use std::path::Path;
use std::process::{Command, Output};

use airlock_tests::{program, root};
use serde_json::json;

use crate::keep::{Place, call, example};
use crate::{stderr, stdout};
use airlock_types::code::Code;

fn airlock_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(program()).current_dir(folder).args(args).output().unwrap()
}

/// A folder with the web guest as `web.wasm`, and with this registry.
fn web(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("tests/guests/build/fetcher.wasm"), folder.path().join("web.wasm")).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
    folder
}

#[test]
fn check_names_what_is_odd_about_grants() {
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\ngrants.config = { zone = \"eu\" }\ngrants.http = [\n\
        { host = \"*.example.com\" },\n{ host = \"*.example.org\", reason = \"one host for each customer\" },\n\
        { host = \"10.0.0.1\" },\n{ host = \"10.0.0.2\", addresses = [\"10.0.0.0/8\"] },\n{ host = \"localhost\", scheme = \"http\" },\n\
        { host = \"api.example.com\", path = \"/v1/\" },\n{ host = \"api.invalid\" },\n\
        { host = \"api.example.com\", path = \"/v1/x\" },\n{ host = \"glob.example.com\", path = \"/v1/*\" },\n]\n\
        grants.files = [{ host = \"data\", guest = \"/data/\" }]\n\
        report = { until = 2999-01-01, grants = { http = [{ host = \"*.example.net\" }] } }\n",
    );
    let output = airlock_in(folder.path(), &["check"]);
    let said = stderr(&output);
    for (kind, line, piece) in [
        ("grant-unrequested", 3, "the value `zone`"),
        ("grant-unrequested", 15, "the folder `/data/`"),
        ("wildcard-without-reason", 5, "`*.example.com`"),
        ("private-without-cidr", 7, "`10.0.0.1`"),
        ("private-without-cidr", 9, "`localhost`"),
        ("path-normalized", 10, "`path = \"/v1/\"` is read as `/v1`"),
        ("host-unmatchable", 11, "`api.invalid`"),
        (
            "grant-shadowed",
            12,
            "`https://api.example.com/v1/x` is one of the grant of `https://*.example.com/`",
        ),
        ("path-glob", 13, "`/v1` admits itself and all below it"),
        ("wildcard-without-reason", 16, "`*.example.net`"),
        ("path-normalized", 15, "`guest = \"/data/\"` is read as `/data`"),
    ] {
        let end = format!("({kind}, airlock.toml:{line})");
        assert!(
            said.lines().any(|found| found.ends_with(&end) && found.contains(piece)),
            "{end} {piece}: {said}"
        );
    }
    for fine in ["example.org", "10.0.0.2"] {
        assert!(!said.contains(fine), "{said}");
    }
    assert_eq!(airlock_in(folder.path(), &["check", "--strict"]).status.code(), Some(1));
}

#[test]
fn diff_tells_wider_from_narrower_and_ends_with_3_for_the_wider() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, grants: &str| {
        let text = format!("[tools.web]\ncomponent = \"absent.wasm\"\n{grants}");
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write("none.toml", "");
    write("one.toml", "grants.http = [{ host = \"a.example\" }]\ngrants.clock = true\n");
    write(
        "less.toml",
        "grants.http = [{ host = \"a.example\", path = \"/v1\" }]\ngrants.clock = \"frozen\"\n",
    );
    write("report.toml", "report = { until = 2027-01-01, grants = { http = [{ host = \"b.example\" }] } }\n");
    write("folder.toml", "grants.files = [{ host = \"d\", guest = \"/data\" }]\n");
    write("spelled.toml", "grants.files = [{ host = \"d\", guest = \"/data/\" }]\n");
    std::fs::write(folder.path().join("renamed.toml"), "[tools.web]\ncomponent = \"other.wasm\"\n").unwrap();
    write("ann.toml", "[callers.ann]\ntools = [\"web\"]\ngrants.clock = true\n");
    write("eve.toml", "[callers.ann]\ntools = [\"web\"]\n");
    write("all.toml", "[callers.ann]\ntools = [\"*\"]\ngrants.clock = true\n");
    for (old, new, code, pieces) in [
        ("one", "one", 0, &["nothing changed"][..]),
        (
            "none",
            "one",
            3,
            &["added    tools.web.grants.http[https://a.example/]", "added    tools.web.grants.clock"][..],
        ),
        ("one", "none", 0, &["removed  tools.web.grants.clock"][..]),
        ("one", "less", 0, &["narrowed tools.web.grants.clock"][..]),
        ("less", "one", 3, &["widened  tools.web.grants.clock"][..]),
        ("none", "report", 3, &["added    tools.web.report.grants.http[https://b.example/]"][..]),
        ("ann", "eve", 3, &["widened  callers.ann.grants"][..]),
        ("eve", "ann", 0, &["narrowed callers.ann.grants"][..]),
        ("ann", "all", 3, &["widened  callers.ann.tools"][..]),
        ("none", "ann", 3, &["added    callers.ann", "  + grants.clock = true"][..]),
        ("folder", "spelled", 0, &["nothing changed"][..]),
        ("none", "renamed", 3, &["widened  tools.web.component"][..]),
    ] {
        let (old, new) = (format!("{old}.toml"), format!("{new}.toml"));
        let output = airlock_in(folder.path(), &["policy", "diff", &old, &new]);
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{old} {new}: {said}{}", stderr(&output));
        for piece in pieces {
            assert!(said.contains(piece), "{old} {new}: {said}");
        }
        // The name of a file is its component's, and no setting of its signatures.
        assert!(!said.contains("signatures.name"), "{said}");
    }
    let missing = airlock_in(folder.path(), &["policy", "diff", "none.toml", "gone.toml"]);
    assert!(stderr(&missing).contains("airlock policy diff OLD NEW"), "{}", stderr(&missing));
    let output = airlock_in(folder.path(), &["policy", "diff", "none.toml", "one.toml", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["wider"], found["changes"].as_array().unwrap().len()), (&json!(true), 2));
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn whatever_allows_more_is_wider_by_any_setting() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["c", "g"].map(|letter| format!("key:{}=", letter.repeat(43)));
    let web = |more: &str| format!("[tools.web]\ncomponent = \"absent.wasm\"\n{more}\n");
    let ann = |more: &str| web(&format!("[callers.ann]\ntools = [\"web\"]\n{more}"));
    let of = |caller: &str| web(&format!("[callers.{caller}]\ntools = [\"web\"]"));
    let token = |digit: char| format!("tokens = [\"sha256:{}\"]", String::from(digit).repeat(64));
    let signed = |more: &str| format!("[signatures]\n{more}\n{}", web(""));
    let require = |keys: &[&str], more: &str| {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        signed(&format!("require = [{}]\n{more}", keys.join(", ")))
    };
    // What the old registry says, what the new one says, the place, and whether the way back is no wider.
    let cases = [
        (require(&[&one], ""), signed(""), "signatures.require", true),
        (require(&[&one], ""), signed(""), "tools.web.signatures.require", true),
        (require(&[&one, &two], ""), require(&[&one, &two], "threshold = 1"), "signatures.require", true),
        (require(&[&one], ""), require(&[&two], ""), "signatures.require", false),
        (require(&[&one], ""), require(&[&one, &two], "threshold = 1"), "signatures.require", true),
        (signed("serial_min = 7"), signed("serial_min = 6"), "signatures.serial_min", true),
        (signed(&format!("trust = [{one:?}]")), signed(""), "signatures.trust", true),
        (web(""), web("signatures.name = \"other.wasm\""), "tools.web.signatures.name", false),
        (web("limits.fuel = 1000"), web(""), "tools.web.limits.fuel", false),
        (
            web("limits.deadline_ms = 100"),
            web("limits.deadline_ms = 200"),
            "tools.web.limits.deadline_ms",
            true,
        ),
        (web("effects = \"read\""), web(""), "tools.web.effects", false),
        (web("effects = \"read\""), web("effects = \"write\""), "tools.web.effects", true),
        (web(""), web("fallback = [\"other\"]"), "tools.web.fallback", true),
        (
            web("fallback = [{ cached = \"1h\" }]"),
            web("fallback = [{ cached = \"1d\" }]"),
            "tools.web.fallback",
            true,
        ),
        (web(""), web("verify = \"other\""), "tools.web.verify", false),
        (web(""), web("approval = \"waived\""), "tools.web.approval", true),
        (web(""), web("retry.attempts = 9"), "tools.web.retry.attempts", true),
        (web("functions = [\"fetch\"]"), web(""), "tools.web.functions", true),
        (web(""), web("imports.\"a:b/c\" = \"trap\""), "tools.web.imports.\"a:b/c\"", true),
        (web(""), web("").replace("absent", "other"), "tools.web.component", false),
        (web("useful_ms_min = 500"), web("useful_ms_min = 50"), "tools.web.useful_ms_min", true),
        (web("bulkhead.run = 2"), web("bulkhead.run = 3"), "tools.web.bulkhead.run", true),
        (of("local"), web(""), "callers.local.tools", true),
        (
            of("anonymous"),
            format!("http.allow_anonymous = true\n{}", web("")),
            "callers.anonymous.tools",
            true,
        ),
        (web(""), format!("http.allow_anonymous = true\n{}", web("")), "http.allow_anonymous", true),
        (web(""), ann(""), "callers.ann", true),
        (ann(""), ann(&token('a')), "callers.ann.tokens", true),
        (ann(&token('a')), ann(&token('b')), "callers.ann.tokens", false),
        (ann("budgets.calls_per_day = 3"), ann(""), "callers.ann.budgets.calls_per_day", true),
        (ann("run = 1"), ann(""), "callers.ann.run", true),
        (ann(""), ann("metrics = \"all\""), "callers.ann.metrics", true),
        (
            ann("grants.files = [{ guest = \"/data\", host = \"/data\" }]"),
            ann("grants.files = [{ guest = \"/data\" }]"),
            "callers.ann.grants.files[/data]",
            false,
        ),
        (
            ann("grants.config = { a = \"*\" }"),
            ann("grants.config = [\"a\"]"),
            "callers.ann.grants.config.a",
            false,
        ),
        (web(""), format!("http.listen = \"0.0.0.0:80\"\n{}", web("")), "http.listen", false),
        (
            web(""),
            format!("http.allowed_origins = [\"https://a.example\"]\n{}", web("")),
            "http.allowed_origins",
            true,
        ),
        (web(""), format!("host.call_deadline_ms = 90000\n{}", web("")), "host.call_deadline_ms", true),
        (web(""), format!("arguments.bytes_max = 9000000\n{}", web("")), "arguments.bytes_max", true),
        (web(""), web("[secrets.K]\nenv = \"K\""), "secrets.K", true),
        (web("[secrets.K]\nenv = \"K\""), web("[secrets.K]\nenv = \"L\""), "secrets.K", false),
    ];
    let diff = |old: &str, new: &str| {
        std::fs::write(folder.path().join("old.toml"), old).unwrap();
        std::fs::write(folder.path().join("new.toml"), new).unwrap();
        let output = airlock_in(folder.path(), &["policy", "diff", "old.toml", "new.toml"]);
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    for (old, new, place, is_less_back) in cases {
        let (code, said) = diff(&old, &new);
        assert_eq!(code, Some(3), "{old}{new}{said}");
        let lines = ["widened ", "added   "].map(|turn| format!("{turn} {place}"));
        assert!(said.lines().any(|line| lines.iter().any(|own| own == line)), "{place}: {said}");
        let (code, said) = diff(&new, &old);
        assert_eq!(code, Some(if is_less_back { 0 } else { 3 }), "back: {new}{old}{said}");
        assert_eq!(diff(&old, &old), (Some(0), "nothing changed\n".to_owned()), "{old}");
    }
}

#[test]
fn a_case_is_about_who_may_call_and_what_a_class_allows_too() {
    let folder = web("[tools.web]\ncomponent = \"web.wasm\"\nfunctions = [\"fetch\"]\neffects = \"read\"\n\
        grants.http = [{ host = \"a.example\", methods = [\"GET\", \"POST\"] }, { host = \"10.0.0.1\" }]\n[callers.ann]\ntools = [\"other\"]\n");
    let cases = "[[case]]\ntool = \"web\"\nrequest = { http = \"POST https://a.example/\" }\ndecision = \"deny\"\nrule = \"tools.web.effects\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/\" }\ndecision = \"allow\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://10.0.0.1/\" }\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\ncaller = \"ann\"\ndecision = \"deny\"\nrule = \"callers.ann.tools\"\n";
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert!(stdout(&output).contains("4 cases, 0 failed"), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_request_that_no_registry_can_serve_is_not_packed() {
    let folder = web("[tools.web]\ncomponent = \"web.wasm\"\n");
    let before = std::fs::read(folder.path().join("web.wasm")).unwrap();
    for (asked, says) in [
        ("[[capabilities.files]]\npath = \"data\"", "`data` is not an absolute path of a guest"),
        ("[[capabilities.files]]\npath = \"/a/../data\"", "`/a/../data` is not an absolute path of a guest"),
        ("[[capabilities.env]]\nkey = \"A=B\"", "has the key `A=B`, which cannot be one"),
        ("[[capabilities.config]]\nkey = \"\"", "has the key ``, which cannot be one"),
        ("[[capabilities.http]]\nhost = \"a.example\"\nmethods = []", "has no method"),
        ("[[capabilities.http]]\nhost = \"a.example\"\nport = 0", "has the port 0"),
        ("[capabilities.keyvalue]\nbuckets = []", "`capabilities.keyvalue` of `contract.toml`"),
    ] {
        let contract = folder.path().join("contract.toml");
        std::fs::write(&contract, format!("{asked}\nreason = \"r\"\noptional = true\n")).unwrap();
        let packed = airlock_in(folder.path(), &["pack", "web.wasm", "--contract", "contract.toml"]);
        let said = stderr(&packed);
        assert!(packed.status.code() == Some(1) && said.contains(says), "{asked}: {said}");
    }
    for asked in
        ["[capabilities.clock]", "[capabilities.custom.mail]", "[[capabilities.http]]\nhost = \"a.example\""]
    {
        std::fs::write(folder.path().join("contract.toml"), format!("{asked}\nreason = \" \"\n")).unwrap();
        let packed = airlock_in(folder.path(), &["pack", "web.wasm", "--contract", "contract.toml"]);
        let said = stderr(&packed);
        assert!(
            packed.status.code() == Some(1) && said.contains("a request has no reason"),
            "{asked}: {said}"
        );
    }
    assert_eq!(std::fs::read(folder.path().join("web.wasm")).unwrap(), before);
    // Nor does an empty reason explain a wildcard.
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\ngrants.http = [{ host = \"*.example.com\", reason = \" \" }]\n",
    );
    let said = stderr(&airlock_in(folder.path(), &["check"]));
    assert!(said.contains("(wildcard-without-reason, airlock.toml:3)"), "{said}");
}

/// What `show` says would allow the refused request of a call, and where.
fn mended(folder: &Path) -> (String, String) {
    let args = json!({"method": "GET", "url": "http://127.0.0.1:1/x", "headers": [], "body": ""}).to_string();
    let called = airlock_in(folder, &["call", "web_fetch", &args, "--json"]);
    let reply: serde_json::Value = serde_json::from_slice(&called.stdout).unwrap();
    let shown = stdout(&airlock_in(folder, &["show", reply["record"].as_str().unwrap()]));
    let line =
        shown.lines().find_map(|line| line.split_once("to allow it, ")).map(|(_, line)| line.to_owned());
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    let (place, grant) = line.split_once(": grants.").unwrap_or_else(|| panic!("{line}"));
    (place.to_owned(), format!("grants.{grant}"))
}

#[test]
fn the_line_that_would_allow_a_use_is_whole_and_fits_how_the_list_is_written() {
    let host = |n: u32| format!("host = \"host-{n}.example.com\"");
    let path = "path = \"/a/long/path/of/a/service\"";
    let entry = "[tools.web]\ncomponent = \"web.wasm\"\n";
    let listed: String = (0..9).map(|n| format!("{{ {}, {path} }},", host(n))).collect();
    let headed: String =
        (0..9).map(|n| format!("[[tools.web.grants.http]]\n{}\n{path}\n", host(n))).collect();
    for (grants, place) in [
        (format!("grants.http = [{listed}]\n"), "write in place of the rule in `[tools.web]`"),
        (headed, "write in `tools.web`, in place of all [[tools.web.grants.http]]"),
    ] {
        let folder = web(&format!("{entry}{grants}"));
        let (said, line) = mended(folder.path());
        assert_eq!(said, place);
        assert!(line.len() > 300 && line.contains("host-8") && line.contains("127.0.0.1"), "{line}");
        std::fs::write(folder.path().join("airlock.toml"), format!("{entry}{line}\n")).unwrap();
        let checked = airlock_in(folder.path(), &["check"]);
        assert!(checked.status.success(), "{}", stderr(&checked));
    }
    // An entry in braces takes the line within them.
    let folder = web("[tools]\nweb = { component = \"web.wasm\", grants = { clock = true } }\n");
    let args = json!({"method": "GET", "url": "http://127.0.0.1:1/x", "headers": [], "body": ""}).to_string();
    let called = airlock_in(folder.path(), &["call", "web_fetch", &args, "--json"]);
    let reply: serde_json::Value = serde_json::from_slice(&called.stdout).unwrap();
    let told = stdout(&airlock_in(folder.path(), &["why", reply["record"].as_str().unwrap()]));
    assert!(told.contains("add in `tools.web.grants`, within its braces:"), "{told}");
    assert!(
        told.lines().any(|line| line.trim_start().starts_with("http = [{ host = \"127.0.0.1\"")),
        "{told}"
    );
}

#[test]
fn what_check_proposes_fits_beside_what_is_granted() {
    let contract = "[[capabilities.http]]\nhost = \"a.example\"\nreason = \"r\"\n[[capabilities.http]]\nhost = \"b.example\"\n\
                    reason = \"r\"\noptional = true\n";
    let whole = "to grant it: grants.http = [{ host = \"a.example\" }, { host = \"b.example\" }]";
    for (grants, place) in [
        ("grants.http = [{ host = \"a.example\" }]\n", "(in place of what is there)"),
        (
            "[[tools.web.grants.http]]\nhost = \"a.example\"\n",
            "(in `tools.web`, in place of all [[tools.web.grants.http]])",
        ),
    ] {
        let folder = web(&format!("[tools.web]\ncomponent = \"web.wasm\"\n{grants}"));
        std::fs::write(folder.path().join("contract.toml"), contract).unwrap();
        let packed = airlock_in(folder.path(), &["pack", "web.wasm", "--contract", "contract.toml"]);
        assert!(packed.status.success(), "{}", stderr(&packed));
        let said = stderr(&airlock_in(folder.path(), &["check"]));
        assert!(said.contains(&format!("{whole} {place}")), "{said}");
    }
}

#[test]
fn texts_of_an_author_write_no_line_of_check_and_no_part_of_a_grant() {
    let contract = "[[capabilities.files]]\npath = '/x\", access = \"read-write'\nreason = \"r\\n\\nok: verified\"\n\
        [capabilities.custom]\n\"a = true\\ngrants.http = [{ host = 'evil.example' }]\\n#\" = { reason = \"r\" }\n";
    let folder = web("[tools.web]\ncomponent = \"web.wasm\"\n");
    std::fs::write(folder.path().join("contract.toml"), contract).unwrap();
    let packed = airlock_in(folder.path(), &["pack", "web.wasm", "--contract", "contract.toml"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    let said = stderr(&airlock_in(folder.path(), &["check"]));
    let known = |line: &&str| line.starts_with("warning: ") || line.starts_with("note: ");
    assert!(said.lines().all(|line| known(&line)), "{said}");
    let printed = said.lines().filter_map(|line| line.split_once("to grant it: ").map(|(_, grant)| grant));
    let mut names = Vec::new();
    for line in printed {
        let read: toml::Table = toml::from_str(line).unwrap_or_else(|err| panic!("{line}: {err}"));
        let grants = read["grants"].as_table().unwrap();
        assert_eq!((read.len(), grants.len()), (1, 1), "{line}");
        names.extend(grants.keys().cloned());
        if let Some(folders) = grants.get("files") {
            assert!(folders[0].get("access").is_none(), "{line}");
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names, ["custom", "files"], "{said}");
    let report = stdout(&airlock_in(folder.path(), &["audit"]));
    assert!(
        !report.lines().any(|line| line.starts_with("ok:") || line.starts_with("grants.http")),
        "{report}"
    );
}

const TRIED: &str = "[tools.keep]\ncomponent = \"keeper.wasm\"\ngrants = { clock = true, random = true, config = { a = \"1\", b = \"2\" }, keyvalue = { buckets = [\"x\", \"y\"] } }\n";

/// A registry of the keeper whose journal has calls that used the clock, one value and one bucket.
async fn used() -> Place {
    let place = Place::new();
    place.registry(TRIED).unwrap();
    let host = place.open_kept("grants = { clock = true, random = true, config = { a = \"1\", b = \"2\" }, keyvalue = { buckets = [\"x\", \"y\"] } }\n").await;
    call(&host, "now", &json!({}), Code::Ok).await;
    call(&host, "values", &json!({"keys": ["a"]}), Code::Ok).await;
    call(&host, "put", &json!({"bucket": "x", "key": "k", "value": "v"}), Code::Ok).await;
    host.journal().flush().unwrap();
    drop(host);
    place.registry(TRIED).unwrap();
    place
}

#[tokio::test]
async fn suggest_covers_what_was_used_and_no_more_and_unused_lists_the_rest() {
    let place = used().await;
    let folder = place.folder.path();
    let output = airlock_in(folder, &["policy", "suggest"]);
    let said = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed: toml::Table = toml::from_str(&said).unwrap();
    let expect: toml::Table = toml::from_str(
        "[tools.keep]\ngrants = { clock = true, config = { a = \"1\" }, keyvalue = { buckets = [\"x\"] } }\n",
    )
    .unwrap();
    assert_eq!(printed, expect, "{said}");
    assert!(said.contains("from 3 attempts") && said.contains("1 use: clock"), "{said}");
    // It is narrower, and the calls that it is made of pass under it.
    let old = place.path("old.toml");
    std::fs::rename(place.path("airlock.toml"), &old).unwrap();
    std::fs::write(
        place.path("airlock.toml"),
        said.replace("[tools.keep]\n", "[tools.keep]\ncomponent = \"keeper.wasm\"\n"),
    )
    .unwrap();
    let diff = airlock_in(folder, &["policy", "diff", "old.toml", "airlock.toml"]);
    assert_eq!(diff.status.code(), Some(0), "{}", stdout(&diff));
    assert!(stdout(&diff).contains("narrowed") && stdout(&diff).contains("removed"), "{}", stdout(&diff));
    for (function, args) in [
        ("keep_now", "{}"),
        ("keep_values", "{\"keys\": [\"a\"]}"),
        ("keep_put", "{\"bucket\": \"x\", \"key\": \"k\", \"value\": \"v\"}"),
    ] {
        let output = airlock_in(folder, &["call", function, args]);
        assert!(output.status.success(), "{function}: {}{}", stdout(&output), stderr(&output));
    }
    std::fs::rename(&old, place.path("airlock.toml")).unwrap();
    let said = stdout(&airlock_in(folder, &["policy", "unused"]));
    for rule in [
        "tools.keep.grants.random (airlock.toml:3)",
        "tools.keep.grants.config.b (airlock.toml:3)",
        "grants.keyvalue.buckets.y",
    ] {
        assert!(said.contains(rule), "{rule}: {said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
    // Before the records of the last second there is nothing to go by.
    let said = stdout(&airlock_in(folder, &["policy", "suggest", "--since", "0s"]));
    assert!(said.contains("no record"), "{said}");
    assert!(!airlock_in(folder, &["policy", "suggest", "--since", "soon"]).status.success());
    let unknown = airlock_in(folder, &["policy", "suggest", "nobody"]);
    assert!(stderr(&unknown).contains("the registry has no entry `tools.nobody`"), "{}", stderr(&unknown));
}

#[tokio::test]
async fn what_was_tried_is_suggested_by_the_name_of_a_tool_too() {
    let place = used().await;
    let folder = place.folder.path();
    let tried = "report = { until = 2999-01-01, grants = { random = true } }\n";
    let host = place.open_kept(tried).await;
    call(&host, "draw", &json!({}), Code::Ok).await;
    host.journal().flush().unwrap();
    drop(host);
    for registry in [tried, ""] {
        let text = format!("[tools.keep]\ncomponent = \"keeper.wasm\"\n{registry}");
        place.registry(&text).unwrap();
        let said = stdout(&airlock_in(folder, &["policy", "suggest", "keep_now"]));
        assert!(
            said.contains("1 use: random") && said.contains("(tried under report)"),
            "{registry}: {said}"
        );
        assert!(said.contains("\ngrants.random = true"), "{registry}: {said}");
        // Granted once, and not now.
        assert!(said.contains("1 use: clock: clock (not granted now"), "{registry}: {said}");
        assert!(!said.contains("\ngrants.clock"), "{said}");
    }
}

#[test]
fn a_case_that_cannot_be_tried_does_not_end_the_others() {
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\nfunctions = [\"fetch\"]\n[callers.ann]\ntools = [\"*\"]\n",
    );
    let cases = "[[case]]\ntool = \"wed\"\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\ncaller = \"anm\"\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\nrequest = { htp = \"GET https://a\" }\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a/\" }\ndecision = \"deny\"\n";
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    for piece in [
        "FAIL 1 (cases.toml:1): there is no tool `wed`; the tools are `web`",
        "FAIL 2 (cases.toml:4): the registry has no caller `anm`; it has `ann`",
        "FAIL 3 (cases.toml:8): unknown capability `htp`; did you mean `http`?",
        "ok   4 (cases.toml:12): ",
        "4 cases, 3 failed",
    ] {
        assert!(said.contains(piece), "{piece}: {said}");
    }
}

#[test]
fn check_says_what_holds_now_and_the_same_with_every_run() {
    let tried = "report = { until = 2999-01-01, grants = { clock = true } }\n";
    let callers = "[callers.ann]\ntools = [\"*\"]\ngrants.clock = true\ngrants.files = [{ guest = \"/nope\", host = \"nope\" }]\n";
    let folder = tempfile::tempdir().unwrap();
    let keeper = root().join("tests/guests/build/keeper.wasm");
    std::fs::copy(keeper, folder.path().join("keeper.wasm")).unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
    let check = |args: &[&str]| stderr(&airlock_in(folder.path(), &[&["check"], args].concat()));
    write(&format!("[tools.keep]\ncomponent = \"keeper.wasm\"\n{tried}{callers}"));
    let said = check(&[]);
    assert!(said.contains("tries extra grants"), "{said}");
    assert!(!said.contains("`grants.clock` would grant it"), "{said}");
    assert!(
        said.contains("`callers.ann.grants.files[0]` matches nothing") && said.contains("airlock.toml:7)"),
        "{said}"
    );
    assert!(!said.contains("callers.ann.grants.clock"), "{said}");
    assert_eq!(said, check(&[]));
    // Of folders the host's one counts, too.
    for name in ["own", "other"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let desk = root().join("tests/guests/build/scribe.wasm");
    std::fs::copy(desk, folder.path().join("desk.wasm")).unwrap();
    let grants =
        "[tools.desk]\ncomponent = \"desk.wasm\"\ngrants.files = [{ host = \"own\", guest = \"/data\" }]\n";
    for (host, is_idle) in [("own", false), ("./own/../own", false), ("other", true), ("nope", true)] {
        write(&format!(
            "{grants}[callers.ann]\ntools = [\"*\"]\ngrants.files = [{{ guest = \"/data\", host = \"{host}\" }}]\n"
        ));
        let said = check(&[]);
        assert_eq!(said.contains("`callers.ann.grants.files[0]` matches nothing"), is_idle, "{host}: {said}");
    }
    write(&format!("[tools.keep]\ncomponent = \"keeper.wasm\"\n{tried}{callers}"));
    assert!(!said.contains("/proc/"), "{said}");
    assert_eq!(check(&["--verbose"]), check(&["--verbose"]));
    write("");
    assert!(check(&[]).contains("warning: the registry has no tools"), "{}", check(&[]));
    let verified = airlock_in(folder.path(), &["verify"]);
    assert!(stderr(&verified).contains("nothing was verified"), "{}", stderr(&verified));
}

#[test]
fn cases_are_decided_as_calls_are_and_name_the_rule() {
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\nfunctions = [\"fetch\"]\ngrants.http = [\n    { host = \"a.example\", path = \"/v1\" },\n]\n\
        report = { until = \"2999-01-01\", grants = { http = [{ host = \"b.example\" }] } }\n\
        [callers.ann]\ntools = [\"*\"]\ngrants.http = [{ host = \"c.example\" }]\n",
    );
    let cases = "[[case]]\ntool = \"web\"\ndecision = \"allow\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v1/x\" }\ndecision = \"allow\"\nrule = \"tools.web.grants.http[0]\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v2\" }\ndecision = \"deny\"\nrule = \"airlock.toml:5\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v1?x=/../../y\" }\ndecision = \"allow\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v1/x#f\" }\ndecision = \"allow\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://b.example?x=1\" }\ndecision = \"report\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v2/../v1\" }\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://b.example/\" }\ndecision = \"report\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"POST https://a.example/v1\" }\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\ncaller = \"ann\"\nrequest = { http = \"GET https://a.example/v1\" }\ndecision = \"deny\"\nrule = \"callers.ann.grants.http\"\n";
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("10 cases, 0 failed"), "{}", stdout(&output));
    // For a path that servers read differently no grant is named: a wider one would allow what it may mean.
    for (path, named) in [
        ("/v1%zz", None),
        ("/v2/..%2fv1", None),
        ("/v2/%2e%2e/v1", None),
        ("/v2/a%20b", Some("path = \"/v2\"")),
    ] {
        let case = format!(
            "[[case]]\ntool = \"web\"\nrequest = {{ http = \"GET https://a.example{path}\" }}\ndecision = \"allow\"\n"
        );
        std::fs::write(folder.path().join("tricks.toml"), case).unwrap();
        let said = stdout(&airlock_in(folder.path(), &["policy", "test", "tricks.toml"]));
        assert!(said.contains("FAIL 1 (tricks.toml:1): web for local http"), "{path}: {said}");
        assert_eq!(said.contains("it would be allowed with"), named.is_some(), "{path}: {said}");
        assert!(said.contains(named.unwrap_or_default()), "{path}: {said}");
    }
    // A case that does not hold says what holds, and what would allow it.
    std::fs::write(
        folder.path().join("wrong.toml"),
        "[[case]]\ntool = \"web\"\nrequest = { http = \"GET https://c.example/\" }\ndecision = \"allow\"\n",
    )
    .unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(
        said.contains("FAIL 1")
            && said.contains("deny")
            && said.contains(
                "grants.http = [{ host = \"a.example\", path = \"/v1\" }, { host = \"c.example\", methods = [\"GET\"] }]"
            ),
        "{said}"
    );
    for broken in [
        "",
        "[[case]]\ntool = \"web\"\ndecision = \"perhaps\"\n",
        "[[case]]\ntool = \"none\"\ndecision = \"deny\"\n",
        "[[case]]\ntool = \"web\"\nrequest = { http = \"a.example\" }\ndecision = \"deny\"\n",
    ] {
        std::fs::write(folder.path().join("broken.toml"), broken).unwrap();
        assert!(!airlock_in(folder.path(), &["policy", "test", "broken.toml"]).status.success(), "{broken}");
    }
}

#[test]
fn the_examples_of_the_page_are_what_it_says() {
    let page = |place| example("## Who gets what", place);
    let folder = web(&page(0));
    let output = airlock_in(folder.path(), &["check"]);
    assert!(
        output.status.success() && !stderr(&output).contains("web` is granted `https"),
        "{}",
        stderr(&output)
    );
    let cases = page(2).replace("tool = \"web\"", "tool = \"web_fetch\"");
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert!(stdout(&output).contains("2 cases, 0 failed"), "{}{}", stdout(&output), stderr(&output));
    let folder = web(&page(1));
    let output = airlock_in(folder.path(), &["check"]);
    assert!(stderr(&output).contains("tries extra grants until 2026-12-31"), "{}", stderr(&output));
}
