//! The files of a run: components, the registry, and the state folder, which is on a small disk where the system lets one be
//! mounted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock_contract::package::{Packed, embed};
use anyhow::Context as _;

use crate::orders::Orders;
use crate::server::Server;

/// Size of the small disk: what the journal may hold, SQLite's log, the tiles and the code together. A run of twenty minutes
/// makes a million calls, each of which leaves 80 bytes in the log and its tiles for good.
const DISK_MIB: u64 = 384;

/// Bound of the journal. Small, so that rows are also removed while the disk fails, and with room for the entries of the log,
/// which stay.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;

/// Bound of compiled code: each reload brings a component that was not there before.
const CACHE_BYTES_MAX: u64 = 16 << 20;

/// A folder with all files. Dropping it removes them.
pub(crate) struct Place {
    folder: PathBuf,
    port: u16,
    /// The version of the registry.
    version: AtomicU64,
    disk: Option<Disk>,
}

impl Place {
    pub(super) fn new(orders: &Orders) -> anyhow::Result<Place> {
        let folder = crate::root().join(format!("target/chaos-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("state"))?;
        let disk = Disk::mount(&folder.join("state"));
        let place = Place { folder, port: orders.address.port(), version: AtomicU64::new(0), disk };
        place.components()?;
        place.reload()?;
        Ok(place)
    }

    fn components(&self) -> anyhow::Result<()> {
        let asks = |method: &str| {
            format!(
                "[[capabilities.http]]\nhost = \"127.0.0.1\"\nscheme = \"http\"\nport = {}\nmethods = [\"{method}\"]\n\
                 reason = \"orders\"\n",
                self.port
            )
        };
        let guests = crate::root().join("tests/guests/build");
        let orders = std::fs::read(guests.join("orders.wasm")).context("orders.wasm")?;
        let packed = Packed { contract: Some(asks("POST")), ..Packed::default() };
        std::fs::write(self.folder.join("orders.wasm"), embed(&orders, &packed)?)?;
        std::fs::copy(guests.join("hostile.wasm"), self.folder.join("hostile.wasm"))?;
        let tool = crate::root().join("example-tools/build/unit-convert.wasm");
        std::fs::copy(tool, self.folder.join("unit-convert.wasm"))?;
        Ok(())
    }

    /// Writes a new version of the registry, which a server loads. Each has a component that no version before had, and that
    /// is compiled therefore.
    pub(super) fn reload(&self) -> anyhow::Result<()> {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let changing = self.folder.join(format!("digest-{}.wasm", version % 4));
        let built = crate::root().join("example-tools/build/text-digest.wasm");
        std::fs::write(&changing, versioned(std::fs::read(built)?, version))?;
        let port = self.port;
        let text = format!(
            "[host]\nstate = \"{}\"\n[journal]\nbytes_max = {JOURNAL_BYTES_MAX}\n\
             [compile]\ncache_bytes_max = {CACHE_BYTES_MAX}\n\
             [tools.unit_convert]\ncomponent = \"unit-convert.wasm\"\n\
             [tools.hostile]\ncomponent = \"hostile.wasm\"\nlimits.deadline_ms = 200\nretry.attempts = 1\n\
             [tools.text_digest]\ncomponent = \"{}\"\n\
             [tools.shop]\ncomponent = \"orders.wasm\"\nfunctions = [\"place\"]\nretry.attempts = 3\n\
             useful_ms_min = 1\nlimits.deadline_ms = 600\n\
             grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"], \
             methods = [\"POST\"] }}]\n",
            self.folder.join("state").display(),
            changing.display(),
        );
        let path = self.folder.join("airlock.toml");
        // Written to another file and renamed, so that the server never reads half a file.
        let aside = self.folder.join("airlock.new");
        std::fs::write(&aside, text)?;
        std::fs::rename(aside, path)?;
        Ok(())
    }

    /// Starts a server that sees the small disk.
    pub(super) fn start(&self) -> anyhow::Result<Server> {
        let mut command = self.command(&crate::program());
        command.arg("--registry").arg(self.folder.join("airlock.toml"));
        command.args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
        Server::of(command)
    }

    /// The state folder, if it is on a disk that can be filled.
    pub(super) fn disk(&self) -> Option<PathBuf> {
        self.disk.as_ref().map(|disk| disk.outside(&self.folder.join("state")))
    }

    /// Holds the journal for a time, as another process does that writes to it.
    pub(super) async fn hold(&self, time: Duration) -> anyhow::Result<()> {
        self.other(&["hold", &time.as_millis().to_string()]).await.map(drop)
    }

    /// The codes of all calls in the journal, by record.
    pub(super) async fn codes(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let lines = self.other(&["codes"]).await?;
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(record, code)| (record.to_owned(), code.to_owned())).collect())
    }

    /// Runs [`super::other`] in a process that sees the disk. The journal is opened there: its path from outside would be
    /// resolved to another file.
    async fn other(&self, args: &[&str]) -> anyhow::Result<String> {
        let this = std::env::current_exe()?;
        let mut command = self.command(&this);
        command.arg("other").arg(self.folder.join("state/journal.db")).args(args);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "the journal beside the server: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, program: &Path) -> Command {
        match &self.disk {
            Some(disk) => disk.inside(program),
            None => Command::new(program),
        }
    }

    /// The registry of a host in this process: one tool, and a state folder of its own.
    pub(super) fn beside(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("beside");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("airlock.toml");
        std::fs::write(&path, "[tools.unit_convert]\ncomponent = \"../unit-convert.wasm\"\n")?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // An error is ignored: the folder is inside the target folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A component with a custom section that has no meaning: other bytes, the same tool.
fn versioned(mut component: Vec<u8>, version: u64) -> Vec<u8> {
    // Section 0 with its size, and the name `v` with its length before the content.
    component.extend([0, 10, 1, b'v']);
    component.extend(version.to_le_bytes());
    component
}

/// A file system in memory, in a namespace of its own. It is held by a process that sleeps, and outlives the servers.
struct Disk {
    holder: Child,
}

impl Disk {
    /// Mounts it over this folder. `None` where the system does not let an ordinary user do so.
    fn mount(folder: &Path) -> Option<Disk> {
        let script =
            "mount -t tmpfs -o size=$0m,mode=700 tmpfs \"$1\" && echo mounted && exec sleep infinity";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, &DISK_MIB.to_string()]);
        let spawned = command.arg(folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut disk = Disk { holder: spawned.ok()? };
        let mut line = String::new();
        let stdout = disk.holder.stdout.take()?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).ok()?;
        (line.trim() == "mounted").then_some(disk)
    }

    /// A command that sees the disk.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.holder.id().to_string();
        command.args(["--preserve-credentials", "--user", "--mount", "--target", &target]).arg(program);
        command
    }

    /// A path on the disk, for those outside.
    fn outside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
