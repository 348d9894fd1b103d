//! Adoption of ENIs of upstream: the controller's tags are set first, and nothing is done before.

use super::*;

/// An ENIAttachment for an ENI that upstream has left attached in its slot.
fn world() -> World {
    let mut left = eni(1);
    left.attachment = Some(attachment(AttachmentState::Attached));
    left.tags = [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, "a")].into();
    let mut world = World::new(Observation::Seen(Box::new(left.clone())));
    world.attachment.adopted = Some(left.id);
    world
}

fn left(world: &mut World) -> &mut ObservedEni {
    let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
    eni
}

#[test]
fn an_adopted_eni_is_looked_up_by_id_and_then_tagged() {
    let mut world = world();
    let ours = tags(&cluster(), &world.attachment);
    let seen = std::mem::replace(&mut world.observation, absent(25));
    let lookups = Action::LookupById(world.attachment.adopted.clone().unwrap());
    assert_eq!(world.step().action, lookups, "no resync shows the ENI");
    world.observation = seen;
    let change = Change::Tags(ours.clone());
    assert!(matches!(world.step().action, Action::Modify { change: found, .. } if found == change));
    // The same holds during teardown: no ENI is detached that does not carry the controller's tags.
    world.attachment.deleting = Some(at(29));
    assert!(matches!(world.step().action, Action::Modify { change: found, .. } if found == change));
    left(&mut world).tags.extend(ours);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.attachment.deleting = None;
    assert_eq!(world.step().action, Action::Settled);
}

#[test]
fn an_eni_of_others_is_not_touched_and_a_missing_permission_is_named() {
    let mut world = world();
    for _ in 0..4 {
        world.fail(Call::Tag, "UnauthorizedOperation", "no");
    }
    let step = world.step();
    assert_eq!((step.action, step.status.phase), (Action::Wait, Phase::Blocked));
    let ready = step.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
    assert!(ready.reason == "Unauthorized" && ready.message.contains("ec2:CreateTags"), "{ready:?}");

    for change in [
        |eni: &mut ObservedEni| eni.attachment.as_mut().unwrap().instance = InstanceId::parse("i-00000000").ok(),
        |eni: &mut ObservedEni| eni.tags.insert(names::TAG_CLUSTER, "another"),
        |eni: &mut ObservedEni| eni.tags.insert(names::UPSTREAM_TAG_NODEENI, "b"),
    ] {
        let mut world = self::world();
        change(left(&mut world));
        let step = world.step();
        assert_eq!((step.action, step.status.phase), (Action::Wait, Phase::Blocked));
    }
}

/// A stale lookup may show the time before the ENI existed.
#[test]
fn a_lookup_soon_after_the_adoption_proves_no_absence() {
    let mut world = World::new(Observation::Absent {
        by_tag: at(25),
        home: None,
        by_id: Some(Missed::once(at(25))),
        deleted: None,
    });
    world.attachment.adopted = Some(eni(1).id);
    world.attachment.deleting = Some(at(26));
    world.call_history = CallHistory::begin(at(10), &world.attachment);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(81);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.observation = missed_twice(at(25), at(81), Some(at(81)));
    assert_eq!(world.step().action, Action::Release);
}

/// The tags were set before. Either a stale lookup does not show them, or somebody removed them. They are only written
/// again.
#[test]
fn an_attached_eni_stays_ready_while_it_is_tagged_again() {
    let mut world = world();
    let ours = tags(&cluster(), &world.attachment);
    left(&mut world).tags.extend(ours.clone());
    world.attachment.status = world.step().status;
    ours.keys().for_each(|key| left(&mut world).tags.remove(key));
    let is_ready = |step: &Step| is_true(&step.status.conditions, types::READY);
    let step = world.step();
    assert!(matches!(step.action, Action::Modify { change: Change::Tags(_), .. }) && is_ready(&step), "{step:?}");
    left(&mut world).attachment.as_mut().unwrap().index += 1;
    assert!(!is_ready(&world.step()), "elsewhere");
}

#[test]
fn an_eni_of_this_cluster_whose_eniattachment_is_lost_gets_the_new_ones_tags() {
    let mut world = world();
    world.attachment.recovered = true;
    left(&mut world).tags = tags(&cluster(), &world.attachment).into_iter().collect();
    left(&mut world).tags.insert(names::TAG_ATTACHMENT_UID, "uid-lost");
    let Action::Modify { change: Change::Tags(sent), .. } = world.step().action else { panic!("it is not tagged") };
    assert!(sent.contains_key(names::TAG_ATTACHMENT_UID));
    assert!(!sent.contains_key(names::TAG_CLUSTER), "the IAM policy refuses the ownership tag here: {sent:?}");
    // An ENI of another NodeENI or of another cluster is not adopted: somebody changed its tags.
    let others: [&[(&str, &str)]; 2] =
        [&[(names::TAG_NODEENI, "b"), (names::TAG_NODEENI_UID, "uid-b")], &[(names::TAG_CLUSTER, "another")]];
    for tags_of_another in others {
        let mut other = self::world();
        other.attachment.recovered = true;
        left(&mut other).tags = tags(&cluster(), &other.attachment).into_iter().collect();
        left(&mut other).tags.insert(names::TAG_ATTACHMENT_UID, "uid-lost");
        left(&mut other).tags.extend(tags_of_another.iter().copied());
        assert_eq!(other.step().action, Action::Wait, "{tags_of_another:?}");
    }
}

#[test]
fn an_eni_that_was_moved_before_its_adoption_is_released() {
    let mut world = world();
    world.attachment.recovered = true;
    left(&mut world).tags = tags(&cluster(), &world.attachment).into_iter().collect();
    left(&mut world).tags.insert(names::TAG_ATTACHMENT_UID, "uid-lost");
    left(&mut world).attachment.as_mut().unwrap().instance = InstanceId::parse("i-00000000").ok();
    let step = world.step();
    assert_eq!(step.action, Action::Wait);
    assert_eq!(step.status.last_error.as_ref().map(|error| error.code.as_str()), Some(crate::attachment::ENI_LOST));
    world.attachment.deleting = Some(at(29));
    assert_eq!(world.step().action, Action::Release, "it never carried this one's tags");

    // This process may have tagged the ENI just now. A lookup that began too soon after that is no proof.
    left(&mut world).last_call = Some(at(29));
    assert_eq!(world.step().action, Action::Wait);
    left(&mut world).last_call = None;
    let uid = world.attachment.uid.clone();
    left(&mut world).tags.insert(names::TAG_ATTACHMENT_UID, &uid);
    assert_ne!(world.step().action, Action::Release, "it is ours");
}

/// Somebody moved the ENI, and it is not known yet whether the ENI got the controller's tags before.
#[test]
fn a_moved_eni_is_released_once_a_lookup_after_the_lag_shows_no_tags_of_ours() {
    let mut world = world();
    left(&mut world).attachment.as_mut().unwrap().instance = InstanceId::parse("i-00000000").ok();
    // An earlier process may have tagged the ENI just before this process began.
    let since = world.now.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
    world.call_history.acting_since = since;
    world.call_history.made_here = false;
    left(&mut world).shown_at = world.now;
    for deleting in [None, Some(world.now)] {
        world.attachment.deleting = deleting;
        let step = world.step();
        assert_eq!((step.action, step.recheck), (Action::Wait, since.checked_add(Settings::default().lag).ok()));
    }
    world.now = since.checked_add(Settings::default().lag).unwrap();
    let id = left(&mut world).id.clone();
    assert_eq!(world.step().action, Action::LookupById(id));
    left(&mut world).shown_at = world.now;
    assert_eq!(world.step().action, Action::Release);
    world.attachment.deleting = None;
    assert!(world.step().status.last_error.is_some_and(|error| error.code == crate::attachment::ENI_LOST));

    // An ENI that carries a part of the controller's tags was adopted before.
    let torn = tags(&cluster(), &world.attachment);
    for key in [names::TAG_CLUSTER, names::TAG_ATTACHMENT_UID] {
        let mut tags = torn.clone();
        tags.remove(key);
        let mut world = self::world();
        left(&mut world).attachment.as_mut().unwrap().instance = InstanceId::parse("i-00000000").ok();
        left(&mut world).tags.extend(tags);
        world.attachment.deleting = Some(world.now);
        assert!(!matches!(world.step().action, Action::Release), "{key}");
    }
}

/// The watch may show an ENIAttachment of a deleted NodeENI together with the one of its successor. Both were made for
/// the same ENI.
#[test]
fn one_of_two_eniattachments_adopts_the_eni() {
    let mut world = world();
    let mut rival = world.attachment.clone();
    (rival.uid, rival.name) = ("uid-rival".to_owned(), "rival".to_owned());
    let takes = |world: &World| matches!(world.step().action, Action::Modify { change: Change::Tags(_), .. });
    // The other ENIAttachment is deselected.
    rival.deselected_since = Some(at(20));
    world.rivals = vec![rival.clone()];
    assert!(takes(&world));
    std::mem::swap(&mut world.attachment, &mut world.rivals[0]);
    assert!(!takes(&world), "{:?}", world.step());
    let blocked = world.step().status;
    assert!(blocked.conditions.iter().any(|condition| condition.reason == "AlreadyAdopted"), "{blocked:?}");
    // The ENIAttachment that the tags name comes first, whatever else holds.
    left(&mut world).tags.insert(names::TAG_ATTACHMENT_UID, "uid-rival");
    let other = world.rivals[0].clone();
    world.attachment.deselected_since = None;
    world.rivals[0].deselected_since = None;
    std::mem::swap(&mut world.attachment, &mut world.rivals[0]);
    assert_eq!(world.attachment.uid, other.uid);
    assert!(!takes(&world));
    // An ENIAttachment that is being deleted leaves the ENI to the other one.
    world.attachment.deleting = Some(at(26));
    assert_eq!(world.step().action, Action::Release);
}
