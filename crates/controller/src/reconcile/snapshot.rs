//! Answers scrapes: the state of the reconciler in numbers. Nothing is computed while nobody asks.

use super::call_result_types::Outcome;
use super::reconciler::Reconciler;
use crate::api_writes::WriteError;
use crate::metrics::{NodeEniNumbers, Snapshot, SnapshotRequest};
use crate::store::AttachmentEntry;
use jiff::Timestamp;
use multi_eni_api::conditions::types;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::unconfigured;
use std::collections::BTreeMap;

impl Reconciler {
    pub(super) fn answer_scrape(&self, request: SnapshotRequest) {
        if !request.is_closed() {
            // It fails only if the scrape no longer waits.
            let _ = request.send(self.snapshot());
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut attachments: BTreeMap<(String, String), usize> = BTreeMap::new();
        for entry in self.store.attachments() {
            *attachments.entry((format!("{:?}", entry.attachment.status.phase), reason_of(entry))).or_default() += 1;
        }
        let nodeenis = self.store.nodeenis().map(|entry| NodeEniNumbers {
            name: entry.nodeeni.name.clone(),
            desired: entry.status.desired,
            attached: entry.status.attached,
            ready: entry.status.ready,
            failed: entry.status.failed,
        });
        let failed_calls = self.call_histories.values().filter(|history| history.failures().next().is_some()).count();
        let gates = [
            ("quota", usize::from(self.quota.stands())),
            ("subnet", self.subnets.closed()),
            ("permission", self.permissions.closed()),
            ("instance_type", self.instance_types.closed()),
        ];
        let now = self.now();
        let age =
            |since: Option<Timestamp>| since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
        Snapshot {
            nodeenis: nodeenis.collect(),
            attachments,
            depths: self.queue.depths().to_vec(),
            oldest: self.queue.oldest().map(|(kind, since)| (kind, age(since))).to_vec(),
            gates: gates.to_vec(),
            backoffs: vec![("ec2_call", failed_calls), ("api_write", self.writes.failing())],
            orphans: self.orphan_verdicts,
        }
    }
}

/// The reason of the condition Ready. Empty before the first status. The reasons of the node agent are its own words, and as a label
/// they would not be bounded.
fn reason_of(entry: &AttachmentEntry) -> String {
    if unconfigured::since(&entry.attachment.status).is_some() && entry.attachment.deleting.is_none() {
        return "NotConfigured".to_owned();
    }
    let mut conditions = entry.attachment.status.conditions.iter();
    conditions.find(|condition| condition.type_ == types::READY).map(|ready| ready.reason.clone()).unwrap_or_default()
}

/// Whether a call failed at EC2, or a write at the API server. Calls that were not sent, and conflicts, are no failures.
pub(super) fn is_failure(outcome: &Outcome) -> bool {
    let call_failed = |error: &CallError| match error {
        CallError::Answered { .. } | CallError::Unknown(_) | CallError::NotSent(_) => true,
        CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn => false,
    };
    match outcome {
        Outcome::Created { result, .. } => result.as_ref().is_err_and(call_failed),
        Outcome::Called { result, .. } | Outcome::OrphanCalled { result, .. } => {
            result.as_ref().is_err_and(call_failed)
        }
        Outcome::ApiWrite { result, .. } => match result {
            Err(WriteError::Refused { .. } | WriteError::NoAnswer(_)) => true,
            Ok(_) | Err(WriteError::Conflict(_) | WriteError::NotLeader(_)) => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::NotLeader;
    use jiff::Timestamp;
    use multi_eni_plan::backoff::Content;
    use multi_eni_plan::ec2_errors::Call;
    use multi_eni_plan::write_history::{PendingWrite, Target, Write};

    #[test]
    fn only_what_was_sent_and_failed_is_a_failure() {
        let called =
            |result| Outcome::Called { uid: "u".into(), call: Call::Attach, sent: Timestamp::UNIX_EPOCH, result };
        let refused = || CallError::Answered { code: "IncorrectState".into(), message: String::new() };
        assert!(is_failure(&called(Err(refused()))) && is_failure(&called(Err(CallError::Unknown("cut".into())))));
        assert!(is_failure(&called(Err(CallError::NotSent("no route".into())))));
        for outcome in [Ok(()), Err(CallError::NotLeader), Err(CallError::QuotaRefused), Err(CallError::Withdrawn)] {
            assert!(!is_failure(&called(outcome)));
        }
        let created = |result| Outcome::Created { uid: "u".into(), sent: Timestamp::UNIX_EPOCH, result };
        assert!(is_failure(&created(Err(refused()))) && !is_failure(&created(Err(CallError::Withdrawn))));
        let wrote = |result| Outcome::ApiWrite {
            asked: PendingWrite {
                target: Target { write: Write::ReportAttachment, name: "a".into() },
                content: Content { what: 1, ground: 1 },
                nodeeni: "n".into(),
                node: None,
            },
            result,
        };
        let no = |code| WriteError::Refused { code, message: "no".into() };
        assert!(is_failure(&wrote(Err(no(422)))) && is_failure(&wrote(Err(WriteError::NoAnswer("late".into())))));
        assert!(!is_failure(&wrote(Err(WriteError::Conflict("newer".into())))));
        assert!(!is_failure(&wrote(Err(WriteError::NotLeader(NotLeader)))));
    }
}
