//! Asks EC2 which ENIs carry the ownership tag of this cluster. It only reads.

use crate::cli::unanswered::asked;
use crate::clock;
use crate::leader_election::Fence;
use multi_eni_ec2::{Buckets, Ec2, Options, OwnedEnis};
use multi_eni_plan::call_trouble::CallTrouble;
use multi_eni_plan::observed::Cluster;
use std::sync::Arc;

/// Reads EC2.
pub(super) struct Ec2Audit(Ec2);

impl Ec2Audit {
    /// Prepares the audit of the cluster with this UID.
    pub async fn new(cluster_uid: String) -> Result<Self, String> {
        let options = Options::default();
        let client = multi_eni_ec2::client(options.call_timeout).await.map_err(|error| error.to_string())?;
        let (wall, steady) = clock::system();
        // Always closed: only Describe passes.
        let fence = Fence::closed(steady);
        let buckets = Buckets::new(options.budget_share, options.burst_share);
        let cluster = Cluster { name: cluster_uid.clone(), uid: cluster_uid };
        let (ec2, _) =
            Ec2::new(client, cluster, options, wall, Arc::new(move |timeout| fence.may_send(timeout)), &buckets);
        Ok(Self(ec2))
    }

    /// The ENIs of this cluster, in any state.
    pub async fn owned(&self) -> Result<OwnedEnis, String> {
        self.0.describe_owned().await.map_err(|error| {
            let advice = CallTrouble::of(&error).advice().map(|advice| format!(". {advice}")).unwrap_or_default();
            format!("DescribeNetworkInterfaces failed: {error}{advice}. {}", asked(self.0.region().as_deref()))
        })
    }
}
