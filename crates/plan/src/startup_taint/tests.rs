use super::*;
use crate::assign::tests::{SUBNET_A, World, at, new_attachment, nodeeni};
use crate::observed::{NotOnEc2, ObservedNode};
use multi_eni_api::conditions::{self, ConditionUpdate};

/// A Node with the taint at two places, and these NodeENIs.
fn world(nodeenis: Vec<NodeEni>) -> World {
    let mut world = World::new(nodeenis);
    node(&mut world).startup_taints = vec![0, 2];
    world
}

fn node(world: &mut World) -> &mut ObservedNode {
    world.node.as_mut().unwrap()
}

/// The decision, where EC2 shows the ENIs of all ENIAttachments or of none.
fn decided(world: &World, shown: bool) -> Decision {
    decide(&Input {
        node: world.node.as_ref().unwrap(),
        assignment: &world.assign(),
        attachments: &world.attachments.iter().collect::<Vec<_>>(),
        nodeenis: &world.nodeenis.iter().collect::<Vec<_>>(),
        is_attached: &|_| shown,
        now: world.now,
    })
}

/// Whether the taint goes, and the reason that is said if not.
fn goes(world: &World) -> Result<(), Option<String>> {
    match decided(world, true) {
        Decision::Remove(places) => {
            assert_eq!(places, [0, 2]);
            Ok(())
        }
        Decision::Keep { failing, .. } => Err(failing.map(|failing| failing.reason)),
        Decision::Nothing => panic!("the Node has the taint"),
    }
}

fn a() -> NodeEni {
    nodeeni("a", 1, &[SUBNET_A])
}

fn set(attachment: &mut Attachment, kind: &'static str, status: bool, reason: &str) {
    let update = ConditionUpdate::new(kind, status, reason, "words");
    conditions::set(&mut attachment.status.conditions, update, None, at(0));
}

#[test]
fn a_node_that_no_nodeeni_selects_loses_the_taint() {
    let mut world = world(vec![a()]);
    node(&mut world).labels = [("ng", "other")].into();
    assert_eq!(goes(&world), Ok(()));
    node(&mut world).startup_taints.clear();
    assert_eq!(decided(&world, true), Decision::Nothing);
}

#[test]
fn a_node_keeps_the_taint_until_all_its_enis_are_ready() {
    let mut world = world(vec![a(), nodeeni("b", 2, &[SUBNET_A])]);
    assert_eq!(goes(&world), Err(None), "nothing is created yet");
    world.settle();
    assert_eq!(goes(&world), Ok(()));
    assert!(matches!(decided(&world, false), Decision::Keep { .. }), "EC2 has not shown the ENIs to this process yet");
    set(&mut world.attachments[1], types::READY, false, "Attaching");
    assert_eq!(goes(&world), Err(None), "the other ENI is not ready");
    world.attachments.pop();
    assert_eq!(goes(&world), Err(None), "the other ENI is missing");
}

/// A new process has the ENIAttachments before EC2's first answers. How many ENIs a list of subnets gives here is not known then.
#[test]
fn a_node_keeps_the_taint_while_a_lookup_is_open() {
    let mut world = world(vec![a()]);
    world.settle();
    world.catalog.subnets.clear();
    assert!(
        world
            .assign()
            .refused
            .iter()
            .any(|refusal| matches!(refusal.why, crate::assign::UnassignedReason::LookupPending(_)))
    );
    assert_eq!(goes(&world), Err(None));
}

#[test]
fn a_node_that_is_being_deleted_keeps_its_taint() {
    let mut world = world(vec![]);
    node(&mut world).deleting = true;
    assert_eq!(decided(&world, true), Decision::Nothing);
}

#[test]
fn enis_that_leave_do_not_hold_the_taint() {
    let mut world = world(vec![a()]);
    world.settle();
    let mut leaving = new_attachment("n0", 3, false);
    leaving.nodeeni_uid = "uid-gone".into();
    leaving.deselected_since = Some(at(50));
    world.attachments.push(leaving);
    assert_eq!(goes(&world), Ok(()));
    // A NodeENI whose stored spec cannot be read keeps its ENIs: they count, and no other is wanted.
    world.nodeenis[0].spec = Err(crate::nodeeni::Unreadable::NoSubnet);
    assert_eq!(goes(&world), Ok(()));
    set(&mut world.attachments[0], types::READY, false, "Attaching");
    assert_eq!(goes(&world), Err(None));
    // The NodeENI is deleted: its ENIAttachment is to be deleted, and no ENI is wanted.
    world.nodeenis[0].deleting = true;
    assert_eq!(goes(&world), Ok(()));
}

#[test]
fn a_node_that_the_nodeeni_does_not_cover_wants_none() {
    let world = world(vec![nodeeni("a", 1, &["subnet-00000003"])]);
    assert_eq!(goes(&world), Ok(()), "the subnet is in another zone");
}

#[test]
fn a_reason_that_stays_until_a_user_acts_is_said() {
    let full = nodeeni("a", 1, &["subnet-99999999"]);
    let mut world = world(vec![full]);
    assert_eq!(goes(&world), Err(None), "the subnet is being looked up");
    let missing = multi_eni_api::ids::SubnetId::parse("subnet-99999999").unwrap();
    world.catalog.missing_subnets.insert(missing, at(100));
    assert_eq!(goes(&world), Err(Some("SubnetNotFound".into())));
    let Decision::Keep { failing: Some(failing), .. } = decided(&world, true) else { panic!("it is said") };
    assert!(failing.message.starts_with("NodeENI a: "), "{}", failing.message);
}

#[test]
fn an_eni_that_is_blocked_or_not_configured_for_long_is_said() {
    let mut world = world(vec![a()]);
    world.settle();
    let eni = &mut world.attachments[0];
    set(eni, types::READY, false, "SubnetFull");
    eni.status.phase = Phase::Blocked;
    assert_eq!(goes(&world), Err(Some("SubnetFull".into())));
    let eni = &mut world.attachments[0];
    eni.status.phase = Phase::Attached;
    set(eni, types::ATTACHED, true, "Attached");
    set(eni, types::READY, false, "LinkAbsent");
    assert_eq!(decided(&world, true), Decision::Keep { failing: None, recheck: Some(at(120)) });
    world.now = at(120);
    assert_eq!(goes(&world), Err(Some("LinkAbsent".into())));
}

#[test]
fn a_node_whose_labels_may_still_come_keeps_the_taint() {
    for joins in
        [|node: &mut ObservedNode| node.unregistered = true, |node: &mut ObservedNode| node.uninitialized = true]
    {
        let mut world = world(vec![]);
        assert_eq!(goes(&world), Ok(()));
        joins(node(&mut world));
        assert_eq!(decided(&world, true), Decision::Keep { failing: None, recheck: None });
    }
    let mut world = world(vec![]);
    node(&mut world).instance = Err(NotOnEc2::NoProviderId);
    assert_eq!(decided(&world, true), Decision::Keep { failing: None, recheck: Some(at(300)) });
    world.now = at(300);
    assert_eq!(goes(&world), Ok(()), "it has its labels, and never gets a providerID");
}

#[test]
fn a_second_node_of_an_instance_keeps_the_taint() {
    let mut world = world(vec![a()]);
    let first =
        ObservedNode { name: "n9".into(), uid: "uid-n9".into(), created: at(-50), ..world.node.clone().unwrap() };
    world.others = vec![first];
    assert_eq!(goes(&world), Err(Some("DuplicateNode".into())));
}
