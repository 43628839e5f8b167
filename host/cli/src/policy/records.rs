//! What the entries of a registry used, from its journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::open;
use crate::print::Printer;
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::policy::{Observed, PolicySource};
use airlock_types::environment::{Environment as _, ms};

/// How far back records are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(Duration);

/// The units of a span of time, and their seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        let found = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
        let span = found.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(*seconds));
        let span =
            span.ok_or_else(|| format!("`{text}` is not a span of time: write `30d`, `12h` or `90m`"))?;
        Ok(Since(Duration::from_secs(span)))
    }
}

impl Since {
    /// The time at which it began, in milliseconds since the Unix epoch.
    fn begins_ms(self) -> u64 {
        ms(World::default().wall().saturating_sub(self.0))
    }
}

/// The entries of a registry.
pub(super) struct Entries {
    /// By their keys, with what each used.
    pub(super) entries: BTreeMap<String, (Arc<PolicySource>, Observed)>,
    /// The keys by the names of their tools.
    pub(super) keys: BTreeMap<String, String>,
}

/// What each entry used, by its key. Of records whose uses were erased a note tells.
pub(super) async fn observed(
    registry: &Path,
    since: Option<Since>,
    printer: &Printer,
) -> anyhow::Result<Entries> {
    let file = ConfigFile::read(registry)?;
    // The journal alone, without a host: nothing is called. First, as loading makes the state folder.
    let journal = open::journal(&file)?;
    let tools = open::whole_registry(&file).await?;
    let mut entries: BTreeMap<String, (Arc<PolicySource>, Observed)> = BTreeMap::new();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for tool in tools.tools() {
        entries.entry(tool.key.clone()).or_insert_with(|| (tool.source.clone(), Observed::default()));
        keys.insert(tool.name.to_string(), tool.key.clone());
    }
    let begins_ms = since.map_or(0, Since::begins_ms);
    let mut erased = 0;
    let visited = journal.each(&mut |record| {
        if record.erased_unix_ms.is_some() {
            erased += u64::from(record.started_unix_ms >= begins_ms);
        } else if record.started_unix_ms >= begins_ms {
            for (key, (_, observed)) in &mut entries {
                observed.add(record, |route| keys.get(route).is_some_and(|own| own == key));
            }
        }
    });
    visited?;
    if erased > 0 {
        printer.note(format!(
            "warning: what {erased} calls used is not known any more: retention erased it (`keep_payloads`); `--since` leaves \
             them out"
        ));
    }
    Ok(Entries { entries, keys })
}
