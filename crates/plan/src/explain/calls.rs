//! The EC2 calls that change something and that a line of the plan counts: until an ENI is as its NodeENI asks, and until EC2 has
//! no ENI of an ENIAttachment.

use super::ExplainedAttachment;
use crate::ec2_errors::Call;
use crate::nodeeni::EniSpec;
use crate::observed::{AttachmentState, Observation};
use std::collections::BTreeMap;

/// The number of calls, by EC2's name of the action.
pub(super) type Calls = BTreeMap<&'static str, u32>;

/// The calls until an ENI is as its NodeENI asks.
pub(super) fn arrival(spec: Option<&EniSpec>, create: bool) -> Calls {
    let mut calls = BTreeMap::from([(Call::Attach.action(), 1)]);
    if create {
        calls.insert(Call::Create.action(), 1);
    }
    // Neither Create nor Attach can set these attributes.
    let after = spec.map_or(0, |spec| u32::from(spec.delete_on_termination) + u32::from(!spec.source_dest_check));
    if after > 0 {
        calls.insert(Call::Modify.action(), after);
    }
    calls
}

/// The calls until EC2 has no ENI of this ENIAttachment.
pub(super) fn departure(attachment: &ExplainedAttachment) -> Calls {
    let Observation::Seen(eni) = &attachment.observation else { return BTreeMap::new() };
    if attachment.is_blocked() && attachment.attachment.deleting.is_some() {
        return BTreeMap::new();
    }
    let detach = match eni.attachment.as_ref().map(|at| at.state) {
        Some(AttachmentState::Attached | AttachmentState::Attaching) => 1,
        Some(AttachmentState::Detaching) | None => 0,
    };
    let calls = [(Call::Detach.action(), detach), (Call::Delete.action(), 1)];
    calls.into_iter().filter(|(_, n)| *n > 0).collect()
}
