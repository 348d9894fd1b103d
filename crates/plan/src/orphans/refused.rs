//! Records the calls for orphans that EC2 refuses. The wait before the next call grows with each refusal, and a refusal that
//! lasts is reported on the NodeENI in the tags of the ENI. This file sends no call.

use crate::backoff;
use crate::counted::counted;
use crate::ec2_errors::{Call, CallError};
use crate::ec2_messages::words_of;
use crate::message_time::second;
use crate::observed::ObservedEni;
use crate::problem::Problem;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_api::names::TAG_NODEENI;
use std::collections::BTreeMap;

/// The first wait. Resyncs are at least this far apart.
const FIRST: SignedDuration = SignedDuration::from_secs(60);
/// A refusal that lasts this long is reported.
const SAID_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// A refused call for one orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    call: Call,
    code: String,
    message: String,
    nodeeni: Option<String>,
    since: Timestamp,
    last: Timestamp,
    count: u32,
}

impl Refused {
    fn is_reported(&self) -> bool {
        self.last.duration_since(self.since) >= SAID_AFTER
    }
}

/// The refused calls, by ENI.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<EniId, Refused>);

impl Refusals {
    /// Whether a call for this ENI may be sent now.
    pub fn allows(&self, eni: &EniId, now: Timestamp) -> bool {
        self.0.get(eni).is_none_or(|refused| {
            let wait = backoff::wait(FIRST, refused.count, eni.as_str());
            refused.last.saturating_add(wait).is_ok_and(|at| now >= at)
        })
    }

    /// Records the answer to a call for this ENI. Returns the NodeENI (by name) whose report changes.
    pub fn answered(
        &mut self,
        eni: &ObservedEni,
        call: Call,
        result: &Result<(), CallError>,
        now: Timestamp,
    ) -> Option<String> {
        let before = self.0.remove(&eni.id);
        let was_reported = before.as_ref().is_some_and(Refused::is_reported);
        let nodeeni = eni.tags.get(TAG_NODEENI).map(str::to_owned);
        let error = match result {
            Ok(()) => return nodeeni.filter(|_| was_reported),
            Err(CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn) => {
                self.0.extend(before.map(|before| (eni.id.clone(), before)));
                return None;
            }
            Err(error) => error,
        };
        let message = words_of(error);
        let same = before.filter(|before| before.call == call);
        let (since, count) = same.map_or((now, 1), |same| (same.since, same.count.saturating_add(1)));
        let code = error.code().to_owned();
        let refused = Refused { call, code, message, nodeeni: nodeeni.clone(), since, last: now, count };
        let changed = refused.is_reported() != was_reported;
        self.0.insert(eni.id.clone(), refused);
        nodeeni.filter(|_| changed)
    }

    /// Forgets ENIs that are no orphans any more. Returns the NodeENIs (by name) whose report changes.
    pub fn retain(&mut self, is_orphan: impl Fn(&EniId) -> bool) -> Vec<String> {
        let mut over = Vec::new();
        self.0.retain(|eni, refused| {
            let stays = is_orphan(eni);
            over.extend(refused.nodeeni.clone().filter(|_| !stays && refused.is_reported()));
            stays
        });
        over
    }

    /// The problem to report on the NodeENI of this name, if there is one.
    pub fn problem(&self, nodeeni: &str) -> Option<Problem> {
        let mut reported =
            self.0.iter().filter(|(_, refused)| refused.is_reported() && refused.nodeeni.as_deref() == Some(nodeeni));
        let (eni, refused) = reported.next()?;
        Some(Problem { reason: "OrphanRefused", message: message(eni, refused, reported.count()), node: None })
    }

    /// The sentence about one ENI, for the log; for an ENI whose tags name no NodeENI that exists. None if nothing is reported
    /// about the ENI.
    pub fn line(&self, eni: &EniId) -> Option<String> {
        self.0.get(eni).filter(|refused| refused.is_reported()).map(|refused| message(eni, refused, 0))
    }
}

fn message(eni: &EniId, refused: &Refused, others: usize) -> String {
    let Refused { call, code, message, since, .. } = refused;
    let since = second(*since);
    let others = if others > 0 { format!(" (nor can {})", counted(others, "other")) } else { String::new() };
    format!(
        "{eni}, which has no ENIAttachment, cannot be removed{others}: {} has failed with {code} since {since}: {}. Find out \
         what refuses it, or remove the ENI by hand; the controller retries every 5 min",
        call.action(),
        message.trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::at;
    use crate::lifecycle::tests::eni;

    #[test]
    fn a_refused_call_backs_off_and_is_reported_after_three_minutes_until_it_ends() {
        let mut orphan = eni(1);
        orphan.tags.insert(TAG_NODEENI, "a");
        let denied = Err(CallError::Answered { code: "UnauthorizedOperation".into(), message: "no".into() });
        let (mut refusals, mut sent, mut said) = (Refusals::default(), Vec::new(), Vec::new());
        for resync in 0..60 {
            let now = at(resync * 60);
            if refusals.allows(&orphan.id, now) {
                sent.push(resync);
                said.extend(refusals.answered(&orphan, Call::Delete, &denied, now).map(|_| resync));
            }
        }
        assert!(sent.len() <= 14, "{sent:?}");
        assert!(said.len() == 1 && said[0] <= 5, "{said:?}");
        let problem = refusals.problem("a").unwrap();
        assert!(
            problem.message.contains("DeleteNetworkInterface has failed with UnauthorizedOperation"),
            "{problem:?}"
        );
        assert_eq!(refusals.problem("b"), None);
        assert!(refusals.line(&orphan.id).is_some());
        assert_eq!(refusals.retain(|_| false), ["a"]);
        assert_eq!(refusals.problem("a"), None);
    }
}
