//! Writes to the API server with back-off. A write is sent only after its back-off has passed; a refused write is logged,
//! counted, and reported on its NodeENI. `multi_eni_plan::write_history` decides the back-off.

use super::{Outcome, Reconciler};
use crate::api_writes::{WriteAnswer, WriteError};
use crate::work_queue::Key;
use futures::FutureExt;
use futures::future::BoxFuture;
use multi_eni_api::{EniAttachmentStatus, NodeEniStatus};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::backoff::Content;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::write_history::{self, Answer, PendingWrite, Target, Write, digest};

impl Reconciler {
    /// Whether this write may be sent now. If not, its key is reconciled again when it may be.
    pub(super) fn may_write(&mut self, key: &Key, asked: &PendingWrite) -> bool {
        let until = self.writes.not_before(key, asked, self.now());
        until.inspect(|until| self.queue.add_at(key.clone(), *until)).is_none()
    }

    /// The writes among `decided` that may be sent now. Each of the others waits for its own back-off.
    pub(super) fn due<T>(&mut self, key: &Key, decided: Vec<(PendingWrite, T)>) -> Vec<(PendingWrite, T)> {
        decided.into_iter().filter(|(asked, _)| self.may_write(key, asked)).collect()
    }

    /// Notes which writes are decided for a key. The problem of any other write for that key ends, except on a NodeENI for which
    /// `waits` holds. The key is reconciled again when a write that did not last before may have lasted.
    pub(super) fn retain_decided(&mut self, key: &Key, decided: &[Target], waits: impl Fn(&str) -> bool) {
        let effect = self.writes.decided(key, decided, waits, self.now());
        effect.fewer.iter().for_each(|uid| self.enqueue_nodeeni(uid));
        effect.again.into_iter().for_each(|again| self.queue.add_at(key.clone(), again));
    }

    /// Takes the end of a write.
    pub(super) fn write_ended(&mut self, key: &Key, asked: PendingWrite, result: &Result<WriteAnswer, WriteError>) {
        let outcome = match result {
            Ok(wrote) if wrote.is_applied => write_history::Outcome::Taken,
            Ok(_) | Err(WriteError::Conflict(_)) => write_history::Outcome::Outrun,
            Err(WriteError::NotLeader(_)) => write_history::Outcome::NotSent,
            Err(WriteError::Refused { code, message }) => refused(Some(*code), message),
            Err(WriteError::NoAnswer(words)) => refused(None, words),
        };
        let (api, write) = (&self.deps.gauges.counted.api, asked.target.write);
        match &outcome {
            write_history::Outcome::Refused(answer) => {
                api.sent(write);
                api.refused(write, answer.code);
            }
            write_history::Outcome::Taken => api.sent(write),
            write_history::Outcome::Outrun | write_history::Outcome::NotSent => {
                if outcome == write_history::Outcome::Outrun {
                    api.sent(write);
                    api.conflicted(write);
                }
                tracing::debug!(?key, target = ?asked.target, ?outcome, "write not applied");
            }
        }
        let (uid, is_refused) = (asked.nodeeni.clone(), matches!(outcome, write_history::Outcome::Refused(_)));
        let news = self.writes.ended(key, asked, outcome, self.now());
        match news.line {
            Some(line) if is_refused => tracing::warn!("{line}"),
            Some(line) => tracing::info!("{line}"),
            None => {}
        }
        if news.changed {
            self.enqueue_nodeeni(&uid);
        }
        news.woken.into_iter().for_each(|key| self.queue.add(key));
    }

    /// Reconciles the keys whose writes wait for the API server, which answers again.
    pub(super) fn api_answers_again(&mut self) {
        self.writes.answers_again().into_iter().for_each(|key| self.queue.add(key));
    }

    pub(super) fn enqueue_nodeeni(&mut self, uid: &str) {
        if let Some(entry) = self.store.nodeeni_by_uid(uid) {
            self.queue.add(Key::NodeEni(entry.nodeeni.name.clone()));
        }
    }
}

fn refused(code: Option<u16>, words: &str) -> write_history::Outcome {
    write_history::Outcome::Refused(Answer { code, words: words.to_owned() })
}

/// Sends a write, and returns its result as an outcome.
pub(super) fn sent(
    asked: PendingWrite,
    write: impl Future<Output = Result<WriteAnswer, WriteError>> + Send + 'static,
) -> BoxFuture<'static, Outcome> {
    async move { Outcome::ApiWrite { asked, result: write.await } }.boxed()
}

/// A write to an existing ENIAttachment. `what` is its content without times.
pub(super) fn to_attachment(write: Write, attachment: &Attachment, what: impl std::fmt::Debug) -> PendingWrite {
    let what = digest((&attachment.uid, what));
    PendingWrite {
        target: Target { write, name: attachment.name.clone() },
        content: Content { what, ground: what },
        nodeeni: attachment.nodeeni_uid.clone(),
        node: Some(attachment.node.clone()),
    }
}

/// The write of an ENIAttachment's status. The status changes with each answer of EC2, which is no reason to repeat a refused
/// write.
pub(super) fn report_of(attachment: &Attachment, status: &EniAttachmentStatus) -> PendingWrite {
    let mut timeless = status.clone();
    timeless.attempt_started_at = None;
    timeless.conditions.iter_mut().for_each(|condition| condition.last_transition_time.0 = jiff::Timestamp::UNIX_EPOCH);
    timeless.last_error.iter_mut().for_each(|error| error.at = None);
    let mut asked = to_attachment(Write::ReportAttachment, attachment, timeless);
    asked.content.ground = digest(&attachment.uid);
    asked
}

/// A write to a NodeENI. `what` is its content without times.
pub(super) fn to_nodeeni(write: Write, nodeeni: &NodeEni, what: impl std::fmt::Debug) -> PendingWrite {
    let what = digest((&nodeeni.uid, what));
    PendingWrite {
        target: Target { write, name: nodeeni.name.clone() },
        content: Content { what, ground: what },
        nodeeni: nodeeni.uid.clone(),
        node: None,
    }
}

/// The target of the write of a NodeENI's status, whatever the status will be.
pub(super) fn target_of_report(nodeeni: &NodeEni) -> Target {
    Target { write: Write::ReportNodeEni, name: nodeeni.name.clone() }
}

/// The write of a NodeENI's status.
pub(super) fn report_on(nodeeni: &NodeEni, status: &NodeEniStatus) -> PendingWrite {
    let mut timeless = status.clone();
    timeless.conditions.iter_mut().for_each(|condition| condition.last_transition_time.0 = jiff::Timestamp::UNIX_EPOCH);
    timeless.attachments.iter_mut().for_each(|entry| entry.last_updated = None);
    let mut asked = to_nodeeni(Write::ReportNodeEni, nodeeni, timeless);
    asked.content.ground = digest((&nodeeni.uid, nodeeni.generation));
    asked
}
