//! ENIs that wait because of a limit of their instance type, and an ENI whose device index was taken first.

use super::subnets::observed_subnet;
use super::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use multi_eni_api::DeviceIndexPolicy;

const THIRD: Subject<'static> = Subject {
    kind: "m9.large",
    is_known: false,
    most: None,
    on: 0,
    index: 2,
    on_card: 3,
    in_all: 3,
    addresses: (1, 0),
};

fn refused(code: &str, message: &str) -> CallError {
    CallError::Answered { code: code.into(), message: message.into() }
}

fn ready(step: &Step) -> &Condition {
    step.status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap()
}

/// The gate after EC2 has refused this device index on another node.
fn refused_index(index: i32) -> InstanceTypeGate {
    let error =
        refused("InvalidParameterValue", &format!("Invalid device index {index} for network card 0 on m9.large"));
    let mut history = CallHistory::made(at(0));
    history.failed(Call::Attach, &error, at(20));
    let mut gate = InstanceTypeGate::default();
    let subject = Subject { index, ..THIRD };
    gate.answered("another", &subject, Call::Attach, &Err(error), history.failure.as_ref(), at(20));
    gate
}

#[test]
fn the_enis_of_a_known_type_wait_for_the_first_one_below_a_refused_index() {
    let mut world = World::new(absent(25));
    let mut gate = refused_index(3);
    let lower = Subject { is_known: true, ..THIRD };
    gate.sent("another", &lower, at(29));
    world.instance_type = Some((gate, lower));
    let waits = world.step();
    assert_eq!((waits.action.clone(), waits.recheck), (Action::Wait, Some(at(29 + 120))));
    assert!(ready(&waits).message.contains("refused a higher device index"), "{waits:?}");
}

/// The wait usually ends in a moment. A status for it would be one write more for each ENI of a burst.
#[test]
fn the_enis_of_a_known_type_wait_in_silence_for_the_first_one() {
    let mut world = World::new(absent(25));
    let mut gate = InstanceTypeGate::default();
    let known = Subject { is_known: true, ..THIRD };
    gate.sent("another", &known, at(29));
    world.instance_type = Some((gate, known));
    let waits = world.step();
    assert_eq!((&waits.action, &waits.status, waits.recheck), (&Action::Wait, &world.attachment.status, Some(at(39))));
    world.now = at(39);
    assert!(matches!(world.step().action, Action::Create { .. }));
}

#[test]
fn an_eni_that_the_type_does_not_take_is_not_created_and_says_why() {
    let mut world = World::new(absent(25));
    let full = refused("AttachmentLimitExceeded", "Interface count 3 exceeds the limit for m9.large");
    let mut history = CallHistory::made(at(0));
    history.failed(Call::Attach, &full, at(20));
    let mut gate = InstanceTypeGate::default();
    gate.answered("another", &THIRD, Call::Attach, &Err(full), history.failure.as_ref(), at(20));
    world.instance_type = Some((gate, THIRD));
    let held = world.step();
    assert_eq!((held.action.clone(), held.status.phase), (Action::Wait, Phase::Blocked));
    assert_eq!(held.recheck, Some(at(20 + 3600)));
    let ready = ready(&held);
    assert_eq!(ready.reason, "InstanceTypeLimit");
    assert!(ready.message.contains("m9.large") && ready.message.contains("Interface count 3 exceeds"), "{ready:?}");
    // The status is what the next process restores the refusal from, and it does not change while the ENI waits.
    world.attachment.status = held.status.clone();
    let error = held.status.last_error.as_ref().unwrap();
    assert_eq!((error.action.as_str(), error.code.as_str()), ("AttachNetworkInterface", "AttachmentLimitExceeded"));
    assert!(world.attachment.never_created(), "an edit of the spec replaces it at once");
    world.now = at(1000);
    assert_eq!(world.step().status, held.status);
    // By then the token of the first attempt is too old, so another attempt begins.
    world.now = at(20 + 3600);
    assert_ne!(world.step().action, Action::Wait);
}

#[test]
fn the_enis_of_a_type_without_known_limits_wait_for_the_first_one() {
    let mut world = World::new(absent(25));
    let mut gate = InstanceTypeGate::default();
    gate.sent("another", &THIRD, at(29));
    world.instance_type = Some((gate, THIRD));
    let waits = world.step();
    let waited = (waits.action.clone(), waits.status.phase, waits.recheck);
    assert_eq!(waited, (Action::Wait, Phase::Pending, Some(at(29 + 120))));
    assert!(ready(&waits).message.contains("does not show the limits of instance type m9.large"), "{waits:?}");
    world.now = at(29 + 120);
    assert!(matches!(world.step().action, Action::Create { .. }));
}

/// With an exact index a person must act. With `highestFree` another ENI gets the next free index.
#[test]
fn an_index_that_ec2_refuses_needs_a_person_only_if_it_is_exact() {
    let taken = "Instance 'i-1' already has an interface attached at device index '3'.";
    let too_high = "Invalid device index 2 for network card 0 on m9.large";
    for (policy, phase) in
        [(DeviceIndexPolicy::Exact, Phase::Blocked), (DeviceIndexPolicy::HighestFree, Phase::Attaching)]
    {
        for message in [taken, too_high] {
            let mut world = World::new(Observation::Seen(Box::new(eni(1))));
            world.spec.index_policy = policy;
            world.call_history.failed(Call::Attach, &refused("InvalidParameterValue", message), at(29));
            assert_eq!(world.step().status.phase, phase, "{policy:?} {message}");
        }
        // Another node of the type got the refusal.
        let mut world = World::new(absent(25));
        world.spec.index_policy = policy;
        world.instance_type = Some((refused_index(2), THIRD));
        let held = world.step();
        assert_eq!((held.action, held.status.phase), (Action::Wait, phase), "{policy:?}");
    }
}

/// The nodes of a type take turns to try it, so this gate opens and closes for the others. A subnet without room stands all the time.
#[test]
fn a_full_subnet_is_said_whether_or_not_another_node_tries_the_type() {
    let mut world = World::new(absent(25));
    world.describe(observed_subnet(0, None, 25));
    let open = world.step();
    let mut gate = InstanceTypeGate::default();
    gate.sent("another", &THIRD, at(29));
    world.instance_type = Some((gate, THIRD));
    let closed = world.step();
    assert_eq!((&open.action, &closed.action), (&Action::Wait, &Action::Wait));
    assert_eq!(ready(&open).reason, "SubnetFull", "{open:?}");
    assert_eq!(closed.status, open.status);
}

/// Without the label the limits cannot be checked before the Create, and nothing else says so.
#[test]
fn a_refused_attach_says_that_the_node_has_no_type_label() {
    let message = |kind: Option<&str>, code: &str, message: &str| {
        let mut world = World::new(seen(None));
        world.node.as_mut().unwrap().instance_type = kind.map(str::to_owned);
        world.fail(Call::Attach, code, message);
        ready(&world.step()).message.clone()
    };
    let says = |message: String| message.contains("no label node.kubernetes.io/instance-type");
    let index = "Invalid device index 3 for network card 0 on m9.large";
    let limits = [("AttachmentLimitExceeded", "Interface count 4 exceeds the limit"), ("InvalidParameterValue", index)];
    for (code, words) in limits {
        assert!(says(message(None, code, words)), "{code}");
        assert!(!says(message(Some("m9.large"), code, words)), "{code}");
    }
    let taken = "Instance 'i-0123456789abcdef0' already has an interface attached at device index '1'.";
    assert!(!says(message(None, "InvalidParameterValue", taken)));
    assert!(!says(message(None, "UnauthorizedOperation", "no")));
}
