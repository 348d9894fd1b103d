//! Why an ENI needs a change in place: an edit, drift, or its Attach. To tell them apart, an [`Agreement`] remembers for each attribute
//! the last value that the NodeENI asked for and that EC2 showed. It is not stored: a new process compares with the request for the
//! ENI until EC2 has shown the ENI once. This file decides about no call.

use super::attribute::Attribute;
use super::drift::to_be_changed;
use super::in_place_change::Change;
use super::input::Input;
use super::tags::is_ours;
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{Observation, ObservedEni};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;

/// Why an ENI needs a change in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The NodeENI asks for another value than before: its spec was edited, its names or tags select other groups, or the ENI was
    /// adopted.
    Edit,
    /// EC2 showed the value that the NodeENI asks for, and shows another one now.
    Drift,
    /// Neither Create nor Attach sets the attribute.
    Attach,
}

impl Cause {
    /// Its name in a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Drift => "drift",
            Self::Attach => "attach",
        }
    }

    /// The causes that a change of this attribute can have.
    pub fn of(attribute: Attribute) -> &'static [Self] {
        match attribute.is_set_by_create_or_attach() {
            true => &[Self::Edit, Self::Drift],
            false => &[Self::Edit, Self::Drift, Self::Attach],
        }
    }
}

/// A short digest of a value. There may be tens of thousands of ENIs, so the values themselves are not kept.
type Digest = NonZeroU32;

/// For each attribute, the last value that the NodeENI asked for and that EC2 showed on the ENI. None: no such value is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The ID of EC2's attachment is part of the value.
    attachment: Option<Digest>,
    delete_on_termination: Option<Digest>,
    groups: Option<Digest>,
    description: Option<Digest>,
    source_dest_check: Option<Digest>,
    connection_tracking: Option<Digest>,
    tags: Option<Digest>,
}

impl Agreement {
    /// The agreement after this observation.
    pub(super) fn after(self, input: &Input<'_>) -> Self {
        let (Observation::Seen(eni), Some(spec)) = (input.observation, input.spec) else { return self };
        let Some(at) = eni.attachment.as_ref().filter(|_| input.attachment.deleting.is_none() && is_ours(input, eni))
        else {
            return self;
        };
        let differing: Vec<Attribute> = to_be_changed(input, eni).iter().map(Change::attribute).collect();
        let mut agreement = self;
        for attribute in Attribute::ALL.into_iter().filter(|attribute| !differing.contains(attribute)) {
            if let Some(asked) = asked(input, spec, eni, attribute) {
                *agreement.of_mut(attribute) = Some(asked);
            }
        }
        if !differing.contains(&Attribute::DeleteOnTermination) {
            agreement.attachment = Some(digest(&at.id));
        }
        agreement
    }

    fn of_mut(&mut self, attribute: Attribute) -> &mut Option<Digest> {
        match attribute {
            Attribute::DeleteOnTermination => &mut self.delete_on_termination,
            Attribute::Groups => &mut self.groups,
            Attribute::Description => &mut self.description,
            Attribute::SourceDestCheck => &mut self.source_dest_check,
            Attribute::ConnectionTracking => &mut self.connection_tracking,
            Attribute::Tags => &mut self.tags,
        }
    }

    /// The value of this attribute. A new attachment has EC2's default.
    fn of(mut self, attribute: Attribute, eni: &ObservedEni) -> Option<Digest> {
        let attachment = eni.attachment.as_ref().map(|at| digest(&at.id));
        let is_former = attribute == Attribute::DeleteOnTermination && self.attachment != attachment;
        self.of_mut(attribute).filter(|_| !is_former)
    }

    /// Why an ENI needs this change.
    pub(super) fn cause(self, input: &Input<'_>, eni: &ObservedEni, change: &Change) -> Cause {
        let (Some(spec), attribute) = (input.spec, change.attribute()) else { return Cause::Edit };
        match self.of(attribute, eni) {
            Some(agreed) if asked(input, spec, eni, attribute) == Some(agreed) => Cause::Drift,
            Some(_) => Cause::Edit,
            None if is_after_attach(change) => Cause::Attach,
            None if was_created_so(input.attachment, spec, change) => Cause::Drift,
            None => Cause::Edit,
        }
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
        Attribute::Tags => digest(&spec.tags),
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
            Change::Tags(_) => {
                spec.tags.iter().all(|(key, value)| later.get(key).or(request.tags.get(key)) == Some(value))
            }
            Change::Untag(_) | Change::DeleteOnTermination { .. } | Change::SourceDestCheck(_) => false,
        }
}

fn digest(value: &impl Hash) -> Digest {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    Digest::new(u32::from_le_bytes([a, b, c, d])).unwrap_or(Digest::MIN)
}
