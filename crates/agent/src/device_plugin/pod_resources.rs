//! Asks kubelet which devices pods have, by its pod-resources API. Before kubelet answers, it forgets the devices of pods that have ended.

use crate::device_plugin::allocation_ledger::PodDevice;
use crate::device_plugin::kubelet::unary;
use crate::device_plugin::messages::{Empty, ListPodResourcesResponse};
use std::path::PathBuf;
use std::time::Duration;

/// The longest time of an answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Kubelet's pod-resources API.
#[derive(Debug, Clone)]
pub struct PodResources {
    /// The socket.
    pub socket: PathBuf,
    /// The name of the agent's own pod. None: it runs as no pod, or does not know.
    pub own_pod: Option<String>,
}

impl PodResources {
    /// The devices of all pods.
    ///
    /// # Errors
    /// A sentence, if kubelet does not answer, or does not know its pods yet.
    pub async fn devices(&self) -> Result<Vec<PodDevice>, String> {
        let call = unary(&self.socket, "/v1.PodResourcesLister/List", Empty {});
        let answer: ListPodResourcesResponse = match tokio::time::timeout(TIMEOUT, call).await {
            Ok(answer) => answer.map_err(|error| format!("{}: {error}", self.socket.display()))?,
            Err(_) => return Err(format!("{}: no answer within {} s", self.socket.display(), TIMEOUT.as_secs())),
        };
        if is_whole(&answer, self.own_pod.as_deref()) { Ok(devices(&answer)) } else { Err(NOT_WHOLE.to_owned()) }
    }
}

const NOT_WHOLE: &str = "kubelet does not know all pods of the node yet";

/// Whether kubelet knows its pods. One that has just started tells of none until the API server has told it; then it knows all of them, and
/// the agent's own is among them.
fn is_whole(answer: &ListPodResourcesResponse, own_pod: Option<&str>) -> bool {
    answer.pod_resources.iter().any(|pod| own_pod.is_none_or(|own| pod.name == own))
}

fn devices(answer: &ListPodResourcesResponse) -> Vec<PodDevice> {
    let containers = answer.pod_resources.iter().flat_map(|pod| &pod.containers);
    let of_resources = containers.flat_map(|container| &container.devices);
    let devices = of_resources.flat_map(|devices| {
        // Other plugins have other IDs.
        let ids = devices.device_ids.iter().filter_map(|id| id.parse().ok());
        ids.map(|device| PodDevice { resource: devices.resource_name.clone(), device })
    });
    devices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::messages::{ContainerDevices, ContainerResources, PodResourcesOfPod};

    fn answer(pods: &[(&str, &[&str])]) -> ListPodResourcesResponse {
        let pod = |(name, ids): &(&str, &[&str])| PodResourcesOfPod {
            name: (*name).to_owned(),
            containers: vec![ContainerResources {
                devices: vec![ContainerDevices {
                    resource_name: "example.com/fast".to_owned(),
                    device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
                }],
            }],
        };
        ListPodResourcesResponse { pod_resources: pods.iter().map(pod).collect() }
    }

    #[test]
    fn pci_addresses_are_devices_and_other_ids_are_not() {
        let devices = devices(&answer(&[("a", &["GPU-0f3b", "0000:00:06.0"]), ("b", &[])]));
        let device = "0000:00:06.0".parse().unwrap();
        assert_eq!(devices, [PodDevice { resource: "example.com/fast".to_owned(), device }]);
    }

    #[test]
    fn an_answer_without_the_agents_own_pod_is_of_a_kubelet_that_knows_no_pods_yet() {
        assert!(!is_whole(&answer(&[]), None) && !is_whole(&answer(&[("static", &[])]), Some("agent-1")));
        assert!(is_whole(&answer(&[("a", &[])]), None) && is_whole(&answer(&[("agent-1", &[])]), Some("agent-1")));
    }
}
