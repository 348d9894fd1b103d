//! The list `status.attachments` of a NodeENI, with upstream's field names: one entry for each ENIAttachment, and the time at which
//! the entry last changed. It decides no condition.

use crate::agent_report::{dpdk_driver, of_eni};
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::nodeeni_status::AttachmentEntry;
use multi_eni_api::{DeviceIndexPolicy, NodeEniStatus};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of entries in `status.attachments`.
const MAX_ENTRIES: usize = 500;

/// The number of entries of a list that cannot be whole. Such a NodeENI changes all the time, and the API server takes a tenth of a
/// second of CPU for each write of an object with 500 entries (docs/performance.md).
const SHORT_LIST: usize = 100;

/// All entries, up to [`MAX_ENTRIES`]. If there are more ENIAttachments, [`SHORT_LIST`] entries: those that are not ready come first.
pub(super) fn entries(
    previous: &NodeEniStatus,
    attachments: &[&Attachment],
    has_current_report: &dyn Fn(&Attachment) -> bool,
    mtu: Option<i32>,
    now: Timestamp,
) -> (Vec<AttachmentEntry>, usize) {
    let is_short = attachments.len() > MAX_ENTRIES;
    let comes_last =
        |attachment: &Attachment| is_short && conditions::is_true(&attachment.status.conditions, types::READY);
    let mut chosen: Vec<(bool, &Attachment)> =
        attachments.iter().map(|attachment| (comes_last(attachment), *attachment)).collect();
    let by_place = |(a_last, a): &(bool, &Attachment), (b_last, b): &(bool, &Attachment)| {
        (a_last, &a.node, a.slot(), &a.name).cmp(&(b_last, &b.node, b.slot(), &b.name))
    };
    if is_short {
        // Of thousands, only those that are kept are sorted.
        chosen.select_nth_unstable_by(SHORT_LIST, by_place);
        chosen.truncate(SHORT_LIST);
    }
    chosen.sort_unstable_by(by_place);
    let omitted = attachments.len() - chosen.len();
    let before: BTreeMap<(&str, Option<i32>, Option<&str>), &AttachmentEntry> = previous
        .attachments
        .iter()
        .map(|entry| ((entry.instance_id.as_str(), entry.device_index, entry.subnet_id.as_deref()), entry))
        .collect();
    let list = chosen.into_iter().map(|(_, attachment)| {
        let mut entry = AttachmentEntry { mtu, ..entry(attachment) };
        if has_current_report(attachment) {
            add_report(&mut entry, attachment);
        }
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

fn entry(attachment: &Attachment) -> AttachmentEntry {
    AttachmentEntry {
        node_id: attachment.node.clone(),
        instance_id: attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default(),
        eni_id: attachment.eni().map(|eni| eni.to_string()).unwrap_or_default(),
        attachment_id: attachment.status.attachment_id.clone().unwrap_or_default(),
        subnet_id: Some(attachment.request.subnet_id.clone()),
        subnet_cidr: attachment.request.subnet_cidr.clone(),
        mtu: None,
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

/// Adds what the node agent reports of a device: its driver for DPDK and its PCI address while that driver has it, and the resource under
/// which pods get it. Like upstream, an entry of an ENI without DPDK has none of these fields.
fn add_report(entry: &mut AttachmentEntry, attachment: &Attachment) {
    let Some(report) = of_eni(attachment, attachment.status.mac_address.as_deref()) else { return };
    let (settings, driver) = (&attachment.node_settings, dpdk_driver(report));
    let is_asked_for = settings.enable_dpdk == Some(true);
    if driver.is_none() && !is_asked_for {
        return;
    }
    entry.dpdk_bound = Some(driver.is_some());
    entry.dpdk_driver = driver.map(str::to_owned);
    entry.dpdk_pci_address = driver.and(report.pci_address.clone());
    entry.dpdk_resource_name = settings.dpdk_resource_name.clone().filter(|name| !name.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::{at, new_attachment};
    use multi_eni_api::conditions::ConditionUpdate;

    /// So many ENIAttachments, of which the last ones are not ready, in any order.
    fn listed(number: usize, not_ready: usize) -> (Vec<String>, usize) {
        let mut all: Vec<Attachment> = (0..number)
            .map(|n| {
                let mut attachment = new_attachment(&format!("n{n:04}"), 1, false);
                let ready = ConditionUpdate::new(types::READY, n < number - not_ready, "Reason", "why");
                conditions::set(&mut attachment.status.conditions, ready, None, at(0));
                attachment
            })
            .collect();
        all.reverse();
        all.swap(0, number / 2);
        let all: Vec<&Attachment> = all.iter().collect();
        let (list, omitted) = entries(&NodeEniStatus::default(), &all, &|_| true, None, at(0));
        (list.into_iter().map(|entry| entry.node_id).collect(), omitted)
    }

    #[test]
    fn a_list_is_whole_or_short_with_those_first_that_are_not_ready() {
        let nodes = |range: std::ops::Range<usize>| range.map(|n| format!("n{n:04}"));
        assert_eq!(listed(MAX_ENTRIES, 3), (nodes(0..500).collect(), 0));
        assert_eq!(listed(MAX_ENTRIES + 1, 3), (nodes(498..501).chain(nodes(0..97)).collect(), 401));
        assert_eq!(listed(2_000, 150), (nodes(1_850..1_950).collect(), 1_900));
    }
    use multi_eni_api::node_status::NodeStatus;

    /// The entry of an ENI whose NodeENI asks for DPDK and for a resource, with this report of the node agent.
    fn entry_of(
        enable_dpdk: Option<bool>,
        driver: Option<&str>,
        mac: &str,
        has_current_report: bool,
    ) -> AttachmentEntry {
        let mut attachment = new_attachment("n0", 1, false);
        attachment.status.mac_address = Some("02:00:00:00:00:01".to_owned());
        attachment.node_settings.enable_dpdk = enable_dpdk;
        attachment.node_settings.dpdk_resource_name = Some("example.com/fast".to_owned());
        attachment.status.node = driver.map(|driver| {
            let (mac, driver) = (Some(mac.to_owned()), Some(driver.to_owned()));
            let pci_address = Some("0000:00:06.0".to_owned());
            Box::new(NodeStatus { mac_address: mac, driver, pci_address, ..NodeStatus::default() })
        });
        entries(&NodeEniStatus::default(), &[&attachment], &|_| has_current_report, None, at(0)).0.remove(0)
    }

    /// dpdkBound, dpdkDriver, dpdkPCIAddress and dpdkResourceName.
    fn fields(entry: &AttachmentEntry) -> (Option<bool>, [Option<&str>; 3]) {
        let texts = [&entry.dpdk_driver, &entry.dpdk_pci_address, &entry.dpdk_resource_name].map(Option::as_deref);
        (entry.dpdk_bound, texts)
    }

    #[test]
    fn an_entry_shows_what_the_node_agent_reports_of_the_device() {
        let (mac, resource) = ("02:00:00:00:00:01", Some("example.com/fast"));
        let bound = entry_of(Some(true), Some("vfio-pci"), mac, true);
        assert_eq!(fields(&bound), (Some(true), [Some("vfio-pci"), Some("0000:00:06.0"), resource]));
        // The NodeENI asks no longer, and the device is not given back yet.
        let still = entry_of(None, Some("igb_uio"), mac, true);
        assert_eq!(fields(&still), (Some(true), [Some("igb_uio"), Some("0000:00:06.0"), resource]));
        let waits = entry_of(Some(true), Some("ena"), mac, true);
        assert_eq!(fields(&waits), (Some(false), [None, None, resource]));
    }

    #[test]
    fn a_report_that_does_not_count_and_an_eni_without_dpdk_add_nothing() {
        let (mac, nothing) = ("02:00:00:00:00:01", (None, [None; 3]));
        assert_eq!(fields(&entry_of(Some(true), None, mac, true)), nothing, "no report");
        assert_eq!(fields(&entry_of(Some(true), Some("vfio-pci"), "02:00:00:00:00:02", true)), nothing, "another ENI");
        assert_eq!(fields(&entry_of(Some(true), Some("vfio-pci"), mac, false)), nothing, "another boot");
        assert_eq!(fields(&entry_of(Some(false), Some("ena"), mac, true)), nothing, "no DPDK");
    }
}
