//! From the Create to Ready, and what comes before each of these calls.

use super::*;

#[test]
fn provisioning_is_create_attach_settled_and_only_then_ready() {
    let mut world = World::new(absent(25));
    let Action::Create { token, may_repeat: false } = world.step().action else { panic!("{:?}", world.step()) };
    assert_eq!(token, "uid-n0-1-0");
    let tags = tags(&cluster(), &world.attachment);
    assert_eq!(tags[names::TAG_CLUSTER], "cluster");
    assert_eq!(tags[names::TAG_ATTACHMENT_UID], "uid-n0-1");
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Attach { index: 1, card: 0, .. }));
    world.observation = seen(Some(AttachmentState::Attaching));
    assert_eq!(world.step().action, Action::Wait);
    assert!(!is_true(&world.step().status.conditions, types::READY));
    world.observation = seen(Some(AttachmentState::Attached));
    let step = world.step();
    assert_eq!(step.action, Action::Settled);
    assert!(is_true(&step.status.conditions, types::READY) && step.status.phase == Phase::Attached);
    world.attachment.status = step.status.clone();
    assert_eq!(world.step().status, step.status, "a second lookup writes nothing");
}

#[test]
fn a_blind_process_waits_and_an_eni_without_our_tags_is_never_touched() {
    assert_eq!(World::new(Observation::Blind).step().action, Action::Wait);
    let mut theirs = eni(1);
    theirs.tags.remove(names::TAG_CLUSTER);
    let mut world = World::new(Observation::Seen(Box::new(theirs)));
    assert_eq!(world.step().action, Action::Wait);
    assert_eq!(world.step().status.phase, Phase::Blocked);
    world.attachment.deleting = Some(at(25));
    assert_eq!(world.step().action, Action::Wait);
}

#[test]
fn a_lost_answer_repeats_the_token_within_an_hour_and_needs_a_lookup_after_it() {
    let mut world = World::new(absent(25));
    world.call_history.failed(Call::Create, &CallError::Unknown("timeout".into()), at(40));
    world.now = at(45);
    assert!(matches!(world.step().action, Action::Create { token, .. } if token == "uid-n0-1-0"));
    world.now = at(4000);
    assert_eq!(world.step().action, Action::LookupByTag, "the token is too old to tell");
    world.observation = absent(4000);
    assert_eq!(world.step().action, Action::NextAttempt);
    assert_eq!(world.step().status.attempt, 1);
    world.attachment.status = world.step().status;
    world.call_history.create_unknown = None;
    assert!(matches!(world.step().action, Action::Create { token, .. } if token == "uid-n0-1-1"));
}

/// EC2 answered with an ENI, no status names the ENI, and now no lookup shows it. A repeated Create could make a second
/// ENI with the same token in another account.
#[test]
fn an_eni_that_this_process_made_is_looked_up_whatever_the_status_contains() {
    let mut world = World::new(absent(200));
    world.call_history.succeeded(Call::Create, at(30));
    world.call_history.created_eni = Some(eni(1).id);
    world.now = at(201);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn a_mismatched_token_is_replaced_once() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "IdempotentParameterMismatch", "");
    assert_eq!(world.step().action, Action::Wait);
    (world.now, world.observation) = (at(95), absent(94));
    let next = world.step();
    assert_eq!((next.action, next.status.attempt), (Action::NextAttempt, 1));
    world.attachment.status = next.status;
    let Action::Create { token, .. } = world.step().action else { panic!("{:?}", world.step().action) };
    assert_eq!(token, names::client_token(&world.attachment.uid, 1));
}

/// EC2 answers a repeated Create with the state from its first answer.
#[test]
fn a_create_that_may_be_a_repetition_is_marked_as_one() {
    let may_repeat = |world: &World| match world.step().action {
        Action::Create { may_repeat, .. } => may_repeat,
        other => panic!("{other:?}"),
    };
    let mut world = World::new(absent(25));
    assert!(!may_repeat(&world), "made here");
    world.call_history = CallHistory::begin(at(10), &world.attachment);
    assert!(!may_repeat(&world), "created in this term: only the answer is missing");
    world.attachment.created = at(9);
    assert!(may_repeat(&world), "it existed before this term");
    world.attachment.created = at(20);
    world.call_history.create_unknown = Some(at(21));
    assert!(may_repeat(&world), "the call got no answer");
}

#[test]
fn a_permanent_failure_is_not_retried_soon() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "InvalidParameterValue", "no");
    world.now = at(300);
    let step = world.step();
    assert_eq!((step.action, step.status.phase), (Action::Wait, Phase::Blocked));
    assert_eq!(step.status.last_error.unwrap().code, "InvalidParameterValue");
    assert!(step.recheck.is_some_and(|at_| at_ > at(600)));
    for _ in 0..3 {
        world.fail(Call::Create, "UnauthorizedOperation", "You are not authorized");
        let step = world.step();
        assert!(step.status.phase == Phase::Pending && step.status.last_error.is_none(), "{step:?}");
    }
    world.fail(Call::Create, "UnauthorizedOperation", "You are not authorized");
    assert!(world.step().status.conditions.iter().any(|c| c.message.contains("ec2:CreateNetworkInterface")));
}

/// A code of this controller in a status is no answer of EC2. So the next leader does not wait ten minutes after a call
/// that got no answer.
#[test]
fn an_unanswered_call_of_an_earlier_process_is_not_a_refusal() {
    for (code, class) in [
        ("NoAnswer", crate::ec2_errors::Class::Unknown),
        ("NotSent", crate::ec2_errors::Class::Credentials),
        ("InternalError", crate::ec2_errors::Class::Retry),
    ] {
        let mut eni_attachment = new_attachment("n0", 1, false);
        eni_attachment.status.last_error = Some(multi_eni_api::eniattachment::LastError {
            action: Call::Delete.action().to_owned(),
            code: code.to_owned(),
            message: "connection refused".to_owned(),
            at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(5))),
            count: 1,
        });
        assert_eq!(
            CallHistory::begin(at(10), &eni_attachment).failure.map(|failure| failure.class),
            Some(class),
            "{code}"
        );
    }
}

/// The watch may show an object before the answer to its creation is processed, because that answer waits for the answers
/// of other creations.
#[test]
fn learning_late_that_an_object_was_made_here_keeps_the_call_history() {
    let eni_attachment = new_attachment("n0", 1, false);
    let mut call_history = CallHistory::begin(at(10), &eni_attachment);
    call_history.failed(Call::Create, &CallError::Unknown("broken".into()), at(21));
    call_history.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(call_history.may_exist_since(), Some(at(21)));
    assert!(call_history.failure.is_some());
    let mut fresh = CallHistory::begin(at(10), &eni_attachment);
    fresh.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(fresh.may_exist_since(), None, "no call was made for it before");
}

/// Removing the finalizer changes nothing on EC2.
#[test]
fn a_removed_finalizer_does_not_change_the_status() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status = world.step().status;
    world.attachment.has_finalizer = false;
    let step = world.step();
    assert_eq!((step.action, step.status), (Action::Wait, world.attachment.status));
}

#[test]
fn the_longest_names_make_tags_that_ec2_takes() {
    let mut eni_attachment = new_attachment("n0", 1, false);
    (eni_attachment.nodeeni, eni_attachment.node) = ("e".repeat(253), "n".repeat(253));
    assert!(tags(&cluster(), &eni_attachment).values().all(|value| value.chars().count() <= 256));
}
