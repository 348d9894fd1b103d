//! Ready with the node agent: the ENI is attached, and the agent's report about this ENI says that its interface is configured.

use super::*;
use multi_eni_api::conditions::{self, ConditionUpdate};
use multi_eni_api::node_status::NodeStatus;

const MAC: &str = "02:00:00:00:00:01";

/// An ENI that EC2 shows attached, with the first status of that.
fn attached() -> World {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    (world.node_agent, world.attachment.generation) = (true, Some(1));
    world.attachment.status = world.step().status;
    world
}

/// The agent reports on the ENI with this MAC address.
fn reports(world: &mut World, mac: &str, status: bool, reason: &str, generation: i64) {
    let update = ConditionUpdate::new(types::CONFIGURED, status, reason, "the agent's words");
    conditions::set(&mut world.attachment.status.conditions, update, Some(generation), world.now);
    let node = NodeStatus { mac_address: Some(mac.to_owned()), ..NodeStatus::default() };
    world.attachment.status.node = Some(Box::new(node));
}

/// Status, reason and message of the condition Ready.
fn ready(step: &Step) -> (&str, &str, &str) {
    let ready = step.status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap();
    (ready.status.as_str(), ready.reason.as_str(), ready.message.as_str())
}

fn is_ready(world: &World) -> bool {
    ready(&world.step()).0 == "True"
}

#[test]
fn an_attached_eni_is_ready_when_the_agent_has_configured_it() {
    let mut world = attached();
    let waits = world.step();
    let (status, reason, message) = ready(&waits);
    assert_eq!((status, reason), ("False", "Configuring"));
    assert!(message.ends_with("waiting for the node agent on node n0"), "{message}");
    assert!(is_true(&waits.status.conditions, types::ATTACHED));
    assert_eq!((waits.status.phase, &waits.action), (Phase::Attached, &Action::Settled), "nothing is done on EC2");
    for reason in ["Configured", "ConfiguredByOther", "InUse", "NotManaged"] {
        reports(&mut world, MAC, true, reason, 1);
        assert_eq!((ready(&world.step()).0, ready(&world.step()).1), ("True", "Ready"), "{reason}");
    }
    reports(&mut world, MAC, false, "LinkAbsent", 1);
    let step = world.step();
    let (status, reason, message) = ready(&step);
    assert_eq!((status, reason), ("False", "LinkAbsent"));
    assert!(message.ends_with("the node agent on node n0 reports LinkAbsent: the agent's words"), "{message}");
}

#[test]
fn without_the_agent_its_report_changes_nothing() {
    let mut world = attached();
    world.node_agent = false;
    assert!(is_ready(&world));
    reports(&mut world, MAC, false, "LinkAbsent", 1);
    assert!(is_ready(&world));
}

#[test]
fn a_report_about_another_eni_does_not_count() {
    let mut world = attached();
    reports(&mut world, "02:00:00:00:00:02", true, "Configured", 1);
    assert!(!is_ready(&world));
    world.attachment.status.node.as_mut().unwrap().mac_address = None;
    assert!(!is_ready(&world), "a report without a MAC address may be about any ENI");
    world.attachment.status.node.as_mut().unwrap().mac_address = Some(MAC.to_uppercase());
    assert!(is_ready(&world));
    // EC2 shows another ENI in the place of the one that was configured.
    let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
    eni.mac = "02:00:00:00:00:99".into();
    assert!(!is_ready(&world));
}

#[test]
fn an_eni_that_is_not_attached_is_not_ready_whatever_the_agent_says() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    world.node_agent = true;
    reports(&mut world, MAC, true, "Configured", 1);
    assert!(!is_ready(&world));
}

#[test]
fn a_report_about_earlier_settings_keeps_an_eni_ready_and_makes_none_ready() {
    let mut world = attached();
    reports(&mut world, MAC, true, "Configured", 1);
    world.attachment.generation = Some(2);
    assert_eq!(ready(&world.step()).1, "Configuring");
    world.attachment.generation = Some(1);
    world.attachment.status = world.step().status;
    world.attachment.generation = Some(2);
    assert!(is_ready(&world), "an edit does not take a working ENI away");
    // The agent did not manage the interface, and now it is to.
    reports(&mut world, MAC, true, "NotManaged", 1);
    assert!(!is_ready(&world));
    let none = [("mode".to_owned(), "none".into())].into();
    world.attachment.node_settings.node_config = Some(none);
    assert!(is_ready(&world));
    world.attachment.node_settings.node_config = None;
    reports(&mut world, MAC, true, "NotManaged", 2);
    assert!(is_ready(&world), "it has seen the present settings");
}

#[test]
fn an_edit_that_the_agent_does_not_follow_is_said_after_two_minutes() {
    let mut world = attached();
    reports(&mut world, MAC, true, "Configured", 1);
    world.attachment.generation = Some(1);
    world.attachment.status = world.step().status;
    (world.attachment.generation, world.now, world.report_outdated_since) = (Some(2), at(40), Some(at(40)));
    let waits = world.step();
    assert_eq!((is_true(&waits.status.conditions, types::READY), waits.recheck), (true, Some(at(160))));
    world.attachment.status = waits.status;
    world.now = at(160);
    let late = world.step();
    assert_eq!((ready(&late).0, ready(&late).1), ("False", "Configuring"), "{}", ready(&late).2);
    world.attachment.status = late.status;
    world.now = at(280);
    let step = world.step();
    let (_, reason, message) = ready(&step);
    assert_eq!(reason, "NodeAgentNotReporting");
    assert!(message.contains("the last report of the node agent is about earlier settings since"), "{message}");
    // The agent has followed.
    reports(&mut world, MAC, true, "Configured", 2);
    world.report_outdated_since = None;
    assert!(is_ready(&world));
}

#[test]
fn an_agent_that_does_not_report_is_named_after_two_minutes() {
    let mut world = attached();
    let first = world.step();
    assert_eq!(first.recheck, Some(at(150)));
    world.now = at(149);
    assert_eq!(ready(&world.step()).1, "Configuring");
    world.now = at(150);
    let step = world.step();
    let (_, reason, message) = ready(&step);
    assert_eq!(reason, "NodeAgentNotReporting");
    for words in
        [&format!("has not reported on it since {}", at(30)), "node n0", "check that a Pod", "--node-agent=false"]
    {
        assert!(message.contains(words), "{words}: {message}");
    }
    world.attachment.status = step.status.clone();
    world.now = at(900);
    assert_eq!(world.step().status, step.status, "it is said once");
    reports(&mut world, MAC, true, "Configured", 1);
    assert!(is_ready(&world));
}

#[test]
fn when_the_agent_is_enabled_old_enis_wait_from_that_moment_on() {
    let mut world = attached();
    (world.node_agent, world.now) = (false, at(40));
    world.attachment.status = world.step().status;
    assert!(is_true(&world.attachment.status.conditions, types::READY));
    (world.node_agent, world.now) = (true, at(86_400));
    world.set_shown_at(86_400);
    let step = world.step();
    assert_eq!((ready(&step).1, step.recheck), ("Configuring", Some(at(86_520))));
    world.attachment.status = step.status;
    assert_eq!((ready(&world.step()).1, world.step().recheck), ("Configuring", Some(at(86_520))));
}

/// After a reboot the interface has no addresses until the agent has set them again.
#[test]
fn a_report_of_an_earlier_boot_does_not_count() {
    let mut world = attached();
    reports(&mut world, MAC, true, "Configured", 1);
    world.attachment.status.node.as_mut().unwrap().boot_id = Some("boot-1".to_owned());
    assert!(is_ready(&world), "the Node shows no boot");
    world.boot_ids = vec!["boot-1"];
    assert!(is_ready(&world));
    world.attachment.status = world.step().status;
    world.boot_ids = vec!["boot-2"];
    world.now = at(40);
    let step = world.step();
    assert_eq!((ready(&step).1, step.recheck), ("Configuring", Some(at(160))), "also for an ENI that was Ready");
    world.attachment.status = step.status;
    world.now = at(160);
    let step = world.step();
    let (_, reason, message) = ready(&step);
    assert!(reason == "NodeAgentNotReporting" && message.contains("another boot of the node"), "{reason}: {message}");
    // What the agent could not do in an earlier boot is no news of this one.
    reports(&mut world, MAC, false, "LinkAbsent", 1);
    world.attachment.status.node.as_mut().unwrap().boot_id = Some("boot-1".to_owned());
    assert_eq!(ready(&world.step()).1, "NodeAgentNotReporting");
    reports(&mut world, MAC, true, "Configured", 1);
    world.attachment.status.node.as_mut().unwrap().boot_id = Some("boot-2".to_owned());
    assert!(is_ready(&world));
}
