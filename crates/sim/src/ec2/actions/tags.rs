//! CreateTags and DeleteTags, for every kind of resource in the account.

use std::collections::BTreeMap;

use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::ids::Kind;
use crate::ec2::params::Params;
use crate::ec2::state::State;

pub(super) const PARAMETERS: &[&str] = &["ResourceId", "Tag"];

/// EC2's limits: tags of a resource, characters of a key and of a value, resources of a call.
const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
const MOST_RESOURCES: usize = 1000;

pub(in crate::ec2) fn create_tags(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let resources = resources(&call.params)?;
    let given = read_tags(&call.params)?;
    if given.is_empty() {
        return Err(ApiError::missing("Tag"));
    }
    let mut all = Vec::new();
    for id in &resources {
        let mut tags = tags_of(state, id)?;
        tags.extend(given.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())));
        check_tags(&tags)?;
        all.push((id, tags));
    }
    all.into_iter().for_each(|(id, tags)| set_tags(state, id, tags));
    Ok(Response::return_true())
}

/// A tag that is given with a value is deleted only if it has that value. If no tag is given, all tags are deleted.
pub(in crate::ec2) fn delete_tags(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let resources = resources(&call.params)?;
    let given = read_tags(&call.params)?;
    let mut all = Vec::new();
    for id in &resources {
        let mut tags = tags_of(state, id)?;
        tags.retain(|key, value| {
            let named = given.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|v| v == value));
            !(given.is_empty() || named)
        });
        all.push((id, tags));
    }
    all.into_iter().for_each(|(id, tags)| set_tags(state, id, tags));
    Ok(Response::return_true())
}

fn resources(params: &Params) -> Result<Vec<String>, ApiError> {
    let resources = params.list("ResourceId");
    match resources.len() {
        0 => Err(ApiError::missing("ResourceId")),
        count if count > MOST_RESOURCES => {
            Err(ApiError::value(format!("At most {MOST_RESOURCES} resources may be tagged at once")))
        }
        _ => Ok(resources),
    }
}

fn tags_of(state: &State, id: &str) -> Result<BTreeMap<String, String>, ApiError> {
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("eni") => {
            Kind::Eni.check(id)?;
            let eni = state.eni_known(id)?;
            ApiError::check_owner(eni.other_owner.as_deref())?;
            Ok(eni.tags)
        }
        Some("subnet") => Ok(state.subnets.get(id).ok_or_else(|| ApiError::no_subnet(id))?.subnet.tags.clone()),
        Some("sg") => Ok(state.groups.get(id).ok_or_else(|| ApiError::no_group(id))?.tags.clone()),
        Some("i") => Ok(state.instances.get(id).ok_or_else(|| ApiError::no_instance(id))?.tags.clone()),
        _ => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))),
    }
}

fn set_tags(state: &mut State, id: &str, tags: BTreeMap<String, String>) {
    if let Some(mut eni) = state.eni(id).cloned() {
        eni.tags = tags;
        state.put(eni);
    } else if let Some(entry) = state.subnets.get_mut(id) {
        entry.subnet.tags = tags;
    } else if let Some(group) = state.groups.get_mut(id) {
        group.tags = tags;
    } else if let Some(instance) = state.instances.get_mut(id) {
        instance.tags = tags;
    }
}

/// Parses `Tag.N.Key` and `Tag.N.Value`. A key may not be given twice.
pub(super) fn read_tags(params: &Params) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let mut tags: Vec<(String, Option<String>)> = Vec::new();
    for tag in params.structs("Tag") {
        let key = tag.required("Key")?;
        if tags.iter().any(|(earlier, _)| earlier == key) {
            return Err(ApiError::value(format!("Duplicate tag key '{key}' specified.")));
        }
        if key.starts_with("aws:") {
            let message = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(ApiError::value(message));
        }
        tags.push((key.to_owned(), tag.get("Value").map(str::to_owned)));
    }
    Ok(tags)
}

/// Checks a resource's tags against EC2's limits.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for (key, value) in tags {
        if key.chars().count() > LONGEST_KEY {
            return Err(ApiError::value(format!("Tag key exceeds the maximum length of {LONGEST_KEY} characters")));
        }
        if value.chars().count() > LONGEST_VALUE {
            return Err(ApiError::value(format!("Tag value exceeds the maximum length of {LONGEST_VALUE} characters")));
        }
    }
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > MOST_TAGS {
        let message = format!("The maximum number of Tags for a resource has been reached ({MOST_TAGS}).");
        return Err(ApiError::new("TagLimitExceeded", message));
    }
    Ok(())
}
