//! Kinds of stdin and stdout: clients start servers with pipes or sockets, people with files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use airlock_tests::wire::{Wire, stateless_meta};
use airlock_tests::{program, registry, root};
use serde_json::{Value, json};

/// A whole session, as text for a server's stdin.
fn session() -> String {
    let client = json!({"name": "file", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let convert = json!({"name": "unit_convert", "arguments": {"value": 3, "from": "km", "to": "m"}});
    let lines = [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": convert}),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

fn serve(stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Child {
    let mut command = Command::new(program());
    command.arg("--registry").arg(registry("example")).args(["serve", "--stdio"]);
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_socket_serves_as_well_as_a_pipe() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut server = serve(OwnedFd::from(theirs.try_clone().unwrap()), OwnedFd::from(theirs));
    ours.write_all(session().as_bytes()).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    ours.read_to_string(&mut said).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(said.contains("\"value\":3000}"), "{said}");
}

#[test]
fn a_file_serves_as_well_as_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, session()).unwrap();
    let mut server = serve(File::open(input).unwrap(), File::create(&output).unwrap());
    assert!(server.wait().unwrap().success());
    let said = std::fs::read_to_string(output).unwrap();
    assert!(said.contains("\"value\":3000}"), "{said}");
}

/// Everything is in one write, with nothing after it: calls that end at once, calls that wait, and one that is
/// cancelled before it can have started.
#[test]
fn requests_in_one_write_are_answered_each_under_its_id() {
    let mut wire = Wire::handshake(&registry("hostile"), "2025-11-25").unwrap().0;
    let request = |id: Value, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let call = |id: Value, tool: &str, arguments: Value| {
        request(id, "tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let echo =
        |id: Value| call(id.clone(), "types_echo_u64", json!({"value": id.to_string().replace('"', "")}));
    let mut lines: Vec<Value> = (1..=40).map(|id| echo(json!(id))).collect();
    lines.push(call(json!(41), "trusted_sleep", json!({"ms": 200})));
    lines.push(echo(json!("41")));
    lines.push(call(json!(42), "trusted_sleep", json!({"ms": 200})));
    let cancel = json!({"requestId": 42});
    lines.push(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}));
    lines.push(request(json!(43), "ping", json!({})));
    let together: Vec<String> = lines.iter().map(Value::to_string).collect();
    wire.send_line(together.join("\n").as_bytes()).unwrap();
    let (answers, status) = wire.end().unwrap();
    assert!(status.success(), "{status}");
    let mut ids: Vec<String> = answers.iter().map(|answer| answer["id"].to_string()).collect();
    ids.sort();
    let mut expected: Vec<String> = (1..=41).chain([43]).map(|id| id.to_string()).collect();
    expected.push("\"41\"".into());
    expected.sort();
    assert_eq!(ids, expected);
    for answer in answers.iter().filter(|answer| answer["id"] != 43 && answer["id"] != 41) {
        let id = answer["id"].to_string().replace('"', "");
        assert_eq!(answer["result"]["structuredContent"]["result"].to_string(), id, "{answer}");
    }
}

/// Peak memory of a process in MiB.
fn most_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// Many small calls in one write. Each is answered, with a value or as overloaded.
#[test]
fn a_client_that_writes_without_end_fills_its_pipe_and_not_the_memory() {
    const CALLS: usize = 40_000;
    let mut server = serve(Stdio::piped(), Stdio::piped());
    let (mut stdin, stdout) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
    let mut answers = BufReader::new(stdout).lines();
    stdin.write_all(session().as_bytes()).unwrap();
    assert_eq!(answers.by_ref().take(2).filter(|answer| answer.is_ok()).count(), 2);
    let convert = json!({"name": "unit_convert", "arguments": {"value": 3, "from": "km", "to": "m"}});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": convert});
    let calls = format!("{call}\n").repeat(CALLS);
    let writer = std::thread::spawn(move || {
        stdin.write_all(calls.as_bytes()).unwrap();
        stdin
    });
    let is_answer =
        |answer: &String| answer.contains("\"value\":3000}") || answer.contains("admission.overloaded");
    assert_eq!(answers.by_ref().take(CALLS).map(Result::unwrap).filter(is_answer).count(), CALLS);
    let most = most_mib(server.id());
    drop(writer.join().unwrap());
    assert!(server.wait().unwrap().success());
    assert!(most < 150, "{most} MiB");
}

/// A server, and a thread that writes lines to it and reports after each 64 KiB.
struct Flood {
    server: Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
    goes_on: Receiver<()>,
}

impl Flood {
    fn begin(line: &str, bytes: usize) -> Flood {
        let mut server = serve(Stdio::piped(), Stdio::piped());
        let (mut stdin, stdout) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let mut answers = BufReader::new(stdout).lines();
        stdin.write_all(session().as_bytes()).unwrap();
        assert_eq!(answers.by_ref().take(2).filter(|answer| answer.is_ok()).count(), 2);
        let lines = format!("{line}\n").repeat(bytes.div_ceil(line.len() + 1));
        let (says, goes_on) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for chunk in lines.as_bytes().chunks(64 << 10) {
                // An error means that the test has ended the server.
                if stdin.write_all(chunk).is_err() || says.send(()).is_err() {
                    return;
                }
            }
        });
        Flood { server, answers, goes_on }
    }

    /// Waits until everything is written, or the pipe has been full for a while. Returns the peak memory in MiB.
    fn most_mib_unread(&self) -> u64 {
        while self.goes_on.recv_timeout(Duration::from_secs(2)).is_ok() {}
        most_mib(self.server.id())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Megabytes of each kind of line, from a client that never reads.
#[test]
fn no_kind_of_line_fills_the_memory_of_a_server_whose_client_does_not_read() {
    let request = |id: &str, method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    };
    let notice =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    let record = r#"{"uri":"airlock://records/00000000-0000-0000-0000-000000000000/result"}"#;
    let hello =
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}"#;
    let tree = format!("[{}1]", "[],".repeat(900_000));
    let kinds = [
        ("an empty batch", "[]".to_owned()),
        ("no JSON", "{".to_owned()),
        ("an empty line", String::new()),
        ("an object", "{}".to_owned()),
        ("an id of the wrong type", request("{}", "ping", "{}")),
        ("no id", request("null", "ping", "{}")),
        ("an id of an unknown method", r#"{"jsonrpc":"2.0","id":3}"#.to_owned()),
        ("a list", request("1", "tools/list", "{}")),
        ("a ping", request("1", "ping", "{}")),
        ("an unknown method", request("1", "no/such", "{}")),
        ("a second handshake", request("1", "initialize", hello)),
        ("a resource", request("1", "resources/read", record)),
        (
            "a subscription",
            request("1", "subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#),
        ),
        ("an unknown tool", request("1", "tools/call", r#"{"name":"nobody"}"#)),
        ("a call", request("1", "tools/call", r#"{"name":"unit_convert","arguments":{}}"#)),
        ("initialized again", notice("notifications/initialized", "{}")),
        ("an unknown notification", notice("notifications/x", "{}")),
        ("a cancellation", notice("notifications/cancelled", r#"{"requestId":77}"#)),
        ("an answer", r#"{"jsonrpc":"2.0","id":5,"result":{}}"#.to_owned()),
        ("an error", r#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"x"}}"#.to_owned()),
        ("a long tree", request("1", "tools/list", &tree)),
        (
            "a long tree beside arguments",
            request("1", "tools/call", &format!(r#"{{"name":"unit_convert","_meta":{{"x":{tree}}}}}"#)),
        ),
        (
            "a long tree as arguments",
            request("1", "tools/call", &format!(r#"{{"name":"unit_convert","arguments":{{"x":{tree}}}}}"#)),
        ),
        ("a long tree in a notification", notice("notifications/x", &tree)),
        ("a line beyond the bound", request("1", "tools/list", &format!("\"{}\"", "x".repeat(9 << 20)))),
    ];
    for (kind, line) in kinds {
        let flood = Flood::begin(&line, 6 << 20);
        let most = flood.most_mib_unread();
        assert!(most < 150, "{kind}: {most} MiB");
    }
}

#[test]
fn held_back_requests_are_answered_when_the_client_reads_again() {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let bytes = 2 << 20;
    for line in [LIST, "[]"] {
        let mut flood = Flood::begin(line, bytes);
        flood.most_mib_unread();
        let count = bytes.div_ceil(line.len() + 1);
        let read = flood.answers.by_ref().take(count).map(Result::unwrap);
        assert_eq!(read.filter(|answer| answer.contains("\"jsonrpc\":\"2.0\"")).count(), count, "{line}");
        assert!(most_mib(flood.server.id()) < 150);
    }
}

/// More answers than fit into the pipe, and fewer than stop the reader before the end of stdin.
#[test]
fn the_end_of_stdin_ends_a_server_whose_client_does_not_read() {
    const LISTS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text =
        format!("[server]\ndrain_ms = 500\n[tools.unit_convert]\ncomponent = \"{}\"\n", component.display());
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(program());
    command.arg("--registry").arg(&path).args(["serve", "--stdio"]);
    let mut server =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Kept open until the end: a client that leaves would end the writes.
    let stdout = server.stdout.take().unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let list = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n".repeat(LISTS);
    stdin.write_all(session().as_bytes()).unwrap();
    stdin.write_all(list.as_bytes()).unwrap();
    drop(stdin);
    let mut status = None;
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(100));
        status = server.try_wait().unwrap();
        if status.is_some() {
            break;
        }
    }
    let _ = server.kill();
    drop(stdout);
    let said = crate::stderr(&server.wait_with_output().unwrap());
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {said}");
    assert!(said.contains("what it has not read is discarded"), "{said}");
}

/// In the stateless era subscriptions last. One beyond the limit is refused, while calls and cancellations continue.
#[test]
fn subscriptions_do_not_delay_calls() {
    let mut wire = Wire::start(&registry("example"), &[]).unwrap();
    let with_meta = |mut params: Value| {
        params["_meta"] = stateless_meta();
        params
    };
    wire.ask(0, "tools/list", with_meta(json!({}))).unwrap();
    let listen = with_meta(json!({"notifications": {"toolsListChanged": true}}));
    for id in 1..=20 {
        wire.send(&json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": listen}))
            .unwrap();
    }
    let convert = json!({"name": "unit_convert", "arguments": {"value": 3, "from": "km", "to": "m"}});
    wire.send(&json!({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": with_meta(convert)}))
        .unwrap();
    let (mut refused, mut is_answered) = (0, false);
    while refused < 12 || !is_answered {
        let message = wire.receive().unwrap();
        refused +=
            usize::from(message["error"]["message"].as_str().is_some_and(|text| text.contains("cancel one")));
        is_answered |= message["id"] == 99;
    }
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    wire.send(&cancel).unwrap();
    let listen = json!({"jsonrpc": "2.0", "id": 50, "method": "subscriptions/listen", "params": listen});
    loop {
        wire.send(&listen).unwrap();
        let message = wire.receive().unwrap();
        if message["method"] == "notifications/subscriptions/acknowledged" {
            break;
        }
    }
    assert!(wire.end().unwrap().1.success(), "open subscriptions do not keep it from leaving");
}

#[test]
fn input_that_cannot_be_read_ends_with_an_error_and_none_with_no_word() {
    let run = |stdin: File| {
        let mut command = Command::new(program());
        command.arg("--registry").arg(registry("example")).args(["serve", "--stdio"]).stdin(stdin);
        command.output().unwrap()
    };
    let folder = run(File::open(root()).unwrap());
    let said = crate::stderr(&folder);
    assert_eq!(folder.status.code(), Some(70), "{said}");
    assert!(said.contains("stdin cannot be read: Is a directory"), "{said}");
    // Often, since it depends on when the runtime ends.
    for _ in 0..10 {
        let none = run(File::open("/dev/null").unwrap());
        let said = crate::stderr(&none);
        assert!(none.status.success() && !said.contains("panicked") && !said.contains("WARN"), "{said}");
    }
}

#[test]
fn output_that_cannot_be_written_ends_with_an_error_that_says_so() {
    let mut command = Command::new(program());
    command.arg("--registry").arg(registry("example")).args(["serve", "--stdio"]);
    command.stdin(Stdio::piped()).stdout(File::create("/dev/full").unwrap()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut stdin = server.stdin.take().unwrap();
    stdin.write_all(session().as_bytes()).unwrap();
    let output = server.wait_with_output().unwrap();
    drop(stdin);
    let said = crate::stderr(&output);
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("error: the output cannot be written to stdout: No space left"), "{said}");
    assert!(!said.contains("rmcp"), "{said}");
}
