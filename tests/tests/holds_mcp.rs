//! Holds over MCP: rounds of the stateless era, questions to the client's own user in both eras, and states that are not the
//! client's to make up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlock::environment::World;
use airlock::host::Host;
use airlock_server::mcp;
use airlock_tests::server::{Server, answer};
use airlock_tests::wire::{Wire, stateless_meta};
use airlock_types::environment::{Environment, Sleep};
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorData, Implementation,
};
use rmcp::service::{RequestContext, RoleClient};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, split};

use crate::held_shop::{HeldShop, RULE, decide, reply, token_of};

/// What a client says that shows forms to its user.
const FORMS: &str = r#"{"elicitation": {"form": {}}}"#;

/// Sends a call of the stateless era with more parameters, and capabilities of the client.
async fn call(
    server: &Server,
    who: &str,
    capabilities: &str,
    args: &Value,
    more: &Value,
) -> anyhow::Result<Value> {
    let mut params = json!({"name": "shop_place", "arguments": args, "_meta": stateless_meta()});
    let capabilities: Value = serde_json::from_str(capabilities)?;
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    more.as_object().into_iter().flatten().for_each(|(key, value)| params[key] = value.clone());
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let request = server.mcp_stateless("tools/call", Some("shop_place"), message);
    answer(request.bearer_auth(token_of(who)).send().await?).await
}

/// Makes a call that is held. Returns what it is told.
async fn held(server: &Server, who: &str, capabilities: &str, args: &Value) -> Value {
    let told = call(server, who, capabilities, args, &json!({})).await.unwrap()["result"].clone();
    assert_eq!(told["resultType"], "input_required", "{told}");
    told
}

/// The id of the hold in what a held call is told.
fn id(told: &Value) -> &str {
    told["requestState"].as_str().unwrap().split('.').next().unwrap()
}

fn with_state(told: &Value) -> Value {
    json!({"requestState": told["requestState"]})
}

fn with_answer(told: &Value, answer: &Value) -> Value {
    json!({"requestState": told["requestState"], "inputResponses": {"approve": answer}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_call_waits_in_rounds_and_gets_the_answer() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let args = shop.args("a");
    let told = held(&server, "ann", "{}", &args).await;
    assert!(told.get("inputRequests").is_none(), "{told}");
    assert_eq!(told["_meta"]["dev.airlock/hold"]["rules"], json!(["an order needs a person"]), "{told}");
    let state = with_state(&told);
    let (waited, _) = tokio::join!(call(&server, "ann", "{}", &args, &state), async {
        decide(&server, "bob", id(&told), "approve", &json!({})).await
    },);
    let result = &waited.as_ref().unwrap()["result"];
    assert_eq!((&result["resultType"], &result["isError"]), (&json!("complete"), &json!(false)), "{result}");
    assert_eq!((&result["structuredContent"]["result"], shop.applied("a")), (&json!(201), 1));
    // What is sent once more runs nothing.
    let again = call(&server, "ann", "{}", &args, &state).await.unwrap();
    assert_eq!(again["result"]["structuredContent"], result["structuredContent"]);
    assert_eq!(shop.applied("a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_call_is_an_error_with_the_reason() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let told = held(&server, "ann", "{}", &shop.args("a")).await;
    decide(&server, "bob", id(&told), "reject", &json!({"reason": "too dear"})).await;
    let end = call(&server, "ann", "{}", &shop.args("a"), &with_state(&told)).await.unwrap();
    let result = &end["result"];
    assert_eq!(
        (&result["isError"], &result["_meta"]["dev.airlock/code"]),
        (&json!(true), &json!("policy.denied"))
    );
    assert!(result["content"][0]["text"].as_str().unwrap().contains("too dear"), "{result}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_that_is_not_of_the_call_is_refused_alike() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let (args, other_args) = (shop.args("a"), shop.args("b"));
    let told = held(&server, "ann", "{}", &args).await;
    let of_dan = held(&server, "dan", "{}", &args).await;
    let (state, of_dan) = (told["requestState"].as_str().unwrap(), of_dan["requestState"].as_str().unwrap());
    let id = id(&told);
    let flipped =
        if state.starts_with('A') { state.replacen('A', "B", 1) } else { format!("A{}", &state[1..]) };
    let states = [
        flipped.as_str(),
        of_dan,
        id,
        &format!("{id}.9"),
        &format!("{id}.0"),
        &format!("{}.1", &id[..12]),
        &format!("{id}.1.0"),
        "",
        "1",
        &format!("{}.1", "%".repeat(43)),
    ];
    let mut refusals = Vec::new();
    for state in states {
        refusals.push(call(&server, "ann", "{}", &args, &json!({"requestState": state})).await.unwrap());
    }
    // Its own state, with arguments that were not held, and with ones that are none.
    refusals.push(call(&server, "ann", "{}", &other_args, &with_state(&told)).await.unwrap());
    refusals.push(call(&server, "ann", "{}", &json!({"id": 5}), &with_state(&told)).await.unwrap());
    for refusal in &refusals {
        assert_eq!(refusal["error"]["code"], -32602, "{refusal}");
        assert_eq!(refusal, &refusals[0], "nothing tells them apart");
    }
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 0));
    assert_eq!(reply(&server, "ann", id).await.0, 202, "it waits still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_arguments_may_be_written_otherwise_and_an_edit_does_not_change_whose_they_are() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let told = held(&server, "ann", "{}", &shop.args("a")).await;
    decide(&server, "bob", id(&told), "edit", &json!({"arguments": shop.args("b")})).await;
    let end = call(&server, "ann", "{}", &shop.args("a"), &with_state(&told)).await.unwrap();
    assert_eq!(end["result"]["structuredContent"]["result"], json!(201), "{end}");
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_a_client_decides_where_the_operator_says_so() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let told = held(&server, "eve", FORMS, &shop.args("a")).await;
    let asked = &told["inputRequests"]["approve"];
    assert_eq!(asked["method"], "elicitation/create", "{told}");
    let form = &asked["params"];
    assert_eq!(form["requestedSchema"]["required"], json!(["approve"]), "{form}");
    for text in ["`shop_place` waits for you", "\"id\":\"a\"", "an order needs a person"] {
        assert!(form["message"].as_str().unwrap().contains(text), "{text}: {form}");
    }
    let yes = json!({"action": "accept", "content": {"approve": true}});
    let end = call(&server, "eve", FORMS, &shop.args("a"), &with_answer(&told, &yes)).await.unwrap();
    assert_eq!((&end["result"]["structuredContent"]["result"], shop.applied("a")), (&json!(201), 1), "{end}");

    for no in [json!({"action": "decline"}), json!({"action": "accept", "content": {"approve": false}})] {
        let told = held(&server, "eve", FORMS, &shop.args("b")).await;
        let end = call(&server, "eve", FORMS, &shop.args("b"), &with_answer(&told, &no)).await.unwrap();
        assert_eq!(end["result"]["_meta"]["dev.airlock/code"], "policy.denied", "{end}");
    }
    let told = held(&server, "eve", FORMS, &shop.args("b")).await;
    let closed = json!({"action": "cancel"});
    let end = call(&server, "eve", FORMS, &shop.args("b"), &with_answer(&told, &closed)).await.unwrap();
    let text = end["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(id(&told)) && text.contains("Send the same call again to ask"), "{end}");
    assert_eq!((&end["result"]["isError"], shop.applied("b")), (&json!(true), 0));
}

/// Sends an approval that nobody asked for, and the rejection of an approver once the call was seen to wait all the same. Returns
/// the result of the call.
async fn approves_unasked(
    server: &Server,
    who: &str,
    capabilities: &str,
    args: &Value,
    told: &Value,
) -> Value {
    let more = with_answer(told, &json!({"action": "accept", "content": {"approve": true}}));
    let (ended, ()) = tokio::join!(call(server, who, capabilities, args, &more), async {
        // More round trips than an approval takes.
        for _ in 0..200 {
            assert_eq!(reply(server, who, id(told)).await.0, 202, "it was decided");
        }
        decide(server, "bob", id(told), "reject", &json!({"reason": "no"})).await;
    });
    ended.unwrap()["result"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_asked_and_an_answer_that_was_not_asked_for_decides_nothing() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    for (who, capabilities) in
        [("ann", FORMS), ("bob", FORMS), ("eve", "{}"), ("eve", r#"{"elicitation": {"url": {}}}"#)]
    {
        let told = held(&server, who, capabilities, &shop.args(who)).await;
        assert!(told.get("inputRequests").is_none(), "{who}: {told}");
    }
    let told = held(&server, "ann", FORMS, &shop.args("a")).await;
    let end = approves_unasked(&server, "ann", FORMS, &shop.args("a"), &told).await;
    assert_eq!(end["_meta"]["dev.airlock/code"], "policy.denied", "{end}");
    assert_eq!(shop.applied("a"), 0);
    // A rule with a list of approvers does not have the user of a client on it.
    let shop = HeldShop::with(&format!("{RULE}approvers = [\"bob\"]\n")).await;
    let server = shop.server();
    let told = held(&server, "eve", FORMS, &shop.args("a")).await;
    assert!(told.get("inputRequests").is_none(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_counts_for_the_arguments_that_were_shown() {
    let shop = HeldShop::with(&format!("{RULE}approvals = 2\n")).await;
    let server = shop.server();
    let args = shop.args("a");
    let told = held(&server, "eve", FORMS, &args).await;
    let edit = json!({"arguments": shop.args("b")});
    assert_eq!(decide(&server, "bob", id(&told), "edit", &edit).await.1["standing"], "open");
    let yes = json!({"action": "accept", "content": {"approve": true}});
    let asked =
        call(&server, "eve", FORMS, &args, &with_answer(&told, &yes)).await.unwrap()["result"].clone();
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 0), "{asked}");
    let message = &asked["inputRequests"]["approve"]["params"]["message"];
    assert!(message.as_str().unwrap().contains("\"id\":\"b\""), "it is asked about anew: {asked}");
    let end = call(&server, "eve", FORMS, &args, &with_answer(&asked, &yes)).await.unwrap();
    assert_eq!(end["result"]["structuredContent"]["result"], 201, "{end}");
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_during_a_call_counts_for_the_arguments_that_were_shown() {
    let shop = HeldShop::with(&format!("{LOCAL_USER}{RULE}approvals = 2\n")).await;
    let mut wire = handshake(&shop, &json!({"elicitation": {}}));
    let params = json!({"name": "shop_place", "arguments": shop.args("a")});
    wire.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})).unwrap();
    let first = wire.receive().unwrap();
    let listed: Value = serde_json::from_slice(&shop.airlock(&["holds", "--json"]).stdout).unwrap();
    let id = listed["holds"][0]["id"].as_str().unwrap();
    let edited = shop.airlock(&["holds", "edit", id, &shop.args("b").to_string()]);
    assert_eq!(edited.status.code(), Some(0));
    let yes = json!({"action": "accept", "content": {"approve": true}});
    wire.send(&json!({"jsonrpc": "2.0", "id": first["id"], "result": yes})).unwrap();
    let asked = wire.receive().unwrap();
    let message = asked["params"]["message"].as_str().unwrap_or_else(|| panic!("{asked}"));
    assert!(message.contains("\"id\":\"b\""), "{asked}");
    assert_eq!((shop.applied("a"), shop.applied("b")), (0, 0));
    wire.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": yes})).unwrap();
    let end = wire.answer_to(7).unwrap()["result"].clone();
    assert_eq!((&end["structuredContent"]["result"], shop.applied("b")), (&json!(201), 1), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_question_that_was_not_asked_decides_nothing() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    // Not asked, since the arguments are too long to be read in a form; and not asked, since the client shows no forms, or says
    // so only once it was told.
    let long = "L".repeat(6_000);
    for (order, capabilities, later) in [(&*long, FORMS, FORMS), ("b", "{}", "{}"), ("c", "{}", FORMS)] {
        let args = shop.args(order);
        let told = held(&server, "eve", capabilities, &args).await;
        assert!(told.get("inputRequests").is_none(), "{told}");
        let result = approves_unasked(&server, "eve", later, &args, &told).await;
        assert_eq!((&result["isError"], shop.applied(order)), (&json!(true), 0), "{result}");
    }
}

/// A client of the handshake era over stdio, whose user is asked.
fn handshake(shop: &HeldShop, capabilities: &Value) -> Wire {
    let mut wire = Wire::start(&shop.registry, &[]).unwrap();
    let client = json!({"name": "wire", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client});
    wire.ask(0, "initialize", params).unwrap();
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
    wire
}

const LOCAL_USER: &str = "[callers.local]\ntools = [\"*\"]\napprove = \"client-user\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_handshake_is_asked_during_the_call() {
    let shop = HeldShop::with(&format!("{LOCAL_USER}{RULE}")).await;
    let mut wire = handshake(&shop, &json!({"elicitation": {}}));
    let mut ask = |order: &str, answer: Value| {
        let params = json!({"name": "shop_place", "arguments": shop.args(order)});
        wire.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})).unwrap();
        let asked = wire.receive().unwrap();
        assert_eq!(asked["method"], "elicitation/create", "{asked}");
        assert!(asked["params"]["message"].as_str().unwrap().contains("`shop_place` waits for you"));
        wire.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer})).unwrap();
        wire.answer_to(7).unwrap()["result"].clone()
    };
    let yes = ask("a", json!({"action": "accept", "content": {"approve": true}}));
    assert_eq!((&yes["isError"], &yes["structuredContent"]["result"]), (&json!(false), &json!(201)), "{yes}");
    let no = ask("b", json!({"action": "decline"}));
    assert_eq!(no["_meta"]["dev.airlock/code"], "policy.denied", "{no}");
    let closed = ask("c", json!({"action": "cancel"}));
    assert_eq!(closed["_meta"]["dev.airlock/code"], "policy.held", "{closed}");
    assert_eq!(["a", "b", "c"].map(|order| shop.applied(order)), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_cannot_be_asked_asks_by_the_same_call() {
    let shop = HeldShop::with(&format!("{LOCAL_USER}{RULE}")).await;
    let mut wire = handshake(&shop, &json!({}));
    let params = json!({"name": "shop_place", "arguments": shop.args("a")});
    let told = wire.ask(1, "tools/call", params.clone()).unwrap()["result"].clone();
    let id = told["_meta"]["dev.airlock/error"]["hold"]["id"].as_str().unwrap();
    let text = told["content"][0]["text"].as_str().unwrap();
    assert!(
        told["isError"] == true && text.contains(id) && text.contains("send the same call again"),
        "{told}"
    );
    assert_eq!(shop.airlock(&["holds", "approve", id]).status.code(), Some(0));
    let end = wire.ask(2, "tools/call", params).unwrap()["result"].clone();
    assert_eq!((&end["structuredContent"]["result"], shop.applied("a")), (&json!(201), 1), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_knows_a_call_that_was_approved_in_another_process() {
    let shop = HeldShop::with(&format!("{LOCAL_USER}[[holds]]\nfirst_use = true\n")).await;
    let mut wire = handshake(&shop, &json!({}));
    let params = json!({"name": "shop_place", "arguments": shop.args("a")});
    let mut ask = |id| wire.ask(id, "tools/call", params.clone()).unwrap()["result"].clone();
    let told = ask(1);
    let id = told["_meta"]["dev.airlock/error"]["hold"]["id"].as_str().unwrap();
    assert_eq!(shop.airlock(&["holds", "approve", id]).status.code(), Some(0));
    let shown = shop.airlock(&["holds", "show", id, "--json"]);
    let record: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(ask(2)["structuredContent"]["result"], 201);
    // The component is known by now, and no other rule is about it: the session alone knows that this order was placed.
    let again = ask(3);
    assert_eq!(
        (&again["_meta"]["dev.airlock/code"], shop.applied("a")),
        (&json!("policy.duplicate"), 1),
        "{again}"
    );
    let text = again["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(record["ended_by"].as_str().unwrap()), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_ends_when_another_approver_decides() {
    let shop = HeldShop::with(&format!("{LOCAL_USER}{RULE}")).await;
    let mut wire = handshake(&shop, &json!({"elicitation": {}}));
    let params = json!({"name": "shop_place", "arguments": shop.args("a")});
    wire.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})).unwrap();
    assert_eq!(wire.receive().unwrap()["method"], "elicitation/create");
    let listed = shop.airlock(&["holds", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let id = listed["holds"][0]["id"].as_str().unwrap();
    assert_eq!(shop.airlock(&["holds", "approve", id]).status.code(), Some(0));
    let end = wire.answer_to(7).unwrap()["result"].clone();
    assert_eq!((&end["structuredContent"]["result"], shop.applied("a")), (&json!(201), 1), "{end}");
}

/// This machine's clock, in which the waits between two looks at a hold are over at once.
struct Hasty {
    world: World,
    passed_ms: AtomicU64,
}

/// The longest wait between two looks at a hold.
const LOOK: Duration = Duration::from_millis(250);

impl Environment for Hasty {
    fn wall(&self) -> Duration {
        self.world.wall() + Duration::from_millis(self.passed_ms.load(Ordering::Acquire))
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic() + Duration::from_millis(self.passed_ms.load(Ordering::Acquire))
    }

    fn seed(&self) -> [u8; 32] {
        self.world.seed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration <= LOOK {
            self.passed_ms.fetch_add(u64::try_from(duration.as_millis()).unwrap() + 1, Ordering::AcqRel);
            return Box::pin(std::future::ready(()));
        }
        self.world.sleep(duration)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_last_round_the_model_is_told_how_to_ask_again() {
    let shop = HeldShop::new().await;
    let file = airlock::config::ConfigFile::read(&shop.registry).unwrap();
    let hasty = Arc::new(Hasty { world: World::new(), passed_ms: AtomicU64::new(0) });
    let host = Host::builder().registry(&file).environment(hasty.clone()).open().await.unwrap();
    let (client, server) = tokio::io::duplex(1 << 16);
    let (read, mut write) = split(client);
    let serving = tokio::spawn(async move {
        let served = mcp::Server::new(Arc::new(host)).serve(split(server)).await.unwrap();
        let _ = served.waiting().await;
    });
    let mut lines = BufReader::new(read).lines();
    let mut params = json!({"name": "shop_place", "arguments": shop.args("a"), "_meta": stateless_meta()});
    let mut rounds = 0;
    let last = loop {
        let message = json!({"jsonrpc": "2.0", "id": rounds, "method": "tools/call", "params": params});
        write.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        let told: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        if told["result"]["resultType"] != "input_required" {
            break told;
        }
        rounds += 1;
        params["requestState"] = told["result"]["requestState"].clone();
    };
    let waited_ms = hasty.passed_ms.load(Ordering::Acquire);
    assert_eq!(rounds, 8, "the official SDKs send a call ten times at most");
    assert!((8 * 19_000..=8 * 21_000).contains(&waited_ms), "{waited_ms}");
    let result = &last["result"];
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(result["isError"] == true && text.contains("Send the same call again to ask"), "{last}");
    assert!(text.contains(id(&json!({"requestState": params["requestState"]}))), "{last}");
    drop((write, lines));
    serving.await.unwrap();
}

/// A client of an SDK, whose user says yes to each form.
struct Agreeing;

impl ClientHandler for Agreeing {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("agreeing", "1"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"approve": true})))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_an_sdk_is_asked_over_http() {
    let shop = HeldShop::new().await;
    let server = shop.server();
    let uri = format!("{}/mcp", server.url);
    let config = StreamableHttpClientTransportConfig::with_uri(uri).auth_header(token_of("eve"));
    let client = Agreeing.serve(StreamableHttpClientTransport::from_config(config)).await.unwrap();
    let arguments = shop.args("a").as_object().unwrap().clone();
    let request = CallToolRequestParams::new("shop_place").with_arguments(arguments);
    let result = client.call_tool(request).await.unwrap();
    assert_eq!((result.is_error, shop.applied("a")), (Some(false), 1), "{result:?}");
    client.cancel().await.unwrap();
}
