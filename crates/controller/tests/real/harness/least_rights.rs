//! The rights of the chart and of the IAM policy, compared with what the replicas of a story did.

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

    /// Asserts that the chart grants each request that a replica sent in this story, and that the IAM policy permits all
    /// its calls of EC2.
    pub(super) fn assert_rights(&self) {
        let uncovered = self.chart_rights().and_then(|rights| {
            let requests = self.requests()?;
            Ok(rights::not_covered(&rights, &requests).into_iter().cloned().collect::<Vec<_>>())
        });
        let is_empty = uncovered.as_ref().is_ok_and(Vec::is_empty);
        assert!(is_empty, "requests in the audit log that the chart's roles do not grant: {uncovered:#?}");
        let policy = include_str!("../../../../../docs/iam-policy.json");
        for action in self.account.ec2.all_counts().into_keys() {
            assert!(policy.contains(&format!("\"ec2:{action}\"")), "docs/iam-policy.json does not permit {action}");
        }
    }
}
