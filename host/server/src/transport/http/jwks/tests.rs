use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::transport::http::jwt;
use airlock_types::environment::{Environment, Sleep};

/// A clock that the test sets.
#[derive(Default)]
struct Clock(AtomicU64);

impl Environment for Clock {
    fn wall(&self) -> Duration {
        self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Acquire))
    }

    fn seed(&self) -> [u8; 32] {
        [0; 32]
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A key server that counts requests, and answers them unless it is set to hang.
struct Issuer {
    source: KeySource,
    asked: Arc<AtomicUsize>,
    hangs: Arc<AtomicUsize>,
    was_asked: Arc<Notify>,
}

impl Issuer {
    async fn new(status: &'static str, keys: Value) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = format!("http://{}/keys", listener.local_addr().unwrap()).try_into().unwrap();
        let (asked, hangs, was_asked): (Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<Notify>) = Default::default();
        let issuer =
            Issuer { source, asked: asked.clone(), hangs: hangs.clone(), was_asked: was_asked.clone() };
        let body = keys.to_string();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::AcqRel);
                was_asked.notify_one();
                if hangs.load(Ordering::Acquire) == 0 {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                kept.push(stream);
            }
        });
        issuer
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

fn key(id: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": id, "x": "AA", "y": "AA"})
}

/// A token with this header. Its signature is not checked here.
fn token(header: &Value) -> String {
    let claims = json!({"iss": "i", "aud": "a", "sub": "s", "exp": 4_000_000_000u64});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(header), part(&claims))
}

struct Test {
    jwks: Jwks,
    clock: Arc<Clock>,
    source: KeySource,
}

impl Test {
    fn new(source: &KeySource) -> Test {
        Test { jwks: Jwks::default(), clock: Arc::default(), source: source.clone() }
    }

    async fn key(&self, header: Value) -> Result<String, NoKey> {
        let text = token(&header);
        let environment: SharedEnvironment = self.clock.clone();
        let token = jwt::read(&text).unwrap();
        let found = self.jwks.key(&self.source, Path::new("."), &token, &environment).await;
        found.map(|key| key.common.key_id.unwrap_or_default())
    }

    async fn of(&self, id: &str) -> Result<String, NoKey> {
        self.key(json!({"alg": "ES256", "kid": id})).await
    }

    fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds, Ordering::AcqRel);
    }
}

#[tokio::test]
async fn a_known_key_waits_for_nobody_while_its_server_hangs() {
    let issuer = Issuer::new("200 OK", json!({"keys": [key("k")]})).await;
    let test = Test::new(&issuer.source);
    assert_eq!(test.of("k").await, Ok("k".into()));
    issuer.was_asked.notified().await;
    issuer.hangs.store(1, Ordering::Release);
    test.pass(FRESH.as_secs());
    for _ in 0..100 {
        let found = test.of("k").now_or_never();
        assert_eq!(found.expect("it does not wait"), Ok("k".into()));
    }
    issuer.was_asked.notified().await;
    assert_eq!(issuer.asked(), 2, "the keys are renewed beside it, once");
    // A token with an unknown key waits for the same fetch, and delays no other token.
    let (unknown, known) = (test.of("made-up"), test.of("k"));
    let mut unknown = std::pin::pin!(unknown);
    assert!(futures::poll!(&mut unknown).is_pending());
    assert_eq!(known.now_or_never().unwrap(), Ok("k".into()));
    assert_eq!(unknown.await, Err(NoKey::Unknown));
    assert_eq!(test.of("made-up").now_or_never().unwrap(), Err(NoKey::Unknown), "remembered");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn made_up_ids_ask_once_for_all_and_not_again_for_a_while() {
    let issuer = Issuer::new("200 OK", json!({"keys": [key("k")]})).await;
    let test = Test::new(&issuer.source);
    let ids: Vec<String> = (0..50).map(|i| format!("made-up-{i}")).collect();
    for (pause, asked) in [(0, 1), (9, 1), (1, 2)] {
        test.pass(pause);
        let all = futures::future::join_all(ids.iter().map(|id| test.of(id))).await;
        assert!(all.iter().all(|found| *found == Err(NoKey::Unknown)));
        assert_eq!(issuer.asked(), asked, "after {pause} s more");
    }
}

#[tokio::test]
async fn a_failure_is_remembered_for_longer_each_time() {
    let issuer = Issuer::new("500 Internal Server Error", json!({})).await;
    let test = Test::new(&issuer.source);
    for (pause, asked) in [(0, 1), (9, 1), (1, 2), (19, 2), (1, 3), (40, 4), (59, 4), (1, 5), (60, 6)] {
        test.pass(pause);
        assert!(matches!(test.of("k").await, Err(NoKey::Unavailable(_))));
        assert_eq!(issuer.asked(), asked, "after {pause} s more");
    }
}

#[tokio::test]
async fn keys_that_could_not_be_renewed_for_a_day_are_not_used() {
    let issuer = Issuer::new("200 OK", json!({"keys": [key("k")]})).await;
    let test = Test::new(&issuer.source);
    assert_eq!(test.of("k").await, Ok("k".into()));
    issuer.hangs.store(1, Ordering::Release);
    test.pass(STALE.as_secs() - 1);
    assert_eq!(test.of("k").now_or_never().unwrap(), Ok("k".into()));
    test.pass(1);
    assert!(matches!(test.of("k").await, Err(NoKey::Unavailable(_))));
}

#[tokio::test]
async fn a_key_verifies_only_what_it_is_for() {
    let with = |id: &str, name: &str, value: Value| {
        let mut key = key(id);
        key[name] = value;
        key
    };
    let secret = json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"});
    let rsa = json!({"kty": "RSA", "kid": "both", "n": "AA", "e": "AQAB"});
    let keys = json!({"keys": [
        key("good"),
        with("sig", "use", json!("sig")),
        with("verify", "key_ops", json!(["verify"])),
        with("enc", "use", json!("enc")),
        with("sign", "key_ops", json!(["sign"])),
        with("wrap", "key_ops", json!(["wrapKey"])),
        with("other-alg", "alg", json!("ES384")),
        with("other-curve", "crv", json!("P-384")),
        with("new", "kty", json!("AKP")),
        key("twice"), key("twice"),
        key("both"), rsa, secret, json!("no key"),
    ]});
    let issuer = Issuer::new("200 OK", keys).await;
    let test = Test::new(&issuer.source);
    for good in ["good", "sig", "verify", "both"] {
        assert_eq!(test.of(good).await, Ok(good.into()));
    }
    for other in ["enc", "sign", "wrap", "other-alg", "other-curve", "new", "secret", "no key"] {
        assert_eq!(test.of(other).await, Err(NoKey::Unknown), "{other}");
    }
    assert_eq!(test.of("twice").await, Err(NoKey::Ambiguous));
    assert_eq!(test.key(json!({"alg": "ES256"})).await, Err(NoKey::Ambiguous), "several without an id");
    assert_eq!(test.key(json!({"alg": "RS256"})).await, Ok("both".into()), "the only one of its algorithm");
    assert_eq!(test.key(json!({"alg": "PS256", "kid": "good"})).await, Err(NoKey::Unknown));
}

#[tokio::test]
async fn a_key_set_is_bounded_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| KeySource::File(folder.path().join(name));
    let many: Vec<Value> = (0..101).map(|i| key(&i.to_string())).collect();
    std::fs::write(folder.path().join("many"), json!({"keys": many}).to_string()).unwrap();
    std::fs::write(folder.path().join("large"), " ".repeat((1 << 20) + 1)).unwrap();
    std::fs::write(folder.path().join("none"), "{}").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    for (name, says) in [
        ("many", "101 keys"),
        ("large", "at most 1048576 are allowed"),
        ("none", "no key set"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("missing", "No such file"),
    ] {
        let found = Test::new(&file(name)).of("k").await;
        let Err(NoKey::Unavailable(err)) = found else { panic!("{name}: {found:?}") };
        assert!(err.to_string().contains(says), "{name}: {err}");
    }
    let large = Issuer::new("200 OK", json!({"keys": [key("k")], "x": "x".repeat(1 << 20)})).await;
    assert!(matches!(Test::new(&large.source).of("k").await, Err(NoKey::Unavailable(_))));
    let moved = Issuer::new("302 Found\r\nlocation: http://127.0.0.1:1/", json!({"keys": [key("k")]})).await;
    assert!(matches!(Test::new(&moved.source).of("k").await, Err(NoKey::Unavailable(_))));
}
