//! Builds the tiles of the journal's log, signs checkpoints, and exports them, again and again.
//!
//! Behind the writer of the journal, over a connection of its own: no call waits for it. Must not know what is in the log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use airlock::config::ExportTo;
use airlock::host::Host;
use airlock_journal::log::Note;

/// Time limit of an export over HTTP. The next checkpoint covers what this one does.
const DEADLINE: Duration = Duration::from_secs(10);

/// How each checkpoint begins, with the name of its log.
const ORIGIN: &str = "airlock-journal/";

/// Makes and exports checkpoints until it is dropped. `folder` is that of the registry. What applies is what is set at each
/// run.
pub async fn apply(host: Arc<Host>, folder: PathBuf) {
    // Told once until it works again: every minute would flood the log.
    let mut failed = None;
    loop {
        let made = once(&host, &folder).await;
        host.checkpoints_fail(made.is_err());
        match made {
            Ok(()) => failed = None,
            Err(err) if failed.as_ref() == Some(&err) => {}
            Err(err) => {
                tracing::error!("a checkpoint of the journal is tried again: {err}");
                failed = Some(err);
            }
        }
        host.environment().sleep(Duration::from_millis(host.checkpoints().every.ms())).await;
    }
}

async fn once(host: &Arc<Host>, folder: &Path) -> Result<(), String> {
    let config = host.checkpoints();
    let building = blocking(host, |host| host.checkpoint().map_err(|err| err.to_string()));
    let (Some(note), Some(to)) = (building.await?, &config.to) else { return Ok(()) };
    match to {
        ExportTo::Url(url) => post(url, &note).await.map_err(|why| format!("`{url}`: {why}"))?,
        ExportTo::File(path) => {
            let (path, text) = (folder.join(path), note.as_str().to_owned());
            let appended = blocking(host, move |_| {
                append(&path, &text).map_err(|err| format!("`{}`: {err}", path.display()))
            });
            appended.await?;
        }
    }
    let to = to.to_string();
    blocking(host, move |host| host.exported(&note, &to).map_err(|err| err.to_string())).await
}

async fn blocking<T: Send + 'static>(
    host: &Arc<Host>,
    work: impl FnOnce(&Host) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let host = host.clone();
    let done = tokio::task::spawn_blocking(move || work(&host)).await;
    // An error only when the runtime ends.
    done.map_err(|err| err.to_string())?
}

/// Appends a checkpoint to a file that has others, or nothing. An empty line is between two.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    // Checked first: opening a pipe would wait for its reader.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut file: File = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // The path may be a slip, and lead to a file that would be of no use any more.
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(ORIGIN.len() as u64).read_to_end(&mut start)?;
    if !start.is_empty() && start != ORIGIN.as_bytes() {
        return Err(std::io::Error::other(
            "it holds something else than checkpoints, and is left as it is; name another file as `journal.checkpoint.to`",
        ));
    }
    let between = if start.is_empty() { "" } else { "\n" };
    file.write_all(format!("{between}{text}").as_bytes())?;
    file.sync_data()
}

/// Sends a checkpoint. What is answered is not read, but for the status.
async fn post(url: &Url, note: &Note) -> Result<(), String> {
    let text = |err: reqwest::Error| err.without_url().to_string();
    // No redirects and no proxy, as for the keys of an OAuth server: it goes where the registry says.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = client.timeout(DEADLINE).build().map_err(text)?;
    let request = client.post(url.clone()).header("content-type", "text/plain; charset=utf-8");
    let response = request.body(note.as_str().to_owned()).send().await.map_err(text)?;
    if response.status().is_success() { Ok(()) } else { Err(format!("answered {}", response.status())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_appended_to_a_file_of_this_user() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        append(&path, "airlock-journal/1\n").unwrap();
        append(&path, "airlock-journal/2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "airlock-journal/1\n\nairlock-journal/2\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(append(folder.path(), "x").unwrap_err().to_string().contains("not a file"));
        assert!(append(&folder.path().join("no/such"), "x").is_err());
    }

    #[test]
    fn a_file_with_anything_else_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for content in ["airlock", "[tools]\n", "\n", "airlock-journalx 1\n"] {
            std::fs::write(&path, content).unwrap();
            let said = append(&path, "airlock-journal/1\n").unwrap_err().to_string();
            assert!(said.contains("something else than checkpoints"), "{content}: {said}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
