//! What the agent of the demo calls, and how each call is to end.

use std::path::{Path, PathBuf};
use std::process::Command;

use airlock_tests::program;
use airlock_tests::services::Services;
use airlock_types::code::Code;
use serde_json::{Value, json};

/// The variable of the key of the figures service.
pub(super) const KEY_NAME: &str = "FIGURES_KEY";

/// The key that the service asks for.
pub(super) const KEY: &str = "key-of-the-demo-4f9d2c7b";

/// The reference of the recommendation that a rule holds.
const LARGE: &str = "REQ-2026-0043";

/// One call of a session, with its expected outcome.
pub(super) struct Scene<'s> {
    pub(super) title: &'static str,
    pub(super) tool: &'static str,
    pub(super) args: Value,
    pub(super) expect: Code,
    /// What happens before it.
    pub(super) before: Box<dyn Fn() + 's>,
    /// What a service saw of it, or what is wrong with that.
    pub(super) beside: Box<Beside<'s>>,
}

type Beside<'s> = dyn Fn() -> Result<Option<String>, String> + 's;

fn scene<'s>(title: &'static str, tool: &'static str, args: Value, expect: Code) -> Scene<'s> {
    Scene { title, tool, args, expect, before: Box::new(|| ()), beside: Box::new(|| Ok(None)) }
}

/// The scenes of tools that reach nothing beyond this machine.
pub(super) fn own() -> Vec<Scene<'static>> {
    vec![
        scene("A good call", "sector_metrics", json!({"period": "2009-10", "limit": 3}), Code::Ok),
        scene(
            "A call with two mistakes, and the error that mends it",
            "unit_convert",
            json!({"value": "26.2", "form": "mile", "to": "km"}),
            Code::ArgsType,
        ),
        scene(
            "The same call, mended as it said",
            "unit_convert",
            json!({"value": 26.2, "from": "mile", "to": "km"}),
            Code::Ok,
        ),
        scene(
            "A request with several readings",
            "sector_metrics",
            json!({"period": "recent"}),
            Code::Clarify,
        ),
        scene("A tool that loops is stopped", "looping", json!({}), Code::LimitFuel),
        scene("A tool that eats memory is stopped", "hungry", json!({}), Code::LimitMemory),
        scene(
            "A tool that lies is caught; its fallback answers, and says so",
            "lying_metrics",
            json!({"period": "2009-10", "limit": 2}),
            Code::Degraded,
        ),
        scene(
            "A refusal",
            "pay_band",
            json!({"family": "executive", "level": "lead", "country": "DE"}),
            Code::Refused,
        ),
        scene(
            "A capability that was not granted",
            "sector_metrics_ungranted",
            json!({"period": "2009-10"}),
            Code::PolicyDenied,
        ),
    ]
}

/// The scenes of tools that reach services. They are played in this order: a later one rests on an earlier one.
pub(super) fn reaching<'s>(services: &'s Services, registry: &'s Path) -> Vec<Scene<'s>> {
    let figure = json!({"series": "construction", "month": "2026-09"});
    let recommendation = json!({
        "reference": "REQ-2026-0042", "role": "senior data analyst, DE", "amount": 72_000, "currency": "EUR",
        "reason": "middle of the band of pay_band"
    });
    let mut scenes = vec![
        Scene {
            beside: Box::new(|| match services.keys().as_slice() {
                [key] if *key == format!("Bearer {KEY}") => {
                    Ok(Some(format!("the service saw `authorization: {key}`; the tool has no such header")))
                }
                other => Err(format!("the service saw {other:?}")),
            }),
            ..scene(
                "A figure from a web API, with a key that the tool never sees",
                "market_figures",
                figure.clone(),
                Code::Ok,
            )
        },
        Scene {
            before: Box::new(|| services.set_down(true)),
            ..scene(
                "The API is down: what it answered before says how old it is",
                "market_figures",
                figure,
                Code::Degraded,
            )
        },
        Scene {
            before: Box::new(|| services.set_down(false)),
            beside: Box::new(|| match services.connections_elsewhere() {
                0 => Ok(Some("no connection reached that host".into())),
                n => Err(format!("{n} connections reached that host")),
            }),
            ..scene(
                "A tool that was granted one host asks another one",
                "elsewhere",
                json!({"series": "construction"}),
                Code::ToolError,
            )
        },
    ];
    scenes.extend(held(services, registry));
    scenes.push(Scene {
        before: Box::new(|| services.set_silent(true)),
        beside: Box::new(|| match services.handed_in("REQ-2026-0042") {
            1 => Ok(Some("the service has it once".into())),
            times => Err(format!("the service has it {times} times")),
        }),
        ..scene(
            "A write whose answer is lost is not repeated; what came of it is asked",
            "submit_recommendation",
            recommendation,
            Code::OutcomeUnknown,
        )
    });
    scenes
}

/// A write that waits for a person, and is approved.
fn held<'s>(services: &'s Services, registry: &'s Path) -> [Scene<'s>; 2] {
    let large = json!({
        "reference": LARGE, "role": "senior data analyst, DE", "amount": 240_000, "currency": "EUR",
        "reason": "what the candidate asked for"
    });
    [
        Scene {
            beside: Box::new(|| handed_in(services, 0, "the service has nothing")),
            ..scene(
                "A write that a rule holds waits for a person",
                "submit_recommendation",
                large.clone(),
                Code::PolicyHeld,
            )
        },
        Scene {
            before: Box::new(|| approve(registry)),
            beside: Box::new(|| {
                handed_in(services, 1, "a person ran `airlock holds approve`; the service has it once")
            }),
            ..scene(
                "The person approved it; the same call gets the answer and is not made twice",
                "submit_recommendation",
                large,
                Code::Ok,
            )
        },
    ]
}

/// What the service has of the large recommendation.
fn handed_in(services: &Services, expect: u32, says: &str) -> Result<Option<String>, String> {
    match services.handed_in(LARGE) {
        times if times == expect => Ok(Some(says.to_owned())),
        times => Err(format!("the service has it {times} times")),
    }
}

/// Approves the call that waits, as a person would in another terminal. What goes wrong here shows as a wrong outcome.
fn approve(registry: &Path) {
    let holds = |args: &[&str]| {
        let mut command = Command::new(program());
        command.arg("--registry").arg(registry).arg("holds").args(args).env(KEY_NAME, KEY).output()
    };
    let listed =
        holds(&["--json"]).ok().and_then(|listed| serde_json::from_slice::<Value>(&listed.stdout).ok());
    let id = listed.as_ref().and_then(|listed| listed["holds"][0]["id"].as_str());
    // The outcome of the scene says whether it was approved.
    let _ = id.map(|id| holds(&["approve", id]));
}

/// Writes the registry of the scenes that reach services: that of the example tools, with less patience, a rule that holds large
/// recommendations, and a tool that is told to ask another host than the one that it was granted.
///
/// # Errors
/// When a tool is not built, or the folder cannot be written to.
pub(super) fn registry(services: &Services, folder: &Path) -> anyhow::Result<PathBuf> {
    let registry = services.registry(folder)?;
    let text = std::fs::read_to_string(&registry)?;
    let submit = "[tools.submit]\nlimits.deadline_ms = 700\n\
                  hold = [{ when = \"args.amount > 100000\", message = \"more than 100,000 a year is approved\" }]\n";
    let text = text.replace("[tools.submit]\n", submit);
    let (port, elsewhere) = (services.port(), services.other_address()?);
    let more = format!(
        "\n[tools.elsewhere]\ncomponent = \"build/market-figures.wasm\"\nretry.attempts = 1\n\
         functions = {{ \"market-figures\" = \"elsewhere\" }}\n\
         grants.config = {{ base-url = \"http://{elsewhere}\" }}\n\
         grants.http = [{{ host = \"localhost\", scheme = \"http\", port = {port}, path = \"/v1/figures\", \
         addresses = [\"127.0.0.1\", \"::1\"] }}]\n"
    );
    std::fs::write(&registry, text + &more)?;
    Ok(registry)
}
