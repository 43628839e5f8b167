//! A tool that places orders at a service of another host, for tests of effects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::orders::Orders;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::environment::{Environment, Sleep};
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

/// The wait before a question that [`Later`] passes over, in milliseconds.
pub(crate) const AFTER_MS: u64 = 7_777;

/// What the contract of the tests says about verification.
pub(crate) const VERIFY: &str = "[tool.place]\nverify = { tool = \"was-placed\", after_ms = 7777 }\n";

/// This machine's clock, in which a wait of [`AFTER_MS`] is over at once. Something happens during it.
pub(crate) struct Later {
    world: World,
    passed_ms: AtomicU64,
    meanwhile: Box<dyn Fn() + Send + Sync>,
}

impl Later {
    pub(crate) fn new(meanwhile: impl Fn() + Send + Sync + 'static) -> Arc<Later> {
        Arc::new(Later { world: World::new(), passed_ms: AtomicU64::new(0), meanwhile: Box::new(meanwhile) })
    }

    /// How many of the waits are over.
    pub(crate) fn waits(&self) -> u64 {
        self.passed_ms.load(Ordering::Acquire) / AFTER_MS
    }
}

impl Environment for Later {
    fn wall(&self) -> Duration {
        self.world.wall()
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic() + Duration::from_millis(self.passed_ms.load(Ordering::Acquire))
    }

    fn seed(&self) -> [u8; 32] {
        self.world.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration == Duration::from_millis(AFTER_MS) {
            (self.meanwhile)();
            self.passed_ms.fetch_add(AFTER_MS, Ordering::AcqRel);
            return Box::pin(std::future::ready(()));
        }
        self.world.sleep(duration)
    }
}

/// A folder with the component and its registry: `shop` places orders, `look` asks about them.
pub(crate) struct Shop {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) orders: Arc<Orders>,
    /// The state folder, if it is not in `folder`.
    state: Option<PathBuf>,
}

impl Shop {
    pub(crate) fn new(orders: Orders) -> Shop {
        // One for all, so that the component is compiled once. Their journals are elsewhere.
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop");
        Shop { state: Some(state), ..Shop::with_journal(orders) }
    }

    /// A shop with a state folder of its own, and a journal in it.
    pub(crate) fn with_journal(orders: Orders) -> Shop {
        Shop { folder: tempfile::tempdir().unwrap(), orders: Arc::new(orders), state: None }
    }

    /// Writes the registry. `contract` says what is beside the capabilities, `settings` those of `shop`.
    pub(crate) fn registry(&self, contract: &str, settings: &str) -> PathBuf {
        let port = self.orders.address.port();
        let asks = |method: &str| {
            format!(
                "[[capabilities.http]]\nhost = \"127.0.0.1\"\nscheme = \"http\"\nport = {port}\nmethods = [\"{method}\"]\n\
                 reason = \"orders\"\noptional = true\n"
            )
        };
        let contract = format!("{}{}{contract}", asks("GET"), asks("POST"));
        let bytes = std::fs::read(root().join("tests/guests/build/orders.wasm")).unwrap();
        let bytes = embed(&bytes, &Packed { contract: Some(contract), ..Packed::default() }).unwrap();
        std::fs::write(self.folder.path().join("orders.wasm"), bytes).unwrap();
        let grant = |method: &str| {
            format!(
                "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"], \
                 methods = [\"{method}\"], requests_max = 2000 }}]\n"
            )
        };
        let shop = "[tools.shop]\ncomponent = \"orders.wasm\"\nuseful_ms_min = 1\nretry.attempts = 3\n\
                    functions = [\"place\", \"place-many\", \"place-in-parts\"]\n";
        let look =
            "[tools.look]\ncomponent = \"orders.wasm\"\nuseful_ms_min = 1\nfunctions = [\"was-placed\"]\n";
        let state = self.state.as_ref().map(|state| format!("[host]\nstate = \"{}\"\n", state.display()));
        let state = state.unwrap_or_default();
        let text = format!("{state}{look}{}{shop}{}{settings}", grant("GET"), grant("POST"));
        let path = self.folder.path().join("airlock.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn file(&self, contract: &str, settings: &str) -> ConfigFile {
        ConfigFile::read(&self.registry(contract, settings)).unwrap()
    }

    pub(crate) async fn try_open(&self, contract: &str, settings: &str) -> Result<Host, OpenError> {
        let file = self.file(contract, settings);
        Host::builder().registry(file).journal(Journal::memory()).open().await
    }

    pub(crate) async fn open(&self, contract: &str, settings: &str) -> Host {
        self.try_open(contract, settings).await.unwrap_or_else(|err| panic!("{err:?}"))
    }

    /// A host whose calls are verified by `was-placed`. `Meanwhile` happens during the wait before each question.
    pub(crate) async fn verified(&self, settings: &str, meanwhile: fn(&Orders)) -> (Host, Arc<Later>) {
        let orders = self.orders.clone();
        let later = Later::new(move || meanwhile(&orders));
        let builder = Host::builder().registry(self.file(VERIFY, settings)).journal(Journal::memory());
        (builder.environment(later.clone()).open().await.unwrap(), later)
    }

    pub(crate) fn args(&self, id: &str, manner: &str) -> Value {
        json!({"service": self.orders.url(), "id": id, "manner": manner})
    }

    /// Places an order.
    pub(crate) async fn place(&self, host: &Host, id: &str, manner: &str, expect: Code) -> (Reply, Record) {
        call(host, "shop_place", &self.args(id, manner), expect).await
    }
}

pub(crate) async fn call(host: &Host, tool: &str, args: &Value, expect: Code) -> (Reply, Record) {
    let reply = host.call(Call::new(tool, Arguments::Text(args.to_string().into()))).await;
    assert_eq!(reply.code, expect, "{args}: {:?}", reply.error);
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    (reply, record)
}
