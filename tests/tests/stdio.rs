//! What stdin and stdout may be: clients start servers with pipes, with sockets, and people with files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use airlock_tests::wire::Wire;
use airlock_tests::{program, registry};
use serde_json::{Value, json};

/// A whole session, as it is written to a server's stdin.
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
    assert!(said.contains("\"value\":3000.0"), "{said}");
}

#[test]
fn a_file_serves_as_well_as_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, session()).unwrap();
    let mut server = serve(File::open(input).unwrap(), File::create(&output).unwrap());
    assert!(server.wait().unwrap().success());
    let said = std::fs::read_to_string(output).unwrap();
    assert!(said.contains("\"value\":3000.0"), "{said}");
}

/// Everything in one write, and nothing after it: calls that are over at once, calls that wait, one that is
/// cancelled before it can have begun.
#[test]
fn what_came_together_is_answered_each_under_its_id() {
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

/// The most memory that a process ever held, in MiB.
fn most_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// Many small calls in one write. Each is answered, with a value or that there is no room for so many at once.
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
        |answer: &String| answer.contains("\"value\":3000.0") || answer.contains("admission.overloaded");
    assert_eq!(answers.by_ref().take(CALLS).map(Result::unwrap).filter(is_answer).count(), CALLS);
    let most = most_mib(server.id());
    drop(writer.join().unwrap());
    assert!(server.wait().unwrap().success());
    assert!(most < 150, "{most} MiB");
}
