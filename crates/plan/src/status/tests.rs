//! The status of a NodeENI with given ENIAttachments and reasons. Each file has the cases of one part of the status.

use super::*;
use crate::assign::UnassignedReason;
use crate::assign::tests::{at, new_attachment, nodeeni};
use crate::observed::Location;

mod counters;
mod coverage;
mod generations;
mod progressing;
mod ready;

/// The reason for a node in one zone, of a NodeENI with a subnet in another.
fn no_subnet_in_zone(node: &str, subnet: &str) -> UnassignedReason {
    UnassignedReason::NoSubnetInZone { node: Location::in_region(node), subnets: vec![Location::in_region(subnet)] }
}

fn ready(node: &str) -> Attachment {
    let mut attachment = new_attachment(node, 1, false);
    conditions::set(
        &mut attachment.status.conditions,
        ConditionUpdate::new(types::READY, true, "Ready", "it is"),
        None,
        at(0),
    );
    attachment
}

fn status_with(
    attachments: &[Attachment],
    refused: &[Unassigned],
    matched: &[&str],
    desired: usize,
    now: Timestamp,
) -> NodeEniStatus {
    let previous = NodeEniStatus::default();
    status_after(&previous, attachments, refused, matched, desired, Changing::default(), now)
}

/// What is left to do on nodes, and their former names.
#[derive(Default)]
struct Changing<'a> {
    outdated: usize,
    losing: usize,
    undecided: usize,
    groups_waits: &'a [&'a GroupsWait],
    former: BTreeMap<&'a str, &'a str>,
}

/// The status after `previous`. Each of the first `desired` nodes asks for one ENI.
fn status_after(
    previous: &NodeEniStatus,
    attachments: &[Attachment],
    refused: &[Unassigned],
    matched: &[&str],
    desired: usize,
    Changing { outdated, losing, undecided, groups_waits, former }: Changing<'_>,
    now: Timestamp,
) -> NodeEniStatus {
    nodeeni_status(Input {
        nodeeni: &NodeEni { generation: 1, ..nodeeni("a", 1, &["subnet-00000001"]) },
        previous,
        attachments: &attachments.iter().collect::<Vec<_>>(),
        matched: &matched.iter().copied().collect(),
        former: &former,
        desired: &matched.iter().take(desired).map(|node| (*node, 1)).collect(),
        outdated,
        losing,
        undecided,
        refused: &refused.iter().collect::<Vec<_>>(),
        pinned: &[],
        waiting: &[],
        groups_waits,
        removals: &RemovalPace::default(),
        problems: &[],
        expected: None,
        has_current_report: &|_| true,
        mtu: None,
        now,
    })
}

fn status_of(refused: &[Unassigned], matched: &[&str], desired: usize, now: Timestamp) -> NodeEniStatus {
    status_with(&[ready("n0")], refused, matched, desired, now)
}

fn condition(status: &NodeEniStatus, kind: &str) -> Option<(String, String, String)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

fn refused(node: &str, why: UnassignedReason) -> Unassigned {
    Unassigned { nodeeni_uid: "uid-a".into(), node: node.into(), why }
}

fn progressing(status: &NodeEniStatus) -> (String, String) {
    condition(status, types::PROGRESSING).map(|(value, _, message)| (value, message)).unwrap()
}
