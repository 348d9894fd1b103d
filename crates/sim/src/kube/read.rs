//! Reads: get and list, with selectors, versions and pagination.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    cause::Cause,
    request::RequestInfo,
    resource::Resource,
    selectors::Selector,
    state::State,
    status::StatusError,
    storage::{Key, TooOld},
};

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects.
    pub items: Vec<Arc<Value>>,
    /// The version at which the objects were read.
    pub version: u64,
    /// The continue token of the next page.
    pub next: Option<String>,
    /// How many objects are left. Unknown with a selector.
    pub remaining: Option<usize>,
}

/// One object.
pub fn get(state: &State, res: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, StatusError> {
    let key: Key = (namespace.to_owned(), name.to_owned());
    let found = state.storage.get(&res.storage, &key);
    found.map(|s| s.object.clone()).ok_or_else(|| StatusError::not_found(res, name))
}

/// The label and field selectors of a request.
pub fn selector(info: &RequestInfo, res: &Resource) -> Result<Selector, StatusError> {
    Selector::parse(info.param("labelSelector"), info.param("fieldSelector"), res)
}

/// A list, or one page of it.
pub fn list(state: &State, res: &Resource, info: &RequestInfo) -> Result<Page, StatusError> {
    let selector = selector(info, res)?;
    let limit = usize::try_from(info.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let current = state.storage.version();
    let (version, after) = match info.param("continue") {
        "" => (version_to_read(info, current)?, None),
        token => {
            let (version, key) = parse_token(token)?;
            (version, Some(key))
        }
    };
    let selected = |key: &Key, object: &Value| {
        (info.namespace.is_empty() || info.namespace == key.0)
            && after.as_ref().is_none_or(|after| key > after)
            && selector.matches(object)
    };
    let mut items: Vec<(Key, Arc<Value>)> = if version == current {
        let all = state.storage.objects(&res.storage);
        let chosen = all.filter(|(key, stored)| selected(key, &stored.object));
        chosen.map(|(key, stored)| (key.clone(), stored.object.clone())).collect()
    } else {
        let all = state.storage.objects_at(&res.storage, version).map_err(|TooOld { oldest }| {
            if after.is_some() {
                StatusError::expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a \
                     new list without the continue parameter.",
                )
            } else {
                StatusError::expired(format!("too old resource version: {version} ({oldest})"))
            }
        })?;
        all.into_iter().filter(|(key, object)| selected(key, object)).collect()
    };
    let (mut next, mut remaining) = (None, None);
    if limit > 0 && items.len() > limit {
        remaining = selector.is_empty().then(|| items.len() - limit);
        items.truncate(limit);
        next = items.last().map(|(key, _)| token(version, key));
    }
    Ok(Page { items: items.into_iter().map(|(_, object)| object).collect(), version, next, remaining })
}

/// The version at which a list without a continue token reads.
fn version_to_read(info: &RequestInfo, current: u64) -> Result<u64, StatusError> {
    let requested = info.number("resourceVersion")?;
    let rule = info.param("resourceVersionMatch");
    if !rule.is_empty() && info.param("resourceVersion").is_empty() && !info.flag("sendInitialEvents") {
        return Err(StatusError::invalid_options(
            "ListOptions",
            Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
        ));
    }
    match requested {
        Some(requested) if requested > current => Err(too_large(requested, current)),
        Some(0) if rule == "Exact" => Err(StatusError::invalid_options(
            "ListOptions",
            Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
        )),
        // With a limit and without a rule, a version means exactly that version.
        Some(requested) if rule == "Exact" || (rule.is_empty() && requested > 0 && info.number("limit")?.is_some()) => {
            Ok(requested)
        }
        Some(_) | None => Ok(current),
    }
}

fn too_large(requested: u64, current: u64) -> StatusError {
    let message = format!("Timeout: Too large resource version: {requested}, current: {current}");
    let mut error = StatusError::new(504, "Timeout", message);
    error.details = Some(json!({
        "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
        "retryAfterSeconds": 1,
    }));
    error
}

/// The opaque continue token: version and last key, in hexadecimal.
fn token(version: u64, (namespace, name): &Key) -> String {
    format!("{version}/{namespace}/{name}").bytes().map(|b| format!("{b:02x}")).collect()
}

fn parse_token(token: &str) -> Result<(u64, Key), StatusError> {
    let bad = || StatusError::bad_request("continue key is not valid: the token is malformed");
    let mut bytes = Vec::new();
    for pair in token.as_bytes().chunks(2) {
        let hex = std::str::from_utf8(pair).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| bad())?);
    }
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let mut parts = text.splitn(3, '/');
    let (Some(version), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(bad());
    };
    Ok((version.parse().map_err(|_| bad())?, (namespace.to_owned(), name.to_owned())))
}

/// All objects of a resource.
pub fn all(state: &State, res: &Resource) -> Vec<Value> {
    state.storage.objects(&res.storage).map(|(_, s)| Value::clone(&s.object)).collect()
}
