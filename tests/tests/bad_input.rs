//! Bad input of every kind gets a clear error: what is wrong, where, and how to fix it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use airlock_tests::{program, registry, root};

use crate::{airlock, stderr, stdout};

/// Runs `check` on a registry in its own temporary folder.
fn with_registry(text: &str, files: &[(&str, &[u8])]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(program()).arg("--registry").arg(&path).arg("check").output().unwrap();
    (folder, output)
}

#[track_caller]
fn refuses(text: &str, files: &[(&str, &[u8])], says: &[&str]) {
    let (_folder, output) = with_registry(text, files);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for piece in says {
        assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn unit_convert() -> PathBuf {
    root().join("example-tools/build/unit-convert.wasm")
}

fn one_tool(component: &str) -> String {
    format!("[tools.one]\ncomponent = \"{component}\"\n")
}

#[test]
fn malformed_toml_is_shown_with_its_line() {
    refuses("[tools.one\ncomponent = 1", &[], &["airlock.toml:1"]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    refuses("[tools.one]\ncomponent = \"x.wasm\"\ntimeout = 3\n", &[], &["airlock.toml:3", "timeout"]);
}

#[test]
fn a_list_is_not_read_as_a_table() {
    let tool = "[tools.one]\ncomponent = \"x.wasm\"\n";
    let said = "this is a list, and a table is expected here";
    let tables = [
        "host",
        "compile",
        "arguments",
        "server",
        "http",
        "session",
        "journal",
        "oauth",
        "signatures",
        "approval",
    ];
    for table in tables {
        for list in ["[]", "[1]", "[\"state\"]"] {
            refuses(&format!("{table} = {list}\n"), &[], &[said, "airlock.toml:1"]);
        }
    }
    for line in [
        "grants = []",
        "grants.keyvalue = []",
        "grants.keyvalue = [[\"a\"]]",
        "grants.config = []",
        "grants.http = [[\"localhost\", \"http\", 8791]]",
        "grants.files = [[\"d\", \"/d\", \"read-write\"]]",
        "retry = [5]",
        "bulkhead = [1, 2]",
        "limits = [1]",
        "journal = []",
        "report = [\"2999-01-01\", []]",
        "report = { until = \"2999-01-01\", grants = [] }",
    ] {
        refuses(&format!("{tool}{line}\n"), &[], &[said, "airlock.toml:3"]);
    }
    for line in ["grants = []", "grants.keyvalue = []", "grants.http = [[\"a.example\"]]", "budgets = [1]"] {
        refuses(&format!("{tool}[callers.ann]\ntools = [\"*\"]\n{line}\n"), &[], &[said, "airlock.toml:5"]);
    }
    refuses(&format!("{tool}[callers]\nann = []\n"), &[], &[said]);
    refuses("[tools]\none = [\"x.wasm\"]\n", &[], &[said]);
    refuses("[journal]\ncheckpoint = []\n", &[], &[said, "airlock.toml:2"]);
    refuses("holds = [[\"a\"]]\n", &[], &[said]);
    // These have a message of their own.
    refuses(
        &format!("{tool}grants.clock = [\"1s\"]\n"),
        &[],
        &["the grant of the clock is", "airlock.toml:3"],
    );
    refuses(
        &format!("{tool}grants.http = [{{ host = \"a\", secret = [\"K\", \"x-key\"] }}]\n"),
        &[],
        &["line 3"],
    );
    refuses("[secrets]\nK = [\"VAR\"]\n", &[], &["line 2"]);
}

#[test]
fn a_contract_and_cases_of_policy_have_no_list_for_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let within = |name: &str| folder.path().join(name);
    std::fs::copy(unit_convert(), within("one.wasm")).unwrap();
    for contract in [
        "capabilities = []",
        "capabilities.keyvalue = [[], \"why\"]",
        "[capabilities]\nhttp = [[\"a.example\"]]",
        "capabilities.clock = [\"real\", \"why\"]",
        "limits = [1]",
        "tool = []",
        "[tool]\nconvert = []",
        "[tool.convert]\ncompare = [[\"x\", { by = \"exact\" }]]",
        "[tool.convert]\ncompare = [{ at = \"value\", with = [\"exact\"] }]",
    ] {
        std::fs::write(within("contract.toml"), contract).unwrap();
        let output = Command::new(program())
            .args(["pack", "one.wasm", "--contract", "contract.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = stderr(&output);
        assert!(!output.status.success(), "{contract}");
        assert!(said.contains("this is a list, and a table is expected here"), "{contract}: {said}");
    }
    std::fs::write(within("airlock.toml"), one_tool("one.wasm")).unwrap();
    std::fs::write(within("cases.toml"), "case = [[\"one\", \"local\", {}, \"allow\"]]\n").unwrap();
    let test = Command::new(program())
        .args(["policy", "test", "cases.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(stderr(&test).contains("this is a list, and a table is expected here"), "{}", stderr(&test));
}

#[test]
fn grants_that_cannot_be_meant_are_refused_with_what_to_write() {
    let http = |more: &str| format!("grants.http = [{{ host = \"a.example\", {more} }}]");
    for (line, says) in [
        (http("up_bytes_max = 0"), ["bound of 0 bytes", "at least 1"]),
        (http("down_bytes_max = 0"), ["bound of 0 bytes", "at least 1"]),
        (http("addresses = [\"0.0.0.0/0\"]"), ["turns the check of addresses off", "10.0.0.0/8"]),
        (http("addresses = [\"10.0.0.0/8\", \"::/0\"]"), ["turns the check of addresses off", "fc00::/7"]),
        (
            "grants.http = [{ host = \"\u{430}pi.example.com\" }]".to_owned(),
            ["letters beyond ASCII", "`xn--pi-6kc.example.com`"],
        ),
        (
            "grants.http = [{ host = \"*.b\u{fc}cher.example\" }]".to_owned(),
            ["letters beyond ASCII", "`*.xn--bcher-kva.example`"],
        ),
        (
            "grants.files = [{ host = \".\", guest = \"/d\" }, { host = \"..\", guest = \"/d/\" }]"
                .to_owned(),
            ["two folders are granted as `/d/`", "of its own"],
        ),
        (
            "grants.files = [{ host = \".\", guest = \"/d\\u0000\" }]".to_owned(),
            ["`/d\\0` has control characters", "write `/data`"],
        ),
        (
            "grants.files = [{ host = \".\", guest = \"/d\\n\" }]".to_owned(),
            ["`/d\\n` has control characters", "write `/data`"],
        ),
        (
            "grants.config = { \"a\\u0000b\" = \"c\" }".to_owned(),
            ["`a\\0b`, which cannot be one", "write a key"],
        ),
        (
            "grants.config = { a = \"b\\u0000c\" }".to_owned(),
            ["`a`, with a zero byte in its value", "write the value"],
        ),
        (
            "grants.keyvalue = { buckets = [\"a\\u0000\"] }".to_owned(),
            ["control characters", "such as `notes`"],
        ),
        (
            format!("grants.keyvalue = {{ buckets = [\"{}\"] }}", "b".repeat(10_000)),
            ["more than 255 bytes", "such as `notes`"],
        ),
    ] {
        refuses(&format!("[tools.one]\ncomponent = \"x.wasm\"\n{line}\n"), &[], &says);
    }
    let webhook = "[approval.webhook]\nurl = \"https://a.example/\"\nsecret = \"K\"\nallow = [\"0.0.0.0/0\"]\n[secrets.K]\nenv = \"K\"\n";
    refuses(webhook, &[], &["turns the check of addresses off", "10.0.0.0/8"]);
}

#[test]
fn a_missing_component_is_named() {
    refuses(&one_tool("none.wasm"), &[], &["none.wasm", "airlock.toml:2"]);
}

#[test]
fn text_is_not_webassembly() {
    refuses(&one_tool("a.wasm"), &[("a.wasm", b"hello")], &["not WebAssembly"]);
}

#[test]
fn a_truncated_component_is_refused() {
    let whole = std::fs::read(unit_convert()).unwrap();
    refuses(&one_tool("a.wasm"), &[("a.wasm", &whole[..whole.len() / 2])], &["not valid"]);
}

#[test]
fn a_core_module_is_refused_with_the_way_to_a_component() {
    refuses(
        &one_tool("a.wasm"),
        &[("a.wasm", b"\0asm\x01\0\0\0")],
        &["core module", "wasm-tools component new"],
    );
}

#[test]
fn an_unknown_version_of_wasi_is_named() {
    let component = importing("wasi:cli/environment@0.9.0");
    refuses(&one_tool("a.wasm"), &[("a.wasm", &component)], &["wasi:cli/environment@0.9.0", "imports"]);
}

#[test]
fn a_granted_folder_that_is_not_there_is_named() {
    let text = format!(
        "{}grants.files = [{{ host = \"nowhere\", guest = \"/data\" }}]\n",
        one_tool(&unit_convert().display().to_string())
    );
    refuses(&text, &[], &["nowhere", "airlock.toml:3"]);
}

#[test]
fn a_path_that_a_shell_would_expand_is_named_as_such() {
    let word = "not expanded here; write the whole path";
    refuses(&one_tool("~/tool.wasm"), &[], &[word, "airlock.toml:2"]);
    refuses(&one_tool("$HOME/tool.wasm"), &[], &[word]);
    refuses(&one_tool("file:///tool.wasm"), &[], &["it is a URL"]);
    let component = one_tool(&unit_convert().display().to_string());
    refuses(
        &format!("{component}grants.files = [{{ host = \"~/data\", guest = \"/data\" }}]\n"),
        &[],
        &[word],
    );
}

#[test]
fn a_state_folder_that_cannot_be_used_names_its_setting() {
    let tool = one_tool(&unit_convert().display().to_string());
    for state in ["/proc/nowhere", "~/state", "/dev/null"] {
        let text = format!("[host]\nstate = \"{state}\"\n{tool}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("airlock.toml");
        std::fs::write(&path, text).unwrap();
        let output =
            Command::new(program()).arg("--registry").arg(&path).args(["call", "one", "{}"]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(70), "{output:?}");
        let said = stderr(&output);
        assert!(
            said.contains(if state.starts_with('~') { "not expanded" } else { "`host.state`" }),
            "{said}"
        );
        assert!(said.matches("No such file").count() <= 1, "{said}");
    }
}

#[test]
fn a_fallback_that_does_not_exist_is_refused_with_the_nearest() {
    let text = format!("{}fallback = [\"two\"]\n", one_tool(&unit_convert().display().to_string()));
    refuses(&text, &[], &["`two`", "airlock.toml:3"]);
}

#[test]
fn a_misspelled_fallback_and_function_suggest_what_there_is() {
    let types = root().join("tests/guests/build/types.wasm");
    let registry = |fallback: &str| {
        format!(
            "[tools.many]\ncomponent = \"{0}\"\nfunctions = [\"echo-u8\", \"echo-u16\"]\nfallback = {fallback}\n\
             [tools.other]\ncomponent = \"{0}\"\nfunctions = [\"echo-u8\"]\n",
            types.display()
        )
    };
    refuses(&registry("{ echo-u8 = [\"otehr\"] }"), &[], &["did you mean `other`?", "airlock.toml:4"]);
    refuses(
        &registry("{ echo-u9 = [\"other\"] }"),
        &[],
        &["no function `echo-u9`", "echo-u8", "airlock.toml:4"],
    );
    refuses(&registry("{ echo-s8 = [\"other\"] }"), &[], &["no function `echo-s8`"]);
    refuses(&registry("[\"other\"]"), &[], &["`other` cannot stand in for `many_echo_u16`", "types differ"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, registry("{ echo-u8 = [\"other\"] }")).unwrap();
    let output = airlock(path.to_str().unwrap(), &["tools", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tools: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {}", stderr(&output)));
    let fallback = |name: &str| {
        let tool = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        tool["fallback"].clone()
    };
    assert_eq!(
        (fallback("many_echo_u8"), fallback("many_echo_u16")),
        (serde_json::json!(["other"]), serde_json::json!([]))
    );
}

#[test]
fn a_fallback_of_another_type_is_refused_with_both_types() {
    let build = root().join("example-tools/build");
    let text = format!(
        "[tools.one]\ncomponent = \"{0}/unit-convert.wasm\"\nfallback = [\"two\"]\n\
         [tools.two]\ncomponent = \"{0}/text-digest.wasm\"\n",
        build.display()
    );
    refuses(&text, &[], &["types differ", "func("]);
}

#[test]
fn a_compile_cache_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let code = state.join("code");
    std::fs::create_dir_all(&code).unwrap();
    std::fs::set_permissions(&code, std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, format!("[host]\nstate = \"{}\"\n", state.display())).unwrap();
    let output = Command::new(program()).arg("--registry").arg(&path).arg("check").output().unwrap();
    assert!(stderr(&output).contains("open to others"), "{}", stderr(&output));
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let output = airlock("no/such/airlock.toml", &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--registry"), "{}", stderr(&output));
}

fn call_with_stdin(input: &[u8]) -> Output {
    let mut child = Command::new(program())
        .arg("--registry")
        .arg(registry("example"))
        .args(["call", "unit_convert", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Writing fails when the program has read enough and stopped.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn an_argument_of_100_mb_is_refused_and_not_read_whole() {
    let output = call_with_stdin(&vec![b'x'; 100 << 20]);
    assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("1048576") || stdout(&output).contains("1,048,576"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn invalid_utf_8_on_stdin_is_refused() {
    let output = call_with_stdin(b"{\"value\": \"\xff\xfe\"}");
    assert_eq!(output.status.code(), Some(10));
    assert!(stdout(&output).contains("UTF-8"), "{}", stdout(&output));
}

#[test]
fn packing_refuses_a_contract_that_names_unknown_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let contract = folder.path().join("contract.toml");
    std::fs::write(&contract, "[tool.convert.args.valeu]\nminimum = 3\n").unwrap();
    let out = folder.path().join("out.wasm");
    let output = pack(&contract, &out);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("contract.toml:1") && said.contains("value"), "{said}");
    assert!(!out.exists(), "nothing is written");
}

fn pack(contract: &Path, out: &Path) -> Output {
    Command::new(program())
        .arg("pack")
        .arg(unit_convert())
        .arg("--contract")
        .arg(contract)
        .arg("-o")
        .arg(out)
        .output()
        .unwrap()
}

/// A component that imports one function of an interface and exports nothing.
fn importing(interface: &str) -> Vec<u8> {
    use wasm_encoder::{
        Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
    };
    let mut instance = InstanceType::new();
    instance.ty().function().params([] as [(&str, wasm_encoder::PrimitiveValType); 0]).result(None);
    instance.export("f", ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    types.instance(&instance);
    let mut imports = ComponentImportSection::new();
    imports.import(interface, ComponentTypeRef::Instance(0));
    let mut component = Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

/// A module with one very long sum: harmless to run, and slow to compile.
fn compile_bomb() -> Vec<u8> {
    let more = "i32.const 1 i32.add ".repeat(2_000_000);
    let text = format!(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 1 {more}))
            (core instance $i (instantiate $m))
            (func (export "f") (result s32) (canon lift (core func $i "f"))))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_compile_bomb_dies_alone() {
    let text = format!("[compile]\ncpu_s_max = 1\n{}", one_tool("bomb.wasm"));
    refuses(
        &text,
        &[("bomb.wasm", &compile_bomb())],
        &["took more than 1 s of processor time", "airlock.toml:4"],
    );
}

#[test]
fn two_tools_of_one_name_are_refused() {
    let component = unit_convert();
    let text = format!(
        "[tools.one]\ncomponent = \"{0}\"\n[tools.two]\ncomponent = \"{0}\"\nfunctions = {{ \"convert\" = \"one\" }}\n",
        component.display()
    );
    refuses(&text, &[], &["two tools would be called `one`"]);
}
