//! A guest that does harm, each function in one way. Each must end in a limit, a denial or a trap.

use std::hint::black_box;

use airlock_sdk::{clock, files, log, random};
use wasi::cli::{stderr::get_stderr, stdout::get_stdout};
use wasi::clocks::monotonic_clock;
use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasi::io::streams::OutputStream;

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Hostile);

struct Hostile;

impl Guest for Hostile {
    fn loop_forever() {
        let mut round = 0_u64;
        loop {
            round = black_box(round.wrapping_add(1));
        }
    }

    fn recurse(depth: Option<u32>) -> u32 {
        descend(depth.unwrap_or(u32::MAX))
    }

    fn panic(message: String) {
        log::panics();
        panic!("{message}");
    }

    fn trap() {
        #[cfg(target_arch = "wasm32")]
        core::arch::wasm32::unreachable()
    }

    fn allocate_forever() -> u64 {
        let mut kept = Vec::new();
        loop {
            kept.push(black_box(vec![1_u8; 1 << 20]));
        }
    }

    fn allocate(bytes: u32) -> u32 {
        black_box(vec![1_u8; bytes as usize]).iter().map(|byte| u32::from(*byte)).sum()
    }

    fn work(rounds: u64) -> u64 {
        (0..rounds).fold(0, |sum, round| black_box(sum ^ round.rotate_left(7)))
    }

    fn print_forever() {
        let out = get_stdout();
        loop {
            write(&out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"forged\"}\n");
        }
    }

    fn print(out: String, err: String) {
        write(&get_stdout(), &format!("{out}\n"));
        write(&get_stderr(), &format!("{err}\n"));
    }

    fn log_forever() {
        loop {
            log::info("again");
        }
    }

    fn log_line(message: String) {
        log::info(&message);
    }

    fn sleep(ms: u64) {
        monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
    }

    fn flood(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    fn flood_list(items: u32) -> Vec<u32> {
        (0..items).collect()
    }

    fn read_file(path: String) -> Result<String, String> {
        files::read_to_string(&path).map_err(|error| error.to_string())
    }

    fn write_file(folder: String, name: String, text: String) -> Result<(), String> {
        let (granted, _) = get_directories()
            .into_iter()
            .find(|(_, path)| *path == folder)
            .ok_or_else(|| format!("no granted folder `{folder}`"))?;
        let create = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let file = granted
            .open_at(PathFlags::empty(), &name, create, DescriptorFlags::WRITE)
            .map_err(|code| code.name().to_owned())?;
        file.write(text.as_bytes(), 0).map(drop).map_err(|code| code.name().to_owned())
    }

    fn folders() -> Vec<String> {
        get_directories().into_iter().map(|(_, path)| path).collect()
    }

    fn now() -> u64 {
        clock::now_unix_ms()
    }

    fn ticks() -> u64 {
        monotonic_clock::now()
    }

    fn random() -> u64 {
        random::u64()
    }
}

/// The result is used after the call, so that the call cannot become a jump. Frames are small in linear memory: the
/// engine's stack ends before the guest's own.
#[inline(never)]
fn descend(depth: u32) -> u32 {
    if depth == 0 { 0 } else { black_box(descend(depth - 1)).wrapping_add(1) }
}

/// Writes above 4096 bytes, or beyond the bound of the host, are refused. Stops at the first error.
fn write(stream: &OutputStream, text: &str) {
    for chunk in text.as_bytes().chunks(4096) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            return;
        }
    }
}
