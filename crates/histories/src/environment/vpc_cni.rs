//! The VPC CNI on a busy node: several interfaces with tens of addresses each, which it attaches and releases.

use super::Environment;
use super::ec2_setup::CNI_TAG;
use super::operation_result::OperationResult;
use multi_eni_sim::ec2::{Eni, InstanceState, Snapshot};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// How many addresses of an instance subnet must stay free, because new instances need them.
const SPARED: u64 = 600;
/// The VPC CNI takes the lowest free index up to this one.
const LAST_INDEX: u32 = 7;

impl Environment {
    /// Attaches interfaces of the VPC CNI with so many addresses each, at the lowest free indexes.
    pub(super) fn cni_grows(&self, node: &str, interfaces: u32, addresses: u32) -> OperationResult {
        let instance = self.instance_of(node)?;
        let mut taken = Vec::new();
        for _ in 0..interfaces {
            let snapshot = self.ec2.snapshot();
            let about = snapshot.instances.get(&instance).ok_or_else(|| format!("{instance} is gone"))?;
            if about.state != InstanceState::Running {
                return Err(format!("{instance} does not run"));
            }
            let slots = snapshot.attached_to(&instance);
            let Some(index) = (1..=LAST_INDEX).find(|index| !slots.contains_key(&(0, *index))) else { break };
            let free = snapshot.subnets.get(&about.subnet_id).map_or(0, |subnet| subnet.available_addresses);
            if free < SPARED {
                break;
            }
            let eni = self.ec2.hand_create(&about.subnet_id, &[(CNI_TAG, &instance)]).map_err(|e| e.to_string())?;
            let more = free_addresses(&self.ec2.snapshot(), &about.subnet_id, addresses.saturating_sub(1));
            self.ec2.hand_change(&eni, |eni: &mut Eni| eni.private_ips.extend(more)).map_err(|e| e.to_string())?;
            self.ec2.hand_attach(&eni, &instance, 0, index).map_err(|e| e.to_string())?;
            taken.push(index.to_string());
        }
        if taken.is_empty() {
            return Err("no index is free, or no address".to_owned());
        }
        Ok(format!("the VPC CNI takes {} of {node}, with {addresses} addresses each", taken.join(", ")))
    }

    /// Releases so many interfaces of the VPC CNI, the last ones first.
    pub(super) fn cni_shrinks(&self, node: &str, interfaces: u32) -> OperationResult {
        let mut given = 0;
        while given < interfaces && self.cni_release(node).is_ok() {
            given += 1;
        }
        if given == 0 {
            return Err(format!("the VPC CNI has no ENI on {node}"));
        }
        Ok(format!("the VPC CNI releases {given} ENIs of {node}"))
    }
}

/// Free addresses of a subnet, the highest first, because EC2 assigns addresses from the lowest.
fn free_addresses(snapshot: &Snapshot, subnet: &str, count: u32) -> Vec<Ipv4Addr> {
    let in_it = snapshot.enis.values().filter(|eni| eni.subnet_id == subnet);
    let taken: BTreeSet<Ipv4Addr> = in_it.flat_map(|eni| eni.private_ips.iter().copied()).collect();
    let Some(first) = taken.first() else { return Vec::new() };
    // The subnet is a /20. Its last address is the broadcast address.
    let last = u32::from(*first) | 0xfff;
    let free = (1..0xff0).map(|down| Ipv4Addr::from(last - down)).filter(|ip| !taken.contains(ip));
    free.take(usize::try_from(count).unwrap_or(0)).collect()
}
