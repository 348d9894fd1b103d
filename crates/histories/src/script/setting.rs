//! How the world of a history is made.

use super::Millis;
use serde::{Deserialize, Serialize};

/// How the world is made, and how EC2 and the controller behave in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// Controller replicas: with one there is no election.
    pub replicas: usize,
    /// A process that starts again has its former name in the election, as a container in its pod has.
    pub same_identity: bool,
    /// How often the leader renews the Lease and the others look at it.
    pub renew_every: Millis,
    /// Instance type of all nodes.
    pub instance_type: String,
    /// Nodes carry the label of their instance type, by which the controller looks its limits up.
    pub typed: bool,
    /// A node that is no longer selected keeps its ENIs while Pods use them.
    pub waits_for_pods: bool,
    /// Subnets that NodeENIs may name.
    pub subnets: Vec<SubnetPlace>,
    /// The longest that EC2 shows something older than the last call.
    pub lag: Millis,
    /// EC2's reads may go back to an older state after a newer one was seen.
    pub flapping_reads: bool,
    /// How long a call to EC2 takes, from and to.
    pub ec2_latency: [Millis; 2],
    /// How long a request to the API server takes, from and to.
    pub kube_latency: [Millis; 2],
    /// From Attach's or Detach's answer to its effect, from and to.
    pub transition: [Millis; 2],
    /// From TerminateInstances to `terminated`.
    pub shutdown: Millis,
    /// A forced detach leaves its slot unusable until the instance stops.
    pub force_spoils_slot: bool,
    /// EC2's pages may be short or empty.
    pub short_pages: bool,
    /// A repeated Create is checked against the quota before its token is looked up.
    pub quota_before_token: bool,
    /// ENIs a page of the controller's sweep.
    pub page_size: i32,
    /// EC2's buckets, and with them the controller's budget, are this share of AWS's defaults, in per cent.
    pub buckets_percent: u32,
    /// The controller's wall clocks differ from the API server's by this much, each replica's in milliseconds.
    pub clock_skew: Vec<i64>,
    /// The controller's graces.
    pub graces: Graces,
}

/// A subnet that is there from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetPlace {
    /// Its ID.
    pub id: String,
    /// `a` or `b`: the last letter of the zone.
    pub zone: String,
    /// Its tag Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A /28 has 11 addresses; the others are /24.
    #[serde(default)]
    pub tiny: bool,
}

/// The controller's graces, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Graces {
    /// A label away for less costs no call.
    pub label: i64,
    /// A Node away for less keeps its ENIs while its instance runs.
    pub node_gone: i64,
    /// A detach that lasts longer is forced.
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
            subnets: Vec::new(),
            lag: 0,
            flapping_reads: false,
            ec2_latency: [40, 120],
            kube_latency: [1, 10],
            transition: [1000, 4000],
            shutdown: 0,
            force_spoils_slot: false,
            short_pages: false,
            quota_before_token: true,
            page_size: 1000,
            buckets_percent: 100,
            clock_skew: Vec::new(),
            graces: Graces::default(),
        }
    }
}
