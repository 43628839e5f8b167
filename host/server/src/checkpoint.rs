//! Builds the tiles of the journal's log, signs checkpoints, and exports them, again and again.
//!
//! Behind the writer of the journal, over a connection of its own: no call waits for it. Must not know what is in the log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
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

/// Bytes at the end of a file in which its last checkpoint is looked for: one with the signatures of many witnesses fits.
const LAST_BYTES_MAX: u64 = 64 << 10;

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
    let length = file.metadata()?.len();
    if !start.is_empty() && !ends_with_checkpoint(&mut file, length)? {
        return Err(std::io::Error::other(
            "it does not end with a whole checkpoint, and is left as it is; remove what follows its last whole checkpoint, or name \
             another file as `journal.checkpoint.to`",
        ));
    }
    let between = if start.is_empty() { "" } else { "\n" };
    let written = file.write_all(format!("{between}{text}").as_bytes());
    // A part of a checkpoint, as a full disk leaves it, would be refused from then on. The error of the write is the one to tell.
    written.inspect_err(|_| drop(file.set_len(length)))?;
    file.sync_data()
}

/// Whether nothing follows the last checkpoint of a file. What is before its last bytes is not read: it was checked when it was
/// the end, and the file grows without a bound.
fn ends_with_checkpoint(file: &mut File, length: u64) -> std::io::Result<bool> {
    let from = length.saturating_sub(LAST_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    Read::by_ref(file).take(LAST_BYTES_MAX).read_to_end(&mut bytes)?;
    // The block can begin within a character, of which the rest does not matter.
    let text = String::from_utf8_lossy(&bytes);
    let last = text.rfind(&format!("\n{ORIGIN}")).map(|at| at + 1).or((from == 0).then_some(0));
    Ok(last.is_some_and(|last| Note::read_all(&text[last..]).is_ok()))
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

    /// A checkpoint in its form, with a signature that nobody made.
    fn note(size: u64) -> String {
        let (root, signature) = (format!("{}=", "A".repeat(43)), format!("{}=", "A".repeat(91)));
        format!("airlock-journal/1\n{size}\n{root}\n\n\u{2014} airlock-journal/1 {signature}\n")
    }

    #[test]
    fn checkpoints_are_appended_to_a_file_of_this_user() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        append(&path, &note(1)).unwrap();
        append(&path, &note(2)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n{}", note(1), note(2)));
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

    #[test]
    fn a_file_with_anything_behind_its_last_checkpoint_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        let whole = note(1);
        let torn = |bytes: usize| whole.as_bytes()[..whole.len() - bytes].to_vec();
        let long = vec![b'x'; 2 * usize::try_from(LAST_BYTES_MAX).unwrap()];
        let ends = [
            torn(1),
            torn(20),
            torn(100),
            torn(whole.len() - ORIGIN.len()),
            [whole.as_bytes(), b"notes\n"].concat(),
            [whole.as_bytes(), b"\n\xff\xfe"].concat(),
            [whole.as_bytes(), b"\nairlock-journal/1\n2\n"].concat(),
            [whole.as_bytes(), &long].concat(),
        ];
        for content in ends {
            std::fs::write(&path, &content).unwrap();
            let said = append(&path, &note(2)).unwrap_err().to_string();
            assert!(said.contains("does not end with a whole checkpoint"), "{said}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        // More than is read of a file, with an end of the block within a checkpoint.
        let many = note(1).repeat(2000);
        std::fs::write(&path, &many).unwrap();
        append(&path, &note(2)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{many}\n{}", note(2)));
    }
}
