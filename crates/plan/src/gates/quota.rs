//! The gate for the Region's quota of network interfaces. The quota belongs to the whole account, so a refused Create holds all
//! Creates back. While the refusal is in force, one Create is sent per interval. Once a Create succeeds, two may be under way at
//! a time, then more. A user's request for a new try is one more Create. The gate is given the answers of Creates and Deletes, and
//! sends no call.

use crate::attachment::Attachment;
use crate::backoff;
use crate::ec2_errors::{Call, CallError};
use crate::failure::{Alternations, Failure};
use crate::lifecycle::call_history::CallHistory;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// EC2's error code for this quota (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
pub const CODE: &str = "NetworkInterfaceLimitExceeded";

/// Once this many Creates may be under way at a time, the gate opens.
const WIDE_ENOUGH: usize = 16;

/// How often a Create that a user asked for checks whether the Create of another ENIAttachment is still under way.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(5);

/// The state of the gate in one process. It holds Creates back while `standing` is Some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaGate {
    standing: Option<Standing>,
    /// When the gate last opened.
    lifted: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Standing {
    /// The last refused Create.
    failure: Failure,
    /// When that Create was sent. A request of a user from before that time has had its try.
    sent: Timestamp,
    /// The Creates that have not been answered yet, by UID of the ENIAttachment; true if the Create uses a place that a Delete
    /// freed.
    trying: BTreeMap<String, bool>,
    /// How many Creates may be under way at a time. 0: one Create, and only once the last refusal is older than the interval.
    width: usize,
    /// How many ENIs this controller has deleted since the refusal and not replaced yet. As many Creates should succeed, unless
    /// another client uses the places.
    freed: usize,
}

impl QuotaGate {
    /// Restores the gate from the failures in the statuses of ENIAttachments, when a process starts.
    pub fn from_histories<'a>(call_histories: impl Iterator<Item = (&'a Attachment, CallHistory)>) -> Self {
        let mut quota = Self::default();
        for (attachment, call_history) in call_histories {
            let waits = attachment.awaits_its_eni();
            if let Some(failure) = call_history.failure.filter(|failure| waits && is_of_quota(failure)) {
                let sent = failure.at;
                quota.refuse(failure, sent);
            }
        }
        quota
    }

    /// Whether a refusal is in force.
    pub fn stands(&self) -> bool {
        self.standing.is_some()
    }

    /// The refusal that is in force, whether or not a Create may be sent now.
    pub fn standing(&self) -> Option<&Failure> {
        self.standing.as_ref().map(|standing| &standing.failure)
    }

    /// The refusal that holds a Create back now, and when to check again at the latest. None if the Create may be sent.
    /// `recheck`: the interval at which one Create is sent. `requested`: when a user last asked for a new try of this ENIAttachment.
    /// One Create tries for all that were requested before it was sent.
    pub fn holds_back(
        &self,
        now: Timestamp,
        recheck: SignedDuration,
        requested: Option<Timestamp>,
    ) -> Option<(&Failure, Timestamp)> {
        let standing = self.standing.as_ref()?;
        let is_requested = requested.is_some_and(|requested| requested > standing.sent);
        let interval = if is_requested { backoff::FIRST.min(recheck) } else { recheck };
        let next = standing.failure.at.saturating_add(interval).unwrap_or(Timestamp::MAX);
        let has_place = standing.freed > 0 || standing.trying.len() < standing.width;
        let free = has_place || standing.trying.is_empty() && now >= next;
        // The Create that is under way may get no answer. Check again later, because nothing would wake the others then.
        let wait = if is_requested { UNDER_WAY.min(recheck) } else { recheck };
        let again = if now < next { next } else { now.saturating_add(wait).unwrap_or(Timestamp::MAX) };
        (!free).then_some((&standing.failure, again))
    }

    /// Whether this gate, and not the back-off of the ENIAttachment itself, decides when a Create that failed this way is
    /// repeated.
    pub fn governs(&self, failure: &Failure) -> bool {
        is_of_quota(failure) && (self.stands() || self.lifted.is_some_and(|lifted| lifted >= failure.at))
    }

    /// Records that a Create is sent.
    pub fn sent(&mut self, uid: &str) {
        if let Some(standing) = &mut self.standing {
            standing.trying.insert(uid.to_owned(), standing.freed > 0);
            standing.freed = standing.freed.saturating_sub(1);
        }
    }

    /// Records the answer of a Create that was sent at `sent`. True if other Creates may be sent now.
    pub fn answered(&mut self, uid: &str, sent: Timestamp, result: &Result<(), CallError>, now: Timestamp) -> bool {
        if let Err(CallError::Answered { code, message }) = result
            && code == CODE
        {
            let (call, class) = (Call::Create, crate::ec2_errors::Class::Limit);
            let failure = Failure {
                call,
                class,
                code: code.clone(),
                message: message.clone(),
                at: now,
                since: now,
                count: 1,
                turns: Alternations::none(now),
            };
            self.refuse(failure, sent);
            if let Some(standing) = &mut self.standing {
                standing.trying.remove(uid);
                (standing.width, standing.freed) = (0, 0);
                // Other clients took the places that the Deletes freed.
                standing.trying.values_mut().for_each(|place| *place = false);
            }
            return false;
        }
        let Some(standing) = &mut self.standing else { return false };
        match (result, standing.trying.remove(uid)) {
            // This Create held no other Create back.
            (Err(_), None) => return false,
            (Err(_), Some(true)) => standing.freed += 1,
            // The Create used a place that a Delete freed, or it failed for another reason. Neither shows that there are more
            // places.
            (Err(_), Some(false)) | (Ok(()), Some(true)) => {}
            // A Create that was sent before the refusal shows nothing about Creates after the refusal.
            (Ok(()), _) if sent >= standing.failure.at => standing.width = (standing.width + 1).max(2),
            (Ok(()), _) => {}
        }
        if standing.width >= WIDE_ENOUGH {
            (self.standing, self.lifted) = (None, Some(now));
        }
        true
    }

    /// Records that an ENI of this cluster was deleted, which frees a place. True if another Create may be sent now.
    pub fn freed(&mut self) -> bool {
        let Some(standing) = &mut self.standing else { return false };
        standing.freed += 1;
        true
    }

    fn refuse(&mut self, failure: Failure, sent: Timestamp) {
        match &mut self.standing {
            Some(standing) => {
                standing.sent = standing.sent.max(sent);
                if standing.failure.at <= failure.at {
                    standing.failure = failure;
                }
            }
            None => self.standing = Some(Standing { failure, sent, trying: BTreeMap::new(), width: 0, freed: 0 }),
        }
    }
}

fn is_of_quota(failure: &Failure) -> bool {
    failure.call == Call::Create && failure.code == CODE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::{at, new_attachment};

    const RECHECK: SignedDuration = SignedDuration::from_secs(600);

    fn refusal() -> Result<(), CallError> {
        Err(CallError::Answered { code: CODE.into(), message: "Maximum number of network interfaces reached".into() })
    }

    fn free(quota: &QuotaGate, now: i64) -> bool {
        quota.holds_back(at(now), RECHECK, None).is_none()
    }

    #[test]
    fn one_refusal_holds_all_creates_back_and_one_create_is_sent_per_interval() {
        let mut quota = QuotaGate::default();
        assert!(free(&quota, 0));
        for uid in ["a", "b"] {
            quota.sent(uid);
            assert!(!quota.answered(uid, at(0), &refusal(), at(1)));
        }
        assert!(!free(&quota, 2));
        assert_eq!(quota.holds_back(at(2), RECHECK, None).unwrap().1, at(601));
        assert!(free(&quota, 601));
        quota.sent("c");
        assert!(!free(&quota, 601), "one Create is sent, and the others wait for its answer");
        quota.answered("c", at(601), &refusal(), at(602));
        assert!(!free(&quota, 1201));
        assert!(free(&quota, 1202));
    }

    #[test]
    fn each_success_permits_more_creates_at_a_time() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(1));
        let (mut made, mut sent) = (0, 0);
        let mut rounds = Vec::new();
        for now in (700..).take(6) {
            let mut round = Vec::new();
            while quota.stands() && free(&quota, now) {
                sent += 1;
                quota.sent(&sent.to_string());
                round.push(sent.to_string());
            }
            rounds.push(round.len());
            made += round.len();
            for uid in round {
                assert!(quota.answered(&uid, at(now), &Ok(()), at(now)));
            }
        }
        assert_eq!((rounds, quota.stands(), made), (vec![1, 2, 4, 8, 0, 0], false, 15));
        let old = Failure { at: at(1), ..quota_failure() };
        assert!(quota.governs(&old), "an ENIAttachment that was refused then may try again at once");
        assert!(!quota.governs(&Failure { at: at(2000), ..quota_failure() }));
    }

    #[test]
    fn a_request_of_a_user_is_one_create_for_all_that_were_requested() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(1));
        let until = |quota: &QuotaGate, now, requested| {
            quota.holds_back(at(now), RECHECK, Some(at(requested))).map(|(_, until)| until)
        };
        assert_eq!(until(&quota, 100, 0), Some(at(601)), "the refused Create was sent after that request");
        assert_eq!(until(&quota, 1, 1), Some(at(2)), "a second after the refusal");
        assert_eq!(until(&quota, 100, 100), None);
        assert!(!free(&quota, 100), "those that nobody asked for wait");
        quota.sent("b");
        assert_eq!(until(&quota, 101, 100), Some(at(106)), "the answer to that Create comes first");
        assert!(!quota.answered("b", at(101), &refusal(), at(102)));
        assert_eq!(until(&quota, 110, 100), Some(at(702)), "the request has had its try");
        // A request that comes while a Create is under way is not about that Create.
        quota.sent("c");
        quota.answered("c", at(702), &refusal(), at(704));
        assert_eq!(until(&quota, 710, 703), None);
        assert!(!free(&quota, 710));
    }

    fn quota_failure() -> Failure {
        let (call, class) = (Call::Create, crate::ec2_errors::Class::Limit);
        Failure {
            call,
            class,
            code: CODE.into(),
            message: String::new(),
            at: at(0),
            since: at(0),
            count: 1,
            turns: Alternations::none(at(0)),
        }
    }

    #[test]
    fn a_create_that_was_not_sent_wakes_others_only_if_it_held_them_back() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(1));
        assert!(!quota.answered("b", at(0), &Err(CallError::QuotaRefused), at(2)));
        quota.sent("c");
        assert!(quota.answered("c", at(601), &Err(CallError::NotLeader), at(602)));
    }

    #[test]
    fn a_success_of_a_create_sent_before_the_refusal_does_not_open_the_gate() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(5));
        quota.answered("b", at(0), &Ok(()), at(6));
        assert!(!free(&quota, 7));
    }

    #[test]
    fn a_deleted_eni_permits_one_create() {
        let mut quota = QuotaGate::default();
        assert!(!quota.freed());
        quota.answered("a", at(0), &refusal(), at(5));
        assert!(quota.freed());
        assert!(free(&quota, 6));
        quota.sent("b");
        assert!(!free(&quota, 6));
        // The Create was not sent, so the next one may be.
        quota.answered("b", at(6), &Err(CallError::NotLeader), at(7));
        assert!(free(&quota, 7));
        quota.sent("c");
        quota.answered("c", at(7), &Ok(()), at(8));
        assert!(!free(&quota, 9), "the one free place is used");
        assert!(quota.freed() && quota.freed());
        quota.sent("d");
        quota.answered("d", at(9), &refusal(), at(10));
        assert!(!free(&quota, 10), "other clients took both places");
        // Other clients took the places, so a Create that fails now frees none.
        assert!(quota.freed() && quota.freed());
        quota.sent("e");
        quota.sent("f");
        quota.answered("e", at(11), &refusal(), at(12));
        quota.answered("f", at(11), &Err(CallError::QuotaRefused), at(12));
        assert!(!free(&quota, 12));
    }

    #[test]
    fn a_new_process_restores_the_gate_from_the_statuses() {
        let call_history = |failure: Option<Failure>| CallHistory { failure, ..CallHistory::made(at(0)) };
        let (mut a, b) = (new_attachment("n0", 1, false), new_attachment("n1", 1, false));
        a.status.eni_id = None;
        let quota = QuotaGate::from_histories(
            [(&b, call_history(None)), (&a, call_history(Some(quota_failure())))].into_iter(),
        );
        assert!(quota.stands());
        a.deleting = Some(at(1));
        assert!(!QuotaGate::from_histories([(&a, call_history(Some(quota_failure())))].into_iter()).stands());
    }
}
