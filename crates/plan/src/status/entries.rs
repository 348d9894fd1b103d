//! The list `status.attachments` of a NodeENI, with upstream's field names: one entry for each ENIAttachment, and the time at which
//! the entry last changed. It decides no condition.

use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::nodeeni::AttachmentEntry;
use multi_eni_api::{DeviceIndexPolicy, NodeEniStatus};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of entries in `status.attachments`.
pub const MAX_ENTRIES: usize = 500;

/// At most [`MAX_ENTRIES`] entries. If there are more ENIAttachments, those that are not ready come first.
pub(super) fn entries(
    previous: &NodeEniStatus,
    attachments: &[&Attachment],
    mtu: Option<i32>,
    now: Timestamp,
) -> (Vec<AttachmentEntry>, usize) {
    let mut chosen: Vec<&&Attachment> = attachments.iter().collect();
    chosen.sort_by(|a, b| (&a.node, a.slot(), &a.name).cmp(&(&b.node, b.slot(), &b.name)));
    if chosen.len() > MAX_ENTRIES {
        chosen.sort_by_key(|attachment| conditions::is_true(&attachment.status.conditions, types::READY));
    }
    let omitted = chosen.len().saturating_sub(MAX_ENTRIES);
    chosen.truncate(MAX_ENTRIES);
    let before: BTreeMap<(&str, Option<i32>, Option<&str>), &AttachmentEntry> = previous
        .attachments
        .iter()
        .map(|entry| ((entry.instance_id.as_str(), entry.device_index, entry.subnet_id.as_deref()), entry))
        .collect();
    let list = chosen.into_iter().map(|attachment| {
        let mut entry = entry(attachment, mtu);
        let key = (entry.instance_id.as_str(), entry.device_index, entry.subnet_id.as_deref());
        entry.last_updated = match before.get(&key) {
            Some(old) if AttachmentEntry { last_updated: None, ..(*old).clone() } == entry => old.last_updated.clone(),
            _ => Some(Time(now.round(jiff::Unit::Second).unwrap_or(now))),
        };
        entry
    });
    (list.collect(), omitted)
}

/// Number of device indexes that the status names.
const NAMED_INDEXES: usize = 5;

/// The device indexes of the ENIs, for people: `1`, `1,2`, or `10,11,12,13,14 and 3 more`. Without an ENI the index that the spec asks
/// for; with `deviceIndexPolicy: highestFree` it asks for none.
pub(super) fn device_indexes(nodeeni: &NodeEni, attachments: &[&Attachment]) -> Option<String> {
    let live = attachments.iter().filter(|attachment| attachment.deleting.is_none());
    let mut indexes: BTreeSet<i32> = live.map(|attachment| attachment.request.device_index).collect();
    if indexes.is_empty() {
        let spec = nodeeni.spec.as_ref().ok().filter(|spec| spec.index_policy == DeviceIndexPolicy::Exact)?;
        indexes.insert(spec.index);
    }
    let named: Vec<String> = indexes.iter().take(NAMED_INDEXES).map(ToString::to_string).collect();
    let more = indexes.len().saturating_sub(NAMED_INDEXES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", named.join(",")))
}

fn entry(attachment: &Attachment, mtu: Option<i32>) -> AttachmentEntry {
    AttachmentEntry {
        node_id: attachment.node.clone(),
        instance_id: attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default(),
        eni_id: attachment.eni().map(|eni| eni.to_string()).unwrap_or_default(),
        attachment_id: attachment.status.attachment_id.clone().unwrap_or_default(),
        subnet_id: Some(attachment.request.subnet_id.clone()),
        subnet_cidr: attachment.request.subnet_cidr.clone(),
        mtu,
        device_index: Some(attachment.request.device_index),
        status: match attachment.status.phase {
            Phase::Pending => "pending",
            Phase::Attaching => "attaching",
            Phase::Attached if attachment.deleting.is_some() => "detaching",
            Phase::Attached => "attached",
            Phase::Blocked => "blocked",
            Phase::Detaching => "detaching",
            Phase::Deleting => "deleting",
        }
        .to_owned(),
        last_updated: None,
        dpdk_bound: None,
        dpdk_driver: None,
        dpdk_resource_name: None,
        dpdk_pci_address: None,
    }
}
