//! The AWS account of a history: one VPC in two zones and a Local Zone, with its subnets and security groups.

use crate::script::Setting;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Buckets, Ec2, Settings};
use std::time::Duration;

/// The only VPC.
pub const VPC: &str = "vpc-0a1b2c3d4e5f60718";
/// The zones, as scripts name them.
pub const ZONES: [&str; 3] = ["a", "b", LOCAL_ZONE];
/// The Local Zone, as scripts name it.
pub const LOCAL_ZONE: &str = "xyz";
/// The subnets of instances and of the VPC CNI's interfaces, one in each of [`ZONES`].
const NODE_SUBNETS: [&str; 3] = ["subnet-00000000000000aaa", "subnet-00000000000000bbb", "subnet-00000000000000ccc"];
/// The account that shares subnets with this one.
const SHARING_ACCOUNT: &str = "210987654321";
/// The tag of the VPC CNI's interfaces.
pub const CNI_TAG: &str = "node.k8s.amazonaws.com/instance_id";

/// The full name of one of [`ZONES`].
pub fn zone(of_script: &str) -> String {
    match of_script {
        LOCAL_ZONE => format!("eu-west-1-{LOCAL_ZONE}-1a"),
        letter => format!("eu-west-1{letter}"),
    }
}

/// The subnet of the instances of a zone.
pub(super) fn node_subnet(of_script: &str) -> Result<&'static str, String> {
    let found = ZONES.into_iter().zip(NODE_SUBNETS).find(|(zone, _)| *zone == of_script);
    found.map(|(_, subnet)| subnet).ok_or_else(|| format!("there is no zone {of_script}"))
}

pub(super) fn open(setting: &Setting, seed: u64, clock: SimClock) -> Result<Ec2, String> {
    let span = |[from, to]: [u64; 2]| Duration::from_millis(from)..=Duration::from_millis(to.max(from));
    let ec2 = Ec2::new(
        clock,
        Settings {
            attach_delay: span(setting.transition),
            detach_delay: span(setting.transition),
            call_latency: span(setting.ec2_latency),
            shutdown_delay: Duration::from_millis(setting.shutdown),
            buckets: Some(buckets(setting.buckets_percent)),
            lag: Duration::from_millis(setting.lag),
            flapping_reads: setting.flapping_reads,
            quota_before_token: setting.quota_before_token,
            short_pages: setting.short_pages,
            shuffles_lists: setting.shuffles_lists,
            force_spoils_slot: setting.force_spoils_slot,
            records: 0,
            seed,
            ..Settings::default()
        },
    );
    ec2.add_vpc(VPC);
    let add = |id: &str, zone_letter: &str, cidr: &str, name: Option<&str>| {
        ec2.add_subnet(id, VPC, &zone(zone_letter), cidr, name).map_err(|error| format!("subnet {id}: {error}"))
    };
    for (number, (zone, id)) in ZONES.into_iter().zip(NODE_SUBNETS).enumerate() {
        add(id, zone, &format!("10.{number}.0.0/20"), None)?;
    }
    for (number, place) in setting.subnets.iter().enumerate() {
        let refused = |error| format!("subnet {}: {error}", place.id);
        let block = format!("2001:db8:0:{number:x}::/64");
        if place.ipv6_only {
            ec2.add_ipv6_only_subnet(&place.id, VPC, &zone(&place.zone), &block).map_err(refused)?;
            if let Some(name) = &place.name {
                ec2.name_subnet(&place.id, name).map_err(refused)?;
            }
        } else {
            let cidr = format!("10.100.{number}.0/{}", if place.tiny { 28 } else { 24 });
            add(&place.id, &place.zone, &cidr, place.name.as_deref())?;
            ec2.set_ipv6_cidr(&place.id, &block).map_err(refused)?;
        }
        if let Some(pool) = &place.pool {
            ec2.tag_place(&place.id, POOL, Some(pool)).map_err(refused)?;
        }
        if place.shared {
            ec2.share_subnet(&place.id, SHARING_ACCOUNT).map_err(refused)?;
        }
    }
    for number in 1..=GROUPS {
        ec2.add_security_group(&group(number), VPC, &group_name(number));
        tag_group(&ec2, number, &group(number))?;
    }
    Ok(ec2)
}

/// How many security groups there are besides the VPC's default one.
pub const GROUPS: u64 = 3;

/// The ID of the nth security group, from 1.
pub fn group(number: u64) -> String {
    format!("sg-{number:017x}")
}

/// The name of the nth security group, from 1.
pub fn group_name(number: u64) -> String {
    format!("group{number}")
}

/// The tag of the subnets that have a pool.
pub const POOL: &str = "pool";

/// The tag of the groups that [`tier`] names.
pub const TIER: &str = "tier";

/// The value of the tag `tier` of the nth security group, from 1. The last group has no such tag.
pub fn tier(number: u64) -> Option<&'static str> {
    (number < GROUPS).then_some("shared")
}

/// Gives the nth group, which has this ID now, its tags.
pub(super) fn tag_group(ec2: &Ec2, number: u64, id: &str) -> Result<(), String> {
    let Some(tier) = tier(number) else { return Ok(()) };
    ec2.tag_place(id, TIER, Some(tier)).map_err(|error| format!("security group {id}: {error}"))
}

/// EC2's default token buckets, with `percent` of their sizes.
fn buckets(percent: u32) -> Buckets {
    let cut = |(capacity, refill): (u32, u32)| ((capacity * percent / 100).max(1), refill);
    let whole = Buckets::default();
    Buckets {
        actions: whole.actions.into_iter().map(|(action, rate)| (action, cut(rate))).collect(),
        filtered: cut(whole.filtered),
        unfiltered: cut(whole.unfiltered),
    }
}
