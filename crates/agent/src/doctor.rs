//! The text of `multi-eni-agent doctor`: what the agent sees of each ENI and what it would do. It changes nothing.

use crate::node::{Manager, Node};
use crate::plan::Plan;
use crate::plan::report::{EniReport, Outcome};
use std::fmt::Write as _;

/// The text.
pub fn text(node: &Node, plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
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
    }
    let _ = writeln!(out, "Steps that the agent would make: {}", plan.steps.len());
    for planned in &plan.steps {
        let attachment = planned.attachment.as_deref().unwrap_or("what nobody asks for");
        let _ = writeln!(out, "  {attachment}: {}", planned.step);
    }
    out
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
