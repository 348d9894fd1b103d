//! Draws the setting of a history.

use crate::environment::LOCAL_ZONE;
use crate::script::{Graces, Placement, Setting, SubnetPlace};
use fastrand::Rng;
use multi_eni_sim::ec2::catalog;

/// Two zones with four subnets each: one is tiny, and one has a name of its own. One name is on a subnet in each zone.
pub(super) fn subnets() -> Vec<SubnetPlace> {
    let mut subnets = Vec::new();
    for (zone, base) in [("a", 0xa0_u64), ("b", 0xb0)] {
        for number in 1..=4 {
            let name = match number {
                2 => Some(format!("only-{zone}")),
                3 => Some("storage".to_owned()),
                _ => None,
            };
            let id = format!("subnet-{:017x}", base + number);
            // Two subnets of each zone with room, and the tiny one.
            let pool = match number {
                1 | 2 => Some("wide".to_owned()),
                4 => Some("narrow".to_owned()),
                _ => None,
            };
            let zone = zone.to_owned();
            let (tiny, placement) = (number == 4, Placement::Region);
            subnets.push(SubnetPlace { id, zone, name, pool, tiny, ipv6_only: false, shared: false, placement });
        }
    }
    subnets
}

/// The same subnets. In some histories one has IPv6 only, one or two are shared by another account, or there is a Local Zone with
/// two subnets more.
pub(super) fn draw_subnets(rng: &mut Rng) -> Vec<SubnetPlace> {
    let mut all = subnets();
    let roomy: Vec<usize> = (0..all.len()).filter(|at| !all[*at].tiny).collect();
    if rng.u32(0..6) == 0 {
        all[*pick(rng, &roomy)].ipv6_only = true;
    }
    if rng.u32(0..6) == 0 {
        for _ in 0..rng.u32(1..3) {
            all[*pick(rng, &roomy)].shared = true;
        }
    }
    if rng.u32(0..8) == 0 {
        let of = |id: u64, name: Option<&str>, pool: Option<&str>| SubnetPlace {
            id: format!("subnet-{id:017x}"),
            zone: LOCAL_ZONE.to_owned(),
            name: name.map(str::to_owned),
            pool: pool.map(str::to_owned),
            tiny: false,
            ipv6_only: false,
            shared: false,
            placement: Placement::Region,
        };
        all.extend([of(0xc1, None, Some("wide")), of(0xc3, Some("storage"), None)]);
    }
    all
}

/// What the nodes and the specs of a history may ask for.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    /// How many interfaces each network card of the instances has.
    pub cards: Vec<u32>,
    /// Whether Nodes have the label of the instance type, without which `deviceIndexPolicy: highestFree` chooses no index.
    pub typed: bool,
    /// The subnets.
    pub subnets: Vec<SubnetPlace>,
}

impl Choices {
    pub fn of(setting: &Setting) -> Self {
        let cards = catalog::instance_type(&setting.instance_type).map_or_else(Vec::new, |found| found.cards.to_vec());
        Self { cards, typed: setting.typed, subnets: setting.subnets.clone() }
    }

    /// The zones for nodes: `a` twice as often as the others, and only those that have subnets.
    pub fn zones(&self) -> Vec<&'static str> {
        let has_local_zone = self.subnets.iter().any(|place| place.zone == LOCAL_ZONE);
        ["a", "a", "b"].into_iter().chain(has_local_zone.then_some(LOCAL_ZONE)).collect()
    }
}

/// Instance types: one with room for all ENIs, two that become full, and one with two network cards.
const TYPES: [&str; 6] = ["m5.24xlarge", "m5.24xlarge", "m5.24xlarge", "m5.4xlarge", "m5.2xlarge", "c6in.32xlarge"];

pub(super) fn draw(rng: &mut Rng) -> Setting {
    let mut chance = |per_cent: u32| rng.u32(0..100) < per_cent;
    let replicas = if chance(60) { 2 } else { 1 };
    let (flapping_reads, short_pages) = (chance(30), chance(20));
    let (force_spoils_slot, quota_before_token) = (chance(20), chance(70));
    let (small_pages, same_identity) = (chance(20), chance(50));
    let (skewed, hurried) = (chance(30), chance(20));
    let (typed, waits_for_pods) = (chance(60), chance(30));
    let lag = *pick(rng, &[0, 0, 2_000, 10_000, 30_000]);
    let slow = *pick(rng, &[[40, 120], [10, 30], [200, 900]]);
    let transition =
        *pick(rng, &[[200, 1_000], [200, 1_000], [200, 1_000], [1_000, 4_000], [1_000, 4_000], [2_000, 9_000]]);
    let renew_every = *pick(rng, &[2_000, 5_000, 5_000, 5_000, 5_000, 5_000]);
    let buckets_percent = *pick(rng, &[100, 100, 30, 10]);
    let shutdown = *pick(rng, &[0, 5_000, 40_000]);
    let instance_type = (*pick(rng, &TYPES)).to_owned();
    Setting {
        replicas,
        instance_type,
        same_identity,
        typed,
        waits_for_pods,
        renew_every,
        lag,
        flapping_reads,
        ec2_latency: slow,
        transition,
        shutdown,
        force_spoils_slot,
        short_pages,
        quota_before_token,
        page_size: if small_pages { 5 } else { 1000 },
        buckets_percent,
        clock_skew: if skewed { (0..replicas).map(|_| rng.i64(-120_000..120_000)).collect() } else { Vec::new() },
        graces: if hurried { Graces { label: 2, node_gone: 60, force_detach: 200 } } else { Graces::default() },
        ..Setting::default()
    }
}

/// A random element.
pub(super) fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}
