//! An ENI whose device is bound to a driver for DPDK is detached when the node agent has given the device back, or after two minutes.

use super::*;
use crate::device_return::{NOT_RETURNED, RETURNING};
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::{self, ConditionUpdate};
use multi_eni_api::node_status::NodeStatus;

const MAC: &str = "02:00:00:00:00:01";
const DEVICE: &str = "0000:00:06.0";

/// An attached ENI with a bound device, whose ENIAttachment is deleted at 25 s. It is 30 s.
fn leaving() -> World {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    (world.node_agent, world.attachment.generation) = (true, Some(1));
    reports(&mut world, "vfio-pci", true, "BoundToDriver", "it is bound");
    world.attachment.status = world.step().status;
    assert!(is_true(&world.attachment.status.conditions, types::READY));
    world.attachment.deleting = Some(at(25));
    world
}

/// The agent reports that this driver has the device.
fn reports(world: &mut World, driver: &str, status: bool, reason: &str, message: &str) {
    let update = ConditionUpdate::new(types::CONFIGURED, status, reason, message);
    conditions::set(&mut world.attachment.status.conditions, update, Some(1), world.now);
    let node = NodeStatus {
        mac_address: Some(MAC.to_owned()),
        driver: Some(driver.to_owned()),
        pci_address: Some(DEVICE.to_owned()),
        boot_id: Some("boot-1".to_owned()),
        ..NodeStatus::default()
    };
    world.attachment.status.node = Some(Box::new(node));
}

fn at_second(world: &mut World, seconds: i64) {
    world.now = at(seconds);
    world.set_shown_at(seconds);
}

fn detaches(world: &World) -> bool {
    matches!(world.step().action, Action::Detach { force: false, .. })
}

/// Reason and message of the condition Attached.
fn said(status: &EniAttachmentStatus) -> (&str, &str) {
    let said = status.conditions.iter().find(|condition| condition.type_ == types::ATTACHED).unwrap();
    (said.reason.as_str(), said.message.as_str())
}

#[test]
fn a_bound_device_is_given_back_before_the_detach_and_that_costs_no_write() {
    let mut world = leaving();
    at_second(&mut world, 29);
    let step = world.step();
    assert_eq!((&step.action, step.recheck), (&Action::Wait, Some(at(30))), "the status says it from 30 s on");
    assert_eq!(step.status, world.attachment.status, "no write");
    let device = step.device_return.unwrap();
    assert_eq!((device.driver.as_str(), device.device.as_str(), device.until), ("vfio-pci", DEVICE, at(145)));
    reports(&mut world, "ena", false, "Restored", "it has its kernel driver");
    assert!(detaches(&world));
    // The reason alone says it, too.
    reports(&mut world, "vfio-pci", false, "Restored", "it has its kernel driver");
    assert!(detaches(&world));
    // Its link is in a pod, or late. The device has its kernel driver.
    reports(&mut world, "ena", false, "LinkNotBack", "no link");
    assert!(detaches(&world));
}

#[test]
fn a_return_that_takes_longer_is_said_with_its_end_and_with_the_process_that_holds_the_device() {
    let mut world = leaving();
    let step = world.step();
    assert_eq!(step.status.phase, Phase::Detaching);
    let is = |kind| is_true(&step.status.conditions, kind);
    assert!(is(types::ATTACHED) && !is(types::READY), "EC2 shows it attached");
    let (reason, message) = said(&step.status);
    assert_eq!(reason, RETURNING);
    for words in ["node n0", DEVICE, "vfio-pci", &at(145).to_string()] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert!(!message.contains("reports"), "{message}");
    reports(&mut world, "vfio-pci", false, "DeviceHeld", "process 4711 (testpmd) has /dev/vfio/3 open");
    at_second(&mut world, 60);
    let step = world.step();
    let (_, message) = said(&step.status);
    assert!(
        message.ends_with("; the agent reports DeviceHeld: process 4711 (testpmd) has /dev/vfio/3 open"),
        "{message}"
    );
    assert_eq!((step.action, step.recheck), (Action::Wait, Some(at(145))));
}

#[test]
fn after_two_minutes_the_eni_is_detached_anyway_and_that_is_said() {
    let mut world = leaving();
    reports(&mut world, "vfio-pci", false, "DeviceHeld", "process 4711 has /dev/vfio/3 open");
    at_second(&mut world, 144);
    assert_eq!(world.step().action, Action::Wait);
    at_second(&mut world, 145);
    let step = world.step();
    assert!(matches!(step.action, Action::Detach { force: false, .. }), "{step:?}");
    assert_eq!((step.status.phase, step.device_return), (Phase::Detaching, None));
    let (reason, message) = said(&step.status);
    assert_eq!(reason, NOT_RETURNED);
    assert!(message.contains("detaches the ENI anyway; the agent reports DeviceHeld: process 4711"), "{message}");
    // EC2 detaches: the words stay.
    world.attachment.status = step.status.clone();
    world.call_history.sends_detach("eni-attach-1", false, true);
    world.call_history.succeeded(Call::Detach, at(145));
    world.observation = seen(Some(AttachmentState::Detaching));
    at_second(&mut world, 146);
    let next = world.step();
    assert_eq!((next.action, said(&next.status)), (Action::Wait, said(&step.status)));
    // It is stuck, which is a reason of its own.
    at_second(&mut world, 600);
    let stuck = world.step().status;
    let (reason, message) = said(&stuck);
    assert!(reason == "StuckDetaching" && message.contains("process 4711"), "{reason}: {message}");
}

#[test]
fn a_failed_detach_says_why_it_failed() {
    let mut world = leaving();
    at_second(&mut world, 200);
    world.fail(Call::Detach, "OperationNotPermitted", "no");
    let status = world.step().status;
    assert_ne!(said(&status).0, NOT_RETURNED);
    assert!(status.last_error.is_some());
}

#[test]
fn nobody_waits_for_an_agent_that_cannot_answer() {
    assert_eq!(leaving().step().action, Action::Wait);
    type Change = fn(&mut World);
    let cases: [(&str, Change); 9] = [
        ("the flag is off", |world| world.node_agent = false),
        ("the agent never reported", |world| world.attachment.status.node = None),
        ("the kernel's driver has the device", |world| reports(world, "ena", true, "Configured", "")),
        ("the report is about another ENI", |world| {
            world.attachment.status.node.as_mut().unwrap().mac_address = Some("02:00:00:00:00:99".into());
        }),
        ("the node has rebooted", |world| world.boot_ids = vec!["boot-2"]),
        ("the Node is gone", |world| world.node = None),
        ("the Node is not reached", |world| world.node.as_mut().unwrap().is_unreachable = true),
        ("a minute has passed twice", |world| at_second(world, 145)),
        ("the ENI has another MAC address", |world| {
            let Observation::Seen(eni) = &mut world.observation else { return };
            eni.mac = "02:00:00:00:00:99".into();
        }),
    ];
    for (what, change) in cases {
        let mut world = leaving();
        change(&mut world);
        assert!(detaches(&world), "{what}: {:?}", world.step().action);
    }
    let mut same_boot = leaving();
    same_boot.boot_ids = vec!["boot-1"];
    same_boot.node.as_mut().unwrap().deleting = true;
    assert_eq!(same_boot.step().action, Action::Wait, "the agent still runs on a Node that is being drained");
}

#[test]
fn what_is_gone_or_going_already_waits_for_nothing() {
    let mut world = leaving();
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(26)));
    assert_eq!((world.step().action, world.step().device_return), (Action::LookupById(eni(1).id), None));
    // Somebody else has detached it.
    let mut world = leaving();
    world.observation = seen(Some(AttachmentState::Detaching));
    let step = world.step();
    assert_eq!((&step.action, &step.device_return), (&Action::Wait, &None));
    assert_eq!(said(&step.status).0, "Detaching");
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
}

#[test]
fn an_attachment_that_ec2_still_calls_attaching_waits_for_the_agent_as_well() {
    let mut world = leaving();
    world.observation = seen(Some(AttachmentState::Attaching));
    let device = world.step().device_return.unwrap();
    assert_eq!(device.until, at(145));
}
