//! The status of a NodeENI: its counters, its list of attachments and its conditions. It is given the ENIAttachments of
//! the NodeENI and the reasons where there are none. It decides no action.

use crate::assign::{GroupsWait, Pinned, Unassigned, WaitsForPods};
use crate::attachment::{Attachment, IN_PLACE};
use crate::counted::{counted, is_or_are, part_of, verb};
use crate::device_return;
use crate::nodeeni::NodeEni;
use crate::problem::Problem;
use crate::removals::RemovalPace;
use crate::unconfigured;
use crate::wait_estimate::WaitEstimate;
use coverage::Coverage;
use entries::{device_indexes, entries};
use jiff::{SignedDuration, Timestamp};
use main_problem::Problems;
use missing::missing_by_node;
use multi_eni_api::NodeEniStatus;
use multi_eni_api::conditions::{self, ConditionUpdate, types};
use multi_eni_api::eniattachment::Phase;
use progress::Progress;
use std::collections::{BTreeMap, BTreeSet};

mod coverage;
mod entries;
mod main_problem;
mod missing;
mod pace;
mod progress;
#[cfg(test)]
mod tests;

pub use pace::{PendingStatus, next_write};

/// What the status of one NodeENI depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The NodeENI.
    pub nodeeni: &'a NodeEni,
    /// Its last status.
    pub previous: &'a NodeEniStatus,
    /// Its ENIAttachments, sorted by name.
    pub attachments: &'a [&'a Attachment],
    /// Nodes that its selector matches.
    pub matched: &'a BTreeSet<&'a str>,
    /// Former names of these Nodes that ENIAttachments still carry, and the names now. These ENIAttachments follow to the Node that
    /// their instance has now.
    pub former: &'a BTreeMap<&'a str, &'a str>,
    /// Number of ENIs that the NodeENI asks for, by Node.
    pub desired: &'a BTreeMap<&'a str, usize>,
    /// Number of Nodes with ENIs that the spec no longer describes, and that are replaced in their turn.
    pub outdated: usize,
    /// Number of Nodes that are to lose ENIs at the pace of removals.
    pub losing: usize,
    /// Number of Nodes that have not been decided since the NodeENI changed.
    pub undecided: usize,
    /// Pairs of NodeENI and Node that get no ENI now, with the reason.
    pub refused: &'a [&'a Unassigned],
    /// Adopted ENIs that keep a device index other than the spec's.
    pub pinned: &'a [&'a Pinned],
    /// ENIs that nodes keep for Pods.
    pub waiting: &'a [&'a WaitsForPods],
    /// Security groups that stay on ENIs for a while.
    pub groups_waits: &'a [&'a GroupsWait],
    /// The pace of removals because of labels or of an edit.
    pub removals: &'a RemovalPace,
    /// Problems of the NodeENI as a whole.
    pub problems: &'a [Problem],
    /// How long its calls will wait for EC2's request rates.
    pub expected: Option<WaitEstimate>,
    /// Whether the node agent is enabled, and its report in the status of an ENIAttachment is of this boot of the node.
    pub has_current_report: &'a dyn Fn(&Attachment) -> bool,
    /// The MTU that the spec asks for.
    pub mtu: Option<i32>,
    /// Now.
    pub now: Timestamp,
}

/// Makes the status of one NodeENI.
pub fn nodeeni_status(input: Input<'_>) -> NodeEniStatus {
    let Input {
        nodeeni,
        previous,
        attachments,
        matched,
        former,
        desired: desired_by_node,
        outdated,
        losing,
        undecided,
        refused,
        pinned,
        waiting,
        groups_waits,
        removals,
        problems,
        expected,
        has_current_report,
        mtu,
        now,
    } = input;
    let desired = desired_by_node.values().sum();
    let live = || attachments.iter().filter(|attachment| attachment.deleting.is_none());
    let attached = live().filter(|h| conditions::is_true(&h.status.conditions, types::ATTACHED)).count();
    let coverage = Coverage::of(refused, now);
    // An ENI on a node that no longer asks for one does not replace an ENI that is missing elsewhere. If the spec cannot
    // be read, all ENIs stay and all of them count.
    let asked_for = |attachment: &&&Attachment| {
        let node = attachment.node.as_str();
        let is_covered = !coverage.nodes.contains(node);
        nodeeni.spec.is_err() || is_covered && matched.contains(node) || former.contains_key(node)
    };
    let is_ready = |attachment: &&&Attachment| conditions::is_true(&attachment.status.conditions, types::READY);
    let ready = live().filter(asked_for).filter(is_ready).count();
    let matched = matched.len();
    let blocked: Vec<&&Attachment> = attachments.iter().filter(|h| h.status.phase == Phase::Blocked).collect();
    let is_standing = |refusal: &&&Unassigned| !refusal.why.is_transient() && !refusal.why.is_not_covered();
    let standing: Vec<&Unassigned> = refused.iter().filter(is_standing).copied().collect();
    let leaving = attachments.iter().filter(|attachment| attachment.deleting.is_some()).count();
    let unconfigured: Vec<&Attachment> =
        attachments.iter().copied().filter(|attachment| unconfigured::is_overdue(attachment, now)).collect();
    let missing_for_a_person = missing_by_node(attachments, former, desired_by_node, &standing);
    let failed = blocked.len() + unconfigured.len() + missing_for_a_person;
    let is_live = |attachment: &&&Attachment| attachment.deleting.is_none();
    let stopped = blocked.iter().copied().chain(&unconfigured);
    let stalled = missing_for_a_person + stopped.filter(is_live).filter(asked_for).filter(|eni| !is_ready(eni)).count();

    let (entries, omitted) = entries(previous, attachments, has_current_report, mtu, now);
    let mut status = NodeEniStatus {
        observed_generation: Some(nodeeni.generation),
        matched_nodes: count(matched),
        nodes_without_subnet: count(coverage.without_subnet.len()),
        device_indexes: device_indexes(nodeeni, attachments),
        desired: count(desired),
        attached: count(attached),
        ready: count(ready),
        failed: count(failed),
        conditions: previous.conditions.clone(),
        attachments: entries,
        attachments_omitted: (omitted > 0).then_some(count(omitted)),
        removals: removals.record(previous.removals.as_ref()),
    };
    let unchanged: Vec<&Attachment> =
        live().filter(asked_for).filter(|attachment| is_unchanged(attachment)).copied().collect();
    let stopped: Vec<&Attachment> = blocked.iter().map(|attachment| **attachment).chain(unconfigured).collect();
    let problems = Problems { found: problems, unchanged: &unchanged, stopped: &stopped, standing: &standing };
    let main_problem = problems.main(nodeeni, now);
    let covered = matched.saturating_sub(coverage.nodes.len());
    // The node that a rollout works on: an ENI there is on its way out, or is not ready yet.
    let is_on_its_way =
        |attachment: &&&Attachment| attachment.deleting.is_some() || asked_for(attachment) && !is_ready(attachment);
    let progress = Progress {
        is_new: previous.observed_generation != Some(nodeeni.generation)
            || conditions::is_true(&previous.conditions, types::PROGRESSING),
        undecided,
        outdated,
        losing,
        refused,
        groups_waits,
        now,
        replaced: attachments.iter().find(is_on_its_way).map(|attachment| attachment.node.as_str()),
        returning: attachments.iter().find_map(|it| Some((it.node.as_str(), device_return::said_until(it)?))),
    };
    let numbers = Numbers { matched, covered, desired, ready, stalled, leaving, expected, now };
    for wanted in conditions_of(nodeeni, numbers, &progress, main_problem) {
        conditions::set(&mut status.conditions, wanted, Some(nodeeni.generation), now);
    }
    // These conditions exist only if they have been true before.
    let occasional = [
        (index_pinned(pinned), !pinned.is_empty()),
        (waits(waiting), !waiting.is_empty()),
        (removals.condition(nodeeni, now), !removals.waiting.is_empty() || nodeeni.allows_removals),
        (coverage.nodes_supported(), !coverage.unsupported.is_empty()),
    ];
    let zones = coverage.zones_covered().map(|update| (update, matched > 0));
    for (wanted, is_so) in occasional.into_iter().chain(zones) {
        if is_so || status.conditions.iter().any(|condition| condition.type_ == wanted.kind) {
            conditions::set(&mut status.conditions, wanted, Some(nodeeni.generation), now);
        }
    }
    status
}

/// While it is not decided which ENIs of upstream are adopted, the status stays as upstream wrote it, because the
/// adoption recognizes the ENIs by it. Only the conditions Ready and Progressing are set.
pub fn adopting(nodeeni: &NodeEni, previous: &NodeEniStatus, nodes: &[&str], now: Timestamp) -> NodeEniStatus {
    let mut status = previous.clone();
    let node = nodes.first().copied().unwrap_or_default();
    let message = format!(
        "adopting the ENIs of upstream's controller: waiting for the EC2 lookup of the interfaces of {}, {node} among them",
        counted(nodes.len(), "node")
    );
    for (kind, on) in [(types::READY, false), (types::PROGRESSING, true)] {
        let wanted = ConditionUpdate::new(kind, on, "Adopting", message.clone());
        conditions::set(&mut status.conditions, wanted, Some(nodeeni.generation), now);
    }
    status
}

/// While no decision is permitted, the status stays. Only the conditions Ready and Degraded say so.
pub fn halted(nodeeni: &NodeEni, previous: &NodeEniStatus, why: &Problem, now: Timestamp) -> NodeEniStatus {
    let mut status = previous.clone();
    for (kind, on) in [(types::READY, false), (types::DEGRADED, true)] {
        let wanted = ConditionUpdate::new(kind, on, why.reason, why.message.clone());
        conditions::set(&mut status.conditions, wanted, Some(nodeeni.generation), now);
    }
    status
}

fn index_pinned(pinned: &[&Pinned]) -> ConditionUpdate {
    let message = match pinned {
        [] => {
            return ConditionUpdate::new(
                types::INDEX_PINNED,
                false,
                "AsAsked",
                "every ENI is at the device index of the spec",
            );
        }
        [first, ..] => format!(
            "{} adopted from upstream {} the device index of upstream: on node {} it is {}, and the spec asks for {}. To replace \
             this ENI by one at the device index of the spec, delete its ENIAttachment: kubectl delete enia {}",
            counted(pinned.len(), "ENI"),
            verb(pinned.len(), "keeps", "keep"),
            first.node,
            first.index,
            first.asked,
            first.name
        ),
    };
    ConditionUpdate::new(types::INDEX_PINNED, true, "Adopted", message)
}

fn waits(waiting: &[&WaitsForPods]) -> ConditionUpdate {
    let Some(first) = waiting.first() else {
        return ConditionUpdate::new(types::WAITING_FOR_PODS, false, "NoneUsed", "no node keeps an ENI for pods");
    };
    let node = &first.node;
    let kept = format!("{} no longer asked for {} kept", counted(waiting.len(), "ENI"), is_or_are(waiting.len()));
    let Some(pods) = &first.pods else {
        let message = format!(
            "{kept}, on node {node} among others: the pods have not been listed \
             (the controller needs the permission to list and watch pods)"
        );
        return ConditionUpdate::new(types::WAITING_FOR_PODS, true, "PodsUnknown", message);
    };
    let named: Vec<&str> = pods.iter().take(5).map(String::as_str).collect();
    let more = pods.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "{kept} for pods that use an ENI: on node {node} for {}{more}. An ENI is removed when its pods have ended",
        named.join(", ")
    );
    ConditionUpdate::new(types::WAITING_FOR_PODS, true, "PodsUseIt", message)
}

/// When a NodeENI without matching nodes counts as settled: the user may label the nodes a moment later.
fn settles_at(nodeeni: &NodeEni) -> Timestamp {
    nodeeni.created.saturating_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX)
}

/// When the status changes although nothing else does, if it will.
pub fn next_change(nodeeni: &NodeEni, status: &NodeEniStatus, now: Timestamp) -> Option<Timestamp> {
    let at = settles_at(nodeeni);
    (status.matched_nodes == 0 && !nodeeni.deleting && now < at).then_some(at)
}

/// When the next ENI that is attached and not configured becomes a problem of its NodeENI, if one will.
pub fn next_overdue(attachments: &[&Attachment], now: Timestamp) -> Option<Timestamp> {
    attachments.iter().filter_map(|attachment| unconfigured::overdue_at(attachment)).filter(|at| *at > now).min()
}

/// Whether the ENI is in place, and a change of it is refused or does not last.
fn is_unchanged(attachment: &Attachment) -> bool {
    let attached = attachment.status.conditions.iter().find(|condition| condition.type_ == types::ATTACHED);
    attached.is_some_and(|attached| attached.status == "True" && attached.reason != IN_PLACE)
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The numbers in the conditions.
struct Numbers {
    matched: usize,
    /// Matched nodes that the NodeENI covers.
    covered: usize,
    desired: usize,
    ready: usize,
    /// ENIs that are missing until a person acts.
    stalled: usize,
    leaving: usize,
    expected: Option<WaitEstimate>,
    now: Timestamp,
}

fn conditions_of(
    nodeeni: &NodeEni,
    numbers: Numbers,
    progress: &Progress<'_>,
    main_problem: Option<(String, String)>,
) -> [ConditionUpdate; 3] {
    let Numbers { matched, covered, desired, ready, stalled, leaving, expected, now } = numbers;
    let expected = expected.map(|WaitEstimate { action, waiting, seconds }| {
        let wait = verb(waiting, "waits", "wait");
        format!("; about {seconds} s: {} {wait} for {action}, limited by EC2's request rate", counted(waiting, "ENI"))
    });
    let expected = expected.unwrap_or_default();
    let degraded = match &main_problem {
        Some((reason, message)) => ConditionUpdate::new(types::DEGRADED, true, reason.clone(), message.clone()),
        None => ConditionUpdate::new(types::DEGRADED, false, "AsExpected", "no problems"),
    };
    if nodeeni.deleting {
        let (enis, are, returns) = (counted(leaving, "ENI"), is_or_are(leaving), progress.returns());
        let message = format!("{enis} {are} still being detached and deleted{returns}");
        return [
            ConditionUpdate::new(types::READY, false, "Deleting", message.clone()),
            ConditionUpdate::new(types::PROGRESSING, true, "Deleting", message),
            degraded,
        ];
    }
    let all = ready >= desired && main_problem.is_none() && !(covered > 0 && desired == 0);
    let missing = desired.saturating_sub(ready);
    let ready_enis = format!("{} {} ready", part_of(ready, desired, "ENI"), is_or_are(ready));
    // An ENI that is missing until a person acts is not under way.
    let going_on = if missing > stalled || leaving > 0 {
        let (enis, are) = (part_of(missing, desired, "ENI"), is_or_are(missing));
        let (waits, leave) = (progress.waits(), is_or_are(leaving));
        Some(format!("{enis} {are} not ready yet, {leaving} {leave} being removed{waits}{expected}"))
    } else {
        progress.to_come(nodeeni, matched)
    };
    let ready_now = match (&main_problem, all, covered) {
        (_, true, 0) if matched == 0 && now < settles_at(nodeeni) => ConditionUpdate {
            status: None,
            ..ConditionUpdate::new(
                types::READY,
                false,
                "NoNodeMatches",
                format!(
                    "no node has the labels of {}: waiting for one minute after the creation of the NodeENI",
                    nodeeni.selector_fields()
                ),
            )
        },
        (_, true, 0) if matched == 0 => ConditionUpdate::new(
            types::READY,
            true,
            "NoNodeMatches",
            format!("no node has the labels of {}: nothing to do", nodeeni.selector_fields()),
        ),
        (_, true, 0) => ConditionUpdate::new(
            types::READY,
            true,
            "NoNodeCovered",
            format!(
                "{} {}, and no matching node can have an ENI of these subnets: nothing to do",
                counted(matched, "node"),
                verb(matched, "matches", "match")
            ),
        ),
        (_, true, _) => ConditionUpdate::new(
            types::READY,
            true,
            "AllReady",
            format!("{ready_enis} on {}", counted(covered, "node")),
        ),
        (Some((reason, message)), ..) => {
            ConditionUpdate::new(types::READY, false, reason.clone(), format!("{ready_enis}; {message}"))
        }
        (None, ..) => ConditionUpdate::new(
            types::READY,
            false,
            "Progressing",
            format!("{ready_enis} on {}{expected}", counted(covered, "node")),
        ),
    };
    let progressing = match going_on {
        Some(message) => ConditionUpdate::new(types::PROGRESSING, true, "Working", message),
        None if main_problem.is_some() => {
            let message = "nothing is under way until a person has solved the problem of the condition Degraded";
            ConditionUpdate::new(types::PROGRESSING, false, "Stalled", message)
        }
        None => ConditionUpdate::new(types::PROGRESSING, false, "Settled", "no ENI is missing or being removed"),
    };
    [ready_now, progressing, degraded]
}
