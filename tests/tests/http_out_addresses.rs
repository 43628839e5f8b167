//! Addresses that requests of tools go to: every spelling, names that move, certificates.

use std::process::Command;

use airlock_tests::program;
use airlock_tests::upstream::Upstream;
use airlock_types::code::Code;
use airlock_types::grant::http::host::canonical;
use serde_json::json;

use crate::web::{DENIED, Web, call, fetch, fetch_with, named};
use crate::{stderr, stdout};

/// Spellings of addresses that are not public.
const SPELLINGS: &str = "
    127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1.
    %31%32%37.0.0.1 0 0.0.0.0 0x0 00000 127.255.255.254 [::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
    [2001:0:0:0:0:0:80ff:fffe] [::ffff:0:127.0.0.1] [fe80::1] [fc00::1] [fd00:ec2::254] [ff02::1]
    169.254.169.254 0xa9fea9fe 2852039166 [::ffff:169.254.169.254] 100.100.100.200 10.0.0.1 172.16.0.1
    192.168.0.1 168.63.129.16 224.0.0.1 255.255.255.255 198.18.0.1
";

#[tokio::test]
async fn each_spelling_of_an_address_is_checked() {
    let (v4, v6) = (Upstream::start().await.unwrap(), Upstream::at("[::1]:0").await);
    let spellings: Vec<&str> = SPELLINGS.split_whitespace().collect();
    let ports = [v4.port(), v6.as_ref().map_or(80, Upstream::port)];
    // Granted by name, and still not an address that may be reached.
    let granted = spellings.iter().flat_map(|spelling| {
        let host = canonical(spelling).unwrap();
        ports.map(|port| format!("{{ host = \"{host}\", scheme = \"http\", port = {port} }}"))
    });
    let granted = granted.collect::<Vec<_>>().join(", ");
    let host = Web::new().open(&format!("grants.http = [{granted}]\n")).await;
    for spelling in spellings {
        for port in &ports {
            let error = fetch(&host, "GET", &format!("http://{spelling}:{port}/")).await.unwrap_err();
            assert!(error == DENIED || error == "authority", "{spelling}: {error}");
        }
    }
    assert_eq!((v4.connections(), v6.map_or(0, |v6| v6.connections())), (0, 0));
}

#[tokio::test]
async fn a_name_reaches_nothing_while_one_of_its_addresses_is_not_public() {
    let upstream = Upstream::start().await.unwrap();
    let names: &[(&str, &[&[&str]])] = &[
        ("loop.example", &[&["127.0.0.1"]]),
        ("six.example", &[&["::1"]]),
        ("any.example", &[&["0.0.0.0"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("nat.example", &[&["64:ff9b::7f00:1"]]),
        ("sixtofour.example", &[&["2002:7f00:1::1"]]),
        ("teredo.example", &[&["2001:0:7f00:1::1"]]),
        ("meta.example", &[&["169.254.169.254"]]),
        ("ula.example", &[&["fd00:ec2::254"]]),
        ("mixed.example", &[&["8.8.8.8", "127.0.0.1"]]),
        ("mixedback.example", &[&["127.0.0.1", "8.8.8.8"]]),
        ("none.example", &[&[]]),
    ];
    let web = Web::with_names(names);
    for (name, _) in names {
        let host = web.open(&named(name, &upstream, "")).await;
        let (found, record) =
            fetch_with(&host, "GET", &format!("http://{name}:{}/", upstream.port()), &json!([])).await;
        let error = found.unwrap_err();
        if *name == "none.example" {
            assert!(error.contains("DnsError"), "{error}");
        } else {
            assert_eq!(error, DENIED, "{name}");
            assert_eq!(record.attempts[0].denials, ["http"], "{name}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn what_is_refused_for_its_address_costs_no_request_and_says_so_each_time() {
    let upstream = Upstream::start().await.unwrap();
    let web = Web::with_names(&[("loop.example", &[&["127.0.0.1"]])]);
    let settings =
        named("loop.example", &upstream, "").replace(" }]", ", requests_max = 1, up_bytes_max = 200 }]");
    let host = web.open(&settings).await;
    let args =
        json!({"method": "GET", "url": format!("http://loop.example:{}/", upstream.port()), "times": 4});
    let (reply, record) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!([DENIED, DENIED, DENIED, DENIED])));
    let attempt = &record.attempts[0];
    let reasons: Vec<_> = attempt.denied.iter().map(|denied| (&*denied.asked, &*denied.kind)).collect();
    let asked = format!("GET http://loop.example:{}/ at 127.0.0.1", upstream.port());
    assert_eq!(
        reasons,
        [(&*asked, "http to the address of that host is not granted")],
        "{:?}",
        attempt.denied
    );
    assert_eq!((attempt.usage.requests, attempt.usage.up_bytes), (0, 0));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_name_that_moves_is_checked_again_and_finds_no_kept_connection() {
    let upstream = Upstream::at("0.0.0.0:0").await.unwrap();
    let web = Web::with_names(&[(
        "api.example",
        &[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]],
    )]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.1\"")).await;
    let url = format!("http://api.example:{}/", upstream.port());
    let args = json!({"method": "GET", "url": url, "times": 4});
    let (reply, _) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200", DENIED, "200"])));
    assert_eq!((upstream.connections(), upstream.arrived().len()), (1, 3));
    assert_eq!(upstream.arrived()[0].header("host"), format!("api.example:{}", upstream.port()));
    // To another address that is allowed goes another connection.
    let web = Web::with_names(&[("api.example", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.0/8\"")).await;
    let args = json!({"method": "GET", "url": url, "times": 3});
    call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_refuses_to_connect() {
    let upstream = Upstream::start().await.unwrap();
    let web = Web::with_names(&[("api.example", &[&["127.0.0.9", "127.0.0.1"]])]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.0/8\"")).await;
    let found = fetch(&host, "GET", &format!("http://api.example:{}/", upstream.port())).await;
    assert_eq!(found.unwrap()["status"], 200);
}

/// Calls the fetcher by the program, which trusts this root alone.
fn trusting(web: &Web, settings: &str, trusted: &str, url: &str) -> String {
    web.file(settings);
    let roots = web.folder.path().join("roots.pem");
    std::fs::write(&roots, trusted).unwrap();
    let args = json!({"method": "GET", "url": url, "headers": [], "body": ""}).to_string();
    let mut command = Command::new(program());
    command.arg("--registry").arg(web.folder.path().join("airlock.toml")).args(["call", "web_fetch", &args]);
    let output = command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR").output().unwrap();
    stdout(&output) + &stderr(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_certificate_is_checked_for_the_name() {
    let (upstream, root) = Upstream::tls(&["localhost"]).await.unwrap();
    let (other, other_root) = Upstream::tls(&["other.example"]).await.unwrap();
    let settings = |upstream: &Upstream| {
        format!(
            "grants.http = [{{ host = \"localhost\", port = {}, addresses = [\"127.0.0.1\", \"::1\"] }}]\n",
            upstream.port()
        )
    };
    let url = |upstream: &Upstream| format!("https://localhost:{}/secret", upstream.port());
    let web = Web::new();
    let good = trusting(&web, &settings(&upstream), &root, &url(&upstream));
    assert!(good.contains("GET /secret"), "{good}");
    assert_eq!(upstream.arrived()[0].header("host"), format!("localhost:{}", upstream.port()));
    for (upstream, trusted) in [(&upstream, &other_root), (&other, &other_root)] {
        let bad = trusting(&web, &settings(upstream), trusted, &url(upstream));
        assert!(bad.contains("TlsCertificateError"), "{bad}");
    }
    assert_eq!((upstream.arrived().len(), other.arrived().len()), (1, 0));
    // A machine without roots says so when the tool is loaded.
    let none = trusting(&web, &settings(&upstream), "", &url(&upstream));
    assert!(none.contains("no trusted certificates") && none.contains("SSL_CERT_FILE"), "{none}");
}
