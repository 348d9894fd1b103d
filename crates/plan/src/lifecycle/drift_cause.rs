//! Why an ENI needs a change in place: an edit, drift, or its Attach. To tell them apart, this file is given what EC2 showed before of
//! the values that the NodeENI asks for. A new process compares with the request for the ENI until EC2 has shown the ENI once. This
//! file decides about no call.

use super::agreement::{Agreement, Digest, digest};
use super::attribute::Attribute;
use super::cause::Cause;
use super::drift::to_be_changed;
use super::in_place_change::Change;
use super::input::Input;
use super::tags::{is_ours, tags_with};
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{Observation, ObservedEni};
use multi_eni_api::names;

/// The agreement after this observation.
pub(super) fn agreement_after(input: &Input<'_>) -> Agreement {
    let mut agreement = input.agreement;
    let (Observation::Seen(eni), Some(spec)) = (input.observation, input.spec) else { return agreement };
    let is_compared = input.attachment.deleting.is_none() && is_ours(input, eni);
    let Some(at) = eni.attachment.as_ref().filter(|_| is_compared) else { return agreement };
    let differing: Vec<Attribute> = to_be_changed(input, eni).iter().map(Change::attribute).collect();
    for attribute in Attribute::ALL.into_iter().filter(|attribute| !differing.contains(attribute)) {
        if let Some(asked) = asked(input, spec, eni, attribute) {
            agreement.agree(attribute, asked, &at.id);
        }
    }
    agreement
}

/// Why an ENI needs this change.
pub(super) fn cause(input: &Input<'_>, eni: &ObservedEni, change: &Change) -> Cause {
    let (Some(spec), attribute) = (input.spec, change.attribute()) else { return Cause::Edit };
    match input.agreement.of(attribute, eni.attachment.as_ref().map(|at| at.id.as_str())) {
        Some(agreed) if asked(input, spec, eni, attribute) == Some(agreed) => Cause::Drift,
        Some(_) => Cause::Edit,
        None if is_after_attach(change) => Cause::Attach,
        None if was_created_so(input.attachment, spec, change) => Cause::Drift,
        None => Cause::Edit,
    }
}

/// The value that the NodeENI asks for. None: it is not known, or the ENI stays as it is.
fn asked(input: &Input<'_>, spec: &EniSpec, eni: &ObservedEni, attribute: Attribute) -> Option<Digest> {
    Some(match attribute {
        Attribute::DeleteOnTermination => digest(&spec.delete_on_termination),
        Attribute::Groups => digest(&input.catalog.groups_of(spec, &eni.vpc)?.for_eni(&eni.groups)?),
        Attribute::Description => digest(&spec.description),
        Attribute::SourceDestCheck => digest(&spec.source_dest_check),
        Attribute::ConnectionTracking => {
            let asked = spec.connection_tracking;
            digest(&(
                asked.tcp_established_timeout_seconds,
                asked.udp_stream_timeout_seconds,
                asked.udp_timeout_seconds,
            ))
        }
        Attribute::Tags => digest(&tags_with(input.cluster, input.attachment, &spec.tags)),
    })
}

/// Whether the change sets what is EC2's default after Create and Attach to another value.
fn is_after_attach(change: &Change) -> bool {
    match change {
        Change::DeleteOnTermination { value, .. } => *value,
        Change::SourceDestCheck(value) => !*value,
        Change::Groups(_)
        | Change::Description(_)
        | Change::ConnectionTracking(_)
        | Change::Tags(_)
        | Change::Untag(_) => false,
    }
}

/// Whether the ENI was created with the value that the change sets, or got these tags later. An adopted ENI was not created for its
/// ENIAttachment.
fn was_created_so(attachment: &Attachment, spec: &EniSpec, change: &Change) -> bool {
    let (request, later) = (&attachment.request, &attachment.status.tags_set);
    attachment.adopted.is_none()
        && match change {
            Change::Groups(groups) => {
                request.security_group_ids.len() == groups.len()
                    && groups.iter().all(|group| request.security_group_ids.iter().any(|id| id == group.as_str()))
            }
            Change::Description(text) => request.description == *text,
            Change::ConnectionTracking(_) => {
                request.connection_tracking.unwrap_or_default() == spec.connection_tracking
            }
            Change::Tags(tags) => tags
                .iter()
                .all(|(key, value)| is_tag_for_life(key) || later.get(key).or(request.tags.get(key)) == Some(value)),
            Change::Untag(_) | Change::DeleteOnTermination { .. } | Change::SourceDestCheck(_) => false,
        }
}

/// Whether the controller sets this tag at Create to a value that stays. An ENIAttachment can follow its instance to another Node name,
/// and the cluster can get another name, so the tags of these names and the default of Name are not among them.
fn is_tag_for_life(key: &str) -> bool {
    [names::TAG_CLUSTER, names::TAG_NODEENI, names::TAG_NODEENI_UID, names::TAG_ATTACHMENT_UID, names::TAG_NO_MANAGE]
        .contains(&key)
}
