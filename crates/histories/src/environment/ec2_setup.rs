//! The AWS account of a history: one VPC in two zones and a Local Zone, with its subnets and security groups. In some histories a
//! zone has an Outpost, or there is a second VPC, whose groups have the same names and tags.

use crate::script::{Placement, Setting, SubnetPlace};
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Buckets, Ec2, Settings};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The first VPC.
const VPC: &str = "vpc-0a1b2c3d4e5f60718";
/// The second VPC.
pub(super) const SECOND_VPC: &str = "vpc-0f1e2d3c4b5a69788";
/// The Outpost.
const OUTPOST: &str = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0ab23c4567890de1f";
/// The zones, as scripts name them.
pub const ZONES: [&str; 3] = ["a", "b", LOCAL_ZONE];
/// The Local Zone, as scripts name it.
pub const LOCAL_ZONE: &str = "xyz";
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

/// The VPC of a part of the account.
fn vpc(placement: Placement) -> &'static str {
    match placement {
        Placement::Region | Placement::Outpost => VPC,
        Placement::SecondVpc => SECOND_VPC,
    }
}

/// The number of a part of the account. The IDs and the blocks of its instances' subnets contain it.
fn number_of(placement: Placement) -> usize {
    match placement {
        Placement::Region => 0,
        Placement::Outpost => 1,
        Placement::SecondVpc => 2,
    }
}

/// The subnet of the instances of a zone in a part of the account, and of the VPC CNI's interfaces on them.
pub(super) fn node_subnet((of_script, placement): (&str, Placement)) -> Result<String, String> {
    let found = ZONES.into_iter().zip(["aaa", "bbb", "ccc"]).find(|(zone, _)| *zone == of_script);
    let (_, letters) = found.ok_or_else(|| format!("there is no zone {of_script}"))?;
    Ok(format!("subnet-{:014}{letters}", number_of(placement)))
}

/// Adds the subnets of instances: one for each zone, and for each zone in which the Outpost or the second VPC has a subnet.
fn add_node_subnets(ec2: &Ec2, subnets: &[SubnetPlace]) -> Result<(), String> {
    for placement in [Placement::Region, Placement::Outpost, Placement::SecondVpc] {
        for (number, of_script) in ZONES.into_iter().enumerate() {
            let is_there = subnets.iter().any(|place| place.zone == of_script && place.placement == placement);
            if !is_there && !placement.is_region() {
                continue;
            }
            let id = node_subnet((of_script, placement))?;
            let cidr = format!("10.{}.0.0/20", 10 * number_of(placement) + number);
            add_subnet(ec2, (&id, placement), (of_script, &cidr), None)?;
        }
    }
    Ok(())
}

/// Adds a subnet with IPv4 addresses.
fn add_subnet(
    ec2: &Ec2,
    (id, placement): (&str, Placement),
    (of_script, cidr): (&str, &str),
    name: Option<&str>,
) -> Result<(), String> {
    let refused = |error| format!("subnet {id}: {error}");
    ec2.add_subnet(id, vpc(placement), &zone(of_script), cidr, name).map_err(refused)?;
    if placement == Placement::Outpost {
        ec2.put_on_outpost(id, OUTPOST).map_err(refused)?;
    }
    Ok(())
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
    add_node_subnets(&ec2, &setting.subnets)?;
    for (number, place) in setting.subnets.iter().enumerate() {
        let refused = |error| format!("subnet {}: {error}", place.id);
        let block = format!("2001:db8:0:{number:x}::/64");
        if place.ipv6_only {
            ec2.add_ipv6_only_subnet(&place.id, vpc(place.placement), &zone(&place.zone), &block).map_err(refused)?;
            if let Some(name) = &place.name {
                ec2.name_subnet(&place.id, name).map_err(refused)?;
            }
        } else {
            let cidr = format!("10.100.{number}.0/{}", if place.tiny { 28 } else { 24 });
            add_subnet(&ec2, (&place.id, place.placement), (&place.zone, &cidr), place.name.as_deref())?;
            ec2.set_ipv6_cidr(&place.id, &block).map_err(refused)?;
        }
        if let Some(pool) = &place.pool {
            ec2.tag_place(&place.id, POOL, Some(pool)).map_err(refused)?;
        }
        if place.shared {
            ec2.share_subnet(&place.id, SHARING_ACCOUNT).map_err(refused)?;
        }
    }
    for number in all_groups(&setting.subnets) {
        add_group(&ec2, number, &group(number))?;
    }
    Ok(ec2)
}

/// How many security groups each VPC has besides its default one.
pub const GROUPS: u64 = 3;

/// The numbers of the security groups of the VPC of a part of the account.
pub fn groups_of(placement: Placement) -> RangeInclusive<u64> {
    if placement.is_in_vpc_of(Placement::Region) { 1..=GROUPS } else { GROUPS + 1..=2 * GROUPS }
}

/// The numbers of all security groups that there are with these subnets.
pub fn all_groups(subnets: &[SubnetPlace]) -> RangeInclusive<u64> {
    let has_second_vpc = subnets.iter().any(|place| place.placement == Placement::SecondVpc);
    1..=if has_second_vpc { 2 * GROUPS } else { GROUPS }
}

/// The ID of the nth security group, from 1.
pub fn group(number: u64) -> String {
    format!("sg-{number:017x}")
}

/// The name of the nth security group, from 1. Both VPCs have the same names.
pub fn group_name(number: u64) -> String {
    format!("group{}", number_in_vpc(number))
}

/// The VPC of the nth security group, from 1.
pub(super) fn vpc_of_group(number: u64) -> &'static str {
    if groups_of(Placement::Region).contains(&number) { VPC } else { SECOND_VPC }
}

fn number_in_vpc(number: u64) -> u64 {
    if groups_of(Placement::Region).contains(&number) { number } else { number.saturating_sub(GROUPS) }
}

/// The tag of the subnets that have a pool.
pub const POOL: &str = "pool";

/// The tag of the groups that [`tier`] names.
pub const TIER: &str = "tier";

/// The value of the tag `tier` of the nth security group, from 1. The last group of a VPC has no such tag.
pub fn tier(number: u64) -> Option<&'static str> {
    (number_in_vpc(number) < GROUPS).then_some("shared")
}

/// Adds the nth group with this ID.
pub(super) fn add_group(ec2: &Ec2, number: u64, id: &str) -> Result<(), String> {
    ec2.add_security_group(id, vpc_of_group(number), &group_name(number));
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
