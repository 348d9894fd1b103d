//! What an IAM policy may be limited to. Each bound is optional: without it, the policy has a wildcard in its place.

use multi_eni_api::ids::{SecurityGroupId, SubnetId, VpcId};
use std::collections::BTreeSet;
use std::fmt;

/// The bounds of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The partition of the account. It is in every ARN.
    pub partition: Partition,
    /// The cluster whose ENIs may be changed. None: the ENIs of every cluster with this controller.
    pub cluster_uid: Option<ClusterUid>,
    /// The VPC of the subnets and groups. None: every VPC.
    pub vpc: Option<VpcId>,
    /// The subnets in which ENIs may be created. None: every subnet.
    pub subnets: Option<BTreeSet<SubnetId>>,
    /// The security groups that ENIs may have. None: every group.
    pub security_groups: Option<BTreeSet<SecurityGroupId>>,
}

/// A part of AWS with accounts of its own: the second part of an ARN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Partition {
    /// The Regions outside of China and of GovCloud.
    #[default]
    Aws,
    /// China.
    AwsCn,
    /// GovCloud.
    AwsUsGov,
}

/// A text that is no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a partition: use aws, aws-cn or aws-us-gov")]
pub struct UnknownPartition(String);

impl Partition {
    const ALL: [Self; 3] = [Self::Aws, Self::AwsCn, Self::AwsUsGov];

    /// Parses the name of a partition.
    ///
    /// # Errors
    /// [`UnknownPartition`] for any other text.
    pub fn parse(text: &str) -> Result<Self, UnknownPartition> {
        let found = Self::ALL.into_iter().find(|partition| partition.name() == text);
        found.ok_or_else(|| UnknownPartition(text.to_owned()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The UID of the namespace kube-system: the value of the ownership tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUid(String);

/// A text that is no UID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the UID of a cluster: use the output of kubectl get namespace kube-system -o jsonpath={{.metadata.uid}}"
)]
pub struct MalformedUid(String);

impl ClusterUid {
    /// Parses a UID: letters, digits and hyphens. IAM expands a variable such as `${aws:username}` in a value, so no other
    /// character is accepted. The letters become small, as in the tag: IAM's StringEquals distinguishes them.
    ///
    /// # Errors
    /// [`MalformedUid`] for any other text.
    pub fn parse(text: &str) -> Result<Self, MalformedUid> {
        let is_uid = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if is_uid { Ok(Self(text.to_ascii_lowercase())) } else { Err(MalformedUid(text.to_owned())) }
    }

    /// The UID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_the_small_letters_of_the_tag() {
        let uid = ClusterUid::parse("0B9C0CB1-3A1F-4F5E-9D55-6A5FF4BD6A2B").unwrap();
        assert_eq!(uid.as_str(), "0b9c0cb1-3a1f-4f5e-9d55-6a5ff4bd6a2b");
    }

    #[test]
    fn a_uid_has_no_character_that_iam_expands() {
        assert!(ClusterUid::parse("0b9c0cb1-3a1f-4f5e-9d55-6a5ff4bd6a2b").is_ok());
        for bad in ["", "short", "${aws:username}", "0b9c0cb1*", "0b9c0cb1 3a1f"] {
            let words = ClusterUid::parse(bad).unwrap_err().to_string();
            assert!(words.contains("kubectl get namespace kube-system"), "{words}");
        }
    }

    #[test]
    fn a_partition_is_one_of_three() {
        for partition in Partition::ALL {
            assert_eq!(Partition::parse(&partition.to_string()), Ok(partition));
        }
        for bad in ["", "AWS", "aws-iso", "aws:ec2", "*"] {
            let words = Partition::parse(bad).unwrap_err().to_string();
            assert!(words.ends_with("is not a partition: use aws, aws-cn or aws-us-gov"), "{words}");
        }
    }
}
