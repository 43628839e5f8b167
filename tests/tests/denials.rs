//! Refused uses as an operator reads them: each names the rule that decided and the grant that would allow it, and this grant
//! makes exactly that call pass.

use airlock::host::Host;
use airlock_tests::upstream::Upstream;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::record::Record;
use airlock_types::record::v3::Denial;
use serde_json::{Value, json};
use toml::{Table, Value as Toml};

use crate::desk::{self, Desk};
use crate::keep::Place;
use crate::web::{Web, call, fetch_with};

/// A use that is refused.
struct Case {
    /// Settings of the tool: `grants.http = […]`.
    settings: String,
    /// Settings of the caller `ann`, who then makes the call; empty for `local`.
    of_caller: &'static str,
    function: &'static str,
    args: Value,
    /// A call that is refused before and after.
    neighbor: Option<(&'static str, Value)>,
    /// The kind that the agent reads.
    kind: &'static str,
    /// The rule that decides.
    rule: &'static str,
}

fn case(
    settings: impl Into<String>,
    function: &'static str,
    args: Value,
    kind: &'static str,
    rule: &'static str,
) -> Case {
    Case { settings: settings.into(), of_caller: "", function, args, neighbor: None, kind, rule }
}

/// A case of the caller `ann`, with these settings of its entry.
fn case_of(
    of_caller: impl Into<String>,
    settings: impl Into<String>,
    function: &'static str,
    args: Value,
    kind: &'static str,
    rule: &'static str,
) -> Case {
    Case { of_caller: of_caller.into().leak(), ..case(settings, function, args, kind, rule) }
}

/// The settings of a tool as one line for each key, whatever dotted keys were.
fn written(settings: &Table) -> String {
    settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

/// The line of a denial, below the header of its entry: one that goes into braces begins within them.
fn line(denial: &Denial) -> String {
    let line = denial.grant.clone().unwrap();
    if denial.how.as_deref() != Some("within its braces") {
        return line;
    }
    match denial.below.splitn(3, '.').nth(2) {
        Some(inner) => format!("{inner}.{line}"),
        None => line,
    }
}

/// The settings with the line of a denial, as an operator pastes it: a new line, or the one in the place of its setting.
fn mended(settings: &str, denial: &Denial) -> String {
    let mut settings: Table = toml::from_str(settings).unwrap();
    let whole = line(denial);
    let line: Table = toml::from_str(&whole).unwrap();
    for (key, value) in line {
        let Toml::Table(grants) = value else {
            settings.insert(key, value);
            continue;
        };
        let own = settings.entry(key).or_insert_with(|| Toml::Table(Table::new())).as_table_mut().unwrap();
        for (capability, granted) in grants {
            match (own.get_mut(&capability), granted) {
                (former, granted) if denial.replaces => {
                    assert!(former.is_some(), "there is nothing to replace: {denial:?}");
                    own.insert(capability, granted);
                }
                (None, granted) => drop(own.insert(capability, granted)),
                // A key of a table that is there.
                (Some(Toml::Table(table)), Toml::Table(more))
                    if more.keys().all(|key| !table.contains_key(key)) =>
                {
                    assert!(whole.contains(&format!("grants.{capability}.")));
                    table.extend(more);
                }
                (Some(former), _) => panic!("`{former}` is there already: {denial:?}"),
            }
        }
    }
    written(&settings)
}

/// A component, and how a host is opened with settings for it.
enum Home {
    Web(Web),
    Keep(Place),
    Desk(Desk),
}

impl Home {
    async fn open(&self, settings: &str, of_caller: &str) -> Host {
        let caller = if of_caller.is_empty() {
            String::new()
        } else {
            format!("[callers.ann]\ntools = [\"*\"]\n{of_caller}")
        };
        let settings = format!("{settings}{caller}");
        match self {
            Home::Web(web) => web.open(&settings).await,
            Home::Keep(place) => place.open(&settings).await,
            Home::Desk(desk) => desk.open(&settings).await,
        }
    }

    fn prefix(&self) -> &'static str {
        match self {
            Home::Web(_) => "web",
            Home::Keep(_) => "keep",
            Home::Desk(_) => "desk",
        }
    }

    async fn call(&self, host: &Host, case: &Case, function: &str, args: &Value) -> (String, Record) {
        let name = format!("{}_{function}", self.prefix());
        let caller = if case.of_caller.is_empty() { Caller::local() } else { Caller::named("ann") };
        let call = Call::new(&name, Arguments::Text(args.to_string().into()));
        let reply = host.call(Call { caller, ..call }).await;
        host.journal().flush().unwrap();
        let record = host.journal().find(&reply.record).unwrap().unwrap();
        (serde_json::to_string(&reply).unwrap(), record)
    }

    /// Tries one use: refused, then allowed by what its denial says.
    async fn check(&self, case: &Case) {
        let said = format!("{} {}: {}", case.function, case.args, case.settings);
        let host = self.open(&case.settings, case.of_caller).await;
        let (reply, record) = self.call(&host, case, case.function, &case.args).await;
        let denial = record.attempts[0].denied.last().unwrap_or_else(|| panic!("nothing is refused: {said}"));
        assert_eq!((&*denial.kind, &*denial.rule), (case.kind, case.rule), "{said}");
        assert!(denial.at.contains("airlock.toml:") || case.rule == "contract", "{denial:?}: {said}");
        // An agent reads the kind alone.
        if record.code != "ok" {
            assert!(reply.contains(case.kind), "{reply}: {said}");
            assert!(
                !reply.contains(denial.grant.as_deref().unwrap()) && !reply.contains("airlock.toml"),
                "{reply}"
            );
        }
        assert!(record.policy.as_ref().is_some_and(|digest| digest.len() == 64), "{said}");
        let fill = |text: String| text.replace("FOLDER", "../data").replace("VALUE", "v");
        let (mut settings, mut of_caller) = (case.settings.clone(), case.of_caller.to_owned());
        if denial.below.starts_with("callers.ann") {
            of_caller = fill(mended(&of_caller, denial));
        } else {
            settings = fill(mended(&settings, denial));
        }
        let mut host = self.open(&settings, &of_caller).await;
        let (_, mut record) = self.call(&host, case, case.function, &case.args).await;
        // The addresses of a name are looked up once its host is granted, and here they are this machine's.
        if let Some(second) = record.attempts[0].denied.first().filter(|_| said.contains(".x.example")) {
            settings = mended(&settings, second);
            host = self.open(&settings, &of_caller).await;
            record = self.call(&host, case, case.function, &case.args).await.1;
        }
        assert_eq!(record.attempts[0].denied, [], "{said}\nwith {settings}{of_caller}");
        if let Some((function, args)) = &case.neighbor {
            let (_, record) = self.call(&host, case, function, args).await;
            assert!(
                !record.attempts[0].denied.is_empty(),
                "{function} {args}: {said}\nwith {settings}{of_caller}"
            );
        }
    }
}

fn get(url: &str) -> Value {
    send("GET", url)
}

fn send(method: &str, url: &str) -> Value {
    json!({"method": method, "url": url, "headers": [], "body": ""})
}

const HOST: &str = "http to that host is not granted";
const KIND: &str = "http of that kind to that host is not granted";
const MORE: &str = "more http in one call is not granted";
const LIST: &str = "tools.web.grants.http";
const FIRST: &str = "tools.web.grants.http[0]";

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn the_grant_that_a_denied_request_names_makes_exactly_that_request_pass() {
    let upstream = Upstream::start().await.unwrap();
    let port = upstream.port();
    let here: &[&[&str]] = &[&["127.0.0.1"]];
    let names = ["a.x.example", "b.x.example", "x.example", "c.b.x.example"].map(|name| (name, here));
    let home = Home::Web(Web::with_names(&names));
    let grant = |more: &str| {
        format!(
            "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"]{more} }}]\n"
        )
    };
    let named = |host: &str| {
        format!(
            "grants.http = [{{ host = \"{host}\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"] }}]\n"
        )
    };
    let url = |path: &str| upstream.url(path);
    let at = |host: &str| format!("http://{host}:{port}/v1");
    let cases = [
        case("", "fetch", get(&url("/v1/a")), HOST, "tools.web"),
        case("grants.clock = true\n", "fetch", get(&url("/v1/a")), HOST, "tools.web.grants"),
        case(named("localhost"), "fetch", get(&url("/v1/a")), HOST, LIST),
        case(named("a.x.example"), "fetch", get(&at("b.x.example")), HOST, LIST),
        case(named("*.x.example"), "fetch", get(&at("x.example")), HOST, LIST),
        case(named("*.x.example"), "fetch", get(&at("c.b.x.example")), HOST, LIST),
        case(grant(", methods = [\"HEAD\"]"), "fetch", get(&url("/v1/a")), KIND, FIRST),
        case(grant(""), "fetch", send("POST", &url("/v1/a")), KIND, FIRST),
        case(grant(""), "fetch", send("DELETE", &url("/v1/a")), KIND, FIRST),
        case(grant(", methods = [\"POST\"]"), "fetch", send("PUT", &url("/v1/a")), KIND, FIRST),
        case(grant(", path = \"/v1/data\""), "fetch", get(&url("/v1")), KIND, FIRST),
        case(grant(", path = \"/v1/data\""), "fetch", get(&url("/v1/database")), KIND, FIRST),
        case(
            "grants.http = [{ host = \"127.0.0.1\", scheme = \"http\" }]\n",
            "fetch",
            get(&url("/v1/a")),
            KIND,
            FIRST,
        ),
        case("grants.http = [{ host = \"127.0.0.1\" }]\n", "fetch", get(&url("/v1/a")), KIND, FIRST),
        case(
            format!("grants.http = [{{ host = \"a.x.example\", scheme = \"http\", port = {port} }}]\n"),
            "fetch",
            get(&at("a.x.example")),
            "http to the address of that host is not granted",
            FIRST,
        ),
        case(
            grant(", requests_max = 2"),
            "repeat",
            json!({"method": "GET", "url": url("/"), "times": 3}),
            MORE,
            FIRST,
        ),
        case(
            grant(", methods = [\"POST\"], up_bytes_max = 1000"),
            "upload",
            json!({"url": url("/"), "bytes": 1200}),
            MORE,
            FIRST,
        ),
        case(grant(", down_bytes_max = 700"), "download", json!({"url": url("/large?700")}), MORE, FIRST),
        case(
            format!("effects = \"read\"\n{}", grant(", methods = [\"POST\"]")),
            "fetch",
            send("POST", &url("/v1/a")),
            "http that changes something is not allowed to a tool that only reads",
            "tools.web.effects",
        ),
        Case {
            of_caller: "grants.http = [{ host = \"a.x.example\" }]\n",
            ..case(grant(""), "fetch", get(&url("/v1/a")), HOST, "callers.ann.grants.http")
        },
        // Another grant of the host has the header, so that the guest could set it.
        case(
            grant(", path = \"/a\", headers = [\"authorization\"]").replace("]\n", &format!(
                ", {{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"], path = \"/v1\" }}]\n"
            )),
            "fetch",
            json!({"method": "GET", "url": url("/v1/a"), "headers": [["authorization", "Bearer x"]], "body": ""}),
            "http with the header authorization is not granted",
            "tools.web.grants.http[1]",
        ),
        // Of several entries the others stay as they are.
        case(
            grant(", requests_max = 2").replacen("= [", "= [{ host = \"a.example\" }, ", 1),
            "repeat",
            json!({"method": "GET", "url": url("/"), "times": 3}),
            MORE,
            "tools.web.grants.http[1]",
        ),
        case_of(
            "grants.http = [{ host = \"b.example\", requests_max = 2 }, { host = \"c.example\" }]\n",
            grant(""),
            "fetch",
            get(&url("/v1/a")),
            HOST,
            "callers.ann.grants.http",
        ),
        case_of(
            format!("grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, requests_max = 2 }}]\n"),
            grant(""),
            "repeat",
            json!({"method": "GET", "url": url("/"), "times": 3}),
            MORE,
            "callers.ann.grants.http[0]",
        ),
        case_of(
            format!("grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, down_bytes_max = 700 }}]\n"),
            grant(""),
            "download",
            json!({"url": url("/large?700")}),
            MORE,
            "callers.ann.grants.http[0]",
        ),
    ];
    for case in cases {
        let is_mended_by_a_place = case.kind == HOST || case.kind == KIND;
        let method = if case.args["method"] == "GET" { "HEAD" } else { "PATCH" };
        let neighbor = is_mended_by_a_place.then(|| ("fetch", send(method, "http://elsewhere.example/v1")));
        home.check(&Case { neighbor, ..case }).await;
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn the_grant_that_a_denied_use_of_the_host_names_makes_exactly_that_use_pass() {
    let home = Home::Keep(Place::new());
    let put = |bucket: &str| json!({"bucket": bucket, "key": "k", "value": "v"});
    let many = |count: usize| json!({"pairs": (0..count).map(|n| (n.to_string(), "v")).collect::<Vec<_>>()});
    let bucket = "keyvalue with that bucket is not granted";
    let more = "what keyvalue keeps already has the size that is granted";
    let large = "keyvalue with values of that size is not granted";
    let kept = "tools.keep.grants.keyvalue";
    for case in [
        case("", "put", put(""), bucket, "tools.keep"),
        Case {
            neighbor: Some(("put", put("c"))),
            ..case("grants.keyvalue = { buckets = [\"a\"] }\n", "put", put("b"), bucket, kept)
        },
        case("grants.keyvalue = { keys_max = 2 }\n", "put_many", many(3), more, kept),
        case(
            "grants.keyvalue = { value_bytes_max = 10 }\n",
            "put_large",
            json!({"key": "k", "bytes": 30}),
            large,
            kept,
        ),
        case(
            "grants.keyvalue = { bytes_max = 40 }\n",
            "put_large",
            json!({"key": "k", "bytes": 60}),
            more,
            kept,
        ),
        case(
            "effects = \"read\"\ngrants.keyvalue = {}\n",
            "put",
            put(""),
            "keyvalue that changes something is not allowed to a tool that only reads",
            "tools.keep.effects",
        ),
        case("", "values", json!({"keys": ["region"]}), "config with that key is not granted", "tools.keep"),
        Case {
            neighbor: Some(("values", json!({"keys": ["zone"]}))),
            ..case(
                "grants.config = { size = \"1\" }\n",
                "values",
                json!({"keys": ["region"]}),
                "config with that key is not granted",
                "tools.keep.grants.config",
            )
        },
        Case {
            neighbor: Some(("draw", json!({}))),
            ..case("", "now", json!({}), "clock is not granted", "tools.keep")
        },
        case(
            "grants.random = true\n",
            "pause",
            json!({"ms": 1}),
            "clock is not granted",
            "tools.keep.grants",
        ),
        case("", "draw", json!({}), "random is not granted", "tools.keep"),
        Case {
            of_caller: "grants.clock = true\n",
            ..case("grants.random = true\n", "draw", json!({}), "random is not granted", "callers.ann.grants")
        },
        Case {
            of_caller: "grants.keyvalue = { buckets = [\"a\"] }\n",
            ..case(
                "grants.keyvalue = { buckets = [\"a\", \"b\"] }\n",
                "put",
                put("b"),
                bucket,
                "callers.ann.grants.keyvalue",
            )
        },
        Case {
            of_caller: "grants.keyvalue = { keys_max = 2 }\n",
            ..case("grants.keyvalue = {}\n", "put_many", many(3), more, "callers.ann.grants.keyvalue")
        },
        Case {
            of_caller: "grants.config = { a = \"1\" }\n",
            ..case(
                "grants.config = { b = \"v\" }\n",
                "values",
                json!({"keys": ["b"]}),
                "config with that key is not granted",
                "callers.ann.grants.config",
            )
        },
        Case {
            of_caller: "grants.config = [\"a\"]\n",
            ..case(
                "grants.config = { b = \"1\" }\n",
                "values",
                json!({"keys": ["b"]}),
                "config with that key is not granted",
                "callers.ann.grants.config",
            )
        },
    ] {
        home.check(&case).await;
    }
}

#[tokio::test]
async fn the_grant_that_a_denied_use_of_a_folder_names_makes_exactly_that_use_pass() {
    let write = |text: &str| json!({"steps": [desk::open("new", "create write"), desk::write(1, 0, text)]});
    let (more, first) = ("more files in one call is not granted", "tools.desk.grants.files[0]");
    for case in [
        case(
            "",
            "act",
            json!({"steps": [desk::open("there", "read")]}),
            "files are not granted",
            "tools.desk",
        ),
        case(desk::grant(""), "act", write("x"), "writing files there is not granted", first),
        case(desk::writable(", files_max = 0"), "act", write("x"), more, first),
        case(desk::writable(", bytes_max = 3"), "act", write("12345"), more, first),
        case(
            desk::writable(", file_bytes_max = 3"),
            "act",
            write("12345"),
            "files of that size are not granted",
            first,
        ),
        Case {
            of_caller: "grants.clock = true\n",
            ..case(
                desk::grant(""),
                "act",
                json!({"steps": [desk::open("there", "read")]}),
                "files are not granted",
                "callers.ann.grants",
            )
        },
        Case {
            of_caller: "grants.files = [{ guest = \"/data\", access = \"read-write\", bytes_max = 3 }]\n",
            ..case(desk::writable(""), "act", write("12345"), more, "callers.ann.grants.files[0]")
        },
        Case {
            of_caller: "grants.files = [{ guest = \"/data\", host = \"../data\" }]\n",
            ..case(
                desk::writable(""),
                "act",
                write("x"),
                "writing files there is not granted",
                "callers.ann.grants.files[0]",
            )
        },
        Case {
            of_caller: "grants.files = [{ guest = \"/data\" }]\n",
            ..case(
                desk::writable(""),
                "act",
                write("x"),
                "writing files there is not granted",
                "callers.ann.grants.files",
            )
        },
    ] {
        Home::Desk(Desk::new()).check(&case).await;
    }
}

#[tokio::test]
async fn what_no_grant_allows_has_none() {
    let desk = Desk::new();
    let host = desk.open(&desk::grant("")).await;
    let (_, record) = desk::act(&host, &[desk::open("../outside/secret", "read")]).await;
    let denial = &record.attempts[0].denied[0];
    assert_eq!(
        (&*denial.kind, &denial.grant),
        ("files outside of the granted folders are not granted", &None)
    );
    // As the guest asked for it.
    assert_eq!(denial.asked, "read /data/../outside/secret");
    // A wider path would admit these, and all else below it.
    let settings = "grants.http = [{ host = \"a.example\", path = \"/v1/data\" }]\n";
    let host = Web::new().open(settings).await;
    for path in ["/v1/data/../other", "/v1/data/%zz", "/v1/data/..%2fb", "/v1/b/../data", "/%2e%2e/v1"] {
        let (_, record) = fetch_with(&host, "GET", &format!("https://a.example{path}"), &json!([])).await;
        let denial = &record.attempts[0].denied[0];
        assert_eq!((&*denial.rule, &denial.grant), ("tools.web.grants.http[0]", &None), "{path}");
    }
    // What the author did not ask for, no grant of the operator gives.
    let contract = "[[capabilities.http]]\nhost = \"a.example\"\nreason = \"r\"\noptional = true\n";
    let host = Web::with_contract(contract).open("grants.http = [{ host = \"b.example\" }]\n").await;
    let (_, record) = fetch_with(&host, "GET", "https://b.example/", &json!([])).await;
    let denial = &record.attempts[0].denied[0];
    assert_eq!((&*denial.rule, &denial.grant), ("contract", &None));
}

#[tokio::test]
async fn a_call_that_lacks_what_its_tool_needs_says_which_line_would_grant_it() {
    let contract = "[[capabilities.http]]\nhost = \"a.example\"\nreason = \"r\"\n";
    let host = Web::with_contract(contract).open("grants.clock = true\n").await;
    let args = json!({"method": "GET", "url": "https://a.example/", "times": 1});
    let (_, record) = call(&host, "repeat", &args, airlock_types::code::Code::PolicyDenied).await;
    let denial = &record.decision.unwrap().denied[0];
    assert_eq!((&*denial.rule, &*denial.below), ("tools.web.grants", "tools.web"));
    assert!(denial.at.ends_with("airlock.toml:6"), "{denial:?}");
    assert_eq!(denial.grant.as_deref(), Some("grants.http = [{ host = \"a.example\" }]"));
    assert!(!denial.replaces);
    // Beside a list that is there, the line has all of it.
    let host = Web::with_contract(contract).open("grants.http = [{ host = \"b.example\" }]\n").await;
    let (_, record) = call(&host, "repeat", &args, airlock_types::code::Code::PolicyDenied).await;
    let denial = &record.decision.unwrap().denied[0];
    let both = "grants.http = [{ host = \"b.example\" }, { host = \"a.example\" }]";
    assert_eq!((denial.grant.as_deref(), denial.replaces), (Some(both), true));
    let host = Web::with_contract(contract).open("grants.clock = true\n").await;
    let (_, record) = call(&host, "repeat", &args, airlock_types::code::Code::PolicyDenied).await;
    assert!(record.policy.is_some() && record.component.is_some());
}
