//! Takes the results of ended calls: into the store, the call histories and the gates. It decides nothing: the key is reconciled
//! again afterwards.

use super::call_result_types::{Finished, Outcome};
use super::reconciler::Reconciler;
use super::snapshot::is_failure;
use super::stopwatches::Stopwatches;
use crate::api_writes::ObjectState;
use crate::metrics::{Counted, Span};
use crate::store::StoreChange;
use crate::work_queue::Key;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_plan::assign::InstanceAtRefusal;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::lifecycle::CallHistory;

impl Reconciler {
    /// Takes ended calls and reconciles their key again.
    pub(super) fn finish(&mut self, finished: Finished) {
        for outcome in finished.outcomes {
            if is_failure(&outcome) {
                self.deps.gauges.counted.reconcile_errors.count([finished.key.kind()]);
            }
            match outcome {
                Outcome::Created { uid, sent, result: Ok(eni) } => {
                    self.stopwatches.created(&uid, sent);
                    self.remember(&uid, Call::Create, sent, &Ok(()));
                    if let Some(history) = self.call_histories.get_mut(&uid) {
                        history.created_eni = Some(eni);
                    }
                }
                Outcome::Created { uid, sent, result: Err(error) } => {
                    self.remember(&uid, Call::Create, sent, &Err(error));
                }
                Outcome::Called { uid, call, sent, result } => self.remember(&uid, call, sent, &result),
                Outcome::OrphanCalled { eni, call, result } => self.orphan_answered(&eni, call, &result),
                Outcome::ApiWrite { asked, result } => {
                    self.write_ended(&finished.key, asked, &result);
                    if let Ok(wrote) = result {
                        if matches!(&wrote.object, ObjectState::Created(made) if made.attachment.adopted.is_some()) {
                            self.deps.gauges.counted.attachments.adoptions.count([]);
                        }
                        if let ObjectState::Created(made) = &wrote.object {
                            self.follow_created(&made.attachment);
                        }
                        self.wrote(wrote.object);
                    }
                }
            }
        }
        for uid in self.creating.remove(&finished.key).into_iter().flatten() {
            if let Some(entry) = self.store.nodeeni_by_uid(&uid) {
                self.queue.add(Key::NodeEni(entry.nodeeni.name.clone()));
            }
        }
        if let Key::Attachment(name) = &finished.key {
            self.cancellable_calls.remove(name);
            if let Some(entry) = self.store.attachment(name)
                && self.attach_traces.follows(&entry.attachment.uid)
            {
                let eni = self.eni_of(&entry.attachment);
                self.attach_traces.ended(&entry.attachment, eni.as_ref().map(EniId::as_str));
            }
        }
        self.queue.done(&finished.key);
    }

    fn remember(&mut self, uid: &str, call: Call, sent: Timestamp, result: &Result<(), CallError>) {
        let now = self.now();
        let acting_since = self.acting_since;
        if let Err(error) = result {
            self.recheck_names(uid, call, error);
            tracing::debug!(attachment = uid, action = call.action(), code = error.code(), %error, "EC2 call failed");
        }
        let has_room = match (call, result) {
            (Call::Create, _) => self.quota.answered(uid, sent, result, now),
            (Call::Delete, Ok(())) => self.quota.freed(),
            _ => false,
        };
        if has_room {
            self.enqueue_without_eni();
        }
        // The ENIAttachment is gone: there is no call history to update, and the next resync finds the ENI.
        let entry = self.store.attachment_by_uid(uid).and_then(|name| self.store.attachment(name)).cloned();
        let Some(entry) = entry else { return self.subnets.forget(uid) };
        if let (Call::Attach, Err(error), Some(instance)) = (call, result, &entry.attachment.instance)
            && let Some(observation) = InstanceAtRefusal::after(error, now)
        {
            self.refusal_observations.insert(entry.attachment.name.clone(), observation);
            self.deps.ec2.lookup_instance(instance);
        }
        let history = self
            .call_histories
            .entry(uid.to_owned())
            .or_insert_with(|| Box::new(CallHistory::begin(acting_since, &entry.attachment)));
        match result {
            Ok(()) => {
                history.succeeded(call, now);
                measure(&mut self.stopwatches, &self.deps.gauges.counted, &entry.attachment, call, now);
            }
            Err(error) => history.failed(call, error, now),
        }
        let failure = history.failure.as_ref().filter(|failure| failure.call == call);
        let has_room =
            call == Call::Create && self.subnets.answered(uid, &entry.attachment.request, result, failure, now);
        if has_room {
            self.enqueue_without_eni();
        }
        self.instance_type_answered(&entry, call, result);
        let failure = self.call_histories.get(uid).and_then(|history| history.failure_of(call));
        if self.permissions.answered(uid, call, result, failure, now) {
            self.enqueue_refused();
        }
    }

    /// Begins the trace of an ENIAttachment that this process has created.
    fn follow_created(&mut self, attachment: &Attachment) {
        let decided = self.stopwatches.decided_at(&attachment.name);
        self.attach_traces.created(attachment, decided, self.now());
    }

    fn wrote(&mut self, written: ObjectState) {
        let affected: Option<StoreChange> = match written {
            ObjectState::Created(entry) => {
                let (since, now, attachment) = (self.acting_since, self.now(), &entry.attachment);
                let history = self
                    .call_histories
                    .entry(attachment.uid.clone())
                    .or_insert_with(|| Box::new(CallHistory::begin(since, attachment)));
                history.learns_that_it_was_made_here(attachment, now);
                self.store.wrote_attachment(entry)
            }
            ObjectState::Attachment(entry) => self.store.wrote_attachment(entry),
            ObjectState::AttachmentDeleted { name, uid } => {
                self.stopwatches.gone(&name);
                self.call_histories.remove(&uid);
                self.agreements.remove(&uid);
                let affected = self.store.deleted_attachment(&name, &uid);
                if affected.is_some() {
                    self.queue.forget(&Key::Attachment(name));
                }
                affected
            }
            // The watch brings the Node: its version is not kept, and an answer may be older than what the watch has brought.
            ObjectState::Node => None,
            ObjectState::NodeEni(entry) => self.store.wrote_nodeeni(*entry),
            ObjectState::NodeEniDeleted { name, uid } => self.store.deleted_nodeeni(&name, &uid),
        };
        if let Some(affected) = affected {
            self.enqueue_dependents(affected);
        }
    }
}

/// Measures the step that ends or begins with a call that EC2 accepted.
fn measure(watches: &mut Stopwatches, counted: &Counted, attachment: &Attachment, call: Call, now: Timestamp) {
    let (name, uid) = (&attachment.name, &attachment.uid);
    let ended = match call {
        Call::Attach => watches.attach_accepted(name, now).map(|took| (Span::LabelToAttach, took)),
        Call::Delete => watches.delete_accepted(uid, now).map(|took| (Span::DetachToDeleted, took)),
        Call::Detach => {
            watches.detach_accepted(uid, now);
            None
        }
        _ => None,
    };
    if let Some((span, took)) = ended {
        counted.attachments.took(span, took);
    }
}
