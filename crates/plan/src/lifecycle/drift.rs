//! Drift: the changes in place that an ENI needs, from a comparison of its observation with the NodeENI's spec. This file
//! does not decide when a change is sent; `drift_repair` does.

use super::action::Action;
use super::in_place_change::Change;
use super::input::Input;
use super::tags::{is_ours, tags_with};
use crate::connection_tracking;
use crate::observed::{Observation, ObservedAttachment, ObservedEni};
use std::collections::{BTreeMap, BTreeSet};

/// All changes in place that an attached ENI needs, in the order in which they are made.
pub fn changes(input: &Input<'_>) -> Vec<Change> {
    let Observation::Seen(seen) = input.observation else { return Vec::new() };
    if input.attachment.deleting.is_some() || !is_ours(input, seen) {
        return Vec::new();
    }
    to_be_changed(input, seen)
}

/// All changes in place that this ENI needs.
pub(super) fn to_be_changed(input: &Input<'_>, seen: &ObservedEni) -> Vec<Change> {
    let (mut eni, mut found) = (seen.clone(), Vec::new());
    while let Some(at) = eni.attachment.clone()
        && let Some(change) = repair(input, &eni, &at)
    {
        // A change that does not remove its difference would be found again without end.
        if found.contains(&change) {
            break;
        }
        change.apply(&mut eni);
        found.push(change);
    }
    found
}

/// The first difference from the NodeENI's spec that can be changed in place.
fn repair(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> Option<Change> {
    let spec = input.spec?;
    if at.delete_on_termination != spec.delete_on_termination {
        return Some(Change::DeleteOnTermination { attachment: at.id.clone(), value: spec.delete_on_termination });
    }
    let groups = input.catalog.groups_of(spec, &eni.vpc).and_then(|selected| selected.for_eni(&eni.groups));
    if let Some(groups) = groups.filter(|groups| eni.groups != *groups) {
        return Some(Change::Groups(groups));
    }
    if !spec.description.is_empty() && eni.description != spec.description {
        return Some(Change::Description(spec.description.clone()));
    }
    if eni.source_dest_check != spec.source_dest_check {
        return Some(Change::SourceDestCheck(spec.source_dest_check));
    }
    if let Some(timeouts) = connection_tracking::to_set(spec.connection_tracking, eni.connection_tracking) {
        return Some(Change::ConnectionTracking(timeouts));
    }
    let wanted = tags_with(input.cluster, input.attachment, &spec.tags);
    let missing: BTreeMap<_, _> = wanted
        .iter()
        .filter(|(key, value)| eni.tags.get(key) != Some(value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if !missing.is_empty() {
        return Some(Change::Tags(missing));
    }
    // A tag that was set from spec.tags and is no longer in it is removed, if its value is still the one that was set.
    // Tags that others set stay.
    let (frozen, later) = (&input.attachment.request.tags, &input.attachment.status.tags_set);
    let is_as_set = |key: &String| {
        eni.tags.get(key).is_some_and(|now| later.get(key).or(frozen.get(key)).is_some_and(|set| set == now))
    };
    let set = frozen.keys().chain(later.keys());
    let surplus: BTreeSet<String> = set.filter(|key| !wanted.contains_key(*key) && is_as_set(key)).cloned().collect();
    (!surplus.is_empty()).then_some(Change::Untag(surplus))
}

/// The tags that were set from `spec.tags` after the ENI was made, once this action is done. None: the list does not
/// change.
pub(super) fn tags_set(input: &Input<'_>, action: &Action) -> Option<BTreeMap<String, String>> {
    let Action::Modify { change: Change::Tags(set), .. } = action else { return None };
    let (spec, Observation::Seen(eni)) = (input.spec?, input.observation) else { return None };
    let mut tags = input.attachment.status.tags_set.clone();
    // A tag that is neither on the ENI nor in the spec is dropped from the list.
    tags.retain(|key, _| spec.tags.contains_key(key) || eni.tags.contains_key(key));
    let users = set.iter().filter(|(key, value)| spec.tags.get(*key) == Some(*value));
    tags.extend(
        users
            .filter(|(key, value)| input.attachment.request.tags.get(*key) != Some(*value))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    Some(tags)
}
