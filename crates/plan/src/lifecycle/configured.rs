//! With the node agent, an ENI is Ready when EC2 shows it attached and the agent has configured its interface. This file decides whether
//! the agent's report counts for this ENI, and what the condition Ready says while it does not. It decides no action.

use super::input::Input;
use crate::agent_report::{is_of_this_boot, of_eni};
use crate::attachment::Attachment;
use crate::outdated_reports::is_outdated;
use crate::unconfigured::{OVERDUE, since};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::node_config::{NodeMode, mode_of};

/// Reason of the condition Ready: the ENI is attached, and no report of the agent counts for it yet.
const CONFIGURING: &str = "Configuring";
/// Reason of the condition Ready: the agent has not reported on the ENI for longer than it takes.
const NOT_REPORTED: &str = "NodeAgentNotReporting";
/// Reason of the condition Ready if the agent's report has none.
const NOT_CONFIGURED: &str = "NotConfigured";
/// The agent's reason for a mode in which it does nothing.
const NOT_MANAGED: &str = "NotManaged";

/// Why an attached ENI is not Ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotConfigured {
    pub reason: String,
    pub message: String,
    /// When the words change, if nothing else does before.
    pub until: Option<Timestamp>,
}

/// Why the agent's report does not make this ENI Ready. None: it does. `status` is the next status, in which the ENI is attached;
/// `message` is what the condition Attached says.
pub(super) fn missing(input: &Input<'_>, status: &EniAttachmentStatus, message: &str) -> Option<NotConfigured> {
    let Input { attachment, boot_ids, now, .. } = *input;
    let node = &attachment.node;
    let of_this_eni = || of_eni(attachment, status.mac_address.as_deref());
    let report = attachment.status.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED);
    let without = match report {
        None => "the node agent has not reported on it".to_owned(),
        Some(_) if of_this_eni().is_none() => "the last report of the node agent is about another ENI".to_owned(),
        // After a reboot the interface has no addresses until the agent has set them again.
        Some(_) if of_this_eni().is_some_and(|report| !is_of_this_boot(report, boot_ids)) => {
            "the last report of the node agent is of another boot of the node".to_owned()
        }
        Some(report) if report.status != "True" => {
            let reason = if report.reason.is_empty() { NOT_CONFIGURED } else { report.reason.as_str() };
            let message = format!("{message}; the node agent on node {node} reports {reason}: {}", report.message);
            return Some(NotConfigured { reason: reason.to_owned(), message, until: None });
        }
        Some(report) if counts(attachment, report) && follows_by(input).is_none_or(|by| now < by) => return None,
        Some(_) => "the last report of the node agent is about earlier settings".to_owned(),
    };
    // The times are those of the next status: it may be the first one in which the ENI is attached.
    let begun = since(status).unwrap_or(now);
    let overdue = begun.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX);
    if now < overdue {
        let message = format!("{message}; waiting for the node agent on node {node}");
        return Some(NotConfigured { reason: CONFIGURING.to_owned(), message, until: Some(overdue) });
    }
    let message = format!(
        "{message}; {without} since {begun}: check that a Pod of the node agent runs on node {node} and can reach the API server, \
         or set --node-agent=false if no agent is installed"
    );
    Some(NotConfigured { reason: NOT_REPORTED.to_owned(), message, until: None })
}

/// By when the agent must have followed an edit of an ENI that is Ready: after that time the ENI is not Ready. None: its report is about the
/// present settings, or says more.
pub(super) fn follows_by(input: &Input<'_>) -> Option<Timestamp> {
    let since = input.report_outdated_since.filter(|_| is_outdated(input.attachment))?;
    is_true(&input.attachment.status.conditions, types::READY)
        .then(|| since.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX))
}

/// Whether a report that says True counts. A report about earlier settings makes no ENI Ready, and an ENI that is Ready stays so for two
/// minutes: the agent follows an edit in a moment, and says if it cannot. But an interface that the agent did not manage is not
/// configured.
fn counts(attachment: &Attachment, report: &Condition) -> bool {
    if attachment.generation.is_none() || report.observed_generation == attachment.generation {
        return true;
    }
    let is_configured =
        report.reason != NOT_MANAGED || mode_of(attachment.node_settings.node_config.as_ref()) == NodeMode::None;
    is_configured && is_true(&attachment.status.conditions, types::READY)
}
