//! The API server's errors: `Status` objects with a code, a reason and details.

use serde_json::{Value, json};

use super::{cause::Cause, resource::Resource};

/// A refused request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct StatusError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason.
    pub reason: &'static str,
    /// The message for users.
    pub message: String,
    /// `details`, if there are any.
    pub details: Option<Value>,
}

impl StatusError {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let (Some(map), false) = (status.as_object_mut(), self.reason.is_empty()) {
            map.insert("reason".into(), json!(self.reason));
        }
        if let (Some(map), Some(details)) = (status.as_object_mut(), &self.details) {
            map.insert("details".into(), details.clone());
        }
        status
    }

    fn about(code: u16, reason: &'static str, res: &Resource, name: &str, message: String) -> Self {
        let details = json!({ "name": name, "group": res.group, "kind": res.plural });
        let details = if res.group.is_empty() { json!({ "name": name, "kind": res.plural }) } else { details };
        Self { code, reason, message, details: Some(details) }
    }

    /// 404 for an object.
    pub fn not_found(res: &Resource, name: &str) -> Self {
        Self::about(404, "NotFound", res, name, format!("{} {name:?} not found", res.qualified()))
    }

    /// 404 for a path that serves nothing. This answer is plain text instead of a `Status`.
    pub fn no_such_path() -> Self {
        Self::new(404, "", "404 page not found")
    }

    /// 409 for a name already in use.
    pub fn already_exists(res: &Resource, name: &str) -> Self {
        Self::about(409, "AlreadyExists", res, name, format!("{} {name:?} already exists", res.qualified()))
    }

    /// 409 for a concurrent change or a failed precondition.
    pub fn conflict(res: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", res.qualified());
        Self::about(409, "Conflict", res, name, message)
    }

    /// 409 whose message names the kind, as for the preconditions of a delete.
    pub fn conflict_of_kind(res: &Resource, name: &str, why: &str) -> Self {
        let mut error = Self::conflict(res, name, why);
        let qualified = if res.group.is_empty() { res.kind.clone() } else { format!("{}.{}", res.kind, res.group) };
        error.message = format!("Operation cannot be fulfilled on {qualified} {name:?}: {why}");
        if let Some(details) = error.details.as_mut().and_then(Value::as_object_mut) {
            details.insert("kind".into(), json!(res.kind));
        }
        error
    }

    /// 409 for a `resourceVersion` that is not the stored one.
    pub fn modified(res: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(res, name, why)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let mut error =
            Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        error.details = Some(json!({}));
        error
    }

    /// 405 of a custom resource. The message names the verb.
    pub fn not_supported(res: &Resource, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", res.qualified());
        let mut error = Self::about(405, "MethodNotAllowed", res, "", message);
        if let Some(details) = error.details.as_mut().and_then(Value::as_object_mut) {
            details.remove("name");
        }
        error
    }

    /// 410 for a version that is no longer in the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415.
    pub fn unsupported_media_type(supported: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {supported}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 with one cause per field.
    pub fn invalid(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let list = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> =
            causes.iter().map(|c| json!({ "reason": c.reason, "message": c.message, "field": c.field })).collect();
        let mut details = json!({ "causes": causes });
        if let Some(map) = details.as_object_mut() {
            let named = [("name", name), ("kind", kind), ("group", group)];
            named.iter().filter(|(_, v)| !v.is_empty()).for_each(|(k, v)| drop(map.insert((*k).into(), json!(v))));
        }
        Self {
            code: 422,
            reason: "Invalid",
            message: format!("{qualified} {name:?} is invalid: {list}"),
            details: Some(details),
        }
    }

    /// 422 for query parameters that are not allowed together. `kind` is `ListOptions` or `PatchOptions`.
    pub fn invalid_options(kind: &str, cause: Cause) -> Self {
        Self::invalid(kind, "meta.k8s.io", "", &[cause])
    }

    /// An injected failure, with the message that the server would send.
    pub fn injected(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden by fault injection"),
            409 => ("Conflict", "the object has been modified; please apply your changes to the latest version"),
            429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        };
        let mut error = Self::new(code, reason, message);
        if matches!(code, 429 | 503 | 504) {
            error.details = Some(json!({ "retryAfterSeconds": 1 }));
        }
        error
    }
}
