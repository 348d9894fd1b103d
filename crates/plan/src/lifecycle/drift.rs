//! What is changed in place: found by comparing what EC2 shows with what the NodeENI asks for.

use super::action::Action;
use super::change::Change;
use super::input::Input;
use super::tags::{is_ours, tags_with};
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

/// The same of this ENI.
pub(super) fn to_be_changed(input: &Input<'_>, seen: &ObservedEni) -> Vec<Change> {
    let (mut eni, mut found) = (seen.clone(), Vec::new());
    while let Some(at) = eni.attachment.clone()
        && let Some(change) = repair(input, &eni, &at)
    {
        // What a change does not change would be found for ever.
        if found.contains(&change) {
            break;
        }
        change.apply(&mut eni);
        found.push(change);
    }
    found
}

/// What differs from what its NodeENI asks for and can be changed in place: one at a time.
fn repair(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> Option<Change> {
    let spec = input.spec?;
    if at.delete_on_termination != spec.delete_on_termination {
        return Some(Change::DeleteOnTermination { attachment: at.id.clone(), value: spec.delete_on_termination });
    }
    // With no group at all the VPC's default applies, which only Create knows; a name that is not one group changes nothing.
    let named = !spec.groups.is_empty() || !spec.group_names.is_empty();
    if let Some(mut groups) = input.catalog.groups(&spec.groups, &spec.group_names, &eni.vpc).ok().filter(|_| named) {
        groups.sort();
        if eni.groups != groups {
            return Some(Change::Groups(groups));
        }
    }
    if !spec.description.is_empty() && eni.description != spec.description {
        return Some(Change::Description(spec.description.clone()));
    }
    if eni.source_dest_check != spec.source_dest_check {
        return Some(Change::SourceDestCheck(spec.source_dest_check));
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
    // What was set from spec.tags and is no longer there goes, as long as its value is the one that was set: what others set stays.
    let (frozen, later) = (&input.attachment.request.tags, &input.attachment.status.tags_set);
    let is_as_set = |key: &String| {
        eni.tags.get(key).is_some_and(|now| later.get(key).or(frozen.get(key)).is_some_and(|set| set == now))
    };
    let set = frozen.keys().chain(later.keys());
    let surplus: BTreeSet<String> = set.filter(|key| !wanted.contains_key(*key) && is_as_set(key)).cloned().collect();
    (!surplus.is_empty()).then_some(Change::Untag(surplus))
}

/// What was set from `spec.tags` after the ENI was made, once this is done; None: nothing more than before.
pub(super) fn tags_set(input: &Input<'_>, action: &Action) -> Option<BTreeMap<String, String>> {
    let Action::Modify { change: Change::Tags(set), .. } = action else { return None };
    let (spec, Observation::Seen(eni)) = (input.spec?, input.observation) else { return None };
    let mut tags = input.attachment.status.tags_set.clone();
    // What is neither on the ENI nor asked for any more is done with.
    tags.retain(|key, _| spec.tags.contains_key(key) || eni.tags.contains_key(key));
    let users = set.iter().filter(|(key, value)| spec.tags.get(*key) == Some(*value));
    tags.extend(
        users
            .filter(|(key, value)| input.attachment.request.tags.get(*key) != Some(*value))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    Some(tags)
}
