//! `fallback = [{ cached = … }]`: what a tool answered before, when it cannot answer now.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::execute::{Execute, Fault, Faulty};
use airlock::host::Host;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::{Code, Status};
use airlock_types::duration::DAY_MS;
use airlock_types::environment::{Environment, Sleep};
use airlock_types::reply::Reply;
use serde_json::json;

/// The callers of the registry. `anonymous` stands for all without a token.
const CALLERS: &str = "[callers.local]\ntools = [\"*\"]\n[callers.ann]\ntools = [\"*\"]\n[callers.bob]\ntools = [\"*\"]\n\
                       [callers.anonymous]\ntools = [\"*\"]\n";

/// This machine's clock, set forward by a test.
struct Clock {
    world: World,
    forward_ms: AtomicU64,
}

impl Environment for Clock {
    fn wall(&self) -> Duration {
        self.world.wall() + Duration::from_millis(self.forward_ms.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    fn seed(&self) -> [u8; 32] {
        self.world.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.world.sleep(duration)
    }
}

/// A host with the tool `first`, which fails when it is told to, and the tool `second`.
struct Place {
    folder: tempfile::TempDir,
    is_down: Arc<AtomicBool>,
    clock: Arc<Clock>,
}

impl Place {
    fn new(fallback: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &format!("fallback = {fallback}\n"));
        let clock = Arc::new(Clock { world: World::new(), forward_ms: AtomicU64::new(0) });
        Place { folder, is_down: Arc::default(), clock }
    }

    async fn open(&self) -> Host {
        let is_down = self.is_down.clone();
        let faulty = move |sandbox| -> Arc<dyn Execute> {
            let rule = move |attempt: &airlock::execute::Attempt<'_>| {
                (attempt.tool() == "first" && is_down.load(Ordering::Acquire)).then_some(Fault::Trap)
            };
            Arc::new(Faulty::new(Arc::new(sandbox), rule))
        };
        let file = ConfigFile::read(&self.folder.path().join("airlock.toml")).unwrap();
        let environment = self.clock.clone();
        Host::builder().registry(&file).environment(environment).execute(faulty).open().await.unwrap()
    }

    fn fail(&self) {
        self.is_down.store(true, Ordering::Release);
    }

    fn later(&self, ms: u64) {
        self.clock.forward_ms.fetch_add(ms, Ordering::AcqRel);
    }
}

fn write(folder: &Path, settings: &str) {
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!(
        "{CALLERS}[host]\nstate = \"state\"\n[tools.first]\ncomponent = \"{0}\"\n{settings}[tools.second]\ncomponent = \"{0}\"\n",
        component.display()
    );
    std::fs::write(folder.join("airlock.toml"), text).unwrap();
}

/// The reply to a caller that converts some kilometers.
async fn convert(host: &Host, caller: &str, km: u32) -> Reply {
    let args = json!({"value": km, "from": "km", "to": "mile"}).to_string();
    let call = Call::new("first", Arguments::Text(args.into_bytes().into()));
    host.call(Call { caller: Caller::named(caller), ..call }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_before_says_its_age_and_its_record() {
    let place = Place::new("[{ cached = \"1d\" }, \"second\"]");
    let host = place.open().await;
    let fresh = convert(&host, "ann", 10).await;
    assert_eq!(fresh.code, Code::Ok);
    assert!(fresh.provenance.as_ref().unwrap().cached.is_none());
    place.fail();
    place.later(3 * 3_600_000);
    // The same arguments in other words.
    let args = br#"{"to":"mile","from":"km","value":10.0}"#.to_vec();
    let call = Call { caller: Caller::named("ann"), ..Call::new("first", Arguments::Text(args.into())) };
    let reply = host.call(call).await;
    assert_eq!((reply.code, &reply.result), (Code::Degraded, &fresh.result));
    let provenance = reply.provenance.clone().unwrap();
    assert_eq!((&*provenance.route, provenance.fallback_because), ("first", Some(Code::Trap)));
    let cached = provenance.cached.unwrap();
    assert_eq!(cached.record, fresh.record);
    assert!((3 * 3_600_000..4 * 3_600_000).contains(&cached.age_ms), "{}", cached.age_ms);
    assert_eq!(reply.findings[0].kind, "cached");
    let notice = reply.notice.unwrap();
    assert_eq!(notice, "No new answer from `first`: it aborted. This is what it answered 3 h ago.");
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    let path = serde_json::to_value(&record.path).unwrap();
    assert_eq!(path.as_array().unwrap().last().unwrap()["recalled"]["found"], "kept", "{path}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_that_of_the_same_caller_arguments_and_component() {
    let place = Place::new("[{ cached = \"1d\" }]");
    let host = place.open().await;
    assert_eq!(convert(&host, "ann", 10).await.code, Code::Ok);
    assert_eq!(convert(&host, "anonymous", 10).await.code, Code::Ok);
    place.fail();
    for (caller, km) in [("bob", 10), ("ann", 11), ("anonymous", 10)] {
        assert_eq!(convert(&host, caller, km).await.code, Code::Trap, "{caller} {km}");
    }
    assert_eq!(convert(&host, "ann", 10).await.code, Code::Degraded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_old_is_declined_unless_another_tool_answers() {
    for (fallback, status) in
        [("[{ cached = \"1d\" }]", Status::Refused), ("[{ cached = \"1d\" }, \"second\"]", Status::Degraded)]
    {
        let place = Place::new(fallback);
        let host = place.open().await;
        convert(&host, "ann", 10).await;
        place.fail();
        place.later(DAY_MS + 60_000);
        let reply = convert(&host, "ann", 10).await;
        assert_eq!(reply.status, status, "{reply:?}");
        if let Some(refusal) = reply.refusal {
            assert_eq!(refusal.code, "stale-only");
            assert!(refusal.cannot.contains("1 d old, more than 1 d"), "{}", refusal.cannot);
            assert_eq!(convert(&host, "ann", 10).await.refusal.unwrap().decision_id, refusal.decision_id);
        } else {
            assert_eq!(&*reply.provenance.unwrap().route, "second");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_tool_has_its_answers_of_before_too_and_a_degraded_one_is_not_kept() {
    let place = Place::new("[\"second\", { cached = \"1d\" }]");
    let host = place.open().await;
    place.fail();
    // The answer of the other tool is no answer of this one.
    assert_eq!(&*convert(&host, "ann", 7).await.provenance.unwrap().route, "second");
    place.is_down.store(false, Ordering::Release);
    write(place.folder.path(), "fallback = [{ cached = \"1d\" }]\n");
    host.reload(&ConfigFile::read(&place.folder.path().join("airlock.toml")).unwrap()).await.unwrap();
    assert_eq!(convert(&host, "ann", 10).await.code, Code::Ok);
    place.fail();
    assert_eq!(convert(&host, "ann", 7).await.code, Code::Trap);
    let mut replies = Vec::new();
    for _ in 0..20 {
        replies.push(convert(&host, "ann", 10).await.provenance.unwrap());
    }
    let paused = replies.last().unwrap();
    assert_eq!((paused.attempts, paused.fallback_because), (0, Some(Code::Overloaded)));
    assert!(paused.cached.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_outlive_the_host() {
    let place = Place::new("[{ cached = \"1d\" }]");
    let host = place.open().await;
    let fresh = convert(&host, "ann", 10).await;
    drop(host);
    place.fail();
    let reply = convert(&place.open().await, "ann", 10).await;
    assert_eq!((reply.code, reply.result), (Code::Degraded, fresh.result));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_used_costs_no_answer() {
    let place = Place::new("[{ cached = \"1d\" }, \"second\"]");
    let host = place.open().await;
    std::fs::write(place.folder.path().join("state/answers.db"), "this is a letter").unwrap();
    assert_eq!(convert(&host, "ann", 10).await.code, Code::Ok);
    place.fail();
    assert_eq!(&*convert(&host, "ann", 10).await.provenance.unwrap().route, "second");
}

#[tokio::test]
async fn what_cannot_be_kept_is_said_when_the_registry_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |settings: &str| {
        write(folder.path(), settings);
        let file = match ConfigFile::read(&folder.path().join("airlock.toml")) {
            Ok(file) => file,
            Err(err) => return err.to_string(),
        };
        let opened = Host::builder().registry(&file).open().await;
        opened.err().map(|err| err.to_string()).unwrap_or_default()
    };
    for (settings, said) in [
        ("fallback = [{ cached = \"1 day\" }]\n", "`1 day` is not an age from `1s` to `366d`, such as `1d`"),
        ("fallback = [{ cached = \"500ms\" }]\n", "is not an age from `1s`"),
        ("fallback = [{ cache = \"1d\" }]\n", "unknown field `cache`"),
        ("fallback = [7]\n", "the name of a tool, or { cached = \"1d\" }"),
        (
            "effects = \"write\"\nfallback = [{ cached = \"1d\" }]\n",
            "`first` is write: answers of pure and read tools alone can be kept",
        ),
    ] {
        let text = refused(settings).await;
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(refused("fallback = { \"convert\" = [{ cached = \"1d\" }] }\n").await, "");
}
