//! Code that the cache has is mapped and linked by the first call of its component. What is wrong with a registry is told when
//! it is loaded all the same, and what runs is what was loaded.

use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::sandbox::compiler::Compiler;
use airlock::secret::Seal;
use airlock_tests::program;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use tokio::sync::Notify;

use crate::scripted::Clock;
use crate::stderr;

/// A component whose `run` returns this number.
fn component(number: usize) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "f"))))"#
    );
    wat::parse_str(text).unwrap()
}

/// A component whose `run` reads a clock before it returns this number.
fn with_clock(number: usize) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c (export "now" (func (result u64)))))
            (core func $now (canon lower (func $c "now")))
            (core module $m
                (import "c" "now" (func $now (result i64)))
                (func (export "f") (result i32) (drop (call $now)) (i32.const {number})))
            (core instance $i (instantiate $m (with "c" (instance (export "now" (func $now))))))
            (func (export "run") (result u32) (canon lift (core func $i "f"))))"#
    );
    wat::parse_str(text).unwrap()
}

/// A component that is valid, and wants an import with another signature than the host's.
fn mismatched() -> Vec<u8> {
    let text = r#"(component
        (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (param "a" u32) (result u32)))))
        (core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func (export "run") (result u32) (canon lift (core func $i "f"))))"#;
    wat::parse_str(text).unwrap()
}

/// A registry of many components, each another one.
struct Many {
    folder: tempfile::TempDir,
}

const COUNT: usize = 12;

impl Many {
    fn written() -> Many {
        let many = Many { folder: tempfile::tempdir().unwrap() };
        (0..COUNT).for_each(|number| many.write(number, &component(number)));
        let entry = |number| format!("[tools.t{number}]\ncomponent = \"{number}.wasm\"\n");
        std::fs::write(many.registry(), (0..COUNT).map(entry).collect::<String>()).unwrap();
        many
    }

    /// The same, with all code in the cache.
    async fn known() -> Many {
        let many = Many::written();
        many.open().await;
        many
    }

    fn registry(&self) -> PathBuf {
        self.folder.path().join("airlock.toml")
    }

    fn write(&self, number: usize, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(format!("{number}.wasm")), bytes).unwrap();
    }

    fn file(&self) -> ConfigFile {
        ConfigFile::read(&self.registry()).unwrap()
    }

    /// Adds to the text of the registry.
    fn add(&self, text: &str) {
        let before = std::fs::read_to_string(self.registry()).unwrap();
        std::fs::write(self.registry(), before + text).unwrap();
    }

    /// Has changed definitions accepted.
    fn accept_changes(&self) {
        std::fs::write(self.registry().with_extension("lock"), "pin = \"accept\"\n").unwrap();
    }

    async fn open(&self) -> Host {
        Host::builder().registry(self.file()).leave_out_broken().open().await.unwrap()
    }

    /// A host whose time is that of a test, and whose compile processes are this program.
    async fn open_at(&self, clock: &Arc<Clock>, compiler: &Path) -> Host {
        let file = ConfigFile::read(&self.registry()).unwrap();
        let host = Host::builder().registry(file).environment(clock.clone());
        host.compiler(Compiler::program(compiler)).open().await.unwrap()
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join(".airlock/code")
    }

    /// The files of compiled code.
    fn code(&self) -> Vec<PathBuf> {
        let kept = std::fs::read_dir(self.cache()).unwrap();
        let kept = kept.map(|entry| entry.unwrap().path());
        kept.filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect()
    }

    fn lose_code(&self) {
        self.code().iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
}

async fn answer(host: &Host, number: usize) -> Result<u64, Code> {
    let reply = host.call(Call::new(&format!("t{number}"), Arguments::Text("{}".into()))).await;
    reply.result.and_then(|result| result.as_u64()).ok_or(reply.code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_components_answers_its_first_call() {
    let many = Many::known().await;
    assert_eq!(many.code().len(), COUNT);
    let host = many.open().await;
    for number in 0..COUNT {
        assert_eq!(answer(&host, number).await, Ok(number as u64));
    }
    // Also several at once.
    let host = many.open().await;
    let answers = futures::future::join_all((0..8).map(|_| answer(&host, 3))).await;
    assert_eq!(answers, [Ok(3); 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_component_among_many_is_told_at_the_start() {
    let many = Many::known().await;
    many.write(1, b"\0asm\x0d\0\x01\0 and not a component");
    many.write(2, &mismatched());
    std::fs::remove_file(many.folder.path().join("3.wasm")).unwrap();
    // Twice: what is refused is not known the next time.
    for _ in 0..2 {
        let host = many.open().await;
        let problems = host.problems().unwrap().to_string();
        for told in ["1.wasm", "2.wasm", "another signature", "3.wasm"] {
            assert!(problems.contains(told), "{told}: {problems}");
        }
        assert_eq!((host.summary().0, answer(&host, 4).await), (COUNT - 3, Ok(4)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_what_was_loaded() {
    let many = Many::known().await;
    let host = many.open().await;
    // Until the registry is loaded again, whatever the file says.
    many.write(5, &component(50));
    assert_eq!(answer(&host, 5).await, Ok(5));
    assert_eq!(answer(&many.open().await, 5).await, Ok(50));
    // Without its code, nothing else is made of the file.
    let clock = Arc::<Clock>::default();
    let host = many.open_at(&clock, &program()).await;
    many.lose_code();
    many.write(5, &component(51));
    assert_eq!(answer(&host, 5).await, Err(Code::Overloaded));
    many.write(5, &component(50));
    clock.later(FAILED_MS);
    assert_eq!(answer(&host, 5).await, Ok(50), "made anew of what was loaded");
}

/// For how long a try that failed counts.
const FAILED_MS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_of_code_that_cannot_be_made_share_one_try() {
    let many = Many::known().await;
    let (compiler, tries) = (many.folder.path().join("airlock"), many.folder.path().join("tries"));
    let script = |ends: &str| {
        let text = format!("#!/bin/sh\necho >> {}\n{ends}\n", tries.display());
        std::fs::write(&compiler, text).unwrap();
        std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    script("exit 1");
    let clock = Arc::<Clock>::default();
    let host = many.open_at(&clock, &compiler).await;
    let tried = || std::fs::read_to_string(&tries).unwrap_or_default().lines().count();
    assert_eq!(tried(), 0, "the cache has everything");
    many.lose_code();
    let answers = futures::future::join_all((0..8).map(|_| answer(&host, 3))).await;
    assert_eq!((answers, tried()), (vec![Err(Code::Overloaded); 8], 1));
    clock.later(FAILED_MS - 1);
    let reply = host.call(Call::new("t3", Arguments::Text("{}".into()))).await;
    assert_eq!(
        (reply.error.unwrap().retry_after_ms, tried()),
        (Some(1), 1),
        "the agent is told when it helps"
    );
    // Another component is no part of it.
    assert_eq!((answer(&host, 4).await, tried()), (Err(Code::Overloaded), 2));
    clock.later(1);
    assert_eq!((answer(&host, 3).await, tried()), (Err(Code::Overloaded), 3));
    script(&format!("exec {} \"$@\"", program().display()));
    clock.later(FAILED_MS);
    assert_eq!((answer(&host, 3).await, tried()), (Ok(3), 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_was_removed_meanwhile_is_made_again() {
    let many = Many::known().await;
    let host = many.open().await;
    let is_there = || {
        let mode = std::fs::metadata(many.cache()).unwrap().permissions().mode() & 0o777;
        (mode, many.code().len())
    };
    std::fs::remove_dir_all(many.cache()).unwrap();
    assert_eq!(answer(&host, 3).await, Ok(3));
    assert_eq!(is_there(), (0o700, 1));
    // By a reload with a component that is new.
    std::fs::remove_dir_all(many.cache()).unwrap();
    many.write(COUNT, &component(COUNT));
    let text = std::fs::read_to_string(many.registry()).unwrap();
    std::fs::write(many.registry(), format!("{text}[tools.t{COUNT}]\ncomponent = \"{COUNT}.wasm\"\n"))
        .unwrap();
    host.reload(&ConfigFile::read(&many.registry()).unwrap()).await.unwrap();
    assert_eq!((answer(&host, COUNT).await, is_there()), (Ok(COUNT as u64), (0o700, COUNT + 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_was_damaged_before_its_first_call_is_made_anew() {
    let many = Many::known().await;
    let host = many.open().await;
    for path in many.code() {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4_000] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    assert_eq!(answer(&host, 7).await, Ok(7));
    // A check of the registry waits for no call.
    let mut check = Command::new(program());
    let check = check.arg("--registry").arg(many.registry()).arg("check").output().unwrap();
    assert!(check.status.success(), "{}", stderr(&check));
    let made = stderr(&check).matches("is made anew").count();
    assert_eq!(made, COUNT - 1, "{}", stderr(&check));
}

#[test]
fn a_call_of_the_program_compiles_its_own_component_alone() {
    let many = Many::written();
    let mut call = Command::new(program());
    let call = call.arg("--registry").arg(many.registry()).args(["call", "t3"]).output().unwrap();
    assert!(call.status.success(), "{}", stderr(&call));
    assert_eq!(many.code().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_the_code_of_components_that_did_not_change() {
    let many = Many::known().await;
    many.accept_changes();
    let host = many.open().await;
    for number in 0..COUNT {
        assert_eq!(answer(&host, number).await, Ok(number as u64));
    }
    // Whatever is not mapped by now would have to be made anew.
    many.lose_code();
    many.write(1, &component(10));
    many.add("[callers.local]\ntools = [\"*\"]\n");
    host.reload(&many.file()).await.unwrap();
    for (number, says) in [(0, 0), (1, 10), (2, 2), (COUNT - 1, COUNT as u64 - 1)] {
        assert_eq!(answer(&host, number).await, Ok(says));
    }
    assert_eq!(many.code().len(), 1, "of the one that changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_links_a_component_anew_for_other_grants() {
    let many = Many::known().await;
    many.accept_changes();
    many.write(COUNT - 1, &with_clock(5));
    let host = many.open().await;
    let (last, before) = (COUNT - 1, std::fs::read_to_string(many.registry()).unwrap());
    assert!(answer(&host, last).await.is_err(), "a clock is not granted");
    many.add("grants.clock = true\n");
    host.reload(&many.file()).await.unwrap();
    assert_eq!(answer(&host, last).await, Ok(5));
    host.reload(&many.file()).await.unwrap();
    assert_eq!(answer(&host, last).await, Ok(5));
    std::fs::write(many.registry(), before).unwrap();
    host.reload(&many.file()).await.unwrap();
    assert!(answer(&host, last).await.is_err(), "it is not granted any more");
}

/// A program's own way of sealing, which hangs when it is told to. A host tries it for each entry that it loads.
struct Hanging {
    hangs: AtomicBool,
    hung: Notify,
    /// Ends when its sender is dropped.
    released: Mutex<mpsc::Receiver<()>>,
}

impl Seal for Hanging {
    fn seal(&self, _: &str, _: &[u8]) -> Result<String, String> {
        if self.hangs.load(Ordering::Acquire) {
            self.hung.notify_one();
            let _ = self.released.lock().unwrap().recv();
        }
        Ok(String::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_call_does_not_wait_for_a_reload_that_hangs() {
    let many = Many::known().await;
    many.add("[journal]\nrecipient = \"me\"\n");
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let seal = Arc::new(Hanging { hangs: AtomicBool::new(false), hung: Notify::new(), released });
    let host = Host::builder().registry(many.file()).seal(seal.clone()).open().await.unwrap();
    let host = Arc::new(host);
    seal.hangs.store(true, Ordering::Release);
    let reload = tokio::spawn({
        let (host, file) = (host.clone(), many.file());
        async move { host.reload(&file).await }
    });
    seal.hung.notified().await;
    // The first entries are those that hang.
    let first = tokio::time::timeout(Duration::from_secs(10), answer(&host, 0));
    assert_eq!(first.await, Ok(Ok(0)), "its code is in the cache");
    drop(release);
    reload.await.unwrap().unwrap();
    assert_eq!(answer(&host, 0).await, Ok(0));
}

/// An `airlock` whose first process waits until most of the components are compiled.
fn waiting(folder: &Path) -> PathBuf {
    let (path, code) = (folder.join("airlock"), folder.join(".airlock/code"));
    let text = format!(
        "#!/bin/sh\nif mkdir {0}/first 2>/dev/null; then\n  until [ $(ls {1} | grep -c cwasm) -ge {2} ]; do sleep 0.01; done\nfi\n\
         exec {3} \"$@\"\n",
        folder.display(),
        code.display(),
        COUNT - 1,
        program().display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_compiles_for_long_keeps_no_core_from_the_others() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores == NonZeroUsize::MIN) {
        return;
    }
    let many = Many::written();
    let file = many.file();
    let compiler = Compiler::program(waiting(many.folder.path()));
    let host = Host::builder().registry(file).compiler(compiler).open().await.unwrap();
    assert_eq!(host.summary().0, COUNT);
}
