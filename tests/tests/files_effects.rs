//! What writing files means for a call and its registry: repeated or not, within which bounds, and which grants load.

use std::process::Command;

use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_journal::Journal;
use airlock_tests::{program, root};
use airlock_types::code::Code;
use serde_json::{Value, json};

use crate::desk::{
    Desk, act, call, check, flow, grant, moving, on, open, place, read, resize, step, symlink, times,
    writable, write,
};
use crate::{stderr, stdout};

/// How many attempts a call has that takes these steps and aborts.
async fn attempts(desk: &Desk, settings: &str, steps: &[Value]) -> usize {
    // A host of its own, since a breaker pauses a tool that fails again and again.
    let host = desk.open(settings).await;
    let (_, record) = call(&host, "act_then_abort", steps, Code::Trap).await;
    record.attempts.len()
}

#[tokio::test]
async fn an_attempt_that_changed_something_is_not_repeated() {
    let desk = Desk::new();
    std::fs::create_dir(desk.data("empty")).unwrap();
    for name in ["file", "gone", "full"] {
        std::fs::write(desk.data(name), "text").unwrap();
    }
    for (number, steps) in [
        vec![open("new", "create write")],
        vec![open("file", "write"), write(1, 0, "x")],
        vec![open("file", "write"), flow(1, Some(0), 1, 1)],
        vec![open("file", "write"), flow(1, None, 1, 1)],
        vec![open("file", "write"), resize(1, 2)],
        vec![open("full", "truncate")],
        vec![on("make-folder", "made")],
        vec![on("remove-folder", "empty")],
        vec![on("remove", "gone")],
        vec![moving("rename", place(0, "file"), place(0, "moved"))],
        vec![moving("link", place(0, "moved"), place(0, "linked"))],
        vec![symlink("moved", "link")],
        vec![times(0, "moved", false)],
        vec![step("touch", json!(0))],
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(attempts(&desk, &writable(""), &steps).await, 1, "{number}: {steps:?}");
    }
}

#[tokio::test]
async fn an_attempt_that_provably_changed_nothing_is_repeated() {
    let desk = Desk::new();
    std::fs::write(desk.data("file"), "text").unwrap();
    std::fs::write(desk.data("empty"), "").unwrap();
    let settings = writable(", file_bytes_max = 4, files_max = 0");
    for steps in [
        vec![open("file", "read"), read(1)],
        // Opened for writing, and not written.
        vec![open("file", "create write")],
        vec![open("file", "write"), write(1, 0, "")],
        vec![open("empty", "truncate")],
        // Refused, or impossible.
        vec![open("file", "write"), write(1, 4, "x"), flow(1, None, 1, 1), resize(1, 5)],
        vec![open("new", "create write"), on("make-folder", "new"), symlink("a", "new")],
        vec![on("remove", "none"), on("remove-folder", "file"), on("remove", "../outside/secret")],
        vec![moving("rename", place(0, "none"), place(0, "x"))],
    ] {
        assert_eq!(attempts(&desk, &settings, &steps).await, 3, "{steps:?}");
    }
    // A tool that counts as reading changes nothing, whatever it tries.
    let settings = format!("effects = \"read\"\n{}", writable(""));
    let steps = [open("new", "create write"), on("remove", "file")];
    assert_eq!(attempts(&desk, &settings, &steps).await, 3);
    assert_eq!(desk.text("file"), "text");
}

#[tokio::test]
async fn an_idempotent_tool_is_repeated_within_the_bounds_of_the_call() {
    let desk = Desk::new();
    let settings = format!("effects = \"idempotent\"\n{}", writable(", bytes_max = 5, files_max = 1"));
    let host = desk.open(&settings).await;
    let steps = [open("a", "create write"), write(1, 0, "xx"), on("make-folder", "b")];
    let (reply, record) = call(&host, "act_then_abort", &steps, Code::Trap).await;
    let written: Vec<u64> = record.attempts.iter().map(|attempt| attempt.usage.written_bytes).collect();
    let created: Vec<u64> = record.attempts.iter().map(|attempt| attempt.usage.files_created).collect();
    assert_eq!((written, created), (vec![2, 2, 0], vec![1, 0, 0]));
    assert_eq!((reply.usage.written_bytes, reply.usage.files_created), (4, 1));
    // The next call has its own.
    call(&host, "act", &[open("a", "write"), write(1, 0, "12345")], Code::Ok).await;
    assert_eq!(desk.text("a"), "12345");
}

#[tokio::test]
async fn a_change_counts_when_the_deadline_ends_the_attempt() {
    let desk = Desk::new();
    let host = desk.open(&format!("limits.deadline_ms = 300\n{}", writable(""))).await;
    let steps = [open("a", "create write"), write(1, 0, "abc")];
    let (_, record) = call(&host, "act_then_loop", &steps, Code::LimitDeadline).await;
    assert_eq!((record.attempts.len(), record.attempts[0].usage.written_bytes), (1, 3));
    assert_eq!(desk.text("a"), "abc");
}

fn asks(access: &str, more: &str) -> String {
    format!("[[capabilities.files]]\npath = \"/data\"\naccess = \"{access}\"\nreason = \"reports\"{more}\n")
}

#[tokio::test]
async fn a_tool_writes_only_where_its_contract_asks_for_it() {
    let steps = [open("new", "create write")];
    // Asked for reading: the grant gives no more.
    let desk = Desk::with_contract(&asks("read", ""));
    let host = desk.writable("").await;
    check(&host, &[(steps[0].clone(), "not-permitted")]).await;
    let warnings = host.summary().1;
    assert!(warnings.iter().any(|warning| warning.contains("asks to read only")), "{warnings:?}");
    // Asked for writing and granted for reading: the tool does not run, or does without.
    let desk = Desk::with_contract(&format!("effects = \"write\"\n{}", asks("read-write", "")));
    let host = desk.open(&grant("")).await;
    call(&host, "act", &steps, Code::PolicyDenied).await;
    let warnings = host.summary().1;
    let line = "guest = \"/data\", access = \"read-write\" }] (in place of what is there)";
    assert!(warnings.iter().any(|warning| warning.contains(line)), "{warnings:?}");
    let host = desk.writable("").await;
    check(&host, &[(steps[0].clone(), "ok")]).await;
    assert!(!host.summary().1.iter().any(|warning| warning.contains("asks to read only")));
    let optional = format!("effects = \"write\"\n{}", asks("read-write", "\noptional = true"));
    let desk = Desk::with_contract(&optional);
    let host = desk.open(&grant("")).await;
    check(&host, &[(steps[0].clone(), "not-permitted")]).await;
    // A contract that declares less than its grants make possible does not load.
    let desk = Desk::with_contract(&format!("effects = \"read\"\n{}", asks("read-write", "")));
    says(desk.try_open(&writable("")).await, &["declares that it is read", "make write possible"]);
}

#[track_caller]
fn says(opened: Result<Host, OpenError>, pieces: &[&str]) {
    let Err(err) = opened else { panic!("it opens") };
    let text = match err {
        OpenError::Registry(diagnostics) => diagnostics.to_string(),
        err => err.to_string(),
    };
    assert!(pieces.iter().all(|piece| text.contains(piece)), "{text}");
}

#[tokio::test]
async fn a_folder_with_what_the_host_runs_is_not_granted_for_writing() {
    let desk = Desk::new();
    let grant = |host: &str, access: &str| {
        format!("grants.files = [{{ host = \"{host}\", guest = \"/data\", access = \"{access}\" }}]\n")
    };
    for folder in [".", "..", "../tools", "/"] {
        let opened = desk.try_open(&grant(folder, "read-write")).await;
        let Err(_) = opened else { panic!("{folder}") };
    }
    // The state folder, which cannot be granted at all, lies elsewhere.
    let apart = format!("{}[host]\nstate = \"../state\"\n", grant("../tools", "read-write"));
    says(desk.try_open(&apart).await, &["is writable and holds the registry"]);
    // The component of another tool, the keys, and a link on the way to one of them.
    std::fs::create_dir(desk.data("bin")).unwrap();
    std::fs::copy(root().join("tests/guests/build/plain.wasm"), desk.data("bin/plain.wasm")).unwrap();
    std::os::unix::fs::symlink(desk.outside(""), desk.data("link")).unwrap();
    std::fs::copy(root().join("tests/guests/build/plain.wasm"), desk.outside("plain.wasm")).unwrap();
    for component in ["../data/bin/plain.wasm", "../data/link/plain.wasm"] {
        let other = format!("{}[tools.other]\ncomponent = \"{component}\"\n", writable(""));
        says(desk.try_open(&other).await, &["is writable and holds the component", component]);
        let reading = other.replace("access = \"read-write\"", "access = \"read\"");
        assert!(desk.try_open(&reading).await.is_ok());
    }
    let keys = "[oauth]\nissuer = \"https://login.example.com\"\naudience = \"https://tools.example.com\"\n\
                jwks = \"../data/keys.json\"\nscopes = [\"tools\"]\ncaller = \"agents\"\n[callers.agents]\n\
                tools = [\"*\"]\n";
    says(desk.try_open(&format!("{}{keys}", writable(""))).await, &["holds the key set"]);
    // The state folder stays out of reach in every way.
    let host = desk.open(&writable("")).await;
    drop(host);
    std::fs::create_dir_all(desk.path().join("tools/.airlock")).unwrap();
    for folder in [".airlock", ".airlock/code"] {
        std::fs::create_dir_all(desk.path().join("tools").join(folder)).unwrap();
        says(desk.try_open(&grant(folder, "read-write")).await, &["state folder"]);
    }
}

#[test]
fn a_grant_that_says_nothing_is_refused_with_its_line() {
    let desk = Desk::new();
    for (settings, pieces) in [
        (grant(", bytes_max = 5"), ["`bytes_max`", "reading only"]),
        (grant(", access = \"read\", files_max = 5"), ["`files_max`", "reading only"]),
        (writable(", file_bytes_max = 0"), ["no byte", "at least 1"]),
        (grant(", access = \"write\""), ["read-write", "grants.files"]),
        (writable(", bytes = 5"), ["bytes_max", "grants.files"]),
        (writable(", bytes_max = -1"), ["-1", "grants.files"]),
    ] {
        let path = desk.registry(&settings);
        let checked = Command::new(program()).arg("--registry").arg(&path).arg("check").output().unwrap();
        let said = stderr(&checked) + &stdout(&checked);
        assert!(!checked.status.success(), "{settings}");
        assert!(pieces.iter().all(|piece| said.contains(piece)), "{settings}: {said}");
    }
}

#[tokio::test]
async fn a_folder_that_the_kernel_makes_is_not_granted() {
    let desk = Desk::new();
    for (target, name) in [("/proc", "to-proc"), ("/proc/self", "to-self"), ("/", "to-root")] {
        std::os::unix::fs::symlink(target, desk.path().join(name)).unwrap();
    }
    for folder in [
        "/proc",
        "/proc/self",
        "/proc/thread-self/..",
        "/sys/kernel",
        "/dev",
        "../to-proc",
        "../to-self",
        "../to-root/sys",
    ] {
        for access in ["read", "read-write"] {
            let grant = format!("[{{ host = \"{folder}\", guest = \"/data\", access = \"{access}\" }}]");
            says(
                desk.try_open(&format!("grants.files = {grant}\n")).await,
                &["which the kernel makes", "secrets in the environment", "a folder of files on a disk"],
            );
        }
    }
    // What is tried out, too.
    let tried =
        "report = { until = \"2999-01-01\", grants.files = [{ host = \"/proc\", guest = \"/data\" }] }\n";
    says(desk.try_open(tried).await, &["which the kernel makes"]);
}

#[test]
fn the_command_line_says_what_a_tool_may_write() {
    let desk = Desk::new();
    let path = desk.registry(&writable(", bytes_max = 5"));
    let airlock = |args: &[&str]| {
        let output = Command::new(program()).arg("--registry").arg(&path).args(args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output) + &stderr(&output)
    };
    let inspected = airlock(&["inspect", "desk_act"]);
    assert!(inspected.contains(r#""access":"read-write","bytes_max":5"#), "{inspected}");
    let listed: Value = serde_json::from_str(&airlock(&["tools", "--json"])).unwrap();
    assert!(listed.to_string().contains("\"write\""), "{listed}");
    let explained = airlock(&["explain", "desk_act", r#"{"steps": []}"#]);
    assert!(explained.contains("`files` is granted"), "{explained}");
}

/// The n-th example below a heading of the page of capabilities.
fn example(heading: &str, number: usize) -> String {
    let page = std::fs::read_to_string(root().join("docs/capabilities.md")).unwrap();
    let (_, section) = page.split_once(&format!("{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.split("```toml\n").nth(number + 1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_example_of_the_documents_does_what_they_say() {
    let desk = Desk::with_contract(&format!("effects = \"write\"\n{}", example("## Folders: `files`", 1)));
    desk.registry("");
    let tools = desk.path().join("tools");
    for name in ["figures", "reports"] {
        std::fs::create_dir(tools.join(name)).unwrap();
    }
    std::fs::write(tools.join("figures/a.csv"), "1").unwrap();
    std::fs::rename(tools.join("desk.wasm"), tools.join("report.wasm")).unwrap();
    std::fs::write(tools.join("airlock.toml"), example("## Folders: `files`", 0)).unwrap();
    let file = ConfigFile::read(&tools.join("airlock.toml")).unwrap();
    let host = Host::builder().registry(file).journal(Journal::memory()).open().await.unwrap();
    assert!(
        !host.summary().1.iter().any(|warning| warning.contains("will be denied")),
        "{:?}",
        host.summary().1
    );
    let steps = json!({"steps": [
        open("a.csv", "read"),
        read(2),
        open("a.csv", "write"),
        step("open", json!({"at": 1, "path": "today.txt", "how": ["create", "write"]})),
        write(3, 0, "done"),
        resize(3, 2_000_000),
    ]});
    let call = airlock_types::call::Call::new(
        "report_act",
        airlock_types::call::Arguments::Text(steps.to_string().into()),
    );
    let reply = host.call(call).await;
    let expect = json!(["ok", "1", "not-permitted", "ok", "4", "quota"]);
    assert_eq!(reply.result, Some(expect), "{:?}", reply.error);
    assert_eq!(std::fs::read_to_string(tools.join("reports/today.txt")).unwrap(), "done");
}

#[tokio::test]
async fn calls_that_append_at_the_same_time_lose_nothing() {
    let desk = Desk::new();
    let host = desk.writable("").await;
    let steps = [open("log", "create write"), flow(1, None, 10, 50)];
    let calls = futures::future::join_all((0..8).map(|_| act(&host, &steps))).await;
    assert!(calls.iter().all(|(found, _)| found == &["ok", "ok"]));
    assert_eq!(desk.text("log").len(), 8 * 50 * 10);
}
