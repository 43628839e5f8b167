//! The services of `example-tools/services.toml`, on loopback: figures for whoever has the key, and approvals. They count
//! what reaches them, and fail as a test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airlock_contract::package::{Packed, embed};
use anyhow::Context as _;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The ports in the registry and in the contracts, which a test replaces by its own.
const PORTS: [&str; 2] = ["8791", "8792"];

/// The tools that reach the services, by the names of their folders.
const REACHING: [&str; 2] = ["market-figures", "submit-recommendation"];

/// Running services, which end with this value.
pub struct Services {
    seen: Arc<Seen>,
    port: u16,
    /// Another service, which no registry names.
    elsewhere: std::net::TcpListener,
    task: JoinHandle<()>,
}

struct Seen {
    /// The key that the figures service asks for.
    key: String,
    /// The `authorization` of each request for a figure.
    keys: Mutex<Vec<String>>,
    /// How often each recommendation was handed in, by its reference.
    handed_in: Mutex<BTreeMap<String, u32>>,
    is_down: AtomicBool,
    is_silent: AtomicBool,
}

/// The form of a recommendation.
#[derive(Deserialize)]
struct Recommendation {
    reference: String,
}

/// Which figure is asked for.
#[derive(Deserialize)]
struct Wanted {
    series: String,
    month: String,
}

impl Services {
    /// Starts them on one port of `127.0.0.1`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(key: &str) -> anyhow::Result<Services> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (keys, handed_in, is_down, is_silent) = Default::default();
        let seen = Arc::new(Seen { key: key.to_owned(), keys, handed_in, is_down, is_silent });
        let app = Router::new()
            .route("/v1/figures", get(figure))
            .route("/v1/recommendations", get(find).post(hand_in))
            .with_state(seen.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        let elsewhere = std::net::TcpListener::bind("127.0.0.1:0")?;
        elsewhere.set_nonblocking(true)?;
        Ok(Services { seen, port, elsewhere, task })
    }

    /// Writes the registry of the example tools into a folder, with these services in the place of those that it names.
    ///
    /// # Errors
    /// When a tool is not built, or the folder cannot be written to.
    pub fn registry(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let tools = crate::root().join("example-tools");
        let built = folder.join("build");
        std::fs::create_dir_all(&built)?;
        for name in REACHING.into_iter().chain(["market-figures-table", "notebook"]) {
            let file = format!("{name}.wasm");
            let bytes = std::fs::read(tools.join("build").join(&file)).context(file.clone())?;
            let contract = self.here(&std::fs::read_to_string(tools.join(name).join("contract.toml"))?);
            let packed = Packed { contract: Some(contract), ..Packed::default() };
            std::fs::write(built.join(file), embed(&bytes, &packed)?)?;
        }
        let registry = folder.join("airlock.toml");
        std::fs::write(&registry, self.here(&std::fs::read_to_string(tools.join("services.toml"))?))?;
        Ok(registry)
    }

    fn here(&self, text: &str) -> String {
        PORTS.iter().fold(text.to_owned(), |text, port| text.replace(port, &self.port.to_string()))
    }

    /// From now on the figures service says that it is down, or not.
    pub fn set_down(&self, is_down: bool) {
        self.seen.is_down.store(is_down, Ordering::Release);
    }

    /// From now on the approvals service accepts and does not answer, or does.
    pub fn set_silent(&self, is_silent: bool) {
        self.seen.is_silent.store(is_silent, Ordering::Release);
    }

    /// The `authorization` of each request for a figure.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.seen.keys).clone()
    }

    /// Their port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of another service, which no registry names.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn other_address(&self) -> std::io::Result<SocketAddr> {
        self.elsewhere.local_addr()
    }

    /// How many connections reached the other service since this was last asked.
    pub fn connections_elsewhere(&self) -> usize {
        std::iter::from_fn(|| self.elsewhere.accept().ok()).count()
    }

    /// How often a recommendation was handed in.
    pub fn handed_in(&self, reference: &str) -> u32 {
        lock(&self.seen.handed_in).get(reference).copied().unwrap_or_default()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn figure(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    Query(Wanted { series, month }): Query<Wanted>,
) -> (StatusCode, String) {
    let came = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    lock(&seen.keys).push(came.to_owned());
    if came != format!("Bearer {}", seen.key) {
        return (StatusCode::UNAUTHORIZED, "a key is needed".into());
    }
    if seen.is_down.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "down".into());
    }
    let month = if month == "latest" { "2026-10".to_owned() } else { month };
    let figures = BTreeMap::from([("nonfarm", 159_000.5), ("construction", 8_300.25)]);
    match figures.get(series.as_str()) {
        Some(value) => {
            let row = format!("{series},{month},{value},2026-10-31");
            (StatusCode::OK, format!("series,month,thousands_of_jobs,as_of\n{row}\n"))
        }
        None => (StatusCode::NOT_FOUND, "no such series".into()),
    }
}

async fn hand_in(
    State(seen): State<Arc<Seen>>,
    Form(Recommendation { reference }): Form<Recommendation>,
) -> (StatusCode, String) {
    let id = {
        let mut handed_in = lock(&seen.handed_in);
        *handed_in.entry(reference).or_default() += 1;
        format!("A-{}", handed_in.values().sum::<u32>())
    };
    if seen.is_silent.load(Ordering::Acquire) {
        std::future::pending::<()>().await;
    }
    (StatusCode::CREATED, id)
}

async fn find(
    State(seen): State<Arc<Seen>>,
    Query(Recommendation { reference }): Query<Recommendation>,
) -> Result<Json<String>, StatusCode> {
    let is_there = lock(&seen.handed_in).contains_key(&reference);
    if is_there { Ok(Json(reference)) } else { Err(StatusCode::NOT_FOUND) }
}
