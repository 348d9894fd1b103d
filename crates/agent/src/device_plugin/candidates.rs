//! Decides which ENIs are offered to pods: those whose ENIAttachment has a `dpdkResourceName` and whose device is known. Given the
//! reports of a turn and what was reported before; it looks at nothing.

use crate::apply::FailedStep;
use crate::device_plugin::refusal::{Refusal, Refused};
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use crate::plan::report::{EniReport, Outcome};
use crate::status::agent_status;
use crate::wanted::WantedEni;
use multi_eni_api::node_status::NodeStatus;

/// An ENI that is offered to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Name of the ENIAttachment.
    pub attachment: String,
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
    /// ENIs that have a resource name and are not offered.
    pub refused: Vec<Refused>,
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
        let Some(name) = &eni.resource_name else { continue };
        // An address may belong to another ENI by now.
        let earlier = || known(&eni.uid).filter(|device| !seen.contains(device));
        let (attachment, uid) = (eni.name.clone(), eni.uid.clone());
        match offered(turn, report, eni, name, earlier) {
            Ok((resource, device, is_configured)) => {
                found.enis.push(Candidate { attachment, uid, resource, device, is_configured });
            }
            Err(why) => found.refused.push(Refused { attachment, uid, why }),
        }
    }
    found
}

/// The resource and the device of an ENI, and whether it is configured.
fn offered(
    turn: &Found,
    report: &EniReport,
    eni: &WantedEni,
    name: &str,
    earlier: impl FnOnce() -> Option<PciAddress>,
) -> Result<(ResourceName, PciAddress, bool), Refusal> {
    // Device index 0 of card 0 is the node's own interface. No pod may have it.
    if (eni.card, eni.index) == (0, 0) {
        return Err(Refusal::Primary);
    }
    let resource = name.parse().map_err(Refusal::Name)?;
    let configured = agent_status(report, turn.failed, turn.boot_id).configured;
    let is_configured = configured.status == Some(true);
    let unknown = if is_configured { Refusal::NoDevice } else { Refusal::NotConfigured(configured.reason) };
    Ok((resource, device_of(report).or_else(earlier).ok_or(unknown)?, is_configured))
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

    /// Why, of ENIs of which none is offered.
    fn refused(found: Candidates) -> Vec<Refusal> {
        assert_eq!(found.enis, []);
        found.refused.into_iter().map(|refused| refused.why).collect()
    }

    #[test]
    fn a_configured_eni_with_a_resource_name_is_offered() {
        let offered = get(report(Outcome::Configured, Some(DEVICE)), named(), None);
        let (resource, device) = ("example.com/fast".parse().unwrap(), DEVICE.parse().unwrap());
        let (attachment, uid) = ("one".to_owned(), "u".to_owned());
        assert_eq!(offered.enis, [Candidate { attachment, uid, resource, device, is_configured: true }]);
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
        assert_eq!(refused(get(not_managed(), named(), None)), [Refusal::NoDevice]);
    }

    #[test]
    fn a_device_that_another_eni_has_by_now_is_not_offered_for_the_old_one() {
        let other = EniReport { uid: "v".to_owned(), ..report(Outcome::Configured, Some(DEVICE)) };
        let reports = [report(Outcome::NotManaged, None), other];
        let found = Found { reports: &reports, failed: &[], boot_id: "boot" };
        assert_eq!(refused(candidates(&found, &[named()], |_| DEVICE.parse().ok())), [Refusal::NoDevice]);
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
        assert_eq!(refused(get(configured(), primary, None)), [Refusal::Primary]);
        let virtual_link = report(Outcome::Configured, None);
        assert_eq!(refused(get(virtual_link, named(), None)), [Refusal::NoDevice]);
        let absent = report(Outcome::Blocked(Obstacle::LinkAbsent), None);
        assert_eq!(refused(get(absent, named(), None)), [Refusal::NotConfigured("LinkAbsent".to_owned())]);
        let wrong_name = refused(get(configured(), eni(json!({ "dpdkResourceName": "a/b/c" }), 1), None));
        assert!(matches!(wrong_name.as_slice(), [Refusal::Name(error)] if error.to_string().contains("a/b/c")));
    }
}
