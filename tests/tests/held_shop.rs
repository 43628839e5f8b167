//! A shop whose orders wait for a person, for tests of holds: `ann` and `dan` order, `bob` and `carol` approve, the client of
//! `eve` may ask its own user, and `fay` orders and approves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use airlock::caller::token;
use airlock_tests::orders::Orders;
use airlock_tests::program;
use airlock_tests::server::Server;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::shop::Shop;

/// The callers, with what `approve` says of each.
const CALLERS: [(&str, &str); 6] = [
    ("ann", "false"),
    ("bob", "true"),
    ("carol", "true"),
    ("dan", "false"),
    ("eve", "\"client-user\""),
    ("fay", "true"),
];

/// The rule that holds each order.
pub(crate) const RULE: &str = "[[holds]]\ntools = [\"shop_*\"]\nmessage = \"an order needs a person\"\n";

/// The shop, its registry, and what its service applied.
pub(crate) struct HeldShop {
    pub(crate) shop: Shop,
    pub(crate) registry: PathBuf,
}

impl HeldShop {
    /// A shop with this rule for its orders, and more settings.
    pub(crate) async fn with(rule: &str) -> HeldShop {
        HeldShop::checked(rule, "").await
    }

    /// A shop with a rule, and with checks of its contract.
    pub(crate) async fn checked(rule: &str, checks: &str) -> HeldShop {
        let shop = Shop::with_journal(Orders::start(&[]).await.unwrap());
        let caller = |(i, (name, approve)): (usize, &(&str, &str))| {
            let (_, digest) = token::new([u8::try_from(i).unwrap(); 32]);
            format!("[callers.{name}]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\napprove = {approve}\n")
        };
        let callers: String = CALLERS.iter().enumerate().map(caller).collect();
        let contract = format!("[tool.place]\neffects = \"write\"\n{checks}");
        let registry = shop.registry(&contract, &format!("{callers}{rule}"));
        HeldShop { shop, registry }
    }

    pub(crate) async fn new() -> HeldShop {
        HeldShop::with(RULE).await
    }

    pub(crate) fn server(&self) -> Server {
        Server::start(&self.registry, &[]).unwrap()
    }

    pub(crate) fn args(&self, id: &str) -> Value {
        json!({"service": self.shop.orders.url(), "id": id, "manner": "return"})
    }

    /// How often the service applied an order.
    pub(crate) fn applied(&self, id: &str) -> u32 {
        self.shop.orders.applied(id)
    }

    /// Runs `airlock` on the registry.
    pub(crate) fn airlock(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--registry").arg::<&Path>(&self.registry).args(args);
        command
    }
}

/// The token of a caller.
pub(crate) fn token_of(name: &str) -> String {
    let at = CALLERS.iter().position(|(known, _)| *known == name).unwrap();
    token::new([u8::try_from(at).unwrap(); 32]).0
}

/// A request of a caller with a body of JSON.
pub(crate) fn post(server: &Server, who: &str, path: &str, body: &Value) -> RequestBuilder {
    let request = server.request(Method::POST, path).bearer_auth(token_of(who));
    request.header("content-type", "application/json").body(body.to_string())
}

/// Sends a GET request of a caller.
pub(crate) async fn get(server: &Server, who: &str, path: &str) -> Response {
    server.request(Method::GET, path).bearer_auth(token_of(who)).send().await.unwrap()
}

/// The status of a response and its body.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {status} {text}")))
}

/// Makes a call that is held, over the API. Returns the hold's id.
pub(crate) async fn hold(shop: &HeldShop, server: &Server, who: &str, order: &str) -> String {
    let call = post(server, who, "/v1/tools/shop_place/calls", &shop.args(order));
    let (status, body) = read(call.send().await.unwrap()).await;
    assert_eq!((status, &body["reply"]["code"]), (202, &json!("policy.held")), "{body}");
    body["reply"]["hold"]["id"].as_str().unwrap().to_owned()
}

/// Decides a hold. Returns the status, and the hold or the problem.
pub(crate) async fn decide(server: &Server, who: &str, id: &str, word: &str, body: &Value) -> (u16, Value) {
    read(post(server, who, &format!("/v1/holds/{id}/{word}"), body).send().await.unwrap()).await
}

/// Asks for the reply of a held call.
pub(crate) async fn reply(server: &Server, who: &str, id: &str) -> (u16, Value) {
    read(get(server, who, &format!("/v1/holds/{id}/reply")).await).await
}
