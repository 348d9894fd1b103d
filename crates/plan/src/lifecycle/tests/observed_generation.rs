//! The conditions name the generation of the ENIAttachment that they describe.

use super::*;

fn generations(step: &Step) -> Vec<Option<i64>> {
    step.status.conditions.iter().map(|condition| condition.observed_generation).collect()
}

#[test]
fn each_condition_has_the_generation() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.generation = Some(1);
    let first = world.step();
    assert_eq!(generations(&first), [Some(1); 3]);
    world.attachment.status = first.status.clone();
    assert_eq!(world.step().status, first.status, "a repeated step costs no write");
    // An edit of the node settings changes the generation. `kubectl wait` waits for conditions of the new one.
    world.attachment.generation = Some(2);
    assert_eq!(generations(&world.step()), [Some(2); 3]);
}

#[test]
fn a_status_of_an_earlier_version_is_not_written_for_its_generation_alone() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status = world.step().status;
    world.attachment.generation = Some(1);
    let same = world.step();
    assert_eq!(same.status, world.attachment.status);
    assert_eq!(generations(&same), [None; 3]);
    // Another change is written, and with it the generation.
    let Observation::Seen(eni) = &mut world.observation else { panic!() };
    eni.mac = "02:00:00:00:00:99".into();
    assert_eq!(generations(&world.step()), [Some(1); 3]);
}
