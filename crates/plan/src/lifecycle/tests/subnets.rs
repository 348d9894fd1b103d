//! Subnets without room.

use super::*;
use crate::observed::ObservedSubnet;
use multi_eni_api::ids::SubnetId;

impl World {
    pub(super) fn describe(&mut self, observed_subnet: ObservedSubnet) {
        self.catalog.subnets = [(observed_subnet.id.clone(), observed_subnet)].into();
    }
}

pub(super) fn observed_subnet(free: i32, grown: Option<i64>, seconds: i64) -> ObservedSubnet {
    ObservedSubnet {
        id: SubnetId::parse("subnet-0f59b4f14737be9ad").unwrap(),
        zone: "z1".into(),
        outpost: None,
        vpc: "vpc-1".into(),
        cidr: "10.0.0.0/24".into(),
        owner: String::new(),
        tags: Default::default(),
        tags_since: None,
        name: None,
        free_addresses: free,
        grown: grown.map(at),
        as_of: at(seconds),
    }
}

#[test]
fn a_full_subnet_is_described_again_before_a_create() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "InsufficientFreeAddressesInSubnet", "full");
    world.now = at(100);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(200);
    assert_eq!(world.step().action, Action::LookupSubnet(observed_subnet(0, None, 0).id));
    world.describe(observed_subnet(0, None, 200));
    assert_eq!(world.step().action, Action::Wait);
    world.describe(observed_subnet(1, None, 200));
    assert!(matches!(world.step().action, Action::Create { token, .. } if token == "uid-n0-1-0"));
}

/// EC2 shows how many addresses are free, not how they lie.
#[test]
fn a_block_is_requested_three_times_then_after_growth_or_every_ten_minutes() {
    let mut world = World::new(absent(25));
    world.attachment.request.ipv4_prefix_count = Some(1);
    for n in 1..=4 {
        world.now = at(200 * n);
        world.fail(Call::Create, "InsufficientCidrBlocks", "no block");
        world.describe(observed_subnet(100, None, 200 * n + 151));
        world.now = at(200 * n + 152);
        assert_eq!(matches!(world.step().action, Action::Create { .. }), n <= 3, "{n}: {:?}", world.step());
    }
    for (seconds, tries) in [(1399, false), (1400, true)] {
        world.now = at(seconds);
        world.describe(observed_subnet(100, None, seconds));
        assert_eq!(matches!(world.step().action, Action::Create { .. }), tries, "{seconds}");
    }
    world.now = at(952);
    world.describe(observed_subnet(100, Some(951), 951));
    assert!(matches!(world.step().action, Action::Create { .. }));
}

#[test]
fn a_subnet_without_room_is_reported_whatever_was_refused_before() {
    let mut world = World::new(absent(25));
    world.describe(observed_subnet(0, None, 29));
    let short = world.step();
    assert_eq!((short.action.clone(), short.status.phase), (Action::Wait, Phase::Blocked));
    assert!(short.status.conditions.iter().any(|c| c.reason == "SubnetFull"), "{short:?}");
    world.fail(Call::Create, "UnauthorizedOperation", "no");
    world.now = at(100);
    let still = world.step();
    assert!(still.status.conditions.iter().any(|c| c.reason == "SubnetFull"), "{still:?}");
    world.now = at(300);
    let lookups = world.step();
    assert_eq!(lookups.action, Action::LookupSubnet(observed_subnet(0, None, 0).id));
    assert!(lookups.status.conditions.iter().any(|c| c.reason == "SubnetFull"), "{lookups:?}");
}

#[test]
fn the_report_of_a_subnet_without_room_does_not_depend_on_the_gate() {
    let mut world = World::new(absent(25));
    world.describe(observed_subnet(0, None, 29));
    let ready = |world: &World| {
        let ready = world.step().status.conditions.into_iter().find(|condition| condition.type_ == types::READY);
        ready.map(|ready| (ready.reason, ready.message))
    };
    let short = ready(&world);
    assert!(short.as_ref().is_some_and(|(reason, _)| reason == "SubnetFull"), "{short:?}");
    // EC2 throttled this ENIAttachment's own Create, and now the quota gate holds all Creates back.
    world.fail(Call::Create, "RequestLimitExceeded", "busy");
    world.now = at(40);
    assert_eq!(ready(&world), short);
    let refusal = CallError::Answered { code: crate::gates::quota::CODE.into(), message: "no more".into() };
    world.quota.answered("another", at(40), &Err(refusal), at(41));
    world.now = at(42);
    assert_eq!(ready(&world), short);
    // This ENIAttachment's own Create was refused for the quota too. The report does not depend on its turn.
    world.fail(Call::Create, crate::gates::quota::CODE, "no more");
    world.now = at(43);
    assert_eq!(ready(&world), short);
    assert!(world.quota.freed());
    assert_eq!(ready(&world), short);
}

/// This Create was refused twice, others were refused once. The count must not change with the refusal that holds it
/// back.
#[test]
fn the_count_of_a_repeated_error_never_falls() {
    let mut world = World::new(absent(25));
    for _ in 0..2 {
        world.fail(Call::Create, crate::gates::quota::CODE, "no more");
    }
    world.attachment.status = world.step().status;
    assert_eq!(world.attachment.status.last_error.as_ref().map(|error| error.count), Some(2));
    let refusal = CallError::Answered { code: crate::gates::quota::CODE.into(), message: "no more".into() };
    world.quota.answered("another", at(40), &Err(refusal), at(41));
    world.now = at(42);
    assert_eq!(world.step().status.last_error, world.attachment.status.last_error);
}

/// Its own Create got no answer, which passes. Meanwhile EC2 refused others because the subnet was full, and it waits for
/// that.
#[test]
fn a_full_subnet_is_reported_rather_than_a_passing_failure() {
    let mut world = World::new(absent(25));
    world.describe(observed_subnet(100, None, 29));
    world.call_history.failed(Call::Create, &CallError::Unknown("timed out".into()), at(31));
    let full = CallError::Answered { code: "InsufficientFreeAddressesInSubnet".into(), message: "full".into() };
    let mut another = CallHistory::made(at(0));
    another.failed(Call::Create, &full, at(32));
    world.subnets.sent("another", &world.attachment.request);
    world.subnets.answered("another", &world.attachment.request, &Err(full), another.failure.as_ref(), at(32));
    world.now = at(90);
    let step = world.step();
    let ready = step.status.conditions.iter().find(|c| c.type_ == types::READY).map(|c| c.reason.as_str());
    assert_eq!(ready, Some("SubnetFull"), "{step:?}");
}
