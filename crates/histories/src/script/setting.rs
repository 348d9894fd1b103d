//! The setting of a history: how EC2, the API server and the controller behave in it.

use super::{Millis, Placement};
use serde::{Deserialize, Serialize};

/// The setting of EC2, the API server and the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// How many controller replicas there are. With one there is no leader election.
    pub replicas: usize,
    /// Whether a restarted process has its former identity in the leader election, as a restarted container in a Pod has.
    pub same_identity: bool,
    /// How often the leader renews the Lease and the others read it.
    pub renew_every: Millis,
    /// Instance type of all nodes.
    pub instance_type: String,
    /// Whether Nodes have the label of their instance type, by which the controller looks up the limits.
    pub typed: bool,
    /// Whether a node that is no longer selected keeps its ENIs while Pods use them.
    pub waits_for_pods: bool,
    /// Whether the node agent is enabled: ENIs are Ready only when it has reported that they are configured.
    #[serde(skip_serializing_if = "is_false")]
    pub node_agent: bool,
    /// Subnets that NodeENIs may name.
    pub subnets: Vec<SubnetPlace>,
    /// The longest time for which EC2 shows a state that is older than the last call.
    pub lag: Millis,
    /// Whether EC2's reads may return an older state after a newer one.
    pub flapping_reads: bool,
    /// How long a call to EC2 takes: minimum and maximum.
    pub ec2_latency: [Millis; 2],
    /// How long a request to the API server takes: minimum and maximum.
    pub kube_latency: [Millis; 2],
    /// The time from the answer of an Attach or Detach to its effect: minimum and maximum.
    pub transition: [Millis; 2],
    /// The time from TerminateInstances to `terminated`.
    pub shutdown: Millis,
    /// Whether a forced detach leaves its slot unusable until the instance stops.
    pub force_spoils_slot: bool,
    /// Whether EC2's pages may be short or empty.
    pub short_pages: bool,
    /// Whether EC2's answers have the ENIs of a page, and the lists of an ENI, in another order each time.
    #[serde(skip_serializing_if = "is_false")]
    pub shuffles_lists: bool,
    /// Whether EC2 checks a repeated Create against the quota before it looks up the token.
    pub quota_before_token: bool,
    /// How many ENIs a page of the controller's resync has.
    pub page_size: i32,
    /// The size of EC2's token buckets, and of the controller's budget, in per cent of AWS's defaults.
    pub buckets_percent: u32,
    /// By how many milliseconds each replica's wall clock differs from the API server's.
    pub clock_skew: Vec<i64>,
    /// The controller's graces.
    pub graces: Graces,
}

/// A subnet that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetPlace {
    /// Its ID.
    pub id: String,
    /// `a` or `b`: the last letter of the zone; or `xyz`: the Local Zone.
    pub zone: String,
    /// Its tag Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its tag `pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Whether it is a /28 with 11 addresses; the others are /24.
    #[serde(default)]
    pub tiny: bool,
    /// Whether it has no IPv4 block.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ipv6_only: bool,
    /// Whether another account owns it and shares it. EC2 then shows none of its tags.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
    /// Whether it is on the Outpost, or in the second VPC.
    #[serde(default, skip_serializing_if = "Placement::is_region")]
    pub placement: Placement,
}

impl SubnetPlace {
    /// The tag Name, as EC2 shows it to this account.
    pub fn shown_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| !self.shared)
    }

    /// The tag `pool`, as EC2 shows it to this account.
    pub fn shown_pool(&self) -> Option<&str> {
        self.pool.as_deref().filter(|_| !self.shared)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The controller's graces, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Graces {
    /// For how long a removed label has no effect.
    pub label: i64,
    /// For how long a deleted Node keeps its ENIs, if its instance runs.
    pub node_gone: i64,
    /// After how long a detach is forced.
    pub force_detach: i64,
}

impl Default for Graces {
    fn default() -> Self {
        Self { label: 10, node_gone: 300, force_detach: 900 }
    }
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            replicas: 1,
            same_identity: false,
            renew_every: 2_000,
            instance_type: "m5.24xlarge".to_owned(),
            typed: false,
            waits_for_pods: false,
            node_agent: false,
            subnets: Vec::new(),
            lag: 0,
            flapping_reads: false,
            ec2_latency: [40, 120],
            kube_latency: [1, 10],
            transition: [1000, 4000],
            shutdown: 0,
            force_spoils_slot: false,
            short_pages: false,
            shuffles_lists: false,
            quota_before_token: true,
            page_size: 1000,
            buckets_percent: 100,
            clock_skew: Vec::new(),
            graces: Graces::default(),
        }
    }
}
