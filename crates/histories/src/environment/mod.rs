//! The environment of a history: EC2, the API server and the clock. Its methods perform a script's operations on EC2 and on the
//! API server. Replicas are no part of it.

mod api_client;
mod api_resources;
mod api_server;
mod ec2_setup;
mod epoch;
mod group_and_subnet_names;
mod joining;
mod mend;
mod node_agents;
mod node_identity;
mod operation_result;
mod play;
mod taints;
mod upstream;
mod vpc_cni;

pub use api_client::{ApiClient, NODE_AGENT};
pub use api_resources::{LEASE_NAMESPACE, POD_ANNOTATION, eniattachments, nodeenis, nodes, pods};
pub use ec2_setup::{GROUPS, LOCAL_ZONE, POOL, TIER, ZONES, all_groups, group, group_name, groups_of, tier, zone};
pub use joining::COMPUTE_TYPE_LABEL;
pub use mend::ACTIONS;
pub use node_agents::NodeAgents;
pub use operation_result::OperationResult;
pub use play::DENIED;
pub use taints::TAINT_EFFECTS;

use crate::script::Setting;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::Ec2;
use multi_eni_sim::kube::ApiServer;
use std::time::Duration;
use tokio::time::Instant;

/// EC2, the API server and the clock.
#[derive(Clone)]
pub struct Environment {
    /// EC2.
    pub ec2: Ec2,
    /// The API server.
    pub api: ApiServer,
    /// The clock of EC2 and of the API server.
    pub clock: SimClock,
    /// UID of the namespace kube-system: the value of the cluster's ownership tag.
    pub cluster: String,
    /// The node agents, if they are enabled.
    pub node_agents: NodeAgents,
    instance_type: String,
    typed: bool,
    began: Instant,
}

impl Environment {
    /// Sets up the environment. It must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If the setting or the CRDs are invalid; the message says why.
    pub fn set(setting: &Setting, seed: u64) -> Result<Self, String> {
        let clock = epoch::clock_at_start();
        let ec2 = ec2_setup::open(setting, seed, clock)?;
        let (api, cluster) = api_server::open(seed, clock)?;
        let instance_type = setting.instance_type.clone();
        let node_agents = NodeAgents::new(seed);
        let typed = setting.typed;
        Ok(Self { ec2, api, clock, cluster, node_agents, instance_type, typed, began: Instant::now() })
    }

    /// Milliseconds since the start of the history.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A function that returns what [`Self::now`] returns, without a reference to the environment.
    pub fn timer(&self) -> impl Fn() -> u64 + Send + use<> {
        let began = self.began;
        move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until `at` milliseconds after the start; returns at once if that is over.
    pub async fn until(&self, at: u64) {
        tokio::time::sleep_until(self.began + Duration::from_millis(at)).await;
    }
}
