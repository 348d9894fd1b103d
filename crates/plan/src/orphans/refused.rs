//! Calls for orphans that EC2 refuses: tried again less and less, and said on the NodeENI that their tags name.

use crate::backoff;
use crate::ec2_errors::{Call, CallError};
use crate::observed::ObservedEni;
use crate::problem::Problem;
use crate::wording::{second, words_of};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_api::names::TAG_NODEENI;
use std::collections::BTreeMap;

/// The first wait: sweeps are no closer together.
const FIRST: SignedDuration = SignedDuration::from_secs(60);
/// After so long it is said.
const SAID_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// One orphan for which EC2 refuses a call.
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
    fn is_said(&self) -> bool {
        self.last.duration_since(self.since) >= SAID_AFTER
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<EniId, Refused>);

impl Refusals {
    /// Whether a call may be made for it.
    pub fn allows(&self, eni: &EniId, now: Timestamp) -> bool {
        self.0.get(eni).is_none_or(|refused| {
            let wait = backoff::wait(FIRST, refused.count, eni.as_str());
            refused.last.saturating_add(wait).is_ok_and(|at| now >= at)
        })
    }

    /// Takes the answer to a call for it. Answers the NodeENI (by name) of which something else is said now.
    pub fn answered(
        &mut self,
        eni: &ObservedEni,
        call: Call,
        result: &Result<(), CallError>,
        now: Timestamp,
    ) -> Option<String> {
        let before = self.0.remove(&eni.id);
        let was_said = before.as_ref().is_some_and(Refused::is_said);
        let nodeeni = eni.tags.get(TAG_NODEENI).map(str::to_owned);
        let error = match result {
            Ok(()) => return nodeeni.filter(|_| was_said),
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
        let changed = refused.is_said() != was_said;
        self.0.insert(eni.id.clone(), refused);
        nodeeni.filter(|_| changed)
    }

    /// Forgets what is no orphan any more. Answers the NodeENIs (by name) of which less is said.
    pub fn retain(&mut self, is_orphan: impl Fn(&EniId) -> bool) -> Vec<String> {
        let mut over = Vec::new();
        self.0.retain(|eni, refused| {
            let stays = is_orphan(eni);
            over.extend(refused.nodeeni.clone().filter(|_| !stays && refused.is_said()));
            stays
        });
        over
    }

    /// What is said of them on the NodeENI of this name.
    pub fn problem(&self, nodeeni: &str) -> Option<Problem> {
        let mut said =
            self.0.iter().filter(|(_, refused)| refused.is_said() && refused.nodeeni.as_deref() == Some(nodeeni));
        let (eni, refused) = said.next()?;
        Some(Problem { reason: "OrphanRefused", message: message(eni, refused, said.count()), node: None })
    }

    /// What is said of one that no NodeENI tells of, for the log.
    pub fn line(&self, eni: &EniId) -> Option<String> {
        self.0.get(eni).filter(|refused| refused.is_said()).map(|refused| message(eni, refused, 0))
    }
}

fn message(eni: &EniId, refused: &Refused, others: usize) -> String {
    let Refused { call, code, message, since, .. } = refused;
    let since = second(*since);
    let others = if others > 0 { format!(" ({others} others, too)") } else { String::new() };
    format!(
        "{eni}, which no ENIAttachment knows, cannot be removed{others}: {} is answered {code} since {since}: {}. Find out what refuses it, or \
         remove the ENI by hand; it is tried again every 5 min",
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
    fn it_is_tried_less_and_less_and_said_after_three_minutes_until_it_ends() {
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
        assert!(problem.message.contains("DeleteNetworkInterface is answered UnauthorizedOperation"), "{problem:?}");
        assert_eq!(refusals.problem("b"), None);
        assert!(refusals.line(&orphan.id).is_some());
        assert_eq!(refusals.retain(|_| false), ["a"]);
        assert_eq!(refusals.problem("a"), None);
    }
}
