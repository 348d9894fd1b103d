//! The startup taint of a Node: `startup_taint::decide` says whether it goes, and this file prepares the write, or publishes one Event
//! that says why the taint stays. It never adds a taint.

use super::Reconciler;
use crate::events::{NewEvent, Regarding};
use crate::work_queue::Key;
use multi_eni_api::names::STARTUP_TAINT;
use multi_eni_plan::assign::Assignment;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::backoff::Content;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::ObservedNode;
use multi_eni_plan::startup_taint::{self, Decision, Failing};
use multi_eni_plan::write_history::{PendingWrite, Target, Write, digest};

/// The taints of a Node that are to be removed.
pub(super) struct TaintRemoval {
    /// Name of the Node.
    pub node: String,
    /// Its UID.
    pub uid: String,
    /// The places of the taints in `spec.taints`.
    pub places: Vec<usize>,
}

impl Reconciler {
    /// The write that removes the startup taint of the Node, if it is to go.
    pub(super) fn decide_startup_taint(
        &mut self,
        key: &Key,
        name: &str,
        assignment: &Assignment,
    ) -> Option<(PendingWrite, TaintRemoval)> {
        let Some(node) = self.store.node(name).filter(|node| !node.startup_taints.is_empty()) else {
            self.kept_taints.forget(name);
            return None;
        };
        let attachments: Vec<&Attachment> = self.store.attachments_on(name).map(|entry| &entry.attachment).collect();
        let decision = startup_taint::decide(&startup_taint::Input {
            node,
            assignment,
            attachments: &attachments,
            nodeenis: &self.store.nodeenis().map(|entry| &entry.nodeeni).collect::<Vec<&NodeEni>>(),
            is_attached: &|attachment| self.shows_attached(attachment),
            now: self.now(),
        });
        match decision {
            Decision::Nothing => None,
            Decision::Keep { failing, recheck } => {
                let uid = node.uid.clone();
                if let Some(at) = recheck {
                    self.queue.add_at(key.clone(), at);
                }
                if let Some(failing) = failing {
                    self.publish_kept_taint(name, &uid, failing);
                }
                None
            }
            Decision::Remove(places) => {
                // A refusal is reported on a NodeENI with an ENI here. Without one it is only logged.
                let nodeeni = attachments.first().map(|attachment| attachment.nodeeni_uid.clone()).unwrap_or_default();
                Some(removal_of(node, nodeeni, places))
            }
        }
    }

    /// Publishes once for each Node and reason why the taint stays.
    fn publish_kept_taint(&mut self, node: &str, uid: &str, Failing { reason, message }: Failing) {
        if !self.kept_taints.is_news(node, uid, &reason) {
            return;
        }
        let note =
            format!("the taint {STARTUP_TAINT} stays, and Pods that do not tolerate it wait: {reason}: {message}");
        self.publish(NewEvent {
            regarding: Regarding::Node { name: node.to_owned() },
            warning: true,
            reason: "StartupTaintKept",
            action: "Reconcile",
            note,
        });
    }

    /// After a resync: EC2 may show ENIs that were Ready before this process began, and for which Nodes keep their taint. No other
    /// change reports that to the Node.
    pub(super) fn enqueue_tainted_nodes(&mut self) {
        let tainted = self.store.nodes().filter(|node| !node.startup_taints.is_empty());
        let has_ready = |node: &&ObservedNode| self.store.attachments_on(&node.name).any(|entry| self.is_ready(entry));
        let keys: Vec<Key> = tainted.filter(has_ready).map(|node| Key::Node(node.name.clone())).collect();
        keys.into_iter().for_each(|key| self.queue.add(key));
    }
}

fn removal_of(node: &ObservedNode, nodeeni: String, places: Vec<usize>) -> (PendingWrite, TaintRemoval) {
    let what = digest((&node.uid, &places));
    let asked = PendingWrite {
        target: Target { write: Write::RemoveStartupTaint, name: node.name.clone() },
        content: Content { what, ground: what },
        nodeeni,
        node: Some(node.name.clone()),
    };
    (asked, TaintRemoval { node: node.name.clone(), uid: node.uid.clone(), places })
}
