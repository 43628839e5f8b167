//! The confinement of the compile process, tested from inside and from outside.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use airlock::host::Host;
use airlock::sandbox::compiler::Compiler;
use airlock_tests::{program, root};

fn compile(extra: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(["compile", "--cpu-s-max", "60", "--memory-bytes-max", "1073741824"])
        .args(extra)
        .env_clear()
        // As the host starts it. Without this the allocator reserves all the allowed memory at once.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn own_id() -> String {
    std::process::id().to_string()
}

/// A confined compile process that waits for the rest of a component.
fn waiting(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    // More than a pipe holds: after this write the process has read some of it, and it reads only when it is confined.
    child.stdin.as_mut().unwrap().write_all(&vec![0; 256 << 10]).unwrap();
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn inside_nothing_can_be_opened_started_or_reached() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = compile(&["--parent", &own_id(), "--probe"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = said.lines();
    let missing = lines.next().unwrap().strip_prefix("missing:").unwrap();
    assert!(!missing.contains("seccomp"), "this test needs a kernel with seccomp: {said}");
    let attempts: Vec<&str> = lines.collect();
    assert_eq!(attempts.len(), 13, "{said}");
    for attempt in attempts {
        assert!(!attempt.ends_with(": done"), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn from_outside_it_has_three_descriptors_an_empty_folder_and_limits() {
    // As an operator's shell might do: a descriptor that is inherited across exec.
    let mut command = Command::new("sh");
    let line = "exec 9</dev/null; exec \"$@\"";
    let inner = compile(&["--parent", &own_id()]);
    command.args(["-c", line, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = waiting(command);
    let proc = Path::new("/proc").join(child.id().to_string());
    let read = |file: &str| std::fs::read_to_string(proc.join(file)).unwrap();
    let mut open: Vec<_> = std::fs::read_dir(proc.join("fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let status = read("status");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1", "CapPrm:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = read("limits");
    for (limit, value) in [
        ("Max cpu time", "60"),
        ("Max file size", "0"),
        ("Max data size", "1073741824"),
        ("Max core file size", "1"),
        ("Max processes", "0"),
        ("Max open files", "3"),
        ("Max locked memory", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        let soft = line[limit.len()..].split_whitespace().next();
        assert_eq!(soft, Some(value), "{line}");
    }
    end(child);
}

#[test]
fn the_host_runs_it_in_an_empty_folder_without_an_environment() {
    let folder = tempfile::tempdir().unwrap();
    // A script in place of the program, which records where it was started.
    let spy = folder.path().join("airlock");
    let script = format!(
        "#!/bin/sh\n{{ pwd; ls -A; tr '\\0' '\\n' </proc/$$/environ; }} >{}/seen\n",
        folder.path().display()
    );
    std::fs::write(&spy, script).unwrap();
    std::fs::set_permissions(&spy, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!("[tools.one]\ncomponent = \"{}\"\n", component.display());
    let file = airlock::config::ConfigFile::parse(&text, &folder.path().join("airlock.toml")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = Host::builder().registry(file).compiler(Compiler::program(spy));
    assert!(runtime.block_on(builder.open()).is_err());
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].ends_with("/code/empty"), "{seen}");
    assert_eq!(&lines[1..], ["MIMALLOC_ARENA_EAGER_COMMIT=0"], "{seen}");
}

#[test]
fn it_does_not_outlive_the_process_that_started_it() {
    // The shell is the parent. Killing it leaves it no time to end its child.
    let mut command = Command::new("sh");
    let line = "exec 3<&0; \"$@\" --parent $$ <&3 & wait";
    let inner = compile(&[]);
    command.args(["-c", line, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut shell = waiting(command);
    // Kept open, so that the compile process keeps waiting for input.
    let stdin = shell.stdin.take();
    let mut stdout = shell.stdout.take().unwrap();
    end(shell);
    // Reaches the end of the file when the last process with the pipe has ended.
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    drop(stdin);
    assert!(rest.is_empty());
}

#[test]
fn an_orphan_does_not_begin() {
    let child = compile(&["--parent", "1"]).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("has ended"));
}
