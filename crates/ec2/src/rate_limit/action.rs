//! The EC2 actions that this crate calls, and EC2's default bucket of each.

use crate::rate_limit::bucket::Limit;
use std::collections::BTreeMap;
use std::time::Duration;

/// The EC2 actions that this crate calls; each has its own bucket at EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Create,
    Attach,
    Modify,
    Tag,
    Untag,
    Detach,
    Delete,
    DescribeEnis,
    DescribeInstances,
    DescribeSubnets,
    DescribeGroups,
    DescribeTypes,
}

impl Action {
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Attach,
        Self::Modify,
        Self::Tag,
        Self::Untag,
        Self::Detach,
        Self::Delete,
        Self::DescribeEnis,
        Self::DescribeInstances,
        Self::DescribeSubnets,
        Self::DescribeGroups,
        Self::DescribeTypes,
    ];

    /// EC2's name of the action.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Modify => "ModifyNetworkInterfaceAttribute",
            Self::Tag => "CreateTags",
            Self::Untag => "DeleteTags",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
            Self::DescribeEnis => "DescribeNetworkInterfaces",
            Self::DescribeInstances => "DescribeInstances",
            Self::DescribeSubnets => "DescribeSubnets",
            Self::DescribeGroups => "DescribeSecurityGroups",
            Self::DescribeTypes => "DescribeInstanceTypes",
        }
    }

    /// EC2's default bucket of the action, per account and Region. The Describe values are EC2's for filtered and paginated
    /// calls: this crate sends no others.
    pub fn default_limit(self) -> Limit {
        let (capacity, refill) = match self {
            Self::Create | Self::Delete | Self::Modify => (100.0, 5.0),
            Self::Attach | Self::Detach => (50.0, 5.0),
            Self::Tag | Self::Untag => (100.0, 10.0),
            Self::DescribeEnis
            | Self::DescribeInstances
            | Self::DescribeSubnets
            | Self::DescribeGroups
            | Self::DescribeTypes => (100.0, 20.0),
        };
        Limit { capacity, refill }
    }
}

/// EC2's names of the actions that this crate calls: what the IAM policy has to permit.
pub fn action_names() -> impl Iterator<Item = &'static str> {
    Action::ALL.into_iter().map(Action::name)
}

/// The shortest time in which these numbers of calls, by EC2's name of the action, can be sent. It assumes full buckets of EC2's
/// default sizes and `share` (0.01 to 1) of EC2's default refill rates. It does not include the time that EC2 takes to attach and
/// detach. It ignores actions that this crate does not call.
pub fn shortest(calls: &BTreeMap<&'static str, u32>, share: f64) -> Duration {
    let waits = calls.iter().filter_map(|(name, n)| {
        let action = Action::ALL.into_iter().find(|action| action.name() == *name)?;
        let Limit { capacity, refill } = action.default_limit();
        Some((f64::from(*n) - capacity).max(0.0) / (refill * share.clamp(0.01, 1.0)))
    });
    Duration::from_secs_f64(waits.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// facts/ec2.md: 1,000 nodes × 2 take 390 s of Attach at the whole rate.
    #[test]
    fn the_shortest_time_matches_the_facts() {
        let calls =
            |n| BTreeMap::from([("CreateNetworkInterface", n), ("AttachNetworkInterface", n), ("CreateTags", 7)]);
        assert_eq!(shortest(&calls(2000), 1.0), Duration::from_secs(390));
        assert_eq!(shortest(&calls(100), 1.0), Duration::from_secs(10));
        assert_eq!(shortest(&calls(100), 0.8), Duration::from_millis(12_500));
        assert_eq!(shortest(&calls(50), 0.8), Duration::ZERO);
    }
}
