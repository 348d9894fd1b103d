//! What the plan says of an ENI that is attached, and that the node agent has not configured.

use super::edits::{in_use, settled};
use super::*;
use multi_eni_api::conditions::{ConditionUpdate, set, types};
use multi_eni_api::configured_reason::ConfiguredReason;
use multi_eni_api::node_status::NodeStatus;

/// The line of an ENI that is attached since second 0, `seconds` later. The agent reports this reason with the status False.
fn line(reason: &str, seconds: i64) -> Line {
    let (mut world, mut of) = in_use();
    (world.settings.node_agent, world.now) = (true, at(seconds));
    let Observation::Seen(mut seen) = settled(&world, &of) else { panic!("nothing is seen") };
    seen.shown_at = at(seconds);
    let said = ConditionUpdate::new(types::CONFIGURED, false, reason, "the agent's words");
    set(&mut of.status.conditions, said, None, at(0));
    set(&mut of.status.conditions, ConditionUpdate::new(types::READY, false, reason, ""), None, at(0));
    of.status.node = Some(Box::new(NodeStatus { mac_address: Some(seen.mac.to_string()), ..NodeStatus::default() }));
    world.attachments = vec![of.clone()];
    let plan = reported(&world, &[(&of, Observation::Seen(seen))]);
    let nodeeni = plan.node_enis.into_iter().find(|nodeeni| nodeeni.name == "a").unwrap();
    nodeeni.lines.into_iter().next().unwrap()
}

#[test]
fn a_reason_of_the_agent_that_needs_a_person_has_the_sign_of_one() {
    for reason in [ConfiguredReason::RouteCoversNode, ConfiguredReason::InterfaceNameTaken] {
        let line = line(reason.as_str(), 10);
        assert_eq!((line.mark, line.reason.as_str()), (LineKind::Blocked, reason.as_str()));
        assert!(line.message.ends_with(&format!("reports {reason}: the agent's words")), "{line:?}");
    }
}

#[test]
fn what_may_end_by_itself_waits_for_two_minutes() {
    for (seconds, mark) in [(10, LineKind::Waits), (119, LineKind::Waits), (120, LineKind::Blocked)] {
        assert_eq!(line("LinkAbsent", seconds).mark, mark, "{seconds}");
    }
}
