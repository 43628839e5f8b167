//! The interfaces of a command-line program: `wasi:cli`.
//!
//! Always granted, because language runtimes ask for them when they start. Standard input is at its end, standard output and error go into the attempt's bounded buffer, no stream is a
//! terminal, and `exit` ends the guest.

use wasmtime::component::{Linker, ResourceType};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::cli;

use super::State;
use super::capture::Capture;

pub(super) const INTERFACES: &[&str] = &[
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
];

pub(super) fn provide(wasi: &mut WasiCtxBuilder, log: &Capture) {
    // Nothing of the host is inherited: the builder's own stdin is empty.
    wasi.stdout(log.clone()).stderr(log.clone());
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "terminal-input" => Some(ResourceType::host::<cli::terminal_input::TerminalInput>()),
        "terminal-output" => Some(ResourceType::host::<cli::terminal_output::TerminalOutput>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    let get = State::cli;
    match interface {
        "wasi:cli/exit" => cli::exit::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/stdin" => cli::stdin::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/stdout" => cli::stdout::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/stderr" => cli::stderr::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/terminal-input" => cli::terminal_input::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/terminal-output" => cli::terminal_output::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/terminal-stdin" => cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/terminal-stdout" => cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, get),
        "wasi:cli/terminal-stderr" => cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, get),
        _ => Err(super::unlinked(interface)),
    }
}
