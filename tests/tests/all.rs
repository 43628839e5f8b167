//! End-to-end tests in one binary, so that the host is linked only once. To add a file: its `mod` line here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod airline;
mod airline_session;
mod asked;
mod audit;
mod authored;
mod backtest;
mod bad_input;
mod breakers;
mod browsers;
mod budgets;
mod cached;
mod caller_grants;
mod callers;
mod capabilities;
mod cases;
mod cli;
mod closed;
mod compile_cache;
mod components;
mod confidential;
mod confined;
mod confined_reload;
mod confinement;
mod dates;
mod denials;
mod described;
mod desk;
mod direct;
mod documented;
mod effects;
mod effects_cut;
mod effects_killed;
mod embedded;
mod eras;
mod error_cases;
mod facts;
mod fairness;
mod faulty;
mod files_effects;
mod files_escape;
mod files_moved;
mod files_write;
mod first_use;
mod foreign;
mod held_shop;
mod hidden;
mod hold_rules;
mod holds;
mod holds_cli;
mod holds_http;
mod holds_mcp;
mod holds_tried;
mod http;
mod http_out;
mod http_out_addresses;
mod http_out_effects;
mod imported;
mod interop;
mod isolation;
mod journal;
mod journal_exits;
mod journal_export;
mod journal_grades;
mod journal_log;
mod journal_prune;
mod journal_unavailable;
mod journal_views;
mod judged;
mod keep;
mod kept_reads;
mod keys;
mod keyvalue;
mod ledger;
mod left_out;
mod lines;
mod locks;
mod log_verb;
mod mcp;
mod modes;
mod names;
mod paths;
mod policy_cli;
mod pool;
mod published;
mod raw_http;
mod recordings;
mod reload;
mod reload_paths;
mod repeats;
mod replay;
mod replay_bare;
mod replay_cli;
mod replay_examples;
mod reported;
mod schemas;
mod scripted;
mod secrets;
mod secrets_canary;
mod secrets_cli;
mod secrets_siblings;
mod services;
mod settings;
mod shadow;
mod shadow_agent;
mod shadow_compared;
mod shadow_planted;
mod shares;
mod shop;
mod shown;
mod signatures;
mod signatures_others;
mod state_folder;
mod stdio;
mod strict;
mod stuck;
mod telemetry;
mod told;
mod unavailable;
mod values;
mod web;

use std::process::{Command, Output};

use airlock_tests::{program, registry};

/// Runs `airlock` on a registry of this repository.
fn airlock(registry_name: &str, args: &[&str]) -> Output {
    Command::new(program()).arg("--registry").arg(registry(registry_name)).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
