//! Reads: get and list, with selectors, versions and paging.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    form::{Form, Item, served},
    request::RequestInfo,
    resource::{Conversion, Resource},
    selectors::Selector,
    state::State,
    status::{Cause, StatusError},
    storage::{Key, TooOld},
    table,
};

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects.
    pub items: Vec<Arc<Value>>,
    /// The version they were read at.
    pub version: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// How many are left, where that is known.
    pub remaining: Option<usize>,
}

/// One object.
pub fn get(state: &State, res: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, StatusError> {
    let key: Key = (namespace.to_owned(), name.to_owned());
    let found = state.storage.get(&res.storage, &key);
    found.map(|s| s.object.clone()).ok_or_else(|| StatusError::not_found(res, name))
}

/// The selectors of a request; a name in the path selects too.
pub fn selector(info: &RequestInfo, res: &Resource) -> Result<Selector, StatusError> {
    Selector::parse(info.param("labelSelector"), info.param("fieldSelector"), res)
}

/// A list or one page of it.
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

/// Which version a list without a continue token reads.
fn version_to_read(info: &RequestInfo, current: u64) -> Result<u64, StatusError> {
    let wanted = info.number("resourceVersion")?;
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
    match wanted {
        Some(wanted) if wanted > current => Err(too_large(wanted, current)),
        Some(0) if rule == "Exact" => Err(StatusError::invalid_options(
            "ListOptions",
            Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
        )),
        // A limit with a version and no rule means exactly that version.
        Some(wanted) if rule == "Exact" || (rule.is_empty() && wanted > 0 && info.number("limit")?.is_some()) => {
            Ok(wanted)
        }
        Some(_) | None => Ok(current),
    }
}

fn too_large(wanted: u64, current: u64) -> StatusError {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let mut error = StatusError::new(504, "Timeout", message);
    error.details = Some(json!({
        "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
        "retryAfterSeconds": 1,
    }));
    error
}

/// The list as a client gets it.
pub fn render(res: &Resource, page: &Page, form: Form, now: jiff::Timestamp) -> Vec<u8> {
    let mut meta = json!({ "resourceVersion": page.version.to_string() });
    if let Some(map) = meta.as_object_mut() {
        match &page.next {
            Some(next) => drop(map.insert("continue".into(), json!(next))),
            // Lists of custom resources always have it.
            None if res.custom && form == Form::Full => drop(map.insert("continue".into(), json!(""))),
            None => {}
        }
        if let Some(remaining) = page.remaining {
            map.insert("remainingItemCount".into(), json!(remaining));
        }
    }
    let objects = page.items.iter().map(AsRef::as_ref);
    let list = match form {
        Form::Full if res.conversion == Conversion::Same => {
            let items: Vec<Item<'_>> = objects.filter_map(Value::as_object).map(|map| Item(map, res.custom)).collect();
            let head = json!({ "kind": res.list_kind, "apiVersion": res.api_version(), "metadata": meta });
            return with_items(&head, &items);
        }
        Form::Full => {
            let objects: Vec<_> = objects.map(|object| served(res, object)).collect();
            let maps = objects.iter().filter_map(|object| object.as_object());
            let items: Vec<Item<'_>> = maps.map(|map| Item(map, res.custom)).collect();
            let head = json!({ "kind": res.list_kind, "apiVersion": res.api_version(), "metadata": meta });
            return with_items(&head, &items);
        }
        Form::Partial => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "items": objects.map(super::form::partial).collect::<Vec<_>>(),
        }),
        Form::Table(include) => {
            let mut table = table::table(res, objects, include, true, now);
            if let Some(map) = table.as_object_mut() {
                map.insert("metadata".into(), meta);
            }
            table
        }
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

fn with_items(head: &Value, items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(head).unwrap_or_default();
    bytes.pop();
    bytes.extend_from_slice(b",\"items\":");
    bytes.extend(serde_json::to_vec(items).unwrap_or_default());
    bytes.push(b'}');
    bytes
}

/// An opaque token: version and last key, in hex.
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

/// Objects that a driver asks for.
pub fn all(state: &State, res: &Resource) -> Vec<Value> {
    state.storage.objects(&res.storage).map(|(_, s)| Value::clone(&s.object)).collect()
}
