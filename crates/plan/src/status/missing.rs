//! The ENIs of a NodeENI that are missing for a reason that a user must act on: the part of `status.failed` that no ENIAttachment
//! shows. It decides no condition.

use crate::assign::Unassigned;
use crate::attachment::Attachment;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::eniattachment::Phase;
use std::collections::BTreeMap;

/// How many ENIs are missing for a reason that a user must act on. A reason on a node whose ENIs are all there, ready or blocked, is
/// no missing ENI, and neither is one that is attached and not configured: an ENI that works stays while the spec asks for another one that cannot be made.
pub(super) fn missing_by_node(
    attachments: &[&Attachment],
    former: &BTreeMap<&str, &str>,
    desired: &BTreeMap<&str, usize>,
    standing: &[&Unassigned],
) -> usize {
    if standing.is_empty() {
        return 0;
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in standing {
        *reasons.entry(&refusal.node).or_default() += 1;
    }
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for attachment in attachments.iter().filter(|attachment| attachment.deleting.is_none()) {
        let conditions = &attachment.status.conditions;
        let is_there = [types::READY, types::ATTACHED].iter().any(|kind| conditions::is_true(conditions, kind));
        if is_there || attachment.status.phase == Phase::Blocked {
            // An ENIAttachment that carries a former name of its Node counts for the Node.
            let node = attachment.node.as_str();
            *there.entry(former.get(node).copied().unwrap_or(node)).or_default() += 1;
        }
    }
    let of = |numbers: &BTreeMap<&str, usize>, node: &str| numbers.get(node).copied().unwrap_or(0);
    let missing =
        reasons.iter().map(|(node, reasons)| (*reasons).min(of(desired, node).saturating_sub(of(&there, node))));
    missing.sum()
}
