//! The webhook against a service on this machine.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::environment::World;
use airlock_types::grant::http::Network;

#[test]
fn a_signature_is_the_one_that_others_compute() {
    // printf '1700000000.{"event":"held"}' | openssl dgst -sha256 -hmac 'whsec-0123456789'
    let secret = Secret::of("sign", "whsec-0123456789");
    let expected = "t=1700000000,v1=ef891588b8a2321e1aba0611a7fdb2c782ffaa131031132615b2f4ca85f83101";
    assert_eq!(signature(&secret, 1_700_000_000, br#"{"event":"held"}"#), expected);
}

#[test]
fn only_an_answer_that_may_change_is_tried_again() {
    for (status, again) in
        [(500, true), (503, true), (429, true), (408, true), (400, false), (302, false), (410, false)]
    {
        assert_eq!(may_pass(StatusCode::from_u16(status).unwrap()), again, "{status}");
    }
}

#[test]
fn a_hold_is_told_when_it_opens_and_when_it_ends() {
    assert_eq!(event(Standing::Open), Some("held"));
    assert_eq!(event(Standing::Running), None);
    assert_eq!(event(Standing::Expired), Some("ended"));
}

fn hold(standing: Standing) -> Hold {
    let text = |text: &str| text.to_owned();
    Hold {
        id: "A".repeat(43),
        standing,
        tool: text("pay"),
        caller: text("ann"),
        record: text("r1"),
        arguments: Some(serde_json::json!({"amount": 900})),
        args_digest: text("aa"),
        component: text("bb"),
        policy: text("cc"),
        rules: Vec::new(),
        is_result: false,
        created_unix_ms: 1,
        expires_unix_ms: 2,
        approvals: 1,
        decided: Vec::new(),
        ended_by: None,
    }
}

fn network(text: &str) -> Network {
    Network::try_from(text.to_owned()).unwrap()
}

fn webhook(url: &str, allow: &[&str]) -> Webhook {
    let allow = allow.iter().map(|text| network(text)).collect();
    let destination = Destination::new(Url::parse(url).unwrap(), allow, None, Lane::single()).unwrap();
    let secret = Arc::new(Secret::of("sign", "whsec-0123456789"));
    let shared = Shared { destination, secret, waiting: AtomicUsize::new(0), delivered: Notify::new() };
    Webhook { shared: Arc::new(shared), queue: OnceLock::new() }
}

/// A service that answers with these statuses in turn, and the requests that it got.
async fn service(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?from=airlock", listener.local_addr().unwrap());
    let got = Arc::<Mutex<Vec<String>>>::default();
    let seen = got.clone();
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            while !is_whole(&request) {
                let read = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nlocation: /other\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, got)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.unwrap().parse::<usize>().unwrap()
}

fn world() -> SharedEnvironment {
    Arc::new(World::new())
}

#[tokio::test]
async fn a_service_is_told_in_order_with_a_signature_over_what_it_gets() {
    let (url, got) = service(&[200, 204]).await;
    let (webhook, failed) = (webhook(&url, &["127.0.0.1/32"]), Count::default());
    webhook.send(&world(), &failed, &hold(Standing::Open));
    webhook.send(&world(), &failed, &hold(Standing::Running));
    webhook.send(&world(), &failed, &hold(Standing::Done));
    webhook.flush(&world()).await;
    assert_eq!(failed.get(), 0);
    let got = got.lock().unwrap();
    let events: Vec<bool> = got.iter().map(|request| request.contains(r#"{"event":"held""#)).collect();
    assert_eq!(events, [true, false]);
    for request in &*got {
        assert!(request.starts_with("POST /hook?from=airlock HTTP/1.1\r\n"), "{request}");
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(r#""arguments":{"amount":900}"#), "{body}");
        let sent = head.lines().find_map(|line| line.strip_prefix("airlock-signature: ")).unwrap();
        let unix_s = sent.split(&['=', ','][..]).nth(1).unwrap().parse().unwrap();
        assert_eq!(signature(&webhook.shared.secret, unix_s, body.as_bytes()), sent);
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_three_times_and_then_counted() {
    let (url, got) = service(&[503, 500, 200]).await;
    let (told, failed) = (webhook(&url, &["127.0.0.1/32"]), Count::default());
    told.send(&world(), &failed, &hold(Standing::Open));
    told.flush(&world()).await;
    assert_eq!((got.lock().unwrap().len(), failed.get()), (3, 0));
    for (statuses, tries) in [(&[503, 503, 503, 200][..], 3), (&[302, 200], 1), (&[400, 200], 1)] {
        let (url, got) = service(statuses).await;
        let (lost, failed) = (webhook(&url, &["127.0.0.1/32"]), Count::default());
        lost.send(&world(), &failed, &hold(Standing::Open));
        lost.flush(&world()).await;
        assert_eq!((got.lock().unwrap().len(), failed.get()), (tries, 1), "{statuses:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_is_reached_only_where_the_registry_allows_it() {
    let (url, got) = service(&[200]).await;
    for allow in [&[][..], &["10.0.0.0/8"]] {
        let (denied, failed) = (webhook(&url, allow), Count::default());
        denied.send(&world(), &failed, &hold(Standing::Open));
        denied.flush(&world()).await;
        assert_eq!(failed.get(), 1, "{allow:?}");
        let why = denied.shared.once(&Bytes::new(), &world()).await.unwrap_err();
        assert!(why.contains("127.0.0.1") && why.contains("`allow`"), "{why}");
    }
    assert!(got.lock().unwrap().is_empty());
    // In clear text nothing leaves this machine, whatever is allowed.
    let why = webhook("http://10.0.0.1/", &["10.0.0.0/8"]).shared.once(&Bytes::new(), &world()).await;
    assert!(why.unwrap_err().contains("10.0.0.1"));
}

#[tokio::test]
async fn a_service_that_does_not_answer_delays_nothing_and_its_queue_is_bounded() {
    // Nobody accepts: the kernel takes the connections, and nothing answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (webhook, failed) = (webhook(&url, &["127.0.0.1/32"]), Count::default());
    for _ in 0..QUEUE_MAX + 10 {
        webhook.send(&world(), &failed, &hold(Standing::Open));
    }
    // No await in between, so that the task has taken none.
    assert_eq!(failed.get(), 10);
    assert_eq!(webhook.shared.waiting.load(Ordering::Acquire), QUEUE_MAX);
}
