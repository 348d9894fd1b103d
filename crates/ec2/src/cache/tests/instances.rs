//! What decisions read of instances and their interfaces.

use super::*;
use multi_eni_plan::observed::PrimaryAddresses;

#[test]
fn an_instance_shows_foreign_enis_of_its_lookup_and_our_enis_of_the_cache() {
    let mut cache = cache();
    let foreign = ObservedEni { tags: StringMap::default(), ..on(9, Attached, 0) };
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(0), &asked, vec![primary(0), foreign, on(1, Attached, 0)]);
    let (all, none) = cache.owned_where(|seen| seen.id != id(1));
    assert_eq!((all, none.len(), cache.owned_where(|_| true).1.len()), (1, 0, 1));
    cache.apply_detached(&id(1), "attach-1", at(5));
    cache.apply_shown(vec![eni(1, 6), on(2, Attached, 6)]);
    let ids: Vec<EniId> =
        cache.instance_interfaces(&instance()).unwrap().enis.into_iter().map(|seen| seen.id).collect();
    assert_eq!(ids, [id(2), id(9), id(99)]);
    cache.finish_instances(at(10), &asked, vec![]);
    let observation = cache.instance_interfaces(&instance()).unwrap();
    assert_eq!(observation.as_of, at(0), "a lookup without the primary interface does not count");
    assert_eq!(observation.without_primary, Some(Unshown { since: at(10), as_of: at(10) }));
}

/// The VPC CNI has several ENIs on each instance, with up to 50 addresses each. Decisions read only a slot of each, its description, and
/// that it is of the VPC CNI.
#[test]
fn foreign_enis_are_kept_as_neighbours_and_all_others_as_a_whole() {
    let mut cache = cache();
    let whole = |seen: ObservedEni| ObservedEni {
        private_ips: (1..=30).map(|n| format!("10.0.0.{n}").into()).collect(),
        description: "aws-K8S-i-00000001".into(),
        ..seen
    };
    let of_vpc_cni = [("cluster.k8s.amazonaws.com/name", "demo"), (names::TAG_VPC_CNI_INSTANCE, "i-00000001")];
    let neighbour = ObservedEni { tags: StringMap::from(of_vpc_cni), ..on(9, Detaching, 0) };
    let upstreams =
        [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, "storage")];
    let upstreams = ObservedEni { tags: StringMap::from(upstreams), ..on(8, Attached, 0) };
    let all = [primary(0), neighbour, upstreams, on(1, Attached, 0)].map(whole);
    cache.finish_instances(at(0), &BTreeSet::from([instance()]), all.clone().into());
    let observation = cache.instance_interfaces(&instance()).unwrap();
    assert_eq!(observation.primary_addresses, PrimaryAddresses::Ipv4, "of the whole answer");
    let kept = observation.enis;
    let [primary, neighbour, upstreams, own] = &all;
    assert_eq!(kept[..2], [own.clone(), upstreams.clone()]);
    let tag = |seen: &ObservedEni| seen.tags.get(names::TAG_VPC_CNI_INSTANCE).map(str::to_owned);
    let read = |seen: &ObservedEni| {
        let at = seen.attachment.clone().map(|at| (at.instance, at.card, at.index, at.state));
        (seen.id.clone(), seen.description.clone(), at, tag(seen))
    };
    assert_eq!(kept[2..].iter().map(read).collect::<Vec<_>>(), [read(neighbour), read(primary)]);
    assert!(kept[2..].iter().all(|seen| seen.private_ips.is_empty() && seen.tags.len() <= 1));
}

/// Otherwise, an ENIAttachment would be created for the ENI and deleted again without end.
#[test]
fn an_eni_that_a_lookup_by_id_missed_is_not_on_its_instance_until_a_lookup_shows_it_again() {
    let mut cache = cache();
    let foreign = |second| ObservedEni { tags: StringMap::default(), ..on(9, Attached, second) };
    let (asked, by_id_asked) = (BTreeSet::from([instance()]), BTreeSet::from([id(9)]));
    cache.finish_instances(at(0), &asked, vec![primary(0), foreign(0)]);
    cache.observation("uid", Some(&id(9)));
    cache.finish_lookup_by_id(at(5), &by_id_asked, vec![]);
    let shown = cache.instance_interfaces(&instance()).unwrap().enis;
    assert_eq!(shown.iter().map(|seen| &seen.id).collect::<Vec<_>>(), [&id(99)]);
    cache.finish_instances(at(10), &asked, vec![primary(10), foreign(10)]);
    assert_eq!(cache.instance_interfaces(&instance()).unwrap().enis.len(), 2);
    assert!(matches!(cache.observation("uid", Some(&id(9))), Observation::Seen(_)), "both say the same");
}

/// No resync shows an ENI that has lost the cluster's tag, so only lookups keep its entry current.
#[test]
fn an_eni_without_our_tags_occupies_its_slot_only_while_lookups_of_the_instance_show_it() {
    let mut cache = cache();
    let untagged = |second| ObservedEni { tags: StringMap::default(), ..on(1, Attached, second) };
    cache.observation("uid", Some(&id(1)));
    cache.finish_lookup_by_id(at(0), &BTreeSet::from([id(1)]), vec![untagged(0)]);
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(10), &asked, vec![primary(10), untagged(10)]);
    let shown = |cache: &CacheState| cache.instance_interfaces(&instance()).unwrap().enis.len() - 1;
    assert_eq!(shown(&cache), 1);
    cache.finish_instances(at(20), &asked, vec![primary(20)]);
    assert_eq!(shown(&cache), 0);
    cache.finish_lookup_by_id(at(30), &BTreeSet::from([id(1)]), vec![untagged(30)]);
    assert_eq!(shown(&cache), 1, "seen there since");
    resync(&mut cache, 4_000, vec![]);
    assert_eq!(
        cache.observation("uid", Some(&id(1))),
        Observation::Absent { by_tag: at(4_000), home: None, by_id: None, deleted: None }
    );
}

/// A subnet's name is resolved in the instance's VPC, so the cache must not drop the VPC after an hour.
#[test]
fn the_enis_of_an_instance_are_kept_while_its_node_exists() {
    let mut cache = cache();
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(0), &asked, vec![on(1, Attached, 0), primary(0)]);
    resync(&mut cache, 10_000, vec![on(1, Attached, 10_000)]);
    cache.keep_instances(&asked);
    assert_eq!(
        cache.instance_interfaces(&instance()).and_then(|observation| observation.vpc).as_deref(),
        Some("vpc-1")
    );
    cache.keep_instances(&BTreeSet::new());
    assert_eq!(cache.instance_interfaces(&instance()), None);
}

/// An ENI in another VPC may have the lower ID.
#[test]
fn an_instance_has_the_vpc_and_zone_of_its_primary_interface() {
    let mut cache = cache();
    let elsewhere = ObservedEni { vpc: "vpc-0".into(), zone: "z0".into(), ..on(1, Attached, 0) };
    cache.finish_instances(at(0), &BTreeSet::from([instance()]), vec![elsewhere, primary(0)]);
    let observation = cache.instance_interfaces(&instance()).unwrap();
    assert_eq!((observation.vpc.as_deref(), observation.zone.as_deref()), (Some("vpc-1"), Some("eu-west-1a")));
}

/// A lookup that does not show the primary interface shows no Outpost, and an instance stays on its Outpost.
#[test]
fn an_instance_has_the_outpost_of_its_primary_interface() {
    let mut cache = cache();
    let asked = BTreeSet::from([instance()]);
    let outpost = |cache: &CacheState| cache.instance_interfaces(&instance()).unwrap().outpost;
    let arn = "arn:aws:outposts:eu-west-1:111122223333:outpost/op-0ab23c4567890de1f";
    cache.finish_instances(at(0), &asked, vec![primary(0)]);
    assert_eq!(outpost(&cache), None);
    cache.finish_instances(at(10), &asked, vec![primary(10)]);
    cache.note_outposts(vec![(instance(), arn.into()), (InstanceId::of("i-00000009"), arn.into())]);
    assert_eq!(outpost(&cache).as_deref(), Some(arn));
    cache.finish_instances(at(20), &asked, vec![]);
    assert_eq!(outpost(&cache).as_deref(), Some(arn));
}

/// The primary interface of the instance.
fn primary(second: i64) -> ObservedEni {
    let at = ObservedAttachment { id: "attach-99".into(), index: 0, ..attachment(Attached, second) };
    ObservedEni { tags: StringMap::default(), attachment: Some(at), ..eni(99, second) }
}

#[test]
fn an_instance_that_lookups_miss_is_gone_only_after_a_whole_resync() {
    let mut cache = cache();
    let misses = |cache: &mut CacheState, second| {
        cache.finish_states(at(second), [(instance(), InstanceState::Missing)].into());
        cache.instance_observation(&instance()).unwrap().life()
    };
    cache.finish_resync(at(-10), &BTreeSet::new());
    assert_eq!([0, 60, 120].map(|second| misses(&mut cache, second)), [Life::Doubtful; 3]);
    cache.finish_resync(at(50), &BTreeSet::new());
    assert_eq!(cache.instance_observation(&instance()).unwrap().life(), Life::Gone);
}

/// An instance that has all its ENIs is not looked up again for days.
#[test]
fn an_eni_that_has_left_an_instance_does_not_come_back_when_the_cache_forgets_it() {
    let mut cache = cache();
    let untagged = |n, second| ObservedEni { tags: StringMap::default(), ..on(n, Attached, second) };
    let shown = vec![primary(0), on(1, Attached, 0), untagged(8, 0), untagged(9, 0), untagged(10, 0)];
    cache.finish_instances(at(0), &BTreeSet::from([instance()]), shown);
    let ids = |cache: &CacheState| {
        cache.instance_interfaces(&instance()).unwrap().enis.into_iter().map(|seen| seen.id).collect::<Vec<_>>()
    };
    // ENI 1 is deleted. A lookup by ID does not show ENI 8, and shows that ENI 9 is free. Nothing more is known of ENI 10.
    cache.apply_deleted(&id(1), at(5));
    let free = ObservedEni { attachment: None, ..untagged(9, 6) };
    cache.finish_lookup_by_id(at(6), &BTreeSet::from([id(8), id(9)]), vec![free]);
    assert_eq!(ids(&cache), [id(10), id(99)]);
    for second in [3_600, 7_300] {
        resync(&mut cache, second, vec![]);
        assert_eq!(ids(&cache), [id(10), id(99)], "{second}");
    }
    assert!(matches!(cache.observation("uid", Some(&id(9))), Observation::Absent { .. }), "ENI 9 is forgotten");
}
