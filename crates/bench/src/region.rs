//! The Region of the simulated EC2: default buckets, one zone, one VPC, instances of one type. Both virtual and real time use it.

use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Buckets, Ec2, Settings};
use serde::Serialize;

/// The name of the Region.
pub const REGION: &str = "eu-west-1";
/// The only zone.
pub const ZONE: &str = "eu-west-1a";
/// The type of all instances.
pub const TYPE: &str = "m5.24xlarge";
/// The security group that NodeENIs can name.
pub const GROUP: &str = "sg-05da196f3314d4af8";
/// The subnet of the instances' primary interfaces.
pub const NODES_SUBNET: &str = "subnet-00000000000000aaa";
const VPC: &str = "vpc-0a1b2c3d4e5f60718";

/// The subnet of the nth NodeENI, 1 or 2.
pub fn subnet(n: u32) -> String {
    format!("subnet-{n:017x}")
}

/// Whether this is the subnet of a NodeENI.
pub fn is_of_nodeeni(id: &str) -> bool {
    [1, 2].map(subnet).iter().any(|subnet| subnet == id)
}

/// The ID of the nth instance.
pub fn instance(n: u32) -> String {
    format!("i-{n:017x}")
}

/// Creates the simulated EC2: default buckets, no quota, 40 to 120 ms for a call, 1 to 4 s for an attach or detach.
///
/// # Errors
/// If the simulator refuses a subnet; the message names it.
pub fn open(clock: SimClock) -> Result<Ec2, String> {
    let settings = Settings { buckets: Some(Buckets::default()), eni_quota: None, records: 0, ..Settings::default() };
    let ec2 = Ec2::new(clock, settings);
    ec2.add_vpc(VPC);
    let own = (NODES_SUBNET.to_owned(), "10.0.0.0/16");
    for (id, cidr) in [own, (subnet(1), "10.1.0.0/16"), (subnet(2), "10.2.0.0/16")] {
        ec2.add_subnet(&id, VPC, ZONE, cidr, None).map_err(|error| format!("subnet {id}: {error}"))?;
    }
    ec2.add_security_group(GROUP, VPC, "pool");
    Ok(ec2)
}

/// The ENIs that the VPC CNI has attached to each instance before the controller starts. They are foreign to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Neighbours {
    /// ENIs of each instance, 0 to 12.
    pub enis: u32,
    /// Private IPv4 addresses of each ENI, 1 to 50.
    pub addresses: u32,
}

impl Neighbours {
    /// No neighbours.
    pub const NONE: Self = Self { enis: 0, addresses: 1 };

    /// Adds the subnets of the VPC CNI that the ENIs of this many instances need.
    ///
    /// # Errors
    /// If the simulator refuses one; the message names it.
    pub fn add_subnets(self, ec2: &Ec2, instances: u32) -> Result<(), String> {
        (0..=self.subnet_number(instances, self.enis)).try_for_each(|n| {
            let added = ec2.add_subnet(&cni_subnet(n), VPC, ZONE, &format!("100.{}.0.0/16", 64 + n), None);
            added.map_err(|error| format!("subnet {}: {error}", cni_subnet(n)))
        })
    }

    /// Attaches the neighbours of the nth instance, above the device indexes of NodeENIs.
    ///
    /// # Errors
    /// If the simulator refuses one.
    pub fn attach(self, ec2: &Ec2, n: u32) -> Result<(), String> {
        let on = instance(n);
        let tags = [("cluster.k8s.amazonaws.com/name", "bench"), ("node.k8s.amazonaws.com/instance_id", on.as_str())];
        (0..self.enis).try_for_each(|nth| {
            let subnet = cni_subnet(self.subnet_number(n, nth));
            let created = ec2.hand_create_with_addresses(&subnet, &tags, self.addresses);
            let attached = created.and_then(|eni| ec2.hand_attach(&eni, &on, 0, 3 + nth));
            attached.map_err(|error| format!("a neighbour of {on}: {error}"))
        })
    }

    /// The subnet of the nth neighbour of an instance. A subnet has room for 65,531 addresses.
    fn subnet_number(self, instance: u32, nth: u32) -> u32 {
        (instance * self.enis + nth) * self.addresses / 60_000
    }
}

fn cni_subnet(n: u32) -> String {
    format!("subnet-{:017x}", 0xc0000 + n)
}

/// Starts the nth instance.
///
/// # Errors
/// If the simulator refuses it.
pub fn run_instance(ec2: &Ec2, n: u32) -> Result<(), String> {
    ec2.run_instance(&instance(n), TYPE, NODES_SUBNET).map_err(|error| format!("{}: {error}", instance(n)))
}
