//! The Region's quota of network interfaces. It is one for the whole account, so what one Create was refused holds for all:
//! while it stands, one tries now and then for everybody; once that works, two may, then four, and soon all.

use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::failure::{Failure, Turns};
use crate::lifecycle::CallHistory;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// EC2's code for it (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
pub const CODE: &str = "NetworkInterfaceLimitExceeded";

/// From so many at a time on, the quota is no longer in the way.
const WIDE_ENOUGH: usize = 16;

/// What one process knows of the quota.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaGate {
    standing: Option<Standing>,
    /// When it was last known to be no longer in the way.
    lifted: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Standing {
    /// The last refusal.
    failure: Failure,
    /// UIDs of the ENIAttachments whose Create has not been answered yet, and whether a place was freed for it.
    trying: BTreeMap<String, bool>,
    /// How many may try at a time; 0: one, when the last refusal is old enough.
    width: usize,
    /// How many ENIs of ours were deleted since: so many places are free, if nobody else takes them.
    freed: usize,
}

impl QuotaGate {
    /// What the statuses of ENIAttachments tell a process that has just begun.
    pub fn from_histories<'a>(call_histories: impl Iterator<Item = (&'a Attachment, CallHistory)>) -> Self {
        let mut quota = Self::default();
        for (attachment, call_history) in call_histories {
            let waits = attachment.awaits_its_eni();
            if let Some(failure) = call_history.failure.filter(|failure| waits && is_of_quota(failure)) {
                quota.refuse(failure);
            }
        }
        quota
    }

    /// Whether a refusal stands.
    pub fn stands(&self) -> bool {
        self.standing.is_some()
    }

    /// The refusal that stands, whether one may try at this moment or not.
    pub fn standing(&self) -> Option<&Failure> {
        self.standing.as_ref().map(|standing| &standing.failure)
    }

    /// What holds a Create back now, and until when at most; None: it may be made.
    pub fn holds_back(&self, now: Timestamp, recheck: SignedDuration) -> Option<(&Failure, Timestamp)> {
        let standing = self.standing.as_ref()?;
        let next = standing.failure.at.saturating_add(recheck).unwrap_or(Timestamp::MAX);
        let subnets = standing.freed > 0 || standing.trying.len() < standing.width;
        let free = subnets || standing.trying.is_empty() && now >= next;
        // Whoever tries for the others may get no answer; then they are not told.
        let again = if now < next { next } else { now.saturating_add(recheck).unwrap_or(Timestamp::MAX) };
        (!free).then_some((&standing.failure, again))
    }

    /// Whether the quota, and not its own memory, says when what failed so is tried again.
    pub fn governs(&self, failure: &Failure) -> bool {
        is_of_quota(failure) && (self.stands() || self.lifted.is_some_and(|lifted| lifted >= failure.at))
    }

    /// A Create is sent.
    pub fn sent(&mut self, uid: &str) {
        if let Some(standing) = &mut self.standing {
            standing.trying.insert(uid.to_owned(), standing.freed > 0);
            standing.freed = standing.freed.saturating_sub(1);
        }
    }

    /// A Create that was sent at `sent` has ended. True if others may try now.
    pub fn answered(&mut self, uid: &str, sent: Timestamp, result: &Result<(), CallError>, now: Timestamp) -> bool {
        if let Err(CallError::Answered { code, message }) = result
            && code == CODE
        {
            let (call, class) = (Call::Create, crate::ec2_errors::Class::Limit);
            self.refuse(Failure {
                call,
                class,
                code: code.clone(),
                message: message.clone(),
                at: now,
                since: now,
                count: 1,
                turns: Turns::none(now),
            });
            if let Some(standing) = &mut self.standing {
                standing.trying.remove(uid);
                (standing.width, standing.freed) = (0, 0);
                // Others took the places.
                standing.trying.values_mut().for_each(|place| *place = false);
            }
            return false;
        }
        let Some(standing) = &mut self.standing else { return false };
        match (result, standing.trying.remove(uid)) {
            // It held nobody back.
            (Err(_), None) => return false,
            (Err(_), Some(true)) => standing.freed += 1,
            // A place was free for it: that there are more it does not say.
            (Err(_), Some(false)) | (Ok(()), Some(true)) => {}
            // What was sent before the refusal came tells nothing about what would be answered after it.
            (Ok(()), _) if sent >= standing.failure.at => standing.width = (standing.width + 1).max(2),
            (Ok(()), _) => {}
        }
        if standing.width >= WIDE_ENOUGH {
            (self.standing, self.lifted) = (None, Some(now));
        }
        true
    }

    /// An ENI of ours was deleted: there is a place for one. True if somebody may try now.
    pub fn freed(&mut self) -> bool {
        let Some(standing) = &mut self.standing else { return false };
        standing.freed += 1;
        true
    }

    fn refuse(&mut self, failure: Failure) {
        match &mut self.standing {
            Some(standing) if standing.failure.at <= failure.at => standing.failure = failure,
            Some(_) => {}
            None => self.standing = Some(Standing { failure, trying: BTreeMap::new(), width: 0, freed: 0 }),
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
        quota.holds_back(at(now), RECHECK).is_none()
    }

    #[test]
    fn one_refusal_holds_all_back_and_one_tries_for_all() {
        let mut quota = QuotaGate::default();
        assert!(free(&quota, 0));
        for uid in ["a", "b"] {
            quota.sent(uid);
            assert!(!quota.answered(uid, at(0), &refusal(), at(1)));
        }
        assert!(!free(&quota, 2));
        assert_eq!(quota.holds_back(at(2), RECHECK).unwrap().1, at(601));
        assert!(free(&quota, 601));
        quota.sent("c");
        assert!(!free(&quota, 601), "one tries, and the others wait for its answer");
        quota.answered("c", at(601), &refusal(), at(602));
        assert!(!free(&quota, 1201));
        assert!(free(&quota, 1202));
    }

    #[test]
    fn what_succeeds_lets_more_and_more_try() {
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
        assert!(quota.governs(&old), "who was refused then may try again at once");
        assert!(!quota.governs(&Failure { at: at(2000), ..quota_failure() }));
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
            turns: Turns::none(at(0)),
        }
    }

    #[test]
    fn who_leaves_the_line_wakes_the_others_only_if_it_held_them_back() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(1));
        assert!(!quota.answered("b", at(0), &Err(CallError::QuotaRefused), at(2)));
        quota.sent("c");
        assert!(quota.answered("c", at(601), &Err(CallError::NotLeader), at(602)));
    }

    #[test]
    fn what_was_sent_before_the_refusal_proves_nothing() {
        let mut quota = QuotaGate::default();
        quota.answered("a", at(0), &refusal(), at(5));
        quota.answered("b", at(0), &Ok(()), at(6));
        assert!(!free(&quota, 7));
    }

    #[test]
    fn what_is_deleted_makes_room_for_one() {
        let mut quota = QuotaGate::default();
        assert!(!quota.freed());
        quota.answered("a", at(0), &refusal(), at(5));
        assert!(quota.freed());
        assert!(free(&quota, 6));
        quota.sent("b");
        assert!(!free(&quota, 6));
        // No answer: the next may try.
        quota.answered("b", at(6), &Err(CallError::NotLeader), at(7));
        assert!(free(&quota, 7));
        quota.sent("c");
        quota.answered("c", at(7), &Ok(()), at(8));
        assert!(!free(&quota, 9), "there was one place, and it is taken");
        assert!(quota.freed() && quota.freed());
        quota.sent("d");
        quota.answered("d", at(9), &refusal(), at(10));
        assert!(!free(&quota, 10), "others took both places");
        // A place that was taken is given back by nobody.
        assert!(quota.freed() && quota.freed());
        quota.sent("e");
        quota.sent("f");
        quota.answered("e", at(11), &refusal(), at(12));
        quota.answered("f", at(11), &Err(CallError::QuotaRefused), at(12));
        assert!(!free(&quota, 12));
    }

    #[test]
    fn a_new_process_reads_it_from_the_statuses() {
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
