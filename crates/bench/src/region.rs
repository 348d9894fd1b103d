//! The Region of the simulated EC2: default buckets, one zone, one VPC, instances of one type. Both virtual and real time use it.

use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Buckets, Ec2, Settings};

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

/// Starts the nth instance.
///
/// # Errors
/// If the simulator refuses it.
pub fn run_instance(ec2: &Ec2, n: u32) -> Result<(), String> {
    ec2.run_instance(&instance(n), TYPE, NODES_SUBNET).map_err(|error| format!("{}: {error}", instance(n)))
}
