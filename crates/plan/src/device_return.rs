//! Before an ENI is detached whose device is bound to a driver for DPDK, the node agent gives the device back to its kernel driver: EC2
//! would take it away while a program uses it. This file decides for an ENIAttachment that is being deleted whether that is awaited,
//! and until when. It is given the agent's report and the Node. It detaches nothing.

use crate::agent_report::{dpdk_driver, is_of_this_boot, of_eni};
use crate::attachment::Attachment;
use crate::message_time::second;
use crate::observed::ObservedNode;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::conditions::types;
use std::fmt;

/// For this time after the deletion of its ENIAttachment, an ENI stays attached until the node agent has given its device back. Then it
/// is detached anyway.
pub const RETURN_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// An agent gives a device back within a second or two if no program holds it. A return that takes longer than this is said in the
/// status: until then it costs no write.
pub(crate) const SAID_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// Reason of the conditions: the ENI is detached when the node agent has given its device back.
pub const RETURNING: &str = "ReturningDevice";
/// Reason of the conditions: the ENI is detached although the node agent has not given its device back.
pub const NOT_RETURNED: &str = "DeviceNotReturned";
/// The agent's reason for a device that has its kernel driver again.
const RESTORED: &str = "Restored";

/// The device of an ENI that is to be detached is bound to a driver for DPDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReturn {
    /// The Node whose agent gives the device back.
    pub node: String,
    /// The PCI address of the device.
    pub device: String,
    /// The driver that has the device.
    pub driver: String,
    /// Until when the ENI stays attached for this.
    pub until: Timestamp,
    /// What the agent reports, if the device is on its way or held: its reason and its message.
    pub report: Option<String>,
}

/// What the decision depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The ENIAttachment.
    pub attachment: &'a Attachment,
    /// The MAC address of its ENI.
    pub mac: &'a str,
    /// The Node of its instance that counts.
    pub node: Option<&'a ObservedNode>,
    /// The boots that the Nodes of its instance show.
    pub boot_ids: &'a [&'a str],
    /// Whether the node agent runs on the nodes.
    pub node_agent: bool,
}

/// The return of the device that comes before the Detach. None: nothing has the device, or no agent can give it back.
pub fn awaited(input: &Input<'_>) -> Option<DeviceReturn> {
    let Input { attachment, mac, node, boot_ids, node_agent } = *input;
    let since = attachment.deleting.filter(|_| node_agent)?;
    let node = node.filter(|node| !node.is_unreachable)?;
    let report = of_eni(attachment, Some(mac)).filter(|report| is_of_this_boot(report, boot_ids))?;
    let driver = dpdk_driver(report)?;
    let configured = attachment.status.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED);
    let refused = configured.filter(|configured| configured.status == "False");
    if refused.is_some_and(|configured| configured.reason == RESTORED) {
        return None;
    }
    Some(DeviceReturn {
        node: node.name.clone(),
        device: report.pci_address.clone().unwrap_or_default(),
        driver: driver.to_owned(),
        until: ends(since),
        report: refused.map(|configured| format!("{}: {}", configured.reason, configured.message)),
    })
}

/// Whether the status of an ENIAttachment says that a return is awaited: then, until when.
pub fn said_until(attachment: &Attachment) -> Option<Timestamp> {
    let attached = attachment.status.conditions.iter().find(|condition| condition.type_ == types::ATTACHED);
    attachment.deleting.filter(|_| attached.is_some_and(|attached| attached.reason == RETURNING)).map(ends)
}

fn ends(since: Timestamp) -> Timestamp {
    since.saturating_add(RETURN_WITHIN).unwrap_or(Timestamp::MAX)
}

impl DeviceReturn {
    /// Whether the ENI stays attached for this no longer.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// From when on the status says that the return is awaited.
    pub(crate) fn said_at(&self) -> Timestamp {
        let begun = self.until.saturating_sub(RETURN_WITHIN).unwrap_or(Timestamp::MIN);
        begun.saturating_add(SAID_AFTER).unwrap_or(Timestamp::MAX)
    }

    /// That the ENI is detached although the device was not given back.
    pub(crate) fn over(&self) -> String {
        let Self { node, driver, until, .. } = self;
        let (device, reports) = (self.the_device(), self.reports());
        let until = second(*until);
        format!(
            "the node agent on node {node} did not give {device} back from {driver} until {until}, so the controller detaches the \
             ENI anyway{reports}"
        )
    }

    fn the_device(&self) -> String {
        if self.device.is_empty() { "its device".to_owned() } else { format!("the device {}", self.device) }
    }

    fn reports(&self) -> String {
        self.report.as_ref().map(|report| format!("; the agent reports {report}")).unwrap_or_default()
    }
}

impl fmt::Display for DeviceReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, driver, until, .. } = self;
        let (device, reports) = (self.the_device(), self.reports());
        let until = second(*until);
        write!(
            f,
            "the ENI is detached when the node agent on node {node} has given {device} back from {driver} to its kernel driver, at the \
             latest at {until}{reports}"
        )
    }
}
