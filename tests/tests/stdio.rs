//! What stdin and stdout may be: clients start servers with pipes, with sockets, and people with files.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use airlock_tests::{program, registry};
use serde_json::json;

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
