//! A host whose tools answer what a test says, as JSON of their type. All stages of a call are real; only guests do not run.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::execute::{Attempt, Execute, Outcome, Running};
use airlock::host::Host;
use airlock::registry::Tool;
use airlock_contract::Val;
use airlock_contract::lower::lower_value;
use airlock_contract::ty::Ty;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::environment::{Environment, Sleep};
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;
use serde_json::Value;

/// 2024-05-15T15:00:00 in New York.
const NOW_UNIX_S: u64 = 1_715_799_600;

/// The names of functions, each with the type of its result.
type Types = Arc<Mutex<Vec<(String, Option<Ty>)>>>;

/// A clock that a test sets forward.
#[derive(Default)]
pub(crate) struct Clock {
    forward_ms: AtomicU64,
    seeds: AtomicU64,
}

impl Clock {
    pub(crate) fn later(&self, ms: u64) {
        self.forward_ms.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Environment for Clock {
    fn wall(&self) -> Duration {
        Duration::from_secs(NOW_UNIX_S) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.forward_ms.load(Ordering::Acquire))
    }

    fn seed(&self) -> [u8; 32] {
        let n = self.seeds.fetch_add(1, Ordering::AcqRel);
        let mut seed = [7; 32];
        // Where the ids of records take it whole: they overwrite bits of the first three bytes.
        seed[3..10].copy_from_slice(&n.to_be_bytes()[1..]);
        seed
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

/// What the next attempts answer, and how many there were.
#[derive(Default)]
pub(crate) struct Script {
    next: Mutex<VecDeque<Result<Value, Value>>>,
    attempts: AtomicU64,
    /// Whether the next attempt does not end.
    hangs: AtomicBool,
}

impl Script {
    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Acquire)
    }
}

struct Scripted {
    script: Arc<Script>,
    types: Types,
}

impl Execute for Scripted {
    fn run<'a>(&'a self, attempt: Attempt<'a>) -> Running<'a> {
        self.script.attempts.fetch_add(1, Ordering::AcqRel);
        if self.script.hangs.swap(false, Ordering::AcqRel) {
            return Box::pin(std::future::pending());
        }
        let answer =
            self.script.next.lock().unwrap().pop_front().expect("an attempt that the test did not expect");
        let types = self.types.lock().unwrap();
        let (_, ty) = types.iter().find(|(name, _)| name == attempt.tool()).unwrap();
        let value = ty.as_ref().map(|ty| value(ty, answer));
        Box::pin(std::future::ready(Ok(Outcome::Value(value))))
    }
}

fn value(ty: &Ty, answer: Result<Value, Value>) -> Val {
    match (ty, answer) {
        (Ty::Result(Some(ok), _), Ok(json)) => {
            Val::Result(Ok(Some(Box::new(lower_value(ok, json).unwrap()))))
        }
        (Ty::Result(None, _), Ok(_)) => Val::Result(Ok(None)),
        (Ty::Result(_, Some(err)), Err(json)) => {
            Val::Result(Err(Some(Box::new(lower_value(err, json).unwrap()))))
        }
        (ty, Ok(json)) => lower_value(ty, json).unwrap(),
        (_, Err(json)) => panic!("the function has no error: {json}"),
    }
}

/// A call in a session, or in none.
pub(crate) fn called(session: &str, tool: &str, args: &Value) -> Call {
    let args = Arguments::Text(serde_json::to_vec(args).unwrap().into());
    let key = if session.is_empty() { SessionKey::None } else { SessionKey::Transport(session.to_owned()) };
    Call { session: key, ..Call::new(tool, args) }
}

/// A host over a folder with components and a registry.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) clock: Arc<Clock>,
    pub(crate) script: Arc<Script>,
    pub(crate) folder: tempfile::TempDir,
}

impl Stage {
    /// `components` are WIT and contracts, by name; the registry names them `NAME.wasm`.
    pub(crate) async fn open(components: &[(&str, &str, &str)], registry: &str) -> Stage {
        Stage::try_open(components, registry).await.unwrap_or_else(|err| panic!("{err}"))
    }

    pub(crate) async fn try_open(components: &[(&str, &str, &str)], registry: &str) -> Result<Stage, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, wit, contract) in components {
            let bytes = crate::authored::component(wit, Some(contract));
            fs::write(folder.path().join(format!("{name}.wasm")), bytes).unwrap();
        }
        Stage::opened(folder, registry).await
    }

    /// The same folder with another host, after this one has ended.
    pub(crate) async fn reopened(self, registry: &str) -> Stage {
        let Stage { host, folder, clock: _, script: _ } = self;
        host.journal().flush().unwrap();
        drop(host);
        Stage::opened(folder, registry).await.unwrap_or_else(|err| panic!("{err}"))
    }

    async fn opened(folder: tempfile::TempDir, registry: &str) -> Result<Stage, String> {
        let file = Stage::registry(folder.path(), registry);
        let (clock, script) = (Arc::<Clock>::default(), Arc::<Script>::default());
        let types: Types = Arc::default();
        let scripted = Scripted { script: script.clone(), types: types.clone() };
        let host = Host::builder().registry(&file).environment(clock.clone());
        let host = host.execute(move |_| Arc::new(scripted) as Arc<dyn Execute>).open().await;
        let host = host.map_err(|err| err.to_string())?;
        let visible = host.visible(&Caller::local());
        let result = |tool: &Arc<Tool>| (tool.name.to_string(), tool.contract.function.ty.result.clone());
        *types.lock().unwrap() = visible.tools().map(result).collect();
        Ok(Stage { host, clock, script, folder })
    }

    /// The effect class of a tool.
    pub(crate) fn effect(&self, tool: &str) -> &'static str {
        self.host.visible(&Caller::local()).resolve(tool).unwrap().effect.as_str()
    }

    /// Writes the registry, and reads it.
    pub(crate) fn registry(folder: &Path, text: &str) -> ConfigFile {
        let path = folder.join("airlock.toml");
        fs::write(&path, text).unwrap();
        ConfigFile::read(&path).unwrap()
    }

    /// Calls a tool whose attempt, if it comes to one, answers this.
    pub(crate) async fn call(
        &self,
        session: &str,
        tool: &str,
        args: Value,
        answer: Result<Value, Value>,
    ) -> Reply {
        self.make(called(session, tool, &args), answer).await
    }

    /// Makes a call whose attempt does not end, and whose caller goes away.
    pub(crate) async fn cut_off(&self, session: &str, tool: &str, args: Value) {
        self.until_begun(pin!(self.host.call(called(session, tool, &args)))).await;
    }

    /// Makes a call until its attempt has begun, which does not end.
    pub(crate) async fn until_begun(&self, mut call: Pin<&mut impl Future<Output = Reply>>) {
        let before = self.script.attempts();
        self.script.hangs.store(true, Ordering::Release);
        while self.script.attempts() == before {
            let made = tokio::time::timeout(Duration::from_millis(1), call.as_mut()).await;
            assert!(made.is_err(), "{made:?}");
        }
    }

    /// What the next attempt answers, of whichever call.
    pub(crate) fn answers(&self, answer: Result<Value, Value>) {
        self.script.next.lock().unwrap().push_back(answer);
    }

    pub(crate) fn forget_answers(&self) {
        self.script.next.lock().unwrap().clear();
    }

    pub(crate) async fn make(&self, call: Call, answer: Result<Value, Value>) -> Reply {
        self.answers(answer);
        let reply = self.host.call(call).await;
        self.forget_answers();
        reply
    }
}
