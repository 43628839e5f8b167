//! Generates registries for measurements: the same components under many names, with limits that never throttle.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The same wide bulkhead for all tools: a rejected call must not count as throughput.
const ROOM: &str = "bulkhead = { run = 128, wait = 1024 }";

/// Limits that no measured call reaches.
const LONG: &str = "limits.fuel = 1_000_000_000_000\nlimits.deadline_ms = 10_000\nretry.attempts = 1\n";

/// Budgets that no measurement uses up.
const BUDGETS: &str = "\
budgets.calls_per_minute = 1_000_000_000
budgets.calls_per_day = 1_000_000_000
budgets.fuel_per_minute = 1_000_000_000_000_000
budgets.fuel_per_day = 1_000_000_000_000_000
budgets.bytes_per_minute = 1_000_000_000_000_000
budgets.bytes_per_day = 1_000_000_000_000_000
";

/// Guests at the same time: as many as any measurement has calls in flight.
pub const CALLS_MAX: u32 = 128;

/// The tool whose calls are measured.
pub const TOOL: &str = "unit_convert";

/// Room for a million records.
pub const JOURNAL_BYTES_MAX: u64 = 64 << 30;

/// A repository with its guests built.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The folder of the repository.
    pub root: PathBuf,
    /// The folder that measurements may write to.
    pub scratch: PathBuf,
}

impl Repository {
    /// The path of a component of the example tools or of the test guests.
    pub fn component(&self, name: &str) -> PathBuf {
        let example = self.root.join("example-tools/build").join(name).with_extension("wasm");
        if example.is_file() {
            return example;
        }
        self.root.join("tests/guests/build").join(name).with_extension("wasm")
    }

    /// The path of the component of the guest `adder` in a language. Those that are not Rust's are made beside the scratch folder.
    pub fn language(&self, name: &str) -> PathBuf {
        match name {
            "rust" => self.component("adder"),
            _ => self.scratch.with_file_name("languages").join(name).with_extension("wasm"),
        }
    }

    /// Removes the journal of earlier runs. A killed server leaves records that the next one reads at its start, which
    /// would count as start time.
    ///
    /// # Errors
    /// When the files cannot be removed.
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

    /// Writes a registry with `unit_convert` and room for a large journal.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn listed(&self) -> Result<PathBuf> {
        let mut text = self.head(1);
        let _ = write!(text, "\n[journal]\nbytes_max = {JOURNAL_BYTES_MAX}\n");
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        self.write("listed", &text)
    }

    /// The journal of all these registries.
    pub fn journal(&self) -> PathBuf {
        self.state().join("journal.db")
    }

    fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// Writes a registry with `count` tools: `unit_convert`, and the same component under other names.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn many(&self, count: usize) -> Result<PathBuf> {
        let component = self.component("unit-convert");
        let mut text = self.head(CALLS_MAX);
        tool(&mut text, TOOL, &component, "");
        (1..count).for_each(|i| tool(&mut text, &format!("copy_{i:05}"), &component, ""));
        self.write(&format!("many-{count}"), &text)
    }

    /// Writes a registry like that of [`Repository::many`], whose components differ: each has another custom section.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn distinct(&self, count: usize) -> Result<PathBuf> {
        let component = std::fs::read(self.component("unit-convert"))?;
        let folder = self.scratch.join("distinct");
        std::fs::create_dir_all(&folder)?;
        let mut text = self.head(CALLS_MAX);
        for i in 0..count {
            let path = folder.join(format!("{i:05}.wasm"));
            let mut bytes = component.clone();
            // A custom section of ten bytes: its name of one byte, and a number.
            bytes.extend([0, 10, 1, b'n']);
            bytes.extend((i as u64).to_le_bytes());
            std::fs::write(&path, bytes)?;
            let name = if i == 0 { TOOL.to_owned() } else { format!("copy_{i:05}") };
            tool(&mut text, &name, &path, "");
        }
        self.write(&format!("distinct-{count}"), &text)
    }

    /// Writes a registry with `unit_convert`, which is recorded in this mode.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn recorded(&self, mode: &str) -> Result<PathBuf> {
        let mut text = self.head(CALLS_MAX);
        tool(&mut text, TOOL, &self.component("unit-convert"), &format!("record = \"{mode}\"\n"));
        self.write(&format!("record-{mode}"), &text)
    }

    /// Writes a registry with `unit_convert`, a tool that sleeps, and one that loops for ten seconds. Other servers get
    /// the same three tools.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn equal(&self) -> Result<PathBuf> {
        let text = self.equal_tools();
        self.write("equal", &text)
    }

    /// Writes the registry of [`Repository::equal`] with large guests and echoes of any size in addition.
    ///
    /// # Errors
    /// When the file cannot be written.
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
        text.push_str("\n[http]\nbody_bytes_max = 67_108_864\n");
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

    /// Writes a registry with `unit_convert` and one slot, because a profiler has little address space.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn narrow(&self) -> Result<PathBuf> {
        let mut text = self.head(1);
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        self.write("narrow", &text)
    }

    /// Writes a registry with a tool that may send requests to a port of `127.0.0.1`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn fetching(&self, port: u16, calls_max: u32) -> Result<PathBuf> {
        let mut text = self.head(calls_max);
        fetcher(&mut text, &self.component("fetcher"), port, "");
        // One caller makes all calls, and runs 32 of them at once unless it is allowed more.
        let _ = write!(text, "\n[callers.local]\ntools = [\"*\"]\nrun = {calls_max}\nwait = 1024\n");
        self.write(&format!("fetching-{calls_max}"), &text)
    }

    /// Writes a registry with `unit_convert` for many connections, with a state folder of its own. With the digest of a
    /// token, its owner alone may call.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn served(&self, digest: Option<&str>) -> Result<PathBuf> {
        let name = if digest.is_some() { "served-closed" } else { "served-open" };
        let state = self.scratch.join(name);
        let mut text = self.head(CALLS_MAX).replace(&format!("{:?}", self.state()), &format!("{state:?}"));
        text.push_str("\n[http]\nconnections_max = 4096\nstrangers_max = 4096\n");
        let caller = if digest.is_some() { "bench" } else { "anonymous" };
        let _ = write!(text, "\n[callers.{caller}]\ntools = [\"*\"]\nrun = {CALLS_MAX}\nwait = 1024\n");
        if let Some(digest) = digest {
            let _ = writeln!(text, "tokens = [\"{digest}\"]");
        }
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        self.write(name, &text)
    }

    /// Writes a registry with `unit_convert` for callers with these digests of tokens: one without budgets, one with
    /// budgets that are never used up, and others with the same.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn callers(&self, free: &str, one: &str, many: &[String]) -> Result<PathBuf> {
        let mut text = self.head(CALLS_MAX);
        text.push_str("\n[http]\nconnections_max = 4096\nstrangers_max = 4096\n");
        let caller = |name: &str, digest: &str, budgets: &str| {
            format!(
                "\n[callers.{name}]\ntools = [\"*\"]\nrun = {CALLS_MAX}\nwait = 1024\ntokens = [{digest:?}]\n{budgets}"
            )
        };
        text.push_str(&caller("free", free, ""));
        text.push_str(&caller("one", one, BUDGETS));
        many.iter().enumerate().for_each(|(i, digest)| {
            text.push_str(&caller(&format!("many_{i}"), digest, BUDGETS));
        });
        tool(&mut text, TOOL, &self.component("unit-convert"), "");
        self.write("callers", &text)
    }

    /// Writes a registry with echoes of values: one of a record with each type, one of lists of numbers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn echoes(&self) -> Result<PathBuf> {
        let mut text = self.head(CALLS_MAX);
        for (name, function) in [("everything", "echo-everything"), ("lists", "echo-list")] {
            let functions = format!("functions = {{ {function} = \"{name}\" }}\n{LONG}");
            tool(&mut text, name, &self.component("types"), &functions);
        }
        self.write("echoes", &text)
    }

    /// Writes a registry with a tool that computes, one that reads a file and one that sends requests to a port of
    /// `127.0.0.1`, which are recorded in this mode.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn recording(&self, mode: &str, port: u16) -> Result<PathBuf> {
        let mut text = self.head(CALLS_MAX);
        let record = format!("record = \"{mode}\"\n");
        tool(&mut text, TOOL, &self.component("unit-convert"), &record);
        let data = self.root.join("example-tools/data");
        let reads =
            format!("grants.files = [{{ host = {data:?}, guest = \"/data\" }}]\ngrants.clock = true\n");
        tool(&mut text, "sector_metrics", &self.component("sector-metrics"), &format!("{reads}{record}"));
        fetcher(&mut text, &self.component("fetcher"), port, &record);
        let _ = write!(text, "\n[callers.local]\ntools = [\"*\"]\nrun = {CALLS_MAX}\nwait = 1024\n");
        let _ = write!(text, "\n[journal]\nbytes_max = {JOURNAL_BYTES_MAX}\n");
        self.write(&format!("recording-{mode}"), &text)
    }

    /// Writes a registry with the guest `adder` in these languages.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn languages(&self, names: &[&str]) -> Result<PathBuf> {
        let mut text = self.head(CALLS_MAX);
        for name in names {
            // Go's runtime reads both before it runs the tool.
            let grants = if *name == "go" { "grants.clock = true\ngrants.random = true\n" } else { "" };
            let functions = format!("functions = {{ add = \"{name}\" }}\n");
            tool(&mut text, name, &self.language(name), &format!("{functions}{grants}{LONG}"));
        }
        self.write("languages", &text)
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

/// A tool that may send requests to a port of `127.0.0.1`.
fn fetcher(text: &mut String, component: &Path, port: u16, more: &str) {
    let name = crate::outgoing::TOOL;
    let grant = format!(
        "functions = {{ fetch = \"{name}\" }}\ngrants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, \
         addresses = [\"127.0.0.1\"] }}]\n{LONG}{more}"
    );
    tool(text, "fetcher", component, &grant);
}
