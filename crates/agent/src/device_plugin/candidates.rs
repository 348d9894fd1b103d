//! Decides which ENIs are offered to pods: those whose ENIAttachment has a `dpdkResourceName` and whose device is known. Given the
//! reports of a turn and what was reported before; it looks at nothing.

use crate::apply::FailedStep;
use crate::device_plugin::pci_address::PciAddress;
use crate::device_plugin::resource_name::ResourceName;
use crate::plan::report::{EniReport, Outcome};
use crate::status::agent_status;
use crate::wanted::WantedEni;
use multi_eni_api::node_status::NodeStatus;

/// An ENI that is offered to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
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
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The reports.
    pub reports: &'a [EniReport],
    /// The steps that failed.
    pub failed: &'a [FailedStep],
    /// The kernel's ID of the boot.
    pub boot_id: &'a str,
}

/// The ENIs that are offered. `reported` is what the API server has of an ENIAttachment's report, by UID: after a restart, the agent
/// does not see the device of a link that a pod has.
pub fn candidates<'a>(
    turn: &Found,
    wanted: &[WantedEni],
    reported: impl Fn(&str) -> Option<&'a NodeStatus>,
) -> Candidates {
    let mut found = Candidates::default();
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
        let earlier = reported(&eni.uid).filter(|node| node.boot_id.as_deref() == Some(turn.boot_id));
        let device = device_of(report).or_else(|| earlier?.pci_address.clone());
        if let Some(device) = device.and_then(|device| device.parse().ok()) {
            let is_configured = agent_status(report, turn.failed, turn.boot_id).configured.status == Some(true);
            found.enis.push(Candidate { resource, device, is_configured });
        }
    }
    found
}

/// The device of the ENI as this turn saw it.
fn device_of(report: &EniReport) -> Option<String> {
    match &report.outcome {
        Outcome::InUse { device } => Some(device.clone()),
        Outcome::Configured | Outcome::NotManaged | Outcome::Changing { .. } | Outcome::Blocked(_) => {
            report.link.as_ref()?.parent_device.clone()
        }
    }
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
        EniReport { attachment: "one".to_owned(), uid: "u".to_owned(), generation: None, link, outcome }
    }

    fn get(report: EniReport, eni: WantedEni, reported: Option<&NodeStatus>) -> Candidates {
        let reports = [report];
        candidates(&Found { reports: &reports, failed: &[], boot_id: "boot" }, &[eni], |_| reported)
    }

    #[test]
    fn a_configured_eni_with_a_resource_name_is_offered() {
        let offered = get(report(Outcome::Configured, Some(DEVICE)), named(), None);
        let (resource, device) = ("example.com/fast".parse().unwrap(), DEVICE.parse().unwrap());
        assert_eq!(offered.enis, [Candidate { resource, device, is_configured: true }]);
        let blocked = get(report(Outcome::Blocked(Obstacle::IsPort { controller: 2 }), Some(DEVICE)), named(), None);
        assert!(!blocked.enis[0].is_configured);
    }

    #[test]
    fn a_link_in_a_pod_is_still_offered_also_after_a_restart_of_the_agent() {
        let in_use = get(report(Outcome::InUse { device: DEVICE.to_owned() }, None), named(), None);
        assert!(in_use.enis[0].is_configured);
        let absent = || report(Outcome::Blocked(Obstacle::LinkAbsent), None);
        let reported = |boot: &str| NodeStatus {
            pci_address: Some(DEVICE.to_owned()),
            boot_id: Some(boot.to_owned()),
            ..NodeStatus::default()
        };
        assert_eq!(get(absent(), named(), Some(&reported("boot"))).enis.len(), 1);
        assert_eq!(get(absent(), named(), Some(&reported("before"))), Candidates::default(), "of another boot");
        assert_eq!(get(absent(), named(), None), Candidates::default());
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
