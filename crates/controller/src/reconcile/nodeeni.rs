//! One NodeENI: its finalizer, the rollout's permits, and `status`.

use super::{Outcome, Reconciler, writes};
use crate::events::{About, Announcement};
use crate::store::NodeEniEntry;
use crate::work_queue::Key;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use multi_eni_api::NodeEniStatus;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_plan::assign::{Assignment, Pinned, Share, Unassigned, WaitsForPods};
use multi_eni_plan::attachment::{Attachment, by_node};
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::removals::RemovalPace;
use multi_eni_plan::rollout::{self, Begun};
use multi_eni_plan::status;
use multi_eni_plan::writes::{Asked, Write};
use std::collections::BTreeSet;

impl Reconciler {
    pub(super) fn nodeeni(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.store.nodeeni(name).cloned() else { return self.decided(key, &[], |_| false) };
        self.permit(&entry);
        let pace = self.pace_removals(&entry);
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        let nodeeni = &entry.nodeeni;
        let unguarded = !nodeeni.deleting && !nodeeni.guarded;
        let adopting = if unguarded { Vec::new() } else { self.adopting(nodeeni) };
        // EC2 is clean: every ENIAttachment was let go only after EC2 had confirmed.
        let is_over = adopting.is_empty() && nodeeni.deleting && nodeeni.guarded && self.holds_nothing(&nodeeni.uid);
        let guard = (unguarded || is_over).then(|| writes::to_nodeeni(Write::GuardNodeEni, nodeeni, is_over));
        let mut decided: Vec<Asked> = guard.iter().cloned().collect();
        if let Some(asked) = guard.filter(|asked| self.may_write(key, asked)) {
            // What is refused of its status is decided again after this.
            decided.push(writes::report_on(nodeeni, &entry.status));
            let (writer, entry) = (self.deps.writer.clone(), entry.clone());
            work.push(writes::sent(asked, async move {
                if is_over { writer.let_go(entry).await } else { writer.guard(entry, true).await }
            }));
        } else if unguarded && !nodeeni.upstream.is_empty() {
            // Nothing is taken over before it is guarded, and until then upstream's list is what is known of it.
            decided.push(writes::report_on(nodeeni, &entry.status));
        } else if let Some(earliest) = self.too_early(&nodeeni.uid, &entry.status).filter(|_| adopting.is_empty()) {
            decided.push(writes::report_on(nodeeni, &entry.status));
            self.queue.at(key.clone(), earliest);
        } else {
            let nodes: Vec<&str> = adopting.iter().map(String::as_str).collect();
            let status = match nodes.as_slice() {
                [] => self.compute_status(&entry, &pace),
                nodes => {
                    // What goes meanwhile is counted all the same.
                    let removals = pace.record(entry.status.removals.as_ref());
                    NodeEniStatus { removals, ..status::adopting(nodeeni, &entry.status, nodes, self.now()) }
                }
            };
            decided.extend(self.report(key, &entry, status, &mut work));
        }
        self.decided(key, &decided, |_| false);
        if !work.is_empty() {
            self.call(key, join_all(work));
        }
    }

    /// Nodes on which it is not yet settled what is taken over from upstream. Where the last answer does not say so it is asked
    /// anew: it may be older than the list, and the look that it went by too old by now. Such a node is decided again.
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
        again.into_iter().for_each(|key| self.queue.now(key));
        open
    }

    /// No ENIAttachment of it is there, and none is on its way to the API server.
    fn holds_nothing(&self, uid: &str) -> bool {
        self.store.attachments_of(uid).next().is_none() && !self.creating.values().any(|uids| uids.contains(uid))
    }

    /// Where replacement may go on; nodes whose permit changed are looked at.
    pub(super) fn permit(&mut self, entry: &NodeEniEntry) {
        let uid = &entry.nodeeni.uid;
        let Ok(spec) = &entry.nodeeni.spec else { return };
        let outdated: BTreeSet<String> = self
            .assignments
            .iter()
            .filter(|(_, last)| last.outdated.contains_key(uid))
            .map(|(node, _)| node.clone())
            .collect();
        let old = self.permits.remove(uid).unwrap_or_default();
        let permits = if outdated.is_empty() && old.is_empty() {
            Begun::new()
        } else {
            let attachments: Vec<&Attachment> = self.store.attachments_of(uid).map(|entry| &entry.attachment).collect();
            let awaited = |node: &str| self.assignments.get(node).map_or(0, |last| last.share(uid).awaited());
            let is_in_use = |attachment: &Attachment| attachment.is_in_use(|| self.shows_attached(attachment));
            let nodes = by_node(&attachments);
            let on = |node: &str| nodes.get(node).map_or(&[][..], Vec::as_slice);
            let is_coming = |(node, last): &(&String, &Assignment)| last.is_coming(uid, on(node));
            let coming = self.assignments.iter().filter(is_coming).map(|(node, _)| node.clone()).collect();
            rollout::permits(&attachments, &outdated, &coming, &old, awaited, is_in_use, spec.max_unavailable)
        };
        rollout::changed(&old, &permits).for_each(|node| self.queue.now(Key::Node(node.clone())));
        self.permits.insert(uid.clone(), permits);
    }

    /// When its status may be written again, if not now. Until then it is not even made: that takes a look at every node, and with
    /// thousands of them something changes all the time.
    fn too_early(&self, uid: &str, status: &NodeEniStatus) -> Option<Timestamp> {
        let last = self.status_written.get(uid)?;
        Some(status::next_write(*last, status)).filter(|earliest| self.now() < *earliest)
    }

    fn compute_status(&self, entry: &NodeEniEntry, removals: &RemovalPace) -> NodeEniStatus {
        let uid = &entry.nodeeni.uid;
        let attachments: Vec<&Attachment> = self.store.attachments_of(uid).map(|entry| &entry.attachment).collect();
        let shares: Vec<(&str, Share<'_>)> =
            self.assignments.iter().map(|(node, last)| (node.as_str(), last.share(uid))).collect();
        let matched = shares.iter().filter(|(_, share)| share.matched).map(|(node, _)| *node).collect();
        let following = self.assignments.values().filter(|last| last.matches(uid)).flat_map(|last| &last.follow);
        let former = following.filter_map(|name| Some(self.store.attachment(name)?.attachment.node.as_str())).collect();
        let refused: Vec<&Unassigned> = shares.iter().flat_map(|(_, share)| &share.refused).copied().collect();
        let pinned: Vec<&Pinned> = shares.iter().flat_map(|(_, share)| &share.pinned).copied().collect();
        let waiting: Vec<&WaitsForPods> = shares.iter().flat_map(|(_, share)| &share.waiting).copied().collect();
        status::nodeeni_status(status::Input {
            nodeeni: &entry.nodeeni,
            previous: &entry.status,
            attachments: &attachments,
            matched: &matched,
            former: &former,
            desired: shares.iter().map(|(_, share)| share.desired).sum(),
            refused: &refused,
            pinned: &pinned,
            waiting: &waiting,
            removals,
            problems: &self.problems_of(&entry.nodeeni),
            expected: self.deps.ec2.call_queues().expected(uid),
            mtu: entry.nodeeni.spec.as_ref().ok().and_then(|spec| spec.node_settings.mtu),
            now: self.now(),
        })
    }

    /// Writes the status if it says something new, and not more often than agreed. Answers what is, or was to be, written.
    pub(super) fn report(
        &mut self,
        key: &Key,
        entry: &NodeEniEntry,
        status: NodeEniStatus,
        work: &mut Vec<BoxFuture<'static, Outcome>>,
    ) -> Option<Asked> {
        if status == entry.status {
            return None;
        }
        let asked = writes::report_on(&entry.nodeeni, &status);
        // A longer list may have to wait longer than the one before it.
        if let Some(earliest) = self.too_early(&entry.nodeeni.uid, &status) {
            self.queue.at(key.clone(), earliest);
        } else if self.may_write(key, &asked) {
            self.status_written.insert(entry.nodeeni.uid.clone(), self.now());
            let again = self.writes.is_failing(key, &asked.target);
            let news = [transition(entry, &status), paced(entry, &status)];
            news.into_iter().flatten().filter(|_| !again).for_each(|announcement| self.tell(announcement));
            let (writer, entry) = (self.deps.writer.clone(), entry.clone());
            work.push(writes::sent(asked.clone(), async move { writer.nodeeni_status(entry, status).await }));
        }
        Some(asked)
    }
}

/// An event when nodes begin to wait to lose their ENIs.
fn paced(entry: &NodeEniEntry, status: &NodeEniStatus) -> Option<Announcement> {
    let begins =
        is_true(&status.conditions, types::REMOVAL_PACED) && !is_true(&entry.status.conditions, types::REMOVAL_PACED);
    let condition =
        status.conditions.iter().find(|condition| condition.type_ == types::REMOVAL_PACED).filter(|_| begins)?;
    Some(Announcement {
        about: About::NodeEni { name: entry.nodeeni.name.clone(), uid: entry.nodeeni.uid.clone() },
        warning: true,
        reason: "RemovalPaced",
        action: "Reconcile",
        note: condition.message.clone(),
    })
}

/// An event when trouble begins, changes or ends, and when all is ready.
fn transition(entry: &NodeEniEntry, status: &NodeEniStatus) -> Option<Announcement> {
    let find = |status: &NodeEniStatus, kind: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == kind)
            .map(|c| (c.status == "True", c.reason.clone(), c.message.clone()))
    };
    let about = About::NodeEni { name: entry.nodeeni.name.clone(), uid: entry.nodeeni.uid.clone() };
    let (degraded, reason, message) = find(status, types::DEGRADED)?;
    let before = find(&entry.status, types::DEGRADED);
    if degraded && before.as_ref().is_none_or(|(was, old, _)| !was || *old != reason) {
        return Some(Announcement {
            about,
            warning: true,
            reason: "Degraded",
            action: "Reconcile",
            note: format!("{reason}: {message}"),
        });
    }
    let (ready, _, message) = find(status, types::READY)?;
    let was = find(&entry.status, types::READY).is_some_and(|(was, ..)| was);
    (ready && !was).then_some(Announcement {
        about,
        warning: false,
        reason: "Ready",
        action: "Reconcile",
        note: message,
    })
}
