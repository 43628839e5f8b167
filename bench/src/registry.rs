//! Registries made for a measurement: the same components under many names, with limits that do not throttle.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Room for every call of a run; the same for all tools. A throttled reply is not throughput.
const ROOM: &str = "bulkhead = { run = 128, wait = 1024 }";

/// Time enough for whatever is asked.
const LONG: &str = "limits.fuel = 1_000_000_000_000\nlimits.deadline_ms = 10_000\nretry.attempts = 1\n";

/// Calls in flight: as many as are ever asked for.
pub const CALLS_MAX: u32 = 128;

/// The tool whose calls are measured.
pub const TOOL: &str = "unit_convert";

/// A repository with its guests built.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its folder.
    pub root: PathBuf,
    /// Where measurements may write.
    pub scratch: PathBuf,
}

impl Repository {
    /// A component of the example tools or of the tests' guests.
    pub fn component(&self, name: &str) -> PathBuf {
        let example = self.root.join("example-tools/build").join(name).with_extension("wasm");
        if example.is_file() {
            return example;
        }
        self.root.join("tests/guests/build").join(name).with_extension("wasm")
    }

    /// Forgets the records of earlier runs: what a server that was killed had not taken into its journal is read by the
    /// next one, which would be measured as its start.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn forget(&self) -> Result<()> {
        for end in ["", "-wal", "-shm"] {
            match std::fs::remove_file(self.state().join(format!("journal.db{end}"))) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                    return Err(err).context("cannot remove the journal of an earlier run");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// Writes a registry with `count` tools: `unit_convert`, and the same component under other names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn many(&self, count: usize) -> Result<PathBuf> {
        let component = self.component("unit-convert");
        let mut text = self.head(CALLS_MAX);
        tool(&mut text, TOOL, &component, "");
        (1..count).for_each(|i| tool(&mut text, &format!("copy_{i:05}"), &component, ""));
        self.write(&format!("many-{count}"), &text)
    }

    /// Writes a registry with `unit_convert`, a tool that sleeps, and one that loops for ten seconds: what other servers
    /// are given too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn equal(&self) -> Result<PathBuf> {
        let text = self.equal_tools();
        self.write("equal", &text)
    }

    /// Writes the same with large guests and echoes of any size.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mixed(&self) -> Result<PathBuf> {
        let mut text = self.equal_tools();
        let large =
            format!("{LONG}limits.memory_bytes_max = 268_435_456\nlimits.output_bytes_max = 67_108_864\n");
        for (name, component, function) in [
            ("flood", "hostile", "flood"),
            ("large", "hostile", "allocate"),
            ("echo", "types", "echo-string"),
        ] {
            let functions = format!("functions = {{ {function} = \"{name}\" }}\n");
            tool(&mut text, name, &self.component(component), &format!("{functions}{large}"));
        }
        self.write("mixed", &text)
    }

    fn equal_tools(&self) -> String {
        let mut text = self.head(CALLS_MAX);
        let hostile = self.component("hostile");
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        let sleep = "functions = { sleep = \"sleep\" }\ngrants.clock = true\n";
        tool(&mut text, "sleep", &hostile, &format!("{sleep}{LONG}"));
        let looping = "functions = { loop-forever = \"looping\" }\n";
        tool(&mut text, "looping", &hostile, &format!("{looping}{LONG}"));
        text
    }

    /// Writes a registry with `unit_convert` and room for two calls: profilers have little address space.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn narrow(&self) -> Result<PathBuf> {
        let mut text = self.head(2);
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        self.write("narrow", &text)
    }

    fn head(&self, calls_max: u32) -> String {
        format!(
            "[host]\nstate = {:?}\ncalls_max = {calls_max}\n\n[arguments]\nbytes_max = 67_108_864\nstring_bytes_max = 67_108_864\n",
            self.state()
        )
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(&self.scratch)?;
        let path = self.scratch.join(name).with_extension("toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn tool(text: &mut String, name: &str, component: &Path, more: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n[tools.{name}]\ncomponent = {component:?}\n{ROOM}\n{more}");
}
