//! What EC2 showed of subnets, security groups and instance types. It is filled by the lookups of the catalog; nothing is decided here.

use super::location::Location;
use crate::confirmation::tags_confirmed_at;
use crate::ec2_terms::TagTerm;
use crate::lookup_failure::LookupFailure;
use crate::named_groups::NamedGroups;
use crate::string_map::StringMap;
use jiff::Timestamp;
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};

/// The limits of an instance type, by DescribeInstanceTypes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Network interfaces in total, the primary one included.
    pub enis: i32,
    /// Network interfaces of each network card, by card index.
    pub cards: Vec<i32>,
    /// Private IPv4 addresses per interface; a prefix counts as one.
    pub ipv4_per_eni: i32,
    /// IPv6 addresses per interface.
    pub ipv6_per_eni: i32,
}

/// A subnet as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSubnet {
    /// Its ID.
    pub id: SubnetId,
    /// Availability Zone, such as `eu-west-1a`.
    pub zone: String,
    /// The ARN of its Outpost; None if it is in the Region itself.
    pub outpost: Option<Box<str>>,
    /// Its VPC.
    pub vpc: String,
    /// IPv4 CIDR.
    pub cidr: String,
    /// The account that owns the subnet. It is another account if the subnet is shared by AWS RAM. Empty if EC2 does not show it.
    pub owner: String,
    /// Tag Name.
    pub name: Option<String>,
    /// All tags that EC2 shows. Of a subnet that another account shares, EC2 shows none of the owner's.
    pub tags: StringMap,
    /// Start of the first Describe that showed these tags, without other tags since. None: earlier Describes do not count.
    pub tags_since: Option<Timestamp>,
    /// Free IPv4 addresses at the time of the Describe.
    pub free_addresses: i32,
    /// Start of the latest Describe that showed more free addresses than the Describe before.
    pub grown: Option<Timestamp>,
    /// When the Describe began.
    pub as_of: Timestamp,
}

impl ObservedSubnet {
    /// Where it is.
    pub fn location(&self) -> Location {
        Location { zone: self.zone.clone(), outpost: self.outpost.clone() }
    }

    /// When a Describe must begin to confirm the tags. `edited`: when the terms were edited, as far as this process has observed.
    pub fn tags_confirmed_at(&self, edited: Option<Timestamp>) -> Timestamp {
        tags_confirmed_at(self.tags_since.unwrap_or(self.as_of), edited)
    }

    /// Whether EC2 has shown the tags for long enough to replace an ENI because of them.
    pub fn has_confirmed_tags(&self, edited: Option<Timestamp>) -> bool {
        self.tags_since.is_some() && self.as_of >= self.tags_confirmed_at(edited)
    }
}

/// The kinds of lookups that fill the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatalogLookup {
    /// Subnets by ID.
    SubnetsById,
    /// Subnets by their tag Name.
    SubnetsByName,
    /// Subnets by tags.
    SubnetsByTags,
    /// Security groups by name.
    Groups,
    /// Security groups by tags.
    GroupsByTags,
    /// Limits of instance types.
    InstanceTypes,
}

impl CatalogLookup {
    /// EC2's name of the action.
    pub fn action(self) -> &'static str {
        match self {
            Self::SubnetsById | Self::SubnetsByName | Self::SubnetsByTags => "DescribeSubnets",
            Self::Groups | Self::GroupsByTags => "DescribeSecurityGroups",
            Self::InstanceTypes => "DescribeInstanceTypes",
        }
    }
}

/// Security groups with the tags of a term, as EC2 showed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaggedGroups {
    /// VPC and ID of each group, in every VPC.
    pub groups: BTreeSet<(String, SecurityGroupId)>,
    /// Start of the first Describe that showed these groups, without others since.
    pub since: Timestamp,
    /// Whether the answers have shown the same groups for minutes (three, see `confirmation.rs`).
    pub is_confirmed: bool,
}

/// The known subnets, security groups and instance types, and those that EC2 does not know. No entry: not looked up yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ec2Catalog {
    /// Subnets by ID.
    pub subnets: BTreeMap<SubnetId, ObservedSubnet>,
    /// Subnet IDs that EC2 does not know, and since when that is known.
    pub missing_subnets: BTreeMap<SubnetId, Timestamp>,
    /// Subnets by tag Name, in every VPC. An empty set: the name was looked up, and no subnet has it.
    pub subnets_named: BTreeMap<String, BTreeSet<SubnetId>>,
    /// Since when each name has stood for the same subnets, as far as this process has observed.
    pub subnets_named_since: BTreeMap<String, Timestamp>,
    /// Subnets by the tags of a term, in every VPC, by the last answer.
    pub subnets_tagged: BTreeMap<TagTerm, BTreeSet<SubnetId>>,
    /// Security groups by name.
    pub groups_named: BTreeMap<String, NamedGroups>,
    /// Security groups by the tags of a term.
    pub groups_tagged: BTreeMap<TagTerm, TaggedGroups>,
    /// Limits by instance type; None: EC2 does not know the type.
    pub instance_types: BTreeMap<String, Option<InstanceLimits>>,
    /// The failure of the last lookup of each kind; no entry if the lookup succeeded.
    pub failures: BTreeMap<CatalogLookup, LookupFailure>,
}

impl Ec2Catalog {
    /// Instance types that EC2 did not know.
    pub fn unknown_types(&self) -> Vec<String> {
        self.instance_types.iter().filter(|(_, limits)| limits.is_none()).map(|(kind, _)| kind.clone()).collect()
    }

    /// The failure of the first of these lookups that failed.
    pub fn failure(&self, lookups: &[CatalogLookup]) -> Option<&LookupFailure> {
        lookups.iter().find_map(|lookup| self.failures.get(lookup))
    }

    /// The IDs of the security groups with these IDs and names in one VPC.
    ///
    /// # Errors
    /// The first name that does not stand for exactly one group in the VPC, and the number of groups; None if the name was not
    /// looked up.
    pub fn groups<'a>(
        &self,
        ids: &[SecurityGroupId],
        names: &'a [String],
        vpc: &str,
    ) -> Result<Vec<SecurityGroupId>, (&'a str, Option<usize>)> {
        let mut groups = ids.to_vec();
        for name in names {
            let found = &self.groups_named.get(name).ok_or((name.as_str(), None))?.groups;
            let in_vpc: Vec<&SecurityGroupId> = found.iter().filter(|(of, _)| of == vpc).map(|(_, id)| id).collect();
            match in_vpc.as_slice() {
                [id] if groups.contains(id) => {}
                [id] => groups.push((*id).clone()),
                several => return Err((name, Some(several.len()))),
            }
        }
        Ok(groups)
    }
}
