//! The counters of ENIs, and the device indexes.

use super::*;

#[test]
fn an_eni_that_works_is_not_counted_as_failed_as_well() {
    let none = |node: &str| refused(node, UnassignedReason::NoSubnetMatches("tag a=b".into()));
    let names = ["n0", "n1", "n2"];
    let enis = names.map(ready);
    let counts = |status: &NodeEniStatus| (status.desired, status.ready, status.failed);
    let kept = status_with(&enis, &names.map(none), &names, 3, at(0));
    assert_eq!(counts(&kept), (3, 3, 0));
    assert_eq!(condition(&kept, types::READY).map(|(value, reason, _)| (value, reason)), {
        Some(("False".into(), "SubnetNotFound".into()))
    });
    let one_missing = status_with(&enis[..2], &names.map(none), &names, 3, at(0));
    assert_eq!(counts(&one_missing), (3, 2, 1));
    let mut blocked = new_attachment("n2", 1, false);
    blocked.status.phase = Phase::Blocked;
    let with_blocked = [enis[0].clone(), enis[1].clone(), blocked];
    assert_eq!(counts(&status_with(&with_blocked, &names.map(none), &names, 3, at(0))), (3, 2, 1));
}

#[test]
fn the_device_indexes_are_those_of_the_enis_and_not_of_a_spec_that_leaves_the_choice_open() {
    let mut exact = nodeeni("a", 3, &["subnet-00000001"]);
    let mut highest = exact.clone();
    highest.spec.as_mut().unwrap().index_policy = multi_eni_api::DeviceIndexPolicy::HighestFree;
    let of = |nodeeni: &NodeEni, indexes: &[i32]| {
        let enis: Vec<Attachment> = indexes.iter().map(|index| new_attachment("n0", *index, true)).collect();
        entries::device_indexes(nodeeni, &enis.iter().collect::<Vec<_>>())
    };
    assert_eq!(of(&exact, &[]).as_deref(), Some("3"));
    assert_eq!(of(&highest, &[]), None);
    assert_eq!(of(&highest, &[14, 7, 14]).as_deref(), Some("7,14"));
    assert_eq!(of(&exact, &[1, 2, 3, 4, 5, 6, 7]).as_deref(), Some("1,2,3,4,5 and 2 more"));
    exact.spec = Err(crate::nodeeni::Unreadable::NoSubnet);
    assert_eq!(of(&exact, &[]), None);
}

/// The Node has another name now, and its ENIAttachment still carries the former one.
#[test]
fn an_eni_under_a_former_name_of_its_node_is_not_missing() {
    let refusals = [refused("new", UnassignedReason::GroupUnresolved("web".into(), 0))];
    let failed = |former: BTreeMap<&str, &str>| {
        let changing = Changing { former, ..Changing::default() };
        let previous = NodeEniStatus::default();
        status_after(&previous, &[ready("old")], &refusals, &["new"], 1, changing, at(0)).failed
    };
    assert_eq!((failed(BTreeMap::new()), failed([("old", "new")].into())), (1, 0));
}
