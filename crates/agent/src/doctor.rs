//! The text of `multi-eni-agent doctor`: what the agent sees of each ENI and what it would do. It changes nothing.

use crate::node::{Manager, Node};
use crate::plan::Plan;
use crate::plan::report::{EniReport, Outcome};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is known besides the node and the plan.
#[derive(Debug)]
pub struct Context {
    /// The state directory.
    pub state_dir: String,
    /// The process that is at work with it, or why that is not known.
    pub at_work: Result<Option<String>, String>,
    /// The name of the Node, if it was given.
    pub node_name: Option<String>,
    /// Whether there is any ENIAttachment of the node.
    pub has_attachments: bool,
    /// The condition Configured as it was reported last, by the UID of the ENIAttachment.
    pub reported: BTreeMap<String, Condition>,
}

/// The text.
pub fn text(node: &Node, plan: &Plan, context: &Context) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = match &context.at_work {
        Ok(Some(process)) => writeln!(out, "Agent: {process} is at work"),
        Ok(None) => writeln!(out, "Agent: none is at work with the state directory {}", context.state_dir),
        Err(error) => writeln!(out, "Agent: whether one is at work is not known: {error}"),
    };
    let _ = writeln!(out, "Links of this node:");
    for link in node.links.iter().filter(|link| !link.is_loopback) {
        let mac = link.permanent_mac.or(link.mac).map_or_else(|| "no MAC".to_owned(), |mac| mac.to_string());
        let kind = match (&link.kind, &link.parent_device) {
            (Some(kind), _) => kind.clone(),
            (None, Some(device)) => format!("device {device}"),
            (None, None) => "no device".to_owned(),
        };
        let state = if link.is_up { "up" } else { "down" };
        let manager = link.managed_by.as_ref().map(Manager::to_string).unwrap_or_else(|| "nobody else".to_owned());
        let _ = writeln!(
            out,
            "  {} {}: {mac}, {kind}, {state}, MTU {}, managed by {manager}",
            link.index, link.name, link.mtu
        );
    }
    let _ = writeln!(out, "ENIs that ENIAttachments name: {}", plan.reports.len());
    for report in &plan.reports {
        let _ = writeln!(out, "  {}: {}", report.attachment, outcome(report));
        if let Some(last) = last_failure(report, context) {
            let _ = writeln!(out, "    the last report: {} ({})", last.message, last.reason);
        }
    }
    if !context.has_attachments {
        let _ = match &context.node_name {
            Some(name) => {
                writeln!(
                    out,
                    "  no ENIAttachment has spec.nodeName {name}: is --node-name (NODE_NAME) the name of the Node?"
                )
            }
            None => writeln!(out, "  the file of --attachments-file has none"),
        };
    }
    let _ = writeln!(out, "Steps that the agent would make: {}", plan.steps.len());
    for planned in &plan.steps {
        let attachment = planned.attachment.as_deref().unwrap_or("what nobody asks for");
        let _ = writeln!(out, "  {attachment}: {}", planned.step);
    }
    out
}

/// What failed last, if the node does not show it: a failed step, for example, of which the next look shows a device on its way.
fn last_failure<'a>(report: &EniReport, context: &'a Context) -> Option<&'a Condition> {
    let shown = match &report.outcome {
        Outcome::Changing { .. } => None,
        Outcome::Blocked(obstacle) => Some(obstacle.reason()),
        Outcome::Configured
        | Outcome::NotManaged
        | Outcome::InUse { .. }
        | Outcome::Bound { .. }
        | Outcome::Restored { .. } => return None,
    };
    let last = context.reported.get(&report.uid)?;
    (last.status == "False" && shown != Some(last.reason.as_str())).then_some(last)
}

fn outcome(report: &EniReport) -> String {
    let link = report.link.as_ref().map_or_else(|| "no link".to_owned(), |link| format!("link {}", link.name));
    match &report.outcome {
        Outcome::Configured => format!("{link}, as asked"),
        Outcome::NotManaged => format!("{link}, not managed (nodeConfig.mode is none)"),
        Outcome::InUse { device } => format!("in use: a pod or another network namespace has the link of {device}"),
        Outcome::Bound { device, driver, note } => {
            let note = note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
            format!("device {device} is bound to {driver}, as asked{note}")
        }
        Outcome::Restored { device } => format!("device {device} has its kernel driver again"),
        Outcome::Changing { steps } if steps.len() == 1 => format!("{link}, 1 step missing"),
        Outcome::Changing { steps } => format!("{link}, {} steps missing", steps.len()),
        Outcome::Blocked(obstacle) => format!("{link}, left as it is: {obstacle} ({})", obstacle.reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::obstacle::DpdkObstacle;
    use crate::plan::report::Obstacle;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn context() -> Context {
        let state_dir = "/state".to_owned();
        Context { state_dir, at_work: Ok(None), node_name: None, has_attachments: true, reported: BTreeMap::new() }
    }

    fn said(reports: Vec<EniReport>, context: &Context) -> String {
        text(&Node::default(), &Plan { reports, ..Plan::default() }, context)
    }

    #[test]
    fn whether_an_agent_is_at_work_is_said() {
        let with = |at_work| said(Vec::new(), &Context { at_work, ..context() });
        assert!(with(Ok(None)).starts_with("Agent: none is at work with the state directory /state\n"));
        assert!(with(Ok(Some("agent (process 7)".to_owned()))).starts_with("Agent: agent (process 7) is at work\n"));
        assert!(with(Err("why".to_owned())).starts_with("Agent: whether one is at work is not known: why\n"));
    }

    #[test]
    fn a_node_name_that_no_eniattachment_has_is_said_with_its_option() {
        let with = |node_name: Option<&str>, has_attachments| {
            let node_name = node_name.map(str::to_owned);
            said(Vec::new(), &Context { node_name, has_attachments, ..context() })
        };
        let of_node = "name: 0\n  no ENIAttachment has spec.nodeName nod1: is --node-name (NODE_NAME)";
        assert!(with(Some("nod1"), false).contains(of_node));
        assert!(with(None, false).contains("name: 0\n  the file of --attachments-file has none\n"));
        assert!(!with(Some("nod1"), true).contains("spec.nodeName"));
    }

    #[test]
    fn what_failed_last_is_said_if_the_node_does_not_show_it() {
        let with = |outcome, reason: &str, status: &str| {
            let report = EniReport {
                attachment: "one".to_owned(),
                uid: "u".to_owned(),
                generation: None,
                mac: None,
                link: None,
                outcome,
            };
            let condition = Condition {
                last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
                message: "it did not".to_owned(),
                observed_generation: None,
                reason: reason.to_owned(),
                status: status.to_owned(),
                type_: "Configured".to_owned(),
            };
            let reported = BTreeMap::from([("u".to_owned(), condition)]);
            said(vec![report], &Context { reported, ..context() })
                .contains(&format!("\n    the last report: it did not ({reason})\n"))
        };
        let held = || Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::DeviceHeld("process 7".to_owned())));
        assert!(with(held(), "BindFailed", "False"));
        assert!(with(Outcome::Changing { steps: Vec::new() }, "StepFailed", "False"));
        assert!(!with(held(), "DeviceHeld", "False"), "it is said already");
        assert!(!with(held(), "BoundToDriver", "True") && !with(Outcome::NotManaged, "BindFailed", "False"));
    }
}
