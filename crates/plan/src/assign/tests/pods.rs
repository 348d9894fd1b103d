//! ENIs that a deselected node keeps while Pods use them.

use super::*;
use multi_eni_api::eniattachment::LastError;

fn pod(name: &str, nodeenis: &str, resources: &[&str]) -> ObservedPod {
    ObservedPod {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        node: "n0".to_owned(),
        nodeenis: crate::pods::named(nodeenis),
        resources: resources.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A node that was deselected for longer than the grace period.
fn deselected() -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut attachment = new_attachment("n0", 1, false);
    set(
        &mut attachment.status.conditions,
        ConditionUpdate::new(types::ATTACHED, true, "Attached", "it is"),
        None,
        at(0),
    );
    attachment.deselected_since = Some(at(0));
    attachment.node_settings.dpdk_resource_name = Some("example.com/fast".to_owned());
    world.attachments = vec![attachment];
    world.node.as_mut().unwrap().labels = StringMap::default();
    world
}

#[test]
fn a_deselected_node_keeps_its_eni_while_a_pod_uses_it_and_reports_the_pod() {
    let mut world = deselected();
    assert_eq!(world.assign().delete.len(), 1, "without --wait-for-pods no ENI waits for pods");
    let by_attachment = pod("ns/by-eniattachment", &world.attachments[0].name, &[]);
    let by_json = pod("ns/by-json", r#"[{ "name": "a", "interface": "net1" }]"#, &[]);
    for user in
        [pod("ns/by-name", "other,a", &[]), by_json, by_attachment, pod("ns/by-resource", "", &["example.com/fast"])]
    {
        world.pods = Some(vec![pod("ns/other", "b", &["example.com/slow"]), user.clone()]);
        let assignment = world.assign();
        assert!(assignment.delete.is_empty() && assignment.is_settled(), "{assignment:?}");
        assert_eq!(assignment.waiting[0].pods, Some(vec![user.name]));
    }
    world.pods = Some(vec![pod("ns/other", "b", &[])]);
    assert_eq!(world.assign().delete.len(), 1);
}

/// Pods request a resource by its full name.
#[test]
fn a_resource_name_without_a_prefix_is_below_intel_com() {
    let mut world = deselected();
    world.attachments[0].node_settings.dpdk_resource_name = Some("fast".to_owned());
    world.pods = Some(vec![pod("ns/user", "", &["intel.com/fast"])]);
    assert!(world.assign().delete.is_empty());
    world.pods = Some(vec![pod("ns/other", "", &["fast", "example.com/fast"])]);
    assert_eq!(world.assign().delete.len(), 1);
}

#[test]
fn the_wait_for_pods_is_reported_at_once_and_a_deleted_nodeeni_does_not_wait() {
    let mut world = deselected();
    world.pods = Some(vec![pod("ns/user", "a", &[])]);
    for since in [None, Some(at(95)), Some(at(0))] {
        world.attachments[0].deselected_since = since;
        assert_eq!(world.assign().waiting.len(), 1);
    }
    world.nodeenis[0].deleting = true;
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeEniDeleted);
}

#[test]
fn nothing_is_deleted_before_the_pods_are_listed() {
    let mut world = deselected();
    world.pods_unknown = true;
    let assignment = world.assign();
    assert!(assignment.delete.is_empty());
    assert_eq!(assignment.waiting[0].pods, None);
}

/// Otherwise a new ENI would be created on a node that no longer asks for one, and would hold up the rollout on all other nodes.
#[test]
fn an_eni_that_is_lost_or_was_never_attached_is_not_kept_for_pods() {
    let mut world = deselected();
    world.pods = Some(vec![pod("ns/user", "a", &[])]);
    let attached = world.attachments[0].status.clone();
    world.attachments[0].status.conditions.clear();
    assert_eq!(world.assign().delete.len(), 1);
    world.attachments[0].status = attached;
    world.attachments[0].status.last_error =
        Some(LastError { code: crate::attachment::ENI_LOST.to_owned(), ..LastError::default() });
    assert_eq!(world.assign().delete.len(), 1);
}
