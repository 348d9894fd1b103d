//! The rights of the chart and of the IAM policy, compared with what the replicas of a story did, and all commands on EC2.

use std::collections::BTreeSet;

use multi_eni_control_plane::{ApiRequest, Failure};

use super::environment::{Environment, NAMESPACE};
use super::rights::{self, Right};

impl Environment {
    /// The rights that the chart grants if all its features are enabled.
    pub fn chart_rights(&self) -> Result<BTreeSet<Right>, Failure> {
        let values = ["--set", "aws.region=eu-central-1", "--set", "waitForPods.enabled=true"];
        rights::granted_by(&self.plane.helm_template("multi-eni", NAMESPACE, &values)?)
    }

    /// The distinct requests of all replicas to the API server so far.
    pub fn requests(&self) -> Result<BTreeSet<ApiRequest>, Failure> {
        Ok(self.plane.requests_of(NAMESPACE, "multi-eni")?)
    }

    /// Asserts that the chart grants each request that a replica sent in this story, and that the IAM policies permit all
    /// calls of EC2, with the tags of the calls and of the ENIs.
    pub(super) fn assert_rights(&self) {
        let uncovered = self.chart_rights().and_then(|rights| {
            let requests = self.requests()?;
            Ok(rights::not_covered(&rights, &requests).into_iter().cloned().collect::<Vec<_>>())
        });
        let is_empty = uncovered.as_ref().is_ok_and(Vec::is_empty);
        assert!(is_empty, "requests in the audit log that the chart's roles do not grant: {uncovered:#?}");
        let refused = self.iam.refused();
        assert!(refused.is_empty(), "calls of EC2 that an IAM policy does not allow: {refused:#?}");
        // What IAM sees leaves out some calls (`multi_eni_sim::ec2::LEFT_OUT`): their actions at least must be permitted.
        let policy = include_str!("../../../../../docs/iam-policy.json");
        for action in self.account.ec2.all_counts().into_keys() {
            assert!(policy.contains(&format!("\"ec2:{action}\"")), "docs/iam-policy.json does not permit {action}");
        }
    }
}
