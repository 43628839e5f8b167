//! The cache of compiled components: an entry is used only unchanged, and only for its component.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock::sandbox::compiler::Compiler;
use airlock_tests::{program, root};

use crate::{stderr, stdout};

const TOOLS: [&str; 2] = ["unit-convert", "text-digest"];

fn airlock(folder: &Path, args: &[&str]) -> Output {
    Command::new(program()).arg("--registry").arg(folder.join("airlock.toml")).args(args).output().unwrap()
}

/// The listed tools and one answer, which must not depend on how the code was obtained.
fn seen(folder: &Path) -> String {
    // All tools are compiled by it, and by a call the called one.
    let checked = airlock(folder, &["check"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    let listed = airlock(folder, &["tools", "--json"]);
    let called = airlock(folder, &["call", "unit_convert", r#"{"value": 1, "from": "km", "to": "m"}"#]);
    assert!(listed.status.success() && called.status.success(), "{}{}", stderr(&listed), stderr(&called));
    stdout(&listed) + stdout(&called).split("\"record\"").next().unwrap()
}

struct Cache {
    folder: tempfile::TempDir,
    /// The files of each entry: index and code.
    pairs: Vec<[PathBuf; 2]>,
    seen: String,
}

impl Cache {
    fn filled() -> Cache {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for tool in TOOLS {
            let component = root().join(format!("example-tools/build/{tool}.wasm"));
            text += &format!("[tools.{}]\ncomponent = \"{}\"\n", tool.replace('-', "_"), component.display());
        }
        std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
        let seen = seen(folder.path());
        let code = folder.path().join(".airlock/code");
        let files = std::fs::read_dir(&code).unwrap().map(|entry| entry.unwrap().path());
        let mut indexes: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
        indexes.sort();
        let pair = |index: PathBuf| {
            let text = std::fs::read_to_string(&index).unwrap();
            let (_, digest) = text.split_once("\"code\":\"").unwrap();
            [index, code.join(format!("{}.cwasm", &digest[..64]))]
        };
        let pairs = indexes.into_iter().map(pair).collect();
        Cache { folder, pairs, seen }
    }

    /// Tampers with the cache and expects that the entry is compiled again and equal, and the tools are the same.
    #[track_caller]
    fn heals(&self, what: &str, tamper: impl FnOnce(&Cache)) {
        let before: Vec<Vec<u8>> =
            self.pairs.iter().flatten().map(|path| std::fs::read(path).unwrap()).collect();
        tamper(self);
        let output = airlock(self.folder.path(), &["check"]);
        assert!(output.status.success(), "{what}: {}", stderr(&output));
        assert!(stderr(&output).contains("is made anew"), "{what}: {}", stderr(&output));
        let after: Vec<Vec<u8>> =
            self.pairs.iter().flatten().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(before == after, "{what}: it is not as it was");
        assert_eq!(seen(self.folder.path()), self.seen, "{what}");
    }
}

/// Changes a read-only file.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
}

fn swap(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    std::fs::rename(a, &aside).unwrap();
    std::fs::rename(b, a).unwrap();
    std::fs::rename(aside, b).unwrap();
}

#[test]
fn an_entry_that_was_tampered_with_is_compiled_again() {
    let cache = Cache::filled();
    let [[index, code], [other_index, other_code]] = cache.pairs.as_slice() else {
        panic!("{:?}", cache.pairs)
    };
    cache.heals("swapped indexes", |_| swap(index, other_index));
    cache.heals("swapped codes", |_| swap(code, other_code));
    cache.heals("an index that is cut off", |_| rewrite(index, |bytes| bytes.truncate(bytes.len() / 2)));
    cache.heals("an empty index", |_| rewrite(index, Vec::clear));
    cache.heals("code that is cut off", |_| rewrite(code, |bytes| bytes.truncate(bytes.len() / 2)));
    cache.heals("code with a changed byte", |_| rewrite(code, |bytes| bytes[4_000] ^= 1));
    cache.heals("an index with a changed byte", |_| {
        rewrite(index, |bytes| {
            let last = bytes.len() - 10;
            bytes[last] ^= 1;
        });
    });
    cache.heals("an index that names other code", |_| {
        let other = std::fs::read_to_string(other_index).unwrap();
        let (_, digest) = other.split_once("\"code\":\"").unwrap();
        rewrite(index, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let (before, after) = text.split_once("\"code\":\"").unwrap();
            *bytes = format!("{before}\"code\":\"{}{}", &digest[..64], &after[64..]).into_bytes();
        });
    });
    cache.heals("an index that others can write", |_| {
        std::fs::set_permissions(index, std::fs::Permissions::from_mode(0o666)).unwrap();
    });
    cache.heals("an index that is a link", |_| {
        let elsewhere = cache.folder.path().join("elsewhere");
        std::fs::rename(index, &elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, index).unwrap();
    });
    cache.heals("code that is a pipe", |_| {
        std::fs::remove_file(code).unwrap();
        assert!(Command::new("mkfifo").args(["-m", "400"]).arg(code).status().unwrap().success());
    });
}

#[test]
fn an_index_of_an_older_form_is_compiled_again() {
    let cache = Cache::filled();
    cache.heals("an index without a digest", |cache| {
        rewrite(&cache.pairs[0][0], |bytes| drop(bytes.drain(..64)))
    });
}

#[tokio::test]
async fn an_entry_at_which_the_host_failed_is_there_after_another_load() {
    let folder = tempfile::tempdir().unwrap();
    let mended = folder.path().join("mended");
    // A compile process that is killed, until something outside of the host is mended.
    let compiler = folder.path().join("airlock");
    let script = format!(
        "#!/bin/sh\n[ -e {} ] || kill -9 $$\nexec {} \"$@\"\n",
        mended.display(),
        program().display()
    );
    std::fs::write(&compiler, script).unwrap();
    std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o700)).unwrap();
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!("[tools.one]\ncomponent = \"{}\"\n", component.display());
    let file = ConfigFile::parse(&text, &folder.path().join("airlock.toml")).unwrap();
    let builder = Host::builder().registry(&file).compiler(Compiler::program(compiler)).leave_out_broken();
    let host = builder.open().await.unwrap();
    assert!(host.may_pass() && host.summary().0 == 0, "{:?}", host.problems());
    host.reload(&file).await.unwrap();
    assert!(host.may_pass(), "nothing was mended");
    std::fs::write(&mended, "").unwrap();
    host.reload(&file).await.unwrap();
    assert!(!host.may_pass() && host.summary().0 == 1, "{:?}", host.problems());
    // What is wrong with the component itself stays wrong.
    std::fs::write(folder.path().join("none.wasm"), "no component").unwrap();
    let text = "[tools.one]\ncomponent = \"none.wasm\"\n";
    let file = ConfigFile::parse(text, &folder.path().join("airlock.toml")).unwrap();
    host.reload(&file).await.unwrap();
    assert!(!host.may_pass() && host.problems().is_some());
}

#[test]
fn a_bound_below_every_component_compiles_each_time_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tools = TOOLS.map(|tool| {
        let component = root().join(format!("example-tools/build/{tool}.wasm"));
        format!("[tools.{}]\ncomponent = \"{}\"\n", tool.replace('-', "_"), component.display())
    });
    let text = format!("[compile]\ncache_bytes_max = 1\n{}", tools.concat());
    std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
    for _ in 0..2 {
        seen(folder.path());
        let code = std::fs::read_dir(folder.path().join(".airlock/code")).unwrap();
        let kept =
            code.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "cwasm"));
        assert_eq!(kept.count(), 0);
    }
}
