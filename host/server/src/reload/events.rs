//! Triggers of a check: a file system event, a signal, or elapsed time.

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Quiet time after the last event before a check, so that a series of writes is seen as one change.
const QUIET: Duration = Duration::from_millis(300);

/// Longest delay after the first event, so that continuous writes cannot postpone the check indefinitely. With
/// [`LOOK`], a change on a local disk is noticed within two seconds.
const QUIET_MAX: Duration = Duration::from_millis(1_500);

/// Interval of checks without an event. Needed where the system reports none: network folders, links, and folders that
/// do not exist yet. A check costs one `stat` for each file and each folder.
const LOOK: Duration = Duration::from_millis(1_500);

/// The trigger of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// SIGHUP: reload regardless of detected changes.
    Asked,
    /// Something may have changed.
    News,
}

/// A watcher of folders. `None` if the system has no watchers left. Adding a folder can block.
pub(super) type Watcher = Option<Arc<Mutex<RecommendedWatcher>>>;

pub(super) struct Events {
    /// Watcher of the registry's folder. Separate, because a folder that does not respond blocks the whole watcher.
    pub(super) registry: Watcher,
    pub(super) others: Watcher,
    news: mpsc::Receiver<()>,
    /// Keeps the channel open after the watchers are dropped.
    _sender: mpsc::Sender<()>,
}

impl Events {
    pub(super) fn new() -> Events {
        // One place: events that arrive while one is queued add nothing.
        let (sender, news) = mpsc::channel(1);
        Events { registry: watcher(&sender), others: watcher(&sender), news, _sender: sender }
    }

    /// Waits for the next trigger. `asked` completes the wait at once.
    pub(super) async fn next(&mut self, asked: impl Future<Output = Option<()>>) -> Woken {
        let mut asked = pin!(asked);
        tokio::select! {
            _ = &mut asked => return Woken::Asked,
            _ = self.news.recv() => {}
            () = tokio::time::sleep(LOOK) => return Woken::News,
        }
        // Each event restarts the quiet time. SIGHUP ends it at once below.
        let quiet = async { while tokio::time::timeout(QUIET, self.news.recv()).await.is_ok() {} };
        tokio::select! {
            _ = asked => Woken::Asked,
            _ = tokio::time::timeout(QUIET_MAX, quiet) => Woken::News,
        }
    }
}

fn watcher(sender: &mpsc::Sender<()>) -> Watcher {
    let sender = sender.clone();
    let watcher = notify::recommended_watcher(move |event| {
        if is_news(&event) {
            // One queued event is enough: the check itself finds the changes.
            let _ = sender.try_send(());
        }
    });
    match watcher {
        Ok(watcher) => Some(Arc::new(Mutex::new(watcher))),
        Err(err) => {
            tracing::warn!("the disk is only looked at now and then: {err}");
            None
        }
    }
}

/// Adds a folder to a watcher, or another folder of the same name in its place.
pub(super) fn watch(watcher: &Watcher, folder: &Path) -> notify::Result<()> {
    let Some(watcher) = watcher else { return Ok(()) };
    let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
    // An error means that there was none: the system drops the watch of a deleted folder by itself.
    let _ = watcher.unwatch(folder);
    watcher.watch(folder, RecursiveMode::NonRecursive)
}

/// Whether an event can mean a change. Reads do not count, because the host reads the files itself. A close after
/// writing counts: a change through a memory mapping causes no other event.
fn is_news(event: &notify::Result<notify::Event>) -> bool {
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    // An error of the watcher can stand for lost events, so it triggers a check.
    event.as_ref().map_or(true, |event| !event.kind.is_access() || event.kind == written)
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, ModifyKind};
    use tokio::time::Instant;

    use super::*;

    fn events() -> (Events, mpsc::Sender<()>) {
        let events = Events::new();
        let sender = events._sender.clone();
        (events, sender)
    }

    #[tokio::test(start_paused = true)]
    async fn writing_without_an_end_does_not_put_off_a_look_without_an_end() {
        let (mut events, sender) = events();
        tokio::spawn(async move {
            while sender.send(()).await.is_ok() {
                tokio::time::sleep(QUIET / 3).await;
            }
        });
        let start = Instant::now();
        assert_eq!(events.next(std::future::pending()).await, Woken::News);
        assert!(start.elapsed() >= QUIET_MAX && start.elapsed() < QUIET_MAX + QUIET, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_does_not_wait_for_writers() {
        let (mut events, sender) = events();
        sender.send(()).await.unwrap();
        let start = Instant::now();
        assert_eq!(events.next(std::future::ready(Some(()))).await, Woken::Asked);
        let later = async {
            tokio::time::sleep(QUIET / 3).await;
            Some(())
        };
        assert_eq!(events.next(later).await, Woken::Asked);
        assert!(start.elapsed() < QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_look_now_and_then() {
        let (mut events, _sender) = events();
        let start = Instant::now();
        assert_eq!(events.next(std::future::pending()).await, Woken::News);
        assert!(start.elapsed() >= LOOK);
    }

    #[test]
    fn reading_is_no_news() {
        let is = |kind| is_news(&Ok(notify::Event::new(kind)));
        for kind in [
            AccessKind::Read,
            AccessKind::Any,
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!is(EventKind::Access(kind)), "{kind:?}");
        }
        assert!(is(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is(EventKind::Modify(ModifyKind::Data(DataChange::Any))) && is(EventKind::Other));
        assert!(is_news(&Err(notify::Error::generic("lost"))));
    }
}
