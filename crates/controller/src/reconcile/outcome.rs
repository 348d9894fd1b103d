//! What calls left behind, taken into the picture.

use super::Reconciler;
use crate::queue::Key;
use crate::world::Touched;
use crate::write::{WriteError, Written};
use jiff::{SignedDuration, Timestamp};
use multi_eni_plan::errors::{Call, CallError};
use multi_eni_plan::step::Memory;

/// Calls for one key that have ended.
pub struct Finished {
    /// The key.
    pub key: Key,
    /// What each call left behind.
    pub outcomes: Vec<Outcome>,
}

/// What one call left behind.
pub enum Outcome {
    /// EC2 answered, or did not.
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
    /// The API server answered, or did not.
    Wrote(Result<Written, WriteError>),
}

impl Reconciler {
    /// Takes ended calls into the picture and looks at their key again.
    pub(super) fn finish(&mut self, finished: Finished) {
        let now = self.now();
        let mut pause = None;
        for outcome in finished.outcomes {
            match outcome {
                Outcome::Called { uid, call, sent, result } => self.remember(&uid, call, sent, &result),
                Outcome::Wrote(Ok(written)) => self.wrote(written),
                Outcome::Wrote(Err(error)) => {
                    pause = pause.max(Some(pause_after(&error)));
                    if let (Key::Attachment(name), false) = (&finished.key, matches!(error, WriteError::Conflict)) {
                        let until = now.saturating_add(pause_after(&error)).unwrap_or(now);
                        self.unwritable.insert(name.clone(), until);
                    }
                    match error {
                        WriteError::Conflict => tracing::debug!(key = ?finished.key, %error, "write"),
                        error => tracing::warn!(key = ?finished.key, %error, "write"),
                    }
                }
            }
        }
        for uid in self.creating.remove(&finished.key).into_iter().flatten() {
            if let Some(entry) = self.world.nodeeni_by_uid(&uid) {
                self.queue.now(Key::NodeEni(entry.intent.name.clone()));
            }
        }
        if let Key::Attachment(name) = &finished.key {
            self.bringing.remove(name);
        }
        self.queue.done(&finished.key);
        if let Some(pause) = pause {
            // The watch brings what we did not know; until then the same write would fail the same way.
            self.queue.put_off(&finished.key, now.saturating_add(pause).unwrap_or(now));
        }
    }

    fn remember(&mut self, uid: &str, call: Call, sent: Timestamp, result: &Result<(), CallError>) {
        let now = self.now();
        let acting_since = self.acting_since;
        if let Err(error) = result {
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
        let entry = self.world.attachment_by_uid(uid).and_then(|name| self.world.attachment(name)).cloned();
        let Some(entry) = entry else { return self.room.forget(uid) };
        let memory = self.memories.entry(uid.to_owned()).or_insert_with(|| Memory::begin(acting_since, &entry.held));
        match result {
            Ok(()) => memory.succeeded(call, now),
            Err(error) => memory.failed(call, error, sent, now),
        }
        let failure = memory.failure.as_ref().filter(|failure| failure.call == call);
        let has_room = call == Call::Create && self.room.answered(uid, &entry.held.request, result, failure, now);
        if has_room {
            self.wake_those_without_an_eni();
        }
        let failure = self.memories.get(uid).and_then(|memory| memory.failure.as_ref());
        let failure = failure.filter(|failure| failure.call == call);
        if self.probes.answered(uid, call, result, failure, now) {
            self.wake_the_refused();
        }
    }

    fn wrote(&mut self, written: Written) {
        let touched: Option<Touched> = match written {
            Written::Made(entry) => {
                let (since, now, held) = (self.acting_since, self.now(), &entry.held);
                let memory = self.memories.entry(held.uid.clone()).or_insert_with(|| Memory::begin(since, held));
                memory.learns_that_it_was_made_here(held, now);
                self.world.wrote_attachment(entry)
            }
            Written::Attachment(entry) => self.world.wrote_attachment(entry),
            Written::AttachmentGone { name, uid } => {
                self.memories.remove(&uid);
                let touched = self.world.buried_attachment(&name, &uid);
                if touched.is_some() {
                    self.queue.forget(&Key::Attachment(name));
                }
                touched
            }
            Written::NodeEni(entry) => self.world.wrote_nodeeni(*entry),
            Written::NodeEniGone { name, uid } => self.world.buried_nodeeni(&name, &uid),
        };
        if let Some(touched) = touched {
            self.wake(touched);
        }
    }
}

fn pause_after(error: &WriteError) -> SignedDuration {
    match error {
        WriteError::Conflict => SignedDuration::from_millis(200),
        WriteError::NotLeader(_) => SignedDuration::from_secs(1),
        WriteError::Unreachable(_) => SignedDuration::from_secs(2),
        WriteError::Forbidden(_) | WriteError::Invalid(_) => SignedDuration::from_secs(15),
    }
}
