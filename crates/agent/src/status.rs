//! The report of an ENI as the API has it: `status.node` and the condition Configured.

use crate::apply::FailedStep;
use crate::plan::report::{EniReport, Outcome};
use multi_eni_api::conditions::{ConditionUpdate, types};
use multi_eni_api::configured_reason::ConfiguredReason;
use multi_eni_api::node_status::NodeStatus;

/// What the agent writes into the status of one ENIAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStatus {
    /// `status.node`.
    pub node: NodeStatus,
    /// The condition Configured.
    pub configured: ConditionUpdate,
}

/// The most bytes of a message. The schema allows more.
const MESSAGE: usize = 1024;

impl AgentStatus {
    /// The same, and the message says why the ENI is not offered to pods. The status of the condition stays: the node can use the ENI.
    pub fn not_offered(self, why: &str) -> Self {
        self.with_note(&format!("the ENI is not offered to pods: {why}"))
    }

    /// The same, and the message has this besides.
    pub fn with_note(mut self, note: &str) -> Self {
        let message = shortened(self.configured.message, MESSAGE / 2);
        self.configured.message = shortened(format!("{message}; {note}"), MESSAGE);
        self.node.message = Some(self.configured.message.clone());
        self
    }
}

/// The status for a report, with the steps of the ENI that failed.
pub fn agent_status(report: &EniReport, failed: &[FailedStep], boot_id: &str) -> AgentStatus {
    let link = report.link.clone().unwrap_or_default();
    let configured = condition(report, failed);
    let managed_by = match (&report.outcome, &link.managed_by) {
        (_, Some(manager)) => Some(manager.to_string()),
        (Outcome::Configured | Outcome::Changing { .. } | Outcome::Bound { .. }, None) => {
            Some(link.routed_by.to_string())
        }
        (Outcome::Blocked(obstacle), None) => obstacle.author().map(|author| author.to_string()),
        (Outcome::NotManaged | Outcome::InUse { .. } | Outcome::Restored { .. }, None) => None,
    };
    let has_link = !link.name.is_empty();
    let node = NodeStatus {
        mac_address: report.mac.map(|mac| mac.to_string()),
        link_name: has_link.then_some(link.name),
        alternative_name: link.alternative_name,
        pci_address: link.parent_device,
        driver: link.driver,
        numa_node: link.numa_node.and_then(|node| i32::try_from(node).ok()),
        mtu: i32::try_from(link.mtu).ok().filter(|_| has_link),
        addresses: link.addresses.iter().map(ToString::to_string).collect(),
        route_table: link.route_table.and_then(|table| i32::try_from(table).ok()),
        managed_by,
        boot_id: Some(boot_id.to_owned()),
        message: Some(configured.message.clone()),
    };
    AgentStatus { node, configured }
}

fn condition(report: &EniReport, failed: &[FailedStep]) -> ConditionUpdate {
    let condition = |status, reason: ConfiguredReason, message: String| {
        ConditionUpdate::new(types::CONFIGURED, status, reason.as_str(), shortened(message, MESSAGE))
    };
    let of_this = |failure: &&FailedStep| failure.attachment.as_ref() == Some(&report.attachment);
    if let Some(failure) = failed.iter().find(of_this) {
        return condition(
            false,
            ConfiguredReason::StepFailed,
            format!("the agent could not {}: {}", failure.step, failure.error),
        );
    }
    match &report.outcome {
        Outcome::Configured => {
            let manager = report.link.as_ref().and_then(|link| link.managed_by.as_ref());
            let router = report.link.as_ref().map(|link| &link.routed_by).filter(|by| by.is_others_alone());
            match (manager, router) {
                (Some(manager), _) => condition(
                    true,
                    ConfiguredReason::ConfiguredByOther,
                    format!("{manager} has configured the interface as asked"),
                ),
                (None, Some(router)) => condition(
                    true,
                    ConfiguredReason::ConfiguredByOther,
                    format!("{router} has set the rules and routes of the interface as asked"),
                ),
                (None, None) => condition(true, ConfiguredReason::Configured, "the interface is configured".to_owned()),
            }
        }
        Outcome::NotManaged => condition(
            true,
            ConfiguredReason::NotManaged,
            "nodeConfig.mode is none: the agent does not touch the interface".to_owned(),
        ),
        Outcome::InUse { device } => condition(
            true,
            ConfiguredReason::InUse,
            format!(
                "the device {device} has a driver and no link here: a pod or another network namespace has the interface"
            ),
        ),
        Outcome::Bound { device, driver, note } => {
            let note = note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
            condition(true, ConfiguredReason::BoundToDriver, format!("the device {device} is bound to {driver}{note}"))
        }
        Outcome::Restored { device } => condition(
            false,
            ConfiguredReason::Restored,
            format!("the device {device} has its kernel driver and its link again"),
        ),
        Outcome::Changing { steps } => {
            condition(false, ConfiguredReason::StepNotTaken, format!("these steps did not take: {}", steps.join("; ")))
        }
        Outcome::Blocked(obstacle) => condition(false, obstacle.configured_reason(), obstacle.to_string()),
    }
}

fn shortened(mut message: String, most: usize) -> String {
    if message.len() > most {
        let end = (0..=most).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Manager;
    use crate::plan::report::{LinkReport, Obstacle};

    fn report(outcome: Outcome) -> EniReport {
        let link =
            LinkReport { name: "ens6".to_owned(), mtu: 9001, route_table: Some(10_001), ..LinkReport::default() };
        EniReport {
            attachment: "one".to_owned(),
            uid: "u".to_owned(),
            generation: Some(1),
            mac: "02:00:00:00:00:01".parse().ok(),
            link: Some(link),
            outcome,
        }
    }

    #[test]
    fn a_configured_eni_says_by_whom() {
        let status = agent_status(&report(Outcome::Configured), &[], "boot");
        assert_eq!((status.configured.status, status.configured.reason.as_str()), (Some(true), "Configured"));
        assert_eq!(status.node.managed_by.as_deref(), Some("multi-eni"));
        assert_eq!((status.node.mtu, status.node.route_table), (Some(9001), Some(10_001)));
        assert_eq!(status.node.mac_address.as_deref(), Some("02:00:00:00:00:01"), "the controller compares it");
        let mut by_other = report(Outcome::Configured);
        by_other.link.as_mut().unwrap().managed_by = Some(Manager::NetworkManager);
        let status = agent_status(&by_other, &[], "boot");
        assert_eq!(status.configured.reason, "ConfiguredByOther");
        assert_eq!(status.node.managed_by.as_deref(), Some("NetworkManager"));
    }

    #[test]
    fn who_routes_the_traffic_of_the_eni_is_said() {
        use crate::plan::author::{Author, RoutedBy};
        let routed = |agent: bool, others: &[Author]| {
            let mut report = report(Outcome::Configured);
            report.link.as_mut().unwrap().routed_by = RoutedBy { agent, others: others.iter().copied().collect() };
            let status = agent_status(&report, &[], "boot");
            (status.configured.reason, status.node.managed_by.unwrap_or_default())
        };
        let (cni, unknown) = (Author::VpcCni, Author::Unknown { protocol: 4 });
        let said = |reason: &str, managed_by: &str| (reason.to_owned(), managed_by.to_owned());
        assert_eq!(routed(true, &[]), said("Configured", "multi-eni"));
        assert_eq!(routed(true, &[cni]), said("Configured", "multi-eni, amazon-vpc-cni-k8s"));
        assert_eq!(routed(false, &[cni]), said("ConfiguredByOther", "amazon-vpc-cni-k8s"));
        assert_eq!(routed(false, &[unknown]), said("ConfiguredByOther", "another program (protocol 4)"));
    }

    #[test]
    fn a_step_that_failed_is_said_for_its_own_eni_alone() {
        let failure = |attachment: &str| FailedStep {
            attachment: Some(attachment.to_owned()),
            step: "set link 3 up".to_owned(),
            error: "EPERM".to_owned(),
        };
        let changing = report(Outcome::Changing { steps: vec!["set link 3 up".to_owned()] });
        let status = agent_status(&changing, &[failure("one")], "boot");
        assert_eq!((status.configured.status, status.configured.reason.as_str()), (Some(false), "StepFailed"));
        assert!(status.configured.message.contains("EPERM"));
        assert_eq!(agent_status(&report(Outcome::Configured), &[failure("two")], "boot").configured.status, Some(true));
    }

    #[test]
    fn an_obstacle_has_its_reason_and_a_sentence() {
        let status = agent_status(&report(Outcome::Blocked(Obstacle::LinkAbsent)), &[], "boot");
        assert_eq!((status.configured.status, status.configured.reason.as_str()), (Some(false), "LinkAbsent"));
        assert_eq!(status.node.message.as_deref(), Some(status.configured.message.as_str()));
        assert_eq!(status.node.managed_by, None);
    }

    #[test]
    fn an_interface_in_a_pod_is_not_lost() {
        let status = agent_status(&report(Outcome::InUse { device: "0000:00:06.0".to_owned() }), &[], "boot");
        assert_eq!((status.configured.status, status.configured.reason.as_str()), (Some(true), "InUse"));
    }

    #[test]
    fn a_bound_device_has_no_link_and_says_its_driver() {
        let note = Some("without an IOMMU".to_owned());
        let mut bound =
            report(Outcome::Bound { device: "0000:00:06.0".to_owned(), driver: "vfio-pci".to_owned(), note });
        let driver = Some("vfio-pci".to_owned());
        bound.link = Some(LinkReport { driver, numa_node: Some(1), ..LinkReport::default() });
        let status = agent_status(&bound, &[], "boot");
        assert_eq!((status.configured.status, status.configured.reason.as_str()), (Some(true), "BoundToDriver"));
        assert!(status.configured.message.ends_with("bound to vfio-pci, without an IOMMU"));
        assert_eq!((status.node.link_name, status.node.mtu, status.node.numa_node), (None, None, Some(1)));
        assert_eq!(status.node.driver.as_deref(), Some("vfio-pci"));
    }

    #[test]
    fn an_eni_that_is_not_offered_to_pods_is_configured_all_the_same() {
        let status = agent_status(&report(Outcome::Configured), &[], "boot").not_offered("the name is wrong");
        let message = "the interface is configured; the ENI is not offered to pods: the name is wrong";
        assert_eq!((status.configured.status, status.configured.message.as_str()), (Some(true), message));
        assert_eq!(status.node.message.as_deref(), Some(message));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let steps = vec!["ü".repeat(2000)];
        let status = agent_status(&report(Outcome::Changing { steps }), &[], "boot");
        let message = &status.configured.message;
        assert!(message.len() <= MESSAGE + 3 && message.ends_with('…'));
        assert!(status.not_offered("why").configured.message.ends_with("…; the ENI is not offered to pods: why"));
    }
}
