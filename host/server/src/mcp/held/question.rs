//! The form in which the user of a client is asked about a held call.
//!
//! Owns its words and its one field. Must not know how it reaches the client.

use rmcp::model::{ElicitRequestParams, ElicitationSchema};
use serde_json::Value;

use airlock_types::hold::{Hold, HoldRule};
use airlock_types::shorten::visible_json;
use airlock_types::words::one_line;

/// The key of the question among the requests to a client.
pub(super) const KEY: &str = "approve";

/// The name of its field.
const FIELD: &str = "approve";

/// Longest arguments in bytes that are asked about. A longer text would not be read, and what is not read is not approved.
const ARGUMENTS_BYTES_MAX: usize = 4 << 10;

/// Most characters of what a rule says.
const RULE_CHARS_MAX: usize = 400;

/// The form about a hold. `None` where its user could not see all that they approve: some arguments are confidential, or very
/// long, or a result waits.
pub(super) fn form(hold: &Hold) -> Option<ElicitRequestParams> {
    // What waits of a result is not shown in a form.
    let arguments = hold.arguments.as_ref().filter(|_| !hold.is_result)?.to_string();
    let arguments = visible_json(&arguments);
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        return None;
    }
    let what = format!("`{}` waits for you: may it run?", hold.tool);
    let rules: Vec<String> = hold.rules.iter().map(rule).collect();
    let message = format!("{what}\nArguments: {arguments}\n{}", rules.join("\n"));
    let schema = ElicitationSchema::builder()
        .required_bool_property(FIELD, |field| {
            field.title("Approve").description("Yes: it may. No: it may not.")
        })
        .build()
        .ok()?;
    Some(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema: schema })
}

/// Why it waits: what the rule says, and the values that decided it. Both can repeat what an agent or a tool said.
fn rule(rule: &HoldRule) -> String {
    let said = one_line(rule.message.as_ref().unwrap_or(&rule.rule), RULE_CHARS_MAX);
    let values = one_line(&rule.values.join(", "), RULE_CHARS_MAX);
    if values.is_empty() { format!("Why: {said}") } else { format!("Why: {said} ({values})") }
}

/// Whether the content of an accepted form is a yes.
pub(super) fn is_yes(content: Option<&Value>) -> bool {
    content.is_some_and(|content| content[FIELD] == true)
}
