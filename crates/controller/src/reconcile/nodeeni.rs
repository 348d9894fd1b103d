//! Reconciles one NodeENI: its finalizer, the permits of its rollout, the pace of its removals, and its status. It is given the
//! assignments of all Nodes. It never changes an ENIAttachment.

use super::{Outcome, Reconciler, write_backoff};
use crate::events::{NewEvent, Regarding};
use crate::store::NodeEniEntry;
use crate::work_queue::Key;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use multi_eni_api::NodeEniStatus;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_plan::agent_report::is_of_this_boot;
use multi_eni_plan::assign::{Assignment, NodeEniAssignment, Pinned, Unassigned, WaitsForPods};
use multi_eni_plan::attachment::{Attachment, by_node};
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::removals::RemovalPace;
use multi_eni_plan::rollout::{self, RolloutTurns};
use multi_eni_plan::settled::becomes_settled;
use multi_eni_plan::status::{self, PendingStatus};
use multi_eni_plan::write_history::{PendingWrite, Target, Write};
use std::sync::Arc;

impl Reconciler {
    pub(super) fn nodeeni(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.store.nodeeni(name).cloned() else { return self.retain_decided(key, &[], |_| false) };
        self.update_permits(&entry);
        let pace = self.pace_removals(&entry);
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        let nodeeni = &entry.nodeeni;
        let without_finalizer = !nodeeni.deleting && !nodeeni.has_finalizer;
        let adopting = if without_finalizer { Vec::new() } else { self.adopting(nodeeni) };
        // EC2 has nothing left: each ENIAttachment was released only after EC2 had confirmed that its ENI is gone.
        let is_over =
            adopting.is_empty() && nodeeni.deleting && nodeeni.has_finalizer && self.has_no_attachments(&nodeeni.uid);
        let guard =
            (without_finalizer || is_over).then(|| write_backoff::to_nodeeni(Write::GuardNodeEni, nodeeni, is_over));
        let mut decided: Vec<Target> = guard.iter().map(|asked| asked.target.clone()).collect();
        if let Some(asked) = guard.filter(|asked| self.may_write(key, asked)) {
            // The status is decided after this write, so keep the problem of a refused status until then.
            decided.push(write_backoff::target_of_report(nodeeni));
            let (writer, entry) = (self.deps.writer.clone(), entry.clone());
            work.push(write_backoff::sent(asked, async move {
                if is_over { writer.release_nodeeni(entry).await } else { writer.set_finalizer(entry, true).await }
            }));
        } else if without_finalizer && !nodeeni.upstream.is_empty() {
            // No ENI is adopted before the finalizer is set, and until then upstream's list is the only record of its ENIs.
            decided.push(write_backoff::target_of_report(nodeeni));
        } else if let Some(earliest) =
            self.status_waits_until(&nodeeni.uid, &entry.status).filter(|_| adopting.is_empty())
        {
            decided.push(write_backoff::target_of_report(nodeeni));
            self.queue.add_at(key.clone(), earliest);
        } else {
            self.status_changed.remove(&nodeeni.uid);
            let nodes: Vec<&str> = adopting.iter().map(String::as_str).collect();
            let status = match nodes.as_slice() {
                [] => self.compute_status(&entry, &pace),
                nodes => {
                    // Removals during the adoption count, too.
                    let removals = pace.record(entry.status.removals.as_ref());
                    NodeEniStatus { removals, ..status::adopting(nodeeni, &entry.status, nodes, self.now()) }
                }
            };
            let changes_at = status::next_change(nodeeni, &status, self.now());
            if let Some(at) = changes_at.into_iter().chain(self.next_overdue(&nodeeni.uid)).min() {
                self.queue.add_at(key.clone(), at);
            }
            decided.extend(self.report(key, &entry, status, &mut work).map(|asked| asked.target));
        }
        self.retain_decided(key, &decided, |_| false);
        if !work.is_empty() {
            self.start_calls(key, join_all(work));
        }
    }

    /// When the next ENI is overdue that the node agent has not configured.
    fn next_overdue(&self, uid: &str) -> Option<Timestamp> {
        let attachments = self.store.attachments_of(uid).filter(|_| self.deps.settings.node_agent);
        let attachments: Vec<&Attachment> = attachments.map(|entry| &entry.attachment).collect();
        status::next_overdue(&attachments, self.now())
    }

    /// The Nodes on which the adoption of upstream's ENIs is not finished. If the last assignment of a Node does not say so, the
    /// Node is assigned once more: that assignment may be older than upstream's list, and its lookup may be too old by now. Such
    /// a Node is also reconciled again.
    fn adopting(&mut self, nodeeni: &NodeEni) -> Vec<String> {
        let says = |answer: Option<&Assignment>| answer.is_some_and(|last| last.adopting.contains(&nodeeni.uid));
        let (mut open, mut again) = (Vec::new(), Vec::new());
        for node in self.store.nodes().filter(|node| nodeeni.may_have_upstreams_on(node)) {
            if says(self.assignments.get(&node.name)) {
                open.push(node.name.clone());
            } else if says(Some(&self.assign(&node.name))) {
                open.push(node.name.clone());
                again.push(Key::Node(node.name.clone()));
            }
        }
        again.into_iter().for_each(|key| self.queue.add(key));
        open
    }

    /// Whether no ENIAttachment of it exists and none is being created.
    fn has_no_attachments(&self, uid: &str) -> bool {
        self.store.attachments_of(uid).next().is_none() && !self.creating.values().any(|uids| uids.contains(uid))
    }

    /// Updates the permits of the rollout, and reconciles the nodes whose permit changed.
    pub(super) fn update_permits(&mut self, entry: &NodeEniEntry) {
        let uid = &entry.nodeeni.uid;
        let Ok(spec) = &entry.nodeeni.spec else { return };
        let outdated = self.assignments.outdated(uid);
        let old = self.permits.remove(uid).unwrap_or_default();
        let permits = if outdated.is_empty() && old.is_empty() {
            RolloutTurns::new()
        } else {
            let attachments: Vec<&Attachment> = self.store.attachments_of(uid).map(|entry| &entry.attachment).collect();
            let awaited = |node: &str| self.assignments.get(node).map_or(0, |last| last.of_nodeeni(uid).awaited());
            let is_in_use = |attachment: &Attachment| attachment.is_in_use(|| self.shows_attached(attachment));
            let nodes = by_node(&attachments);
            let on = |node: &str| nodes.get(node).map_or(&[][..], Vec::as_slice);
            let is_coming = |(node, last): &(&String, &Assignment)| last.is_coming(uid, on(node));
            let coming = self.assignments.iter().filter(is_coming).map(|(node, _)| node.clone()).collect();
            let matched = self.assignments.values().filter(|last| last.matches(uid)).count();
            let most = spec.max_unavailable.of(matched);
            rollout::permits(&attachments, &outdated, &coming, &old, awaited, is_in_use, most)
        };
        rollout::changed(&old, &permits).for_each(|node| self.queue.add(Key::Node(node.clone())));
        self.permits.insert(uid.clone(), permits);
    }

    /// Until when the status waits after a change, if it does. Until then it is not even computed: that reads the assignments of all
    /// Nodes, and with thousands of them something changes all the time.
    fn status_waits_until(&mut self, uid: &str, status: &NodeEniStatus) -> Option<Timestamp> {
        let now = self.now();
        let changed = *self.status_changed.entry(uid.to_owned()).or_insert(now);
        let (written, decided) = (self.status_written.get(uid).copied(), self.share_changed.get(uid).copied());
        let due = PendingStatus { written, changed, decided }.due_at(status);
        Some(due).filter(|due| now < *due)
    }

    /// When the status may be written next, if not now.
    fn next_status_write(&self, uid: &str, status: &NodeEniStatus) -> Option<Timestamp> {
        let last = self.status_written.get(uid)?;
        Some(status::next_write(*last, status)).filter(|earliest| self.now() < *earliest)
    }

    fn compute_status(&self, entry: &NodeEniEntry, removals: &RemovalPace) -> NodeEniStatus {
        let uid = &entry.nodeeni.uid;
        let attachments: Vec<&Attachment> = self.store.attachments_of(uid).map(|entry| &entry.attachment).collect();
        let shares: Vec<(&str, NodeEniAssignment<'_>)> =
            self.assignments.iter().map(|(node, last)| (node.as_str(), last.of_nodeeni(uid))).collect();
        let matched = shares.iter().filter(|(_, share)| share.matched).map(|(node, _)| *node).collect();
        let matching = self.assignments.iter().filter(|(_, last)| last.matches(uid));
        let following = matching.flat_map(|(node, last)| last.follow.iter().map(move |name| (name, node.as_str())));
        let former = following
            .filter_map(|(name, node)| Some((self.store.attachment(name)?.attachment.node.as_str(), node)))
            .collect();
        let refused: Vec<&Unassigned> = shares.iter().flat_map(|(_, share)| &share.refused).copied().collect();
        let pinned: Vec<&Pinned> = shares.iter().flat_map(|(_, share)| &share.pinned).copied().collect();
        let waiting: Vec<&WaitsForPods> = shares.iter().flat_map(|(_, share)| &share.waiting).copied().collect();
        status::nodeeni_status(status::Input {
            nodeeni: &entry.nodeeni,
            previous: &entry.status,
            attachments: &attachments,
            matched: &matched,
            former: &former,
            desired: &shares.iter().map(|(node, share)| (*node, share.desired)).filter(|of| of.1 > 0).collect(),
            outdated: shares.iter().filter(|(_, share)| share.outdated).count(),
            losing: shares.iter().filter(|(_, share)| share.losing.is_some()).count(),
            undecided: self.undecided.of(uid),
            refused: &refused,
            pinned: &pinned,
            waiting: &waiting,
            groups_waits: &shares.iter().flat_map(|(_, share)| &share.groups_waits).copied().collect::<Vec<_>>(),
            removals,
            problems: &self.problems_of(&entry.nodeeni),
            expected: self.deps.ec2.call_queues().expected(uid),
            has_current_report: &|attachment| {
                let report = attachment.status.node.as_deref().filter(|_| self.deps.settings.node_agent);
                report.is_some_and(|report| is_of_this_boot(report, &self.store.boots_on(attachment.instance.as_ref())))
            },
            mtu: entry.nodeeni.spec.as_ref().ok().and_then(|spec| spec.node_settings.mtu),
            now: self.now(),
        })
    }

    /// Writes the status if it changed and may be written now. Returns the write that is due, sent or not.
    pub(super) fn report(
        &mut self,
        key: &Key,
        entry: &Arc<NodeEniEntry>,
        status: NodeEniStatus,
        work: &mut Vec<BoxFuture<'static, Outcome>>,
    ) -> Option<PendingWrite> {
        if status == entry.status {
            return None;
        }
        let asked = write_backoff::report_on(&entry.nodeeni, &status);
        // A status with a longer list may have to wait longer than the previous one.
        if let Some(earliest) = self.next_status_write(&entry.nodeeni.uid, &status) {
            self.queue.add_at(key.clone(), earliest);
        } else if self.may_write(key, &asked) {
            self.status_written.insert(entry.nodeeni.uid.clone(), self.now());
            let again = self.writes.is_failing(key, &asked.target);
            let events = [condition_event(entry, &status), removal_paced_event(entry, &status)];
            events.into_iter().flatten().filter(|_| !again).for_each(|event| self.publish(event));
            let (writer, entry) = (self.deps.writer.clone(), entry.clone());
            work.push(write_backoff::sent(asked.clone(), async move { writer.nodeeni_status(entry, status).await }));
        }
        Some(asked)
    }
}

/// The event when nodes begin to wait for the pace of removals.
fn removal_paced_event(entry: &NodeEniEntry, status: &NodeEniStatus) -> Option<NewEvent> {
    let begins =
        is_true(&status.conditions, types::REMOVAL_PACED) && !is_true(&entry.status.conditions, types::REMOVAL_PACED);
    let condition =
        status.conditions.iter().find(|condition| condition.type_ == types::REMOVAL_PACED).filter(|_| begins)?;
    Some(NewEvent {
        regarding: Regarding::NodeEni { name: entry.nodeeni.name.clone(), uid: entry.nodeeni.uid.clone() },
        warning: true,
        reason: "RemovalPaced",
        action: "Reconcile",
        note: condition.message.clone(),
    })
}

/// The event when Degraded begins or changes its reason, or when a NodeENI that was not Ready is settled.
fn condition_event(entry: &NodeEniEntry, status: &NodeEniStatus) -> Option<NewEvent> {
    let find = |status: &NodeEniStatus, kind: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == kind)
            .map(|c| (c.status == "True", c.reason.clone(), c.message.clone()))
    };
    let regarding = Regarding::NodeEni { name: entry.nodeeni.name.clone(), uid: entry.nodeeni.uid.clone() };
    let (degraded, reason, message) = find(status, types::DEGRADED)?;
    let before = find(&entry.status, types::DEGRADED);
    if degraded && before.as_ref().is_none_or(|(was, old, _)| !was || *old != reason) {
        return Some(NewEvent {
            regarding,
            warning: true,
            reason: "Degraded",
            action: "Reconcile",
            note: format!("{reason}: {message}"),
        });
    }
    let (is_ready, _, message) = find(status, types::READY)?;
    (is_ready && becomes_settled(&entry.status.conditions, &status.conditions)).then_some(NewEvent {
        regarding,
        warning: false,
        reason: "Ready",
        action: "Reconcile",
        note: message,
    })
}
