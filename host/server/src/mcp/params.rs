//! Explains parameters that do not fit their method.
//!
//! rmcp reads a request whose parameters do not fit as a request of an unknown method. Owns the methods that this server
//! has and the form of their parameters, so that the client is told what to change. To add a method: a line here.

use std::borrow::Cow;

use http::request::Parts;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CustomRequest, ErrorCode, Extensions, InitializeRequestParams, JsonObject,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, RequestMetaObject,
    SubscriptionsListenRequestParams,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use airlock_types::shorten::{clean, shorten};

/// Bytes of a cause that are shown. It can repeat a value of the client's.
const CAUSE_BYTES_MAX: usize = 200;

/// The error for a request that rmcp did not recognize. `meta` is what rmcp took out of its parameters.
pub(crate) fn refusal(request: &CustomRequest, meta: &RequestMetaObject) -> ErrorData {
    // The stateless revision, which each of its requests names, has no handshake (SEP-2575).
    if request.method == "initialize" && meta.protocol_version().is_some() {
        return no_such_method(&request.method);
    }
    // Discovery without parameters is refused for their absence alone: each of its requests names what it speaks.
    if request.method == "server/discover" && request.params.is_none() {
        let missing = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).join("`, `");
        return invalid(&request.method, &format!("`params` must have `_meta` with `{missing}`"));
    }
    fault(&request.method, request.params.as_ref())
}

/// The error for parameters that do not fit, or for an unknown method.
pub(crate) fn fault(method: &str, params: Option<&Value>) -> ErrorData {
    // Absent parameters are an empty object, so that the error names the first one that is missing.
    let params = params.filter(|params| !params.is_null()).cloned();
    let params = params.unwrap_or_else(|| JsonObject::new().into());
    let cause = match method {
        "initialize" => cause::<InitializeRequestParams>(params),
        "ping" | "server/discover" => cause::<JsonObject>(params),
        "resources/list" | "resources/templates/list" | "tools/list" => {
            cause::<PaginatedRequestParams>(params)
        }
        "resources/read" => cause::<ReadResourceRequestParams>(params),
        "subscriptions/listen" => cause::<SubscriptionsListenRequestParams>(params),
        "tools/call" => cause::<CallToolRequestParams>(params),
        _ => return no_such_method(method),
    };
    // rmcp's types take this content, so it is the form of the text that they refused.
    let cause = cause.unwrap_or_else(|| "a key must not occur twice".into());
    invalid(method, &shorten(&clean(&cause), CAUSE_BYTES_MAX))
}

fn invalid(method: &str, cause: &str) -> ErrorData {
    ErrorData::invalid_params(format!("the parameters of `{method}` are not valid: {cause}"), None)
}

/// The error for the parameters of a list that do not fit, which travels with its request to the handler. rmcp reads such
/// parameters as absent and would serve the first page, which a client that pages would take for the next one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListFault(pub(crate) ErrorData);

impl ListFault {
    /// Refuses a list whose parameters do not fit.
    pub(super) fn check(extensions: &Extensions) -> Result<(), ErrorData> {
        // Over HTTP the extensions hold those of the HTTP request.
        let of_request = || extensions.get::<Parts>()?.extensions.get::<ListFault>();
        let fault = extensions.get::<ListFault>().or_else(of_request);
        fault.map_or(Ok(()), |ListFault(error)| Err(error.clone()))
    }
}

/// The fault of a message that is a list with parameters that do not fit.
pub(crate) fn fault_of_list(message: &[u8]) -> Option<ListFault> {
    let List { method, params } = serde_json::from_slice(message).ok()?;
    let is_list = matches!(&*method, "resources/list" | "resources/templates/list" | "tools/list");
    // A tree only of a list's parameters: other messages can be large.
    let params: Value = serde_json::from_str(params.filter(|_| is_list)?.get()).ok()?;
    serde_json::from_value::<PaginatedRequestParams>(params.clone())
        .is_err()
        .then(|| ListFault(fault(&method, Some(&params))))
}

/// The part of a message that decides whether its list can be served.
#[derive(Deserialize)]
struct List<'m> {
    #[serde(borrow)]
    method: Cow<'m, str>,
    #[serde(borrow, default)]
    params: Option<&'m RawValue>,
}

/// The error for a method that this server does not have.
pub(super) fn no_such_method(method: &str) -> ErrorData {
    // The name is the client's text: it is shortened and cleaned, as it may be shown.
    let message = format!("there is no method `{}`", shorten(&clean(method), 80));
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}

/// The first part that does not fit, with its path.
fn cause<P: DeserializeOwned>(params: Value) -> Option<String> {
    if !params.is_object() {
        return Some("`params` must be an object".into());
    }
    // Typed by rmcp, but not everywhere by its types of parameters.
    if params.get("_meta").is_some_and(|meta| !meta.is_object() && !meta.is_null()) {
        return Some("`_meta` must be an object".into());
    }
    let err = serde_path_to_error::deserialize::<_, P>(params).err()?;
    let path = err.path().to_string();
    Some(if path == "." { err.inner().to_string() } else { format!("`{path}`: {}", err.inner()) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(method: &str, params: Value, expect: &str) {
        let error = fault(method, Some(&params));
        let expect = format!("the parameters of `{method}` are not valid: {expect}");
        assert_eq!((error.code, &*error.message), (ErrorCode::INVALID_PARAMS, &*expect));
    }

    #[test]
    fn the_part_that_does_not_fit_is_named() {
        check("tools/call", json!({}), "missing field `name`");
        check("tools/call", json!({"name": 5}), "`name`: invalid type: integer `5`, expected a string");
        check("resources/read", json!({}), "missing field `uri`");
        check("ping", json!([1]), "`params` must be an object");
        check("ping", json!({"_meta": 5}), "`_meta` must be an object");
        check("initialize", Value::Null, "missing field `protocolVersion`");
    }

    #[test]
    fn discovery_without_parameters_is_told_which_are_missing() {
        let request = CustomRequest::new("server/discover", None);
        let error = refusal(&request, &RequestMetaObject::default());
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        for key in ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"] {
            assert!(error.message.contains(key), "{}", error.message);
        }
    }

    #[test]
    fn parameters_of_a_list_that_rmcp_would_leave_out_are_found() {
        let list = |params: Value| {
            let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
            fault_of_list(message.to_string().as_bytes()).map(|ListFault(error)| error.code)
        };
        for params in [json!({"cursor": 5}), json!({"cursor": ["a"]}), json!({"cursor": {}})] {
            assert_eq!(list(params.clone()), Some(ErrorCode::INVALID_PARAMS), "{params}");
        }
        for params in [json!({"cursor": "a"}), json!({"cursor": null}), json!({}), Value::Null] {
            assert_eq!(list(params.clone()), None, "{params}");
        }
        assert_eq!(fault_of_list(br#"{"method":"ping","params":{"cursor":5}}"#), None);
    }

    #[test]
    fn a_method_that_is_not_served_has_no_parameters() {
        for method in ["prompts/get", "nobody/knows"] {
            assert_eq!(fault(method, None).code, ErrorCode::METHOD_NOT_FOUND, "{method}");
        }
    }

    #[test]
    fn the_client_s_own_text_is_shown_short_and_without_hidden_characters() {
        let error = fault("tools/list", Some(&json!({"cursor": {"\u{202e}": "x".repeat(1_000)}})));
        assert!(error.message.len() < 300 && !error.message.contains('\u{202e}'), "{}", error.message);
    }
}
