//! Ways out of a granted folder: paths, links, and the advisories about the engine's own file functions. Nothing outside is
//! read or changed.

use std::os::unix::fs::{MetadataExt as _, symlink as link_to};
use std::process::Command;

use airlock_types::code::Code;
use serde_json::{Value, json};

use crate::desk::{
    Desk, act, call, check, flow, moving, on, open, open_at, place, read, step, symlink, times, writable,
    write,
};

/// What lies outside has not changed.
#[track_caller]
pub(crate) fn is_untouched(desk: &Desk) {
    let entries = std::fs::read_dir(desk.outside("")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"]);
    let secret = std::fs::metadata(desk.outside("secret")).unwrap();
    assert_eq!(std::fs::read_to_string(desk.outside("secret")).unwrap(), "secret");
    assert_eq!(secret.nlink(), 1);
    // The times that `times` sets are of 1970.
    assert!(secret.mtime() > 1_000_000);
}

/// Everything that can be tried on a path, with `file` and `folder` beside it in the granted folder.
fn attempts(path: &str) -> Vec<Value> {
    let here = |name: &str| place(0, name);
    let mut all = vec![
        on("make-folder", path),
        on("remove-folder", path),
        on("remove", path),
        on("stat", path),
        moving("rename", here(path), here("taken")),
        moving("rename", here("file"), here(path)),
        moving("rename", here("folder"), here(path)),
        moving("link", here(path), here("taken")),
        moving("link-target", here(path), here("taken")),
        moving("link", here("file"), here(path)),
        symlink("file", path),
        times(0, path, false),
        times(0, path, true),
    ];
    for how in [
        "read",
        "write",
        "read truncate",
        "create write",
        "create exclusive write",
        "directory",
        "read keep-link",
        "write keep-link",
        "create write truncate keep-link",
    ] {
        all.push(open(path, how));
    }
    all
}

#[tokio::test]
async fn no_path_leads_out() {
    let desk = Desk::new();
    for name in ["file", "folder/inner"] {
        std::fs::create_dir_all(desk.data("folder")).unwrap();
        std::fs::write(desk.data(name), "x").unwrap();
    }
    let secret = desk.outside("secret");
    let host = desk.writable("").await;
    for path in [
        "../outside/secret",
        "../outside/new",
        "..",
        "../",
        "folder/../../outside/secret",
        "./.././outside/secret",
        "folder/../../outside/new/",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "/",
        "//",
        secret.to_str().unwrap(),
        desk.data("file").to_str().unwrap(),
    ] {
        let all = attempts(path);
        let (found, record) = act(&host, &all).await;
        for (step, found) in all.iter().zip(&found) {
            assert_eq!(found, "not-permitted", "{step}");
        }
        assert_eq!(record.attempts[0].denials, ["files"], "{path}");
    }
    is_untouched(&desk);
    assert_eq!((desk.text("file"), desk.text("folder/inner")), ("x".to_owned(), "x".to_owned()));
}

#[tokio::test]
async fn no_link_of_the_host_leads_out() {
    let desk = Desk::new();
    std::fs::create_dir(desk.data("folder")).unwrap();
    let secret = desk.outside("secret").to_str().unwrap().to_owned();
    let outside = desk.outside("").to_str().unwrap().trim_end_matches('/').to_owned();
    for (target, name) in [
        (&*secret, "absolute"),
        ("../outside/secret", "relative"),
        ("../outside/new", "dangling"),
        ("../outside/", "slash"),
        (&*outside, "tree"),
        ("../outside", "tree_relative"),
        ("folder/../../outside/secret", "dotted"),
        ("relative", "chain"),
        ("..", "up"),
    ] {
        link_to(target, desk.data(name)).unwrap();
    }
    let host = desk.writable("").await;
    for path in [
        "absolute",
        "relative",
        "dangling",
        "slash",
        "tree",
        "tree_relative",
        "dotted",
        "chain",
        "up",
        // GHSA-vqjp and GHSA-m9f7: a slash behind a link makes the system follow it.
        "absolute/",
        "relative/",
        "dangling/",
        "slash/",
        "tree/",
        "tree_relative/",
        "chain/",
        "up/",
        "tree/secret",
        "tree_relative/secret",
        "tree/new",
        "tree_relative/new/",
        "up/outside/secret",
        "tree/.",
        "tree/../outside/secret",
    ] {
        for step in attempts(path) {
            // These act on the link itself, which is the tool's to move and remove.
            let is_of_link =
                !path.contains('/') && ["rename", "remove", "times"].contains(&step["tag"].as_str().unwrap());
            if is_of_link && (step["tag"] != "times" || step["val"]["keep_link"] == true) {
                continue;
            }
            let (found, _) = act(&host, &[step.clone(), read(1), step_stat(1)]).await;
            assert_ne!(found[0], "ok", "{step}");
            assert_eq!(found[1], "no such descriptor", "{step}");
        }
        is_untouched(&desk);
    }
    // What a link says is shown unless it is absolute.
    let steps =
        [(on("target", "relative"), "../outside/secret"), (on("target", "absolute"), "not-permitted")];
    check(&host, &steps).await;
    // Links are removed, not their targets.
    let steps = [
        (on("remove", "absolute"), "ok"),
        (moving("rename", place(0, "relative"), place(0, "folder/relative")), "ok"),
        (open("folder/relative", "read"), "no-entry"),
        (on("remove-folder", "tree"), "not-directory"),
        (on("remove", "tree"), "ok"),
    ];
    check(&host, &steps).await;
    is_untouched(&desk);
}

fn step_stat(fd: u32) -> Value {
    step("flags", json!(fd))
}

#[tokio::test]
async fn a_tool_makes_no_link_that_leads_out_for_others() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.data("a/b")).unwrap();
    std::fs::write(desk.data("a/file"), "x").unwrap();
    let host = desk.writable("").await;
    for target in ["/etc/passwd", "/", "..", "../outside/secret", "a/../../outside", "b/../file", "./.."] {
        let record = check(&host, &[(symlink(target, "link"), "not-permitted")]).await;
        assert_eq!(record.attempts[0].denials, ["files"], "{target}");
    }
    let steps = [
        (symlink("a/file", "link"), "ok"),
        (open("link", "write read"), "ok"),
        (write(1, 0, "y"), "1"),
        (open("link", "read keep-link"), "loop"),
        (on("target", "link"), "a/file"),
        (symlink("", "other"), "no-entry"),
        (symlink("a\0b", "other"), "invalid"),
        (symlink("a", "other/"), "no-entry"),
        (symlink("self", "self"), "ok"),
        (open("self", "read"), "loop"),
        (open("self", "create write"), "loop"),
    ];
    check(&host, &steps).await;
    assert_eq!(desk.text("a/file"), "y");
}

/// Two folders: `/in` for reading with `file` in it, and `/out` for writing.
async fn two_folders(desk: &Desk, access: &str) -> airlock::Host {
    std::fs::create_dir_all(desk.data("in")).unwrap();
    std::fs::create_dir_all(desk.data("out")).unwrap();
    std::fs::write(desk.data("in/file"), "kept").unwrap();
    std::fs::write(desk.data("out/own"), "own").unwrap();
    desk.open(&format!(
        "grants.files = [{{ host = \"../data/in\", guest = \"/in\"{access} }}, \
         {{ host = \"../data/out\", guest = \"/out\", access = \"read-write\" }}]\n"
    ))
    .await
}

/// GHSA-4ch3 (RUSTSEC-2026-0188): a file of a folder for reading was linked or moved into one for writing.
#[tokio::test]
async fn nothing_is_linked_or_moved_between_grants() {
    let between = |code: &'static str| {
        let (kept, own) = (|| place(0, "file"), || place(1, "own"));
        vec![
            (moving("link", kept(), place(1, "linked")), code),
            (moving("link-target", kept(), place(1, "linked")), code),
            (moving("rename", kept(), place(1, "moved")), code),
            (moving("rename", kept(), own()), code),
            (moving("link", own(), place(0, "linked")), code),
            (moving("rename", own(), place(0, "moved")), code),
            (moving("rename", own(), kept()), code),
        ]
    };
    let desk = Desk::new();
    let host = two_folders(&desk, "").await;
    check(&host, &between("not-permitted")).await;
    // Both for writing: they have bounds of their own.
    let host = two_folders(&desk, ", access = \"read-write\", file_bytes_max = 1").await;
    check(&host, &between("cross-device")).await;
    let names = |of: &str| {
        let entries = std::fs::read_dir(desk.data(of)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((names("in"), names("out")), (vec!["file".to_owned()], vec!["own".to_owned()]));
    assert_eq!(desk.text("in/file"), "kept");
}

/// GHSA-2r75 (RUSTSEC-2026-0149): a file that was opened for reading could be emptied in the same step.
#[tokio::test]
async fn a_file_for_reading_is_not_emptied() {
    let desk = Desk::new();
    let host = two_folders(&desk, "").await;
    for how in ["truncate", "read truncate", "write truncate", "create truncate", "truncate keep-link"] {
        check(&host, &[(open_at(0, "file", how), "not-permitted")]).await;
    }
    assert_eq!(desk.text("in/file"), "kept");
}

/// GHSA-m9f7: a link with a slash behind it was moved as what it leads to.
#[tokio::test]
async fn a_slash_behind_a_name_means_a_folder() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.data("folder/inner")).unwrap();
    std::fs::create_dir(desk.data("empty")).unwrap();
    std::fs::write(desk.data("file"), "x").unwrap();
    link_to("folder", desk.data("to_folder")).unwrap();
    link_to("missing", desk.data("dangling")).unwrap();
    let host = desk.writable("").await;
    let to = |name: &str| place(0, name);
    check(
        &host,
        &[
            (moving("rename", to("to_folder/"), to("moved")), "not-directory"),
            (moving("rename", to("empty"), to("to_folder/")), "not-directory"),
            (moving("rename", to("file"), to("new/")), "not-directory"),
            (moving("rename", to("file/"), to("new")), "not-directory"),
            (moving("link", to("file/"), to("new")), "not-directory"),
            (moving("link", to("file"), to("new/")), "no-entry"),
            (on("make-folder", "dangling/"), "exist"),
            (on("make-folder", "dangling"), "exist"),
            (on("remove", "file/"), "not-directory"),
            (on("remove", "to_folder/"), "not-directory"),
            (on("remove-folder", "to_folder/"), "not-directory"),
            (open("file/", "read"), "not-directory"),
            (open("file/.", "read"), "not-directory"),
            (open("dangling/", "create write"), "is-directory"),
            (on("stat", "file/"), "not-directory"),
            (open("to_folder/", "directory keep-link"), "ok"),
            (moving("rename", to("empty/"), to("renamed/")), "ok"),
            (on("make-folder", "made/"), "ok"),
            (on("remove-folder", "made/"), "ok"),
            // What has no name of its own cannot be moved or removed.
            (moving("rename", to("folder/."), to("x")), "ok"),
            (on("remove-folder", "."), "invalid"),
            (on("remove-folder", "x/.."), "invalid"),
            (moving("rename", to("."), to("y")), "invalid"),
            (moving("rename", to("x"), to("x/inner/y")), "invalid"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_file_is_neither_opened_nor_changed() {
    let desk = Desk::new();
    assert!(Command::new("mkfifo").arg(desk.data("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(desk.data("socket")).unwrap();
    let has_device =
        Command::new("mknod").arg(desk.data("device")).args(["c", "1", "3"]).status().unwrap().success();
    std::fs::write(desk.data("file"), "x").unwrap();
    let host = desk.writable("").await;
    let devices: &[&str] = if has_device { &["device"] } else { &[] };
    for name in ["fifo", "socket"].iter().chain(devices) {
        for step in attempts(name) {
            let (found, _) = act(&host, std::slice::from_ref(&step)).await;
            let expect = match step["tag"].as_str().unwrap() {
                "make-folder" | "symlink" => "exist",
                "remove-folder" => "not-directory",
                "stat" => continue,
                "open" if step["val"]["how"].as_array().unwrap().contains(&json!("exclusive")) => "exist",
                "link" | "link-target" if step["val"]["to"]["path"] == **name => "exist",
                _ => "not-permitted",
            };
            assert_eq!(found[0], expect, "{step}");
        }
        assert!(std::fs::symlink_metadata(desk.data(name)).is_ok(), "{name}");
    }
    assert_eq!(desk.text("file"), "x");
}

#[tokio::test]
async fn a_hard_link_of_the_host_is_the_file_that_it_is() {
    let desk = Desk::new();
    std::fs::hard_link(desk.outside("secret"), desk.data("linked")).unwrap();
    let host = desk.writable("").await;
    // As the documents say: a second name of a file is that file.
    check(&host, &[(open("linked", "read write"), "ok"), (read(1), "secret"), (write(1, 0, "S"), "1")]).await;
    assert_eq!(std::fs::read_to_string(desk.outside("secret")).unwrap(), "Secret");
    // The tool gets no such name by itself.
    let outside = desk.outside("secret");
    for from in ["../outside/secret", outside.to_str().unwrap()] {
        check(&host, &[(moving("link", place(0, from), place(0, "taken")), "not-permitted")]).await;
    }
}

#[tokio::test]
async fn a_refused_path_is_explained_where_the_call_fails() {
    let desk = Desk::new();
    let host = desk.open(&writable("")).await;
    let (reply, _) = call(&host, "must", &[open("../outside/secret", "read")], Code::ToolError).await;
    let message = reply.error.unwrap().message;
    assert!(message.contains("refused what it is not granted (files)"), "{message}");
    let host = desk.writable(", bytes_max = 1").await;
    let steps = [open("a", "create write"), flow(1, Some(0), 2, 1)];
    let (reply, _) = call(&host, "must", &steps, Code::ToolError).await;
    let message = reply.error.unwrap().message;
    assert!(message.contains("quota") && message.contains("(files)"), "{message}");
}
