//! Takes the requests of users for a new try (annotation `networking.k8s.aws/reconcile-at`): the back-offs of the object's calls and
//! writes end, and its keys are reconciled. The gates of the quota and of permissions let one call try for it. Rate limits and the fence
//! hold as for every other call. Each request has one Event on its object.

use super::Reconciler;
use crate::events::{NewEvent, Regarding};
use crate::store::{AttachmentEntry, ReconcileRequest};
use crate::work_queue::Key;
use multi_eni_plan::reconcile_request::{Requested, note};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Reconciler {
    /// Takes the requests that the store has found.
    pub(super) fn wake_requested(&mut self) {
        for request in self.store.take_reconcile_requests() {
            match request {
                ReconcileRequest::NodeEni { name, uid } => self.wake_nodeeni(&name, &uid),
                ReconcileRequest::Attachment(name) => {
                    tracing::info!(attachment = %name, "new try requested by annotation");
                    let Some(entry) = self.store.attachment(&name).cloned() else { continue };
                    let regarding = Regarding::Attachment { name: name.clone(), uid: entry.attachment.uid.clone() };
                    let node = Key::Node(self.store.decided_under(&entry.attachment).to_owned());
                    let of_node = self.writes.wake_key(&node, |target, _| target.name == name, self.now());
                    if self.wake_attachment(&entry) || of_node {
                        self.publish(retried(regarding, entry.reconcile_at.as_deref(), Requested::Attachment));
                    }
                    [node, Key::Attachment(name)].into_iter().for_each(|key| self.queue.add(key));
                }
            }
        }
    }

    /// A NodeENI: its own writes, those that its Nodes wait with for it, its names, and all its ENIAttachments.
    fn wake_nodeeni(&mut self, name: &str, uid: &str) {
        tracing::info!(nodeeni = %name, "new try requested by annotation");
        let key = Key::NodeEni(name.to_owned());
        self.writes.wake_key(&key, |_, _| true, self.now());
        self.queue.add(key);
        let entries: Vec<Arc<AttachmentEntry>> = self.store.attachments_of(uid).cloned().collect();
        let value = self.store.nodeeni(name).and_then(|entry| entry.reconcile_at.clone());
        let regarding = Regarding::NodeEni { name: name.to_owned(), uid: uid.to_owned() };
        self.publish(retried(regarding, value.as_deref(), Requested::NodeEni(entries.len())));
        let holding = entries.iter().map(|entry| self.store.decided_under(&entry.attachment).to_owned());
        let matching = self.assignments.iter().filter(|(_, last)| last.matches(uid)).map(|(node, _)| node.clone());
        let nodes: BTreeSet<String> = matching.chain(holding).collect();
        for node in nodes {
            self.writes.wake_key(&Key::Node(node), |_, nodeeni| nodeeni == Some(uid), self.now());
        }
        for entry in &entries {
            self.wake_attachment(entry);
        }
        self.recheck_names_of(uid);
        self.enqueue_nodes_of(name, uid);
    }

    /// An ENIAttachment: its calls, and the writes of its own key. Returns whether it may have something to wake: one that is Ready and
    /// has met no error has not.
    fn wake_attachment(&mut self, entry: &AttachmentEntry) -> bool {
        let attachment = &entry.attachment;
        let now = self.now();
        let writes_wait = self.writes.wake_key(&Key::Attachment(attachment.name.clone()), |_, _| true, now);
        let history = self.call_histories.get(&attachment.uid);
        let (is_remembered, waits) = (history.is_some(), history.is_some_and(|history| history.may_wait()));
        let may_wait = waits || writes_wait || !self.is_ready(entry) || attachment.status.last_error.is_some();
        if is_remembered || may_wait {
            self.call_history_mut(attachment).wake(now);
        }
        may_wait
    }
}

/// The Event that shows the user that the value of the annotation was taken.
fn retried(regarding: Regarding, value: Option<&str>, requested: Requested) -> NewEvent {
    let note = note(value.unwrap_or_default(), requested);
    NewEvent { regarding, warning: false, reason: "Retried", action: "Reconcile", note }
}
