//! What calls left behind, taken into the picture.

use super::Reconciler;
use crate::api_writes::{WriteError, Written, Wrote};
use crate::store::StoreChange;
use crate::work_queue::Key;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_plan::assign::RefusalLook;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::lifecycle::CallHistory;
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::writes::Asked;

/// Calls for one key that have ended.
pub struct Finished {
    /// The key.
    pub key: Key,
    /// What each call left behind.
    pub outcomes: Vec<Outcome>,
}

/// What one call left behind.
pub enum Outcome {
    /// EC2 answered a Create, or did not.
    Created {
        /// UID of the ENIAttachment.
        uid: String,
        /// When it was begun.
        sent: Timestamp,
        /// Its answer.
        result: Result<EniId, CallError>,
    },
    /// EC2 answered another call, or did not.
    Called {
        /// UID of the ENIAttachment.
        uid: String,
        /// Which call.
        call: Call,
        /// When it was begun.
        sent: Timestamp,
        /// Its answer.
        result: Result<(), CallError>,
    },
    /// EC2 answered, or did not, a call for an ENI that no ENIAttachment knows.
    OrphanCalled {
        /// The ENI.
        eni: Box<ObservedEni>,
        /// Which call.
        call: Call,
        /// Its answer.
        result: Result<(), CallError>,
    },
    /// The API server answered, or did not.
    Wrote {
        /// What was asked for.
        asked: Asked,
        /// Its answer.
        result: Result<Wrote, WriteError>,
    },
}

impl Reconciler {
    /// Takes ended calls into the picture and looks at their key again.
    pub(super) fn finish(&mut self, finished: Finished) {
        for outcome in finished.outcomes {
            match outcome {
                Outcome::Created { uid, sent, result: Ok(eni) } => {
                    self.remember(&uid, Call::Create, sent, &Ok(()));
                    if let Some(memory) = self.memories.get_mut(&uid) {
                        memory.created_eni = Some(eni);
                    }
                }
                Outcome::Created { uid, sent, result: Err(error) } => {
                    self.remember(&uid, Call::Create, sent, &Err(error));
                }
                Outcome::Called { uid, call, sent, result } => self.remember(&uid, call, sent, &result),
                Outcome::OrphanCalled { eni, call, result } => self.orphan_answered(&eni, call, &result),
                Outcome::Wrote { asked, result } => {
                    self.write_ended(&finished.key, asked, &result);
                    if let Ok(wrote) = result {
                        self.wrote(wrote.left);
                    }
                }
            }
        }
        for uid in self.creating.remove(&finished.key).into_iter().flatten() {
            if let Some(entry) = self.store.nodeeni_by_uid(&uid) {
                self.queue.now(Key::NodeEni(entry.nodeeni.name.clone()));
            }
        }
        if let Key::Attachment(name) = &finished.key {
            self.bringing.remove(name);
        }
        self.queue.done(&finished.key);
    }

    fn remember(&mut self, uid: &str, call: Call, sent: Timestamp, result: &Result<(), CallError>) {
        let now = self.now();
        let acting_since = self.acting_since;
        if let Err(error) = result {
            self.doubt_names(uid, call, error);
            tracing::info!(attachment = uid, action = call.action(), code = error.code(), %error, "EC2 call failed");
        }
        let has_room = match (call, result) {
            (Call::Create, _) => self.quota.answered(uid, sent, result, now),
            (Call::Delete, Ok(())) => self.quota.freed(),
            _ => false,
        };
        if has_room {
            self.wake_those_without_an_eni();
        }
        // Without an ENIAttachment (an orphan) there is nothing to remember it by: the next sweep tells.
        let entry = self.store.attachment_by_uid(uid).and_then(|name| self.store.attachment(name)).cloned();
        let Some(entry) = entry else { return self.subnets.forget(uid) };
        if let (Call::Attach, Err(error), Some(instance)) = (call, result, &entry.attachment.instance)
            && let Some(look) = RefusalLook::after(error, now)
        {
            self.refusal_looks.insert(entry.attachment.name.clone(), look);
            self.deps.ec2.look_at_instance(instance);
        }
        let memory =
            self.memories.entry(uid.to_owned()).or_insert_with(|| CallHistory::begin(acting_since, &entry.attachment));
        match result {
            Ok(()) => memory.succeeded(call, now),
            Err(error) => memory.failed(call, error, now),
        }
        let failure = memory.failure.as_ref().filter(|failure| failure.call == call);
        let has_room =
            call == Call::Create && self.subnets.answered(uid, &entry.attachment.request, result, failure, now);
        if has_room {
            self.wake_those_without_an_eni();
        }
        let failure = self.memories.get(uid).and_then(|memory| memory.failure_of(call));
        if self.permissions.answered(uid, call, result, failure, now) {
            self.wake_the_refused();
        }
    }

    fn wrote(&mut self, written: Written) {
        let touched: Option<StoreChange> = match written {
            Written::Made(entry) => {
                let (since, now, eni_attachment) = (self.acting_since, self.now(), &entry.attachment);
                let memory = self
                    .memories
                    .entry(eni_attachment.uid.clone())
                    .or_insert_with(|| CallHistory::begin(since, eni_attachment));
                memory.learns_that_it_was_made_here(eni_attachment, now);
                self.store.wrote_attachment(entry)
            }
            Written::Attachment(entry) => self.store.wrote_attachment(entry),
            Written::AttachmentGone { name, uid } => {
                self.memories.remove(&uid);
                let touched = self.store.buried_attachment(&name, &uid);
                if touched.is_some() {
                    self.queue.forget(&Key::Attachment(name));
                }
                touched
            }
            Written::NodeEni(entry) => self.store.wrote_nodeeni(*entry),
            Written::NodeEniGone { name, uid } => self.store.buried_nodeeni(&name, &uid),
        };
        if let Some(touched) = touched {
            self.wake(touched);
        }
    }
}
