//! Decides which ENIs are offered to pods: those whose ENIAttachment has a `dpdkResourceName` and whose device is known. Given the
//! reports of a turn and what was reported before; it looks at nothing.

use crate::apply::FailedStep;
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use crate::plan::report::{EniReport, Outcome};
use crate::status::agent_status;
use crate::wanted::WantedEni;
use multi_eni_api::node_status::NodeStatus;

/// An ENI that is offered to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// UID of the ENIAttachment.
    pub uid: String,
    /// The resource.
    pub resource: ResourceName,
    /// The device.
    pub device: PciAddress,
    /// Whether the condition Configured is True.
    pub is_configured: bool,
}

/// What a turn offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// The ENIs.
    pub enis: Vec<Candidate>,
    /// Names that kubelet would refuse, each with the name of an ENIAttachment.
    pub refused: Vec<(String, String)>,
}

/// What a turn has found.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The reports.
    pub reports: &'a [EniReport],
    /// The steps that failed.
    pub failed: &'a [FailedStep],
    /// The kernel's ID of the boot.
    pub boot_id: &'a str,
}

/// The ENIs that are offered. `known` is the device that an ENI had earlier in this boot, by the UID of its ENIAttachment: a turn does
/// not see the device of every link that a pod has.
pub fn candidates(turn: &Found, wanted: &[WantedEni], known: impl Fn(&str) -> Option<PciAddress>) -> Candidates {
    let mut found = Candidates::default();
    let seen: Vec<PciAddress> = turn.reports.iter().filter_map(device_of).collect();
    for report in turn.reports {
        let Some(eni) = wanted.iter().find(|eni| eni.uid == report.uid) else { continue };
        // Device index 0 of card 0 is the node's own interface. No pod may have it.
        let Some(name) = eni.resource_name.as_ref().filter(|_| (eni.card, eni.index) != (0, 0)) else { continue };
        let resource = match name.parse() {
            Ok(resource) => resource,
            Err(error) => {
                found.refused.push((eni.name.clone(), format!("{error}")));
                continue;
            }
        };
        // An address may belong to another ENI by now.
        let earlier = || known(&eni.uid).filter(|device| !seen.contains(device));
        if let Some(device) = device_of(report).or_else(earlier) {
            let is_configured = agent_status(report, turn.failed, turn.boot_id).configured.status == Some(true);
            found.enis.push(Candidate { uid: eni.uid.clone(), resource, device, is_configured });
        }
    }
    found
}

/// The device of the ENI as this turn saw it.
fn device_of(report: &EniReport) -> Option<PciAddress> {
    let device = match &report.outcome {
        Outcome::InUse { device } | Outcome::Bound { device, .. } => device,
        Outcome::Restored { .. } => return None,
        Outcome::Configured | Outcome::NotManaged | Outcome::Changing { .. } | Outcome::Blocked(_) => {
            report.link.as_ref()?.parent_device.as_ref()?
        }
    };
    device.parse().ok()
}

/// The device that the agent has reported in this boot.
pub fn reported_device(node: &NodeStatus, boot_id: &str) -> Option<PciAddress> {
    let address = node.pci_address.as_ref().filter(|_| node.boot_id.as_deref() == Some(boot_id))?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::report::{LinkReport, Obstacle};
    use serde_json::json;

    const DEVICE: &str = "0000:00:06.0";

    fn eni(settings: serde_json::Value, index: u32) -> WantedEni {
        let object = json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment", "metadata": { "name": "one", "uid": "u" },
            "spec": { "nodeName": "n", "nodeUID": "u", "instanceID": "i-1", "nodeENIName": "a", "nodeENIUID": "b",
                "request": { "subnetID": "subnet-00000001", "deviceIndex": index }, "nodeSettings": settings },
            "status": { "phase": "Attached", "macAddress": "02:00:00:00:00:01" },
        });
        WantedEni::read(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn named() -> WantedEni {
        eni(json!({ "dpdkResourceName": "example.com/fast" }), 1)
    }

    fn report(outcome: Outcome, device: Option<&str>) -> EniReport {
        let of_link = |device: &str| LinkReport { parent_device: Some(device.to_owned()), ..LinkReport::default() };
        let link = device.map(of_link);
        EniReport { attachment: "one".to_owned(), uid: "u".to_owned(), generation: None, mac: None, link, outcome }
    }

    fn get(report: EniReport, eni: WantedEni, known: Option<&str>) -> Candidates {
        let (reports, known) = ([report], known.map(|device| device.parse().unwrap()));
        candidates(&Found { reports: &reports, failed: &[], boot_id: "boot" }, &[eni], |_| known.clone())
    }

    #[test]
    fn a_configured_eni_with_a_resource_name_is_offered() {
        let offered = get(report(Outcome::Configured, Some(DEVICE)), named(), None);
        let (resource, device) = ("example.com/fast".parse().unwrap(), DEVICE.parse().unwrap());
        assert_eq!(offered.enis, [Candidate { uid: "u".to_owned(), resource, device, is_configured: true }]);
        let blocked = get(report(Outcome::Blocked(Obstacle::IsPort { controller: 2 }), Some(DEVICE)), named(), None);
        assert!(!blocked.enis[0].is_configured);
    }

    #[test]
    fn a_link_in_a_pod_is_still_offered_also_after_a_restart_of_the_agent() {
        let in_use = get(report(Outcome::InUse { device: DEVICE.to_owned() }, None), named(), None);
        assert!(in_use.enis[0].is_configured);
        // With the mode none, the agent has no ledger of the link.
        let not_managed = || report(Outcome::NotManaged, None);
        assert!(get(not_managed(), named(), Some(DEVICE)).enis[0].is_configured);
        assert_eq!(get(not_managed(), named(), None), Candidates::default());
    }

    #[test]
    fn a_device_that_another_eni_has_by_now_is_not_offered_for_the_old_one() {
        let other = EniReport { uid: "v".to_owned(), ..report(Outcome::Configured, Some(DEVICE)) };
        let reports = [report(Outcome::NotManaged, None), other];
        let found = Found { reports: &reports, failed: &[], boot_id: "boot" };
        assert_eq!(candidates(&found, &[named()], |_| DEVICE.parse().ok()), Candidates::default());
    }

    #[test]
    fn a_report_of_another_boot_says_nothing_of_this_one() {
        let (pci_address, boot_id) = (Some(DEVICE.to_owned()), Some("boot".to_owned()));
        let node = NodeStatus { pci_address, boot_id, ..NodeStatus::default() };
        assert_eq!(reported_device(&node, "boot").unwrap().as_str(), DEVICE);
        assert_eq!(reported_device(&node, "before"), None);
    }

    #[test]
    fn what_no_pod_may_have_is_not_offered() {
        let configured = || report(Outcome::Configured, Some(DEVICE));
        assert_eq!(get(configured(), eni(json!({}), 1), None), Candidates::default());
        let primary = eni(json!({ "dpdkResourceName": "example.com/fast" }), 0);
        assert_eq!(get(configured(), primary, None), Candidates::default());
        let virtual_link = report(Outcome::Configured, None);
        assert_eq!(get(virtual_link, named(), None), Candidates::default());
        let refused = get(configured(), eni(json!({ "dpdkResourceName": "a/b/c" }), 1), None);
        assert_eq!((refused.enis.len(), refused.refused[0].0.as_str()), (0, "one"));
    }
}
