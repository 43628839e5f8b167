//! Folders that are moved and replaced while a tool uses them: nothing outside of the grant comes into reach.

use std::os::unix::fs::symlink as link_to;
use std::path::Path;

use airlock::config::ConfigFile;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use serde_json::{Value, json};

use crate::desk::{Desk, act, moving, on, open, open_at, place, read, step, times, writable, write};
use crate::files_escape::is_untouched;

/// Runs steps, and `meanwhile` once the guest has created `began`. The guest awaits `go`, which is created afterwards.
async fn during(desk: &Desk, before: Value, after: &[Value], meanwhile: impl FnOnce() + Send) -> Vec<String> {
    let host = desk.writable("").await;
    let begun = [before, open("began", "create write"), on("await", "go")];
    let steps: Vec<Value> = begun.into_iter().chain(after.iter().cloned()).collect();
    let (found, ()) = tokio::join!(act(&host, &steps), async {
        while !desk.data("began").exists() {
            tokio::task::yield_now().await;
        }
        meanwhile();
        std::fs::write(desk.data("go"), "").unwrap();
    });
    found.0[3..].to_vec()
}

fn move_to(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_moved_out_while_it_is_open_is_out_of_reach() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.data("folder/deep")).unwrap();
    std::fs::write(desk.data("folder/file"), "old").unwrap();
    let after = [
        open_at(1, "file", "read"),
        open_at(1, "file", "write truncate"),
        open_at(1, "new", "create write"),
        step("make-folder", place(1, "new")),
        step("remove", place(1, "file")),
        step("stat", place(1, "file")),
        step("list", json!(1)),
        step("touch", json!(1)),
        moving("rename", place(1, "file"), place(0, "taken")),
        moving("link", place(1, "file"), place(0, "taken")),
        moving("rename", place(0, "began"), place(1, "put")),
        open("folder/file", "read"),
    ];
    let found = during(&desk, open("folder", "directory read"), &after, || {
        move_to(&desk.data("folder"), &desk.outside("folder"));
    })
    .await;
    assert_eq!(found[..11], ["not-permitted"; 11]);
    assert_eq!(found[11], "no-entry");
    assert_eq!(std::fs::read_to_string(desk.outside("folder/file")).unwrap(), "old");
    assert!(!desk.data("taken").exists() && !desk.outside("folder/put").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_replaced_by_a_link_widens_nothing() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.data("folder")).unwrap();
    std::fs::write(desk.data("folder/secret"), "own").unwrap();
    let after = [
        // The descriptor is still of the folder that was opened, which moved within the grant.
        open_at(1, "secret", "read"),
        read(3),
        open("folder/secret", "read"),
        open("folder/secret", "write truncate"),
        open("folder/new", "create write"),
        on("remove", "folder/secret"),
        step("make-folder", place(1, "made")),
    ];
    let found = during(&desk, open("folder", "directory read"), &after, || {
        move_to(&desk.data("folder"), &desk.data("elsewhere"));
        link_to("../outside", desk.data("folder")).unwrap();
    })
    .await;
    assert_eq!(
        found,
        ["ok", "own", "not-permitted", "not-permitted", "not-permitted", "not-permitted", "ok"]
    );
    is_untouched(&desk);
    assert!(desk.data("elsewhere/made").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_granted_folder_itself_stays_what_it_was_when_it_is_replaced() {
    let desk = Desk::new();
    std::fs::write(desk.data("secret"), "own").unwrap();
    let (data, moved) = (desk.path().join("data"), desk.path().join("moved"));
    let after = [open("secret", "read"), read(2), open("new", "create write")];
    let host = desk.writable("").await;
    let begun = [open("began", "create write"), on("await", "go")];
    let steps: Vec<Value> = begun.into_iter().chain(after).collect();
    let (found, ()) = tokio::join!(act(&host, &steps), async {
        while !desk.data("began").exists() {
            tokio::task::yield_now().await;
        }
        move_to(&data, &moved);
        link_to("outside", &data).unwrap();
        std::fs::write(moved.join("go"), "").unwrap();
    });
    assert_eq!(found.0[2..], ["ok", "own", "ok"]);
    assert!(moved.join("new").exists());
    is_untouched(&desk);
    // The next call finds a link where the folder was.
    let (found, _) = act(&host, &[open("secret", "read"), open("new", "create write")]).await;
    assert_eq!(found, ["loop", "loop"]);
    is_untouched(&desk);
}

/// A name that is a file and a link to elsewhere, in turn, as fast as the system can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_does_not_move_a_grant_to_where_a_link_leads_by_now() {
    let desk = Desk::new();
    let host = desk.writable("").await;
    let reload = async || host.reload(&ConfigFile::read(&desk.registry(&writable(""))).unwrap()).await;
    reload().await.unwrap();
    move_to(&desk.path().join("data"), &desk.path().join("kept"));
    link_to(desk.path().join("outside"), desk.path().join("data")).unwrap();
    let _ = reload().await;
    let steps = json!({"steps": [open("taken", "create write")]}).to_string();
    let call = || Call::new("desk_act", Arguments::Text(steps.clone().into()));
    assert_ne!(host.call(call()).await.code, Code::Ok);
    is_untouched(&desk);
    // The folder is back.
    std::fs::remove_file(desk.path().join("data")).unwrap();
    move_to(&desk.path().join("kept"), &desk.path().join("data"));
    reload().await.unwrap();
    assert_eq!(host.call(call()).await.code, Code::Ok);
    assert!(desk.data("taken").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_between_a_file_and_a_link_never_leads_out() {
    let desk = Desk::new();
    std::fs::create_dir(desk.data("real")).unwrap();
    std::fs::write(desk.data("real/secret"), "own").unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = {
        let (stop, name, spare) = (stop.clone(), desk.data("name"), desk.data("spare"));
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for target in ["real", "../outside"] {
                    let _ = std::fs::remove_file(&spare);
                    link_to(target, &spare).unwrap();
                    std::fs::rename(&spare, &name).unwrap();
                }
            }
        })
    };
    let host = desk.writable(", files_max = 1_000").await;
    for _ in 0..20 {
        let mut steps = Vec::new();
        for _ in 0..20 {
            steps.push(open("name/secret", "read"));
            steps.push(open("name/secret", "write"));
            steps.push(open("name/new", "create write"));
            steps.push(on("make-folder", "name/made"));
            steps.push(times(0, "name/secret", false));
            steps.push(moving("rename", place(0, "name/new"), place(0, "name/newer")));
        }
        let opened = u32::try_from(steps.len()).unwrap();
        for fd in 1..opened {
            steps.push(read(fd));
            steps.push(write(fd, 0, "own"));
        }
        let (found, _) = act(&host, &steps).await;
        assert!(!found.iter().any(|found| found == "secret"));
        is_untouched(&desk);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapper.join().unwrap();
}
