//! Setting up an account: VPCs, subnets, security groups and instances.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Ec2;
use super::actions::Call;
use super::addresses::AddressPool;
use super::api_error::ApiError;
use super::by_hand::{attach_at_once, create_eni};
use super::catalog;
use super::model::{Creator, Instance, InstanceState, SecurityGroup, Subnet};
use super::params::Params;
use super::setup_error::Result;
use super::state::{State, SubnetEntry};

impl Ec2 {
    /// Adds a VPC with a default security group; returns the group's ID.
    pub fn add_vpc(&self, id: &str) -> String {
        self.with(|state| {
            let group = state.ids.next("sg");
            state.vpcs.insert(id.to_owned(), group.clone());
            insert_group(state, &group, id, "default");
            group
        })
    }

    /// Adds a subnet, and its VPC if that is new. `name` becomes the subnet's tag Name.
    pub fn add_subnet(&self, id: &str, vpc: &str, zone: &str, cidr: &str, name: Option<&str>) -> Result<()> {
        let pool =
            AddressPool::parse(cidr).ok_or_else(|| ApiError::value(format!("not an IPv4 /16 to /28: {cidr}")))?;
        if self.with(|state| !state.vpcs.contains_key(vpc)) {
            self.add_vpc(vpc);
        }
        let subnet = Subnet {
            id: id.to_owned(),
            vpc_id: vpc.to_owned(),
            zone: zone.to_owned(),
            outpost: None,
            cidr: cidr.to_owned(),
            ipv6_cidr: None,
            tags: name.map(|name| ("Name".to_owned(), name.to_owned())).into_iter().collect(),
            available_addresses: pool.available(),
            shared_by: None,
        };
        self.with(|state| state.subnets.insert(id.to_owned(), SubnetEntry { subnet, pool }));
        Ok(())
    }

    /// Adds an IPv6-only subnet with a /64 block, and its VPC if that is new.
    pub fn add_ipv6_only_subnet(&self, id: &str, vpc: &str, zone: &str, cidr: &str) -> Result<()> {
        if self.with(|state| !state.vpcs.contains_key(vpc)) {
            self.add_vpc(vpc);
        }
        let mut pool = AddressPool::without_ipv4();
        pool.set_ipv6(cidr).ok_or_else(|| ApiError::value(format!("not an IPv6 block: {cidr}")))?;
        let subnet = Subnet {
            id: id.to_owned(),
            vpc_id: vpc.to_owned(),
            zone: zone.to_owned(),
            outpost: None,
            cidr: String::new(),
            ipv6_cidr: Some(cidr.to_owned()),
            tags: BTreeMap::new(),
            available_addresses: 0,
            shared_by: None,
        };
        self.with(|state| state.subnets.insert(id.to_owned(), SubnetEntry { subnet, pool }));
        Ok(())
    }

    /// Gives a subnet an IPv6 /64 block.
    pub fn set_ipv6_cidr(&self, subnet: &str, cidr: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| ApiError::no_subnet(subnet))?;
            entry.pool.set_ipv6(cidr).ok_or_else(|| ApiError::value(format!("not an IPv6 block: {cidr}")))?;
            entry.subnet.ipv6_cidr = Some(cidr.to_owned());
            Ok(())
        })
    }

    /// Sets a subnet's tag Name.
    pub fn name_subnet(&self, subnet: &str, name: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| ApiError::no_subnet(subnet))?;
            entry.subnet.tags.insert("Name".to_owned(), name.to_owned());
            Ok(())
        })
    }

    /// Makes a subnet one of another account, which shares it with this account (AWS RAM). This account does not see its tags.
    pub fn share_subnet(&self, subnet: &str, owner: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| ApiError::no_subnet(subnet))?;
            entry.subnet.shared_by = Some(owner.to_owned());
            Ok(())
        })
    }

    /// Puts a subnet that has no interfaces yet on an Outpost, by its ARN. Instances that are started in the subnet are on it, too.
    pub fn put_on_outpost(&self, subnet: &str, arn: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| ApiError::no_subnet(subnet))?;
            entry.subnet.outpost = Some(arn.to_owned());
            Ok(())
        })
    }

    /// Adds a security group.
    pub fn add_security_group(&self, id: &str, vpc: &str, name: &str) {
        self.with(|state| insert_group(state, id, vpc, name));
    }

    /// Sets a tag of a subnet or a security group. None removes the tag.
    pub fn tag_place(&self, id: &str, key: &str, value: Option<&str>) -> Result<()> {
        self.with(|state| {
            let subnet = state.subnets.get_mut(id).map(|entry| &mut entry.subnet.tags);
            let group = state.groups.get_mut(id).map(|group| &mut group.tags);
            let tags = subnet.or(group).ok_or_else(|| ApiError::no_subnet(id))?;
            match value {
                Some(value) => drop(tags.insert(key.to_owned(), value.to_owned())),
                None => drop(tags.remove(key)),
            }
            Ok(())
        })
    }

    /// Removes a security group or a subnet, whether or not it is in use.
    pub fn remove_place(&self, id: &str) {
        self.with(|state| {
            state.groups.remove(id);
            state.subnets.remove(id);
        });
    }

    /// Starts an instance, which runs at once. Its primary interface, at card 0 and index 0, is deleted with the instance.
    pub fn run_instance(&self, id: &str, instance_type: &str, subnet: &str) -> Result<()> {
        self.with(|state| {
            catalog::instance_type(instance_type)
                .ok_or_else(|| ApiError::new("InvalidInstanceType", format!("not in the catalog: {instance_type}")))?;
            let location = state.subnets.get(subnet).ok_or_else(|| ApiError::no_subnet(subnet))?.subnet.clone();
            let instance = Instance {
                id: id.to_owned(),
                instance_type: instance_type.to_owned(),
                subnet_id: location.id,
                vpc_id: location.vpc_id,
                zone: location.zone,
                outpost: location.outpost,
                state: InstanceState::Running,
                tags: BTreeMap::new(),
                launched: state.now,
                managed: false,
                unusable_slots: BTreeSet::new(),
            };
            state.instances.insert(id.to_owned(), instance);
            let call = Call::by_hand(Params::of([("SubnetId", subnet), ("Description", "primary")]));
            let primary = match create_eni(state, &call, Creator::Instance) {
                Ok(primary) => primary,
                Err(error) => {
                    state.instances.remove(id);
                    return Err(error);
                }
            };
            attach_at_once(state, primary, id, (0, 0), true);
            Ok(())
        })
    }
}

fn insert_group(state: &mut State, id: &str, vpc: &str, name: &str) {
    let group =
        SecurityGroup { id: id.to_owned(), name: name.to_owned(), vpc_id: vpc.to_owned(), tags: BTreeMap::new() };
    state.groups.insert(id.to_owned(), group);
}
