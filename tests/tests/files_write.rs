//! Files that tools write: what a grant lets them change, what just outside of it is refused, and what is counted.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use serde_json::{Value, json};

use crate::desk::{
    Desk, act, call, check, flow, grant, moving, on, open, open_at, place, read, resize, step, symlink,
    times, writable, write,
};

#[tokio::test]
async fn with_a_grant_files_are_written_and_counted() {
    let desk = Desk::new();
    let host = desk.writable("").await;
    let record = check(
        &host,
        &[
            (on("make-folder", "out"), "ok"),
            (open("out/report", "create write read"), "ok"),
            (write(1, 0, "hello"), "5"),
            (write(1, 5, " world"), "6"),
            (read(1), "hello world"),
            (flow(1, Some(0), 4, 1), "ok"),
            (flow(1, None, 3, 2), "ok"),
            (step("drain", json!(1)), "xxxxo worldxxxxxx"),
            (resize(1, 4), "ok"),
            (step("sync", json!(1)), "ok"),
            (step("sync", json!(0)), "ok"),
            (step("flags", json!(1)), "DescriptorFlags(READ | WRITE)"),
            (step("flags", json!(0)), "DescriptorFlags(READ | MUTATE_DIRECTORY)"),
            (moving("rename", place(0, "out/report"), place(0, "final")), "ok"),
            (on("remove-folder", "out"), "ok"),
            (step("list", json!(0)), "final"),
        ],
    )
    .await;
    assert_eq!(desk.text("final"), "xxxx");
    let usage = &record.attempts[0].usage;
    assert_eq!((usage.written_bytes, usage.files_created), (5 + 6 + 4 + 6, 2));
    assert!(record.attempts[0].denials.is_empty());
    // Never a program.
    assert_eq!(std::fs::metadata(desk.data("final")).unwrap().permissions().mode() & 0o7111, 0);
}

#[tokio::test]
async fn the_reply_says_what_a_call_wrote() {
    let desk = Desk::new();
    let host = desk.writable("").await;
    let (reply, _) = call(&host, "act", &[open("a", "create write"), write(1, 0, "abc")], Code::Ok).await;
    assert_eq!((reply.usage.written_bytes, reply.usage.files_created), (3, 1));
    let (reply, _) = call(&host, "act", &[open("a", "read"), read(1)], Code::Ok).await;
    let usage = serde_json::to_value(&reply.usage).unwrap();
    assert!(usage.get("written_bytes").is_none() && usage.get("files_created").is_none(), "{usage}");
}

/// Each step that changes something, on files that are there.
fn changes() -> Vec<Value> {
    let file = || place(0, "file");
    vec![
        open("file", "write"),
        open("file", "truncate"),
        open("file", "read truncate"),
        open("file", "create read"),
        open("new", "create read"),
        open("new", "create exclusive write"),
        on("make-folder", "new"),
        on("remove-folder", "empty"),
        on("remove", "file"),
        moving("rename", file(), place(0, "new")),
        moving("link", file(), place(0, "new")),
        moving("link-target", file(), place(0, "new")),
        symlink("file", "new"),
        times(0, "file", false),
        times(0, "file", true),
        step("touch", json!(0)),
        // Of a file that is open for reading.
        write(1, 0, "x"),
        resize(1, 0),
        flow(1, Some(0), 1, 1),
        flow(1, None, 1, 1),
        step("touch", json!(1)),
    ]
}

/// What a folder has in it: names, sizes and times.
fn state(desk: &Desk) -> Vec<(String, u64, i64, u64)> {
    let mut seen: Vec<_> = std::fs::read_dir(desk.data(""))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            (
                entry.file_name().into_string().unwrap(),
                metadata.len(),
                metadata.mtime_nsec(),
                metadata.nlink(),
            )
        })
        .collect();
    seen.sort();
    seen
}

#[tokio::test]
async fn without_the_right_to_write_nothing_changes() {
    let desk = Desk::new();
    std::fs::write(desk.data("file"), "text").unwrap();
    std::fs::create_dir(desk.data("empty")).unwrap();
    let before = state(&desk);
    // A grant for reading; one for writing that a tool which counts as reading cannot use.
    for settings in [grant(""), grant(", access = \"read\""), format!("effects = \"read\"\n{}", writable(""))]
    {
        let host = desk.open(&settings).await;
        for change in changes() {
            let (found, record) = act(&host, &[open("file", "read"), change.clone()]).await;
            assert_eq!((&*found[0], &*found[1]), ("ok", "not-permitted"), "{settings}: {change}");
            assert_eq!(record.attempts[0].denials, ["files"], "{change}");
            assert_eq!(
                (record.attempts[0].usage.written_bytes, record.attempts[0].usage.files_created),
                (0, 0)
            );
        }
        assert_eq!(state(&desk), before, "{settings}");
        // Reading stays, and notes nothing.
        let record = check(&host, &[(open("file", "read"), "ok"), (read(1), "text")]).await;
        assert!(record.attempts[0].denials.is_empty());
    }
}

#[tokio::test]
async fn without_a_grant_there_is_no_folder() {
    let desk = Desk::new();
    for settings in ["", "grants.clock = true\n"] {
        let host = desk.open(settings).await;
        let (found, record) = act(&host, &[open("x", "create write")]).await;
        assert_eq!(
            (&*found[0], &record.attempts[0].denials[..]),
            ("no such descriptor", &["files".to_owned()][..])
        );
    }
}

#[tokio::test]
async fn a_descriptor_has_the_rights_that_it_was_opened_with() {
    let desk = Desk::new();
    std::fs::write(desk.data("file"), "text").unwrap();
    let host = desk.writable("").await;
    let record = check(
        &host,
        &[
            (open("file", "read"), "ok"),
            (write(1, 0, "x"), "bad-descriptor"),
            (resize(1, 0), "bad-descriptor"),
            (flow(1, None, 1, 1), "bad-descriptor"),
            (open("file", ""), "ok"),
            (write(2, 0, "x"), "bad-descriptor"),
            (open("file", "write"), "ok"),
            (read(3), "bad-descriptor"),
            (step("drain", json!(3)), "bad-descriptor"),
            (write(3, 4, "!"), "1"),
            (write(0, 0, "x"), "is-directory"),
            (open("file", "write directory"), "not-directory"),
            (open(".", "write"), "is-directory"),
            (open(".", "create read"), "is-directory"),
            (open("file", "create exclusive write"), "exist"),
            (open("file", "create directory"), "invalid"),
            (open("file", "sync write"), "unsupported"),
            (open("none", "write"), "no-entry"),
            (open("none/x", "create write"), "no-entry"),
            (open("new/", "create write"), "is-directory"),
            // Emptied, and not for writing.
            (open("file", "read truncate"), "ok"),
            (write(4, 0, "x"), "bad-descriptor"),
            (read(4), ""),
        ],
    )
    .await;
    assert_eq!(desk.text("file"), "");
    assert!(record.attempts[0].denials.is_empty(), "these are no denials");
}

#[tokio::test]
async fn just_outside_of_each_bound_nothing_is_written() {
    let desk = Desk::new();
    let host = desk.writable(", bytes_max = 10, files_max = 2, file_bytes_max = 8").await;
    let record = check(
        &host,
        &[
            (open("a", "create write read"), "ok"),
            (write(1, 0, "123456789"), "quota"),
            (write(1, 8, "x"), "quota"),
            (write(1, u64::MAX, "x"), "quota"),
            (resize(1, 9), "quota"),
            (resize(1, u64::MAX), "quota"),
            (read(1), ""),
            (write(1, 0, "12345678"), "8"),
            (flow(1, None, 1, 1), "quota"),
            (open("b", "create write"), "ok"),
            // Two bytes are left.
            (write(2, 0, "123"), "quota"),
            (write(2, 2, "x"), "quota"),
            (resize(2, 3), "quota"),
            (flow(2, Some(0), 3, 1), "quota"),
            (write(2, 0, "1"), "1"),
            (write(2, 0, "1"), "1"),
            (write(2, 0, "1"), "quota"),
            (resize(2, 0), "ok"),
            // Two files are made.
            (open("c", "create write"), "quota"),
            (on("make-folder", "c"), "quota"),
            (symlink("a", "c"), "quota"),
            (moving("link", place(0, "a"), place(0, "c")), "quota"),
            (open("a", "create write"), "ok"),
            (moving("rename", place(0, "b"), place(0, "c")), "ok"),
            (step("list", json!(0)), "a c"),
        ],
    )
    .await;
    assert_eq!((desk.text("a"), desk.text("c")), ("12345678".to_owned(), String::new()));
    let usage = &record.attempts[0].usage;
    assert_eq!((usage.written_bytes, usage.files_created), (10, 2));
    assert_eq!(record.attempts[0].denials, ["files"]);
}

#[tokio::test]
async fn what_failed_takes_nothing_from_the_bounds() {
    let desk = Desk::new();
    std::fs::create_dir(desk.data("full")).unwrap();
    let host = desk.writable(", files_max = 1").await;
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push((on("make-folder", "full"), "exist"));
        steps.push((symlink("x", "full"), "exist"));
        steps.push((open("full", "create exclusive write"), "exist"));
        steps.push((moving("link", place(0, "full"), place(0, "x")), "not-permitted"));
        steps.push((symlink("x", "none/x"), "no-entry"));
    }
    steps.push((open("file", "create write"), "ok"));
    let record = check(&host, &steps).await;
    assert_eq!(record.attempts[0].usage.files_created, 1);
}

#[tokio::test]
async fn only_what_is_there_can_be_changed_where_no_file_may_be_created() {
    let desk = Desk::new();
    std::fs::write(desk.data("state"), "0").unwrap();
    let host = desk.writable(", files_max = 0").await;
    let steps = [
        (open("state", "create write"), "ok"),
        (write(1, 0, "1"), "1"),
        (open("new", "create write"), "quota"),
    ];
    check(&host, &steps).await;
    assert_eq!(desk.text("state"), "1");
}

#[tokio::test]
async fn a_file_that_was_larger_before_can_be_changed_and_not_grow() {
    let desk = Desk::new();
    std::fs::write(desk.data("log"), "0123456789").unwrap();
    let host = desk.writable(", file_bytes_max = 4").await;
    let steps = [
        (open("log", "write"), "ok"),
        (write(1, 8, "xx"), "2"),
        (write(1, 9, "xx"), "quota"),
        (resize(1, 6), "ok"),
        (resize(1, 7), "quota"),
    ];
    check(&host, &steps).await;
    assert_eq!(desk.text("log"), "012345");
}

#[tokio::test]
async fn many_writes_at_once_stay_within_the_bounds() {
    let desk = Desk::new();
    let host = desk.writable(", bytes_max = 5_000, file_bytes_max = 3_000").await;
    let flood = |fd: u32, offset: Option<u64>| {
        step("flood", json!({"fd": fd, "offset": offset, "bytes": 100, "times": 200}))
    };
    let steps = [open("a", "create write"), flood(1, None), open("b", "create write"), flood(2, Some(0))];
    let (found, record) = act(&host, &steps).await;
    assert_eq!((&*found[1], &*found[3]), ("30", "20"));
    assert_eq!((desk.text("a").len(), desk.text("b").len()), (3_000, 100));
    assert_eq!(record.attempts[0].usage.written_bytes, 5_000);
}

#[tokio::test]
async fn a_thousand_chunks_arrive_in_order_under_one_intent() {
    let desk = Desk::new();
    let host = desk.writable("").await;
    let steps = [open("a", "create write"), flow(1, Some(0), 100, 1_000), flow(1, None, 70_000, 2)];
    let (found, record) = act(&host, &steps).await;
    assert_eq!(found, ["ok"; 3]);
    assert_eq!(desk.text("a").len(), 240_000);
    assert_eq!(record.attempts[0].usage.written_bytes, 240_000);
    host.journal().flush().unwrap();
}

#[tokio::test]
async fn times_are_set_on_what_is_named() {
    let desk = Desk::new();
    std::fs::write(desk.data("file"), "").unwrap();
    std::os::unix::fs::symlink("file", desk.data("link")).unwrap();
    let host = desk.writable("").await;
    let of = |name: &str| {
        let metadata = std::fs::symlink_metadata(desk.data(name)).unwrap();
        (metadata.mtime(), metadata.mtime_nsec())
    };
    check(&host, &[(times(0, "link", true), "ok")]).await;
    assert_eq!((of("link"), of("file") == (7, 5)), ((7, 5), false));
    check(&host, &[(times(0, "link", false), "ok"), (times(0, ".", false), "ok")]).await;
    assert_eq!((of("file"), of(".")), ((7, 5), (7, 5)));
    let bad = |seconds: u64, nanoseconds: u32| {
        let val = json!({"at": place(0, "file"), "keep_link": false, "seconds": seconds, "nanoseconds": nanoseconds});
        step("times", val)
    };
    // The system reads two values above the range of nanoseconds as commands.
    let steps = [
        (bad(7, 0x3fff_ffff), "invalid"),
        (bad(7, 1_000_000_000), "invalid"),
        (bad(u64::MAX, 0), "overflow"),
    ];
    check(&host, &steps).await;
    assert_eq!(of("file"), (7, 5));
}

#[tokio::test]
async fn the_access_of_grants_says_which_effects_a_tool_has() {
    let desk = Desk::new();
    let two = "grants.files = [{ host = \"../outside\", guest = \"/in\" }, \
               { host = \"../data\", guest = \"/out\", access = \"read-write\" }]\n";
    for (settings, effect) in [
        ("", Effect::Pure),
        (&*grant(""), Effect::Read),
        (&*writable(""), Effect::Write),
        (two, Effect::Write),
    ] {
        let host = desk.open(settings).await;
        let tools = host.visible(&Caller::local());
        let tool = tools.resolve("desk_act").unwrap();
        assert_eq!((tool.effect, tool.is_open_world), (effect, false), "{settings}");
    }
    // Each folder has its own rights.
    let host = desk.open(two).await;
    let steps = [
        (open_at(0, "secret", "write"), "not-permitted"),
        (open_at(0, "secret", "read"), "ok"),
        (open_at(1, "new", "create write"), "ok"),
    ];
    check(&host, &steps).await;
}
