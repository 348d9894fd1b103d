//! What EC2 refuses for a reason that holds for many: an action that is not allowed, or credentials that are bad. While it
//! stands, one call a minute tries for all that wait, and the first that succeeds wakes them.

use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::{Failure, PASSING};
use crate::lifecycle::CallHistory;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is refused to one alone is tried so often in the end, in seconds: that it is granted is noticed within two minutes.
const ALONE: i64 = 75;
/// How long after the last refusal the next one tries.
pub const EVERY: SignedDuration = SignedDuration::from_secs(60);
/// So many different ones must have been refused, and none have succeeded, before it holds back who was not refused yet.
const ENOUGH: usize = 3;

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    /// This action is not allowed.
    Action(Call),
    /// No call is accepted.
    Credentials,
}

impl Door {
    fn of(call: Call, class: Class) -> Option<Self> {
        match class {
            Class::Unauthorized => Some(Self::Action(call)),
            Class::Credentials => Some(Self::Credentials),
            _ => None,
        }
    }
}

/// What one process knows of such refusals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PermissionGate {
    standing: BTreeMap<Door, Standing>,
    lifted: BTreeMap<Door, Timestamp>,
    /// When a refusal ended that had met enough of them to stand for all.
    granted: BTreeMap<Door, Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Standing {
    failure: Failure,
    /// When one tried last.
    tried: Timestamp,
    /// UIDs that were refused, as many as are needed.
    refused: BTreeSet<String>,
}

impl PermissionGate {
    /// What the statuses of ENIAttachments tell a process that has just begun: one may try at once.
    pub fn from_histories<'a>(call_histories: impl Iterator<Item = (&'a str, CallHistory)>) -> Self {
        let mut permissions = Self::default();
        for (uid, call_history) in call_histories {
            if let Some(failure) = call_history.failure.filter(|failure| failure.count > PASSING)
                && let Some(door) = Door::of(failure.call, failure.class)
            {
                let tried = Timestamp::MIN;
                let new = Standing { failure, tried, refused: BTreeSet::new() };
                permissions.standing.entry(door).or_insert(new).note(uid);
            }
        }
        permissions
    }

    /// Whether this failure waits for a probe, and until when: None if it may be tried now.
    pub fn governs(&self, failure: &Failure, now: Timestamp) -> Option<Option<Timestamp>> {
        let door = Door::of(failure.call, failure.class).filter(|_| failure.count > PASSING)?;
        let at = match self.standing.get(&door) {
            Some(standing) => standing.next(),
            // Others succeed. What is refused to this one alone is tried less and less.
            None if self.lifted.get(&door).is_some_and(|lifted| *lifted >= failure.at) => {
                let doublings = u32::try_from(failure.count.clamp(PASSING + 1, 13) - PASSING - 1).unwrap_or(0);
                let wait = SignedDuration::from_secs((1_i64 << doublings).min(ALONE));
                failure.at.saturating_add(wait).unwrap_or(Timestamp::MAX)
            }
            None => failure.at.saturating_add(EVERY).unwrap_or(Timestamp::MAX),
        };
        Some((now < at).then_some(at))
    }

    /// Whether what was refused so to all has been granted since. What is refused to one alone is refused to it still.
    pub fn is_granted(&self, failure: &Failure) -> bool {
        Door::of(failure.call, failure.class)
            .filter(|door| !self.standing.contains_key(door))
            .is_some_and(|door| self.granted.get(&door).is_some_and(|granted| *granted >= failure.at))
    }

    /// What holds back a call that was not refused itself, and until when.
    pub fn holds_back(&self, call: Call, now: Timestamp) -> Option<(&Failure, Timestamp)> {
        let standing = self.for_all(call)?;
        let next = standing.next();
        (now < next).then_some((&standing.failure, next))
    }

    /// The refusal of that call that stands for all, whether one may try at this moment or not.
    pub fn standing(&self, call: Call) -> Option<&Failure> {
        self.for_all(call).map(|standing| &standing.failure)
    }

    fn for_all(&self, call: Call) -> Option<&Standing> {
        let doors = [Door::Action(call), Door::Credentials];
        doors.iter().filter_map(|door| self.standing.get(door)).find(|one| one.refused.len() >= ENOUGH)
    }

    /// A call is sent.
    pub fn sent(&mut self, call: Call, now: Timestamp) {
        for door in [Door::Action(call), Door::Credentials] {
            if let Some(standing) = self.standing.get_mut(&door) {
                standing.tried = now;
            }
        }
    }

    /// A call has ended; `failure` is what is remembered of it. True if others may try now.
    pub fn answered(
        &mut self,
        uid: &str,
        call: Call,
        result: &Result<(), CallError>,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> bool {
        let error = match result {
            Ok(()) => return self.lift(Door::Action(call), now) | self.lift(Door::Credentials, now),
            Err(error) => error,
        };
        let door = Door::of(call, classify(call, error));
        if let (Some(door), Some(failure)) = (door, failure) {
            let new = Standing { failure: failure.clone(), tried: now, refused: BTreeSet::new() };
            let standing = self.standing.entry(door).or_insert(new);
            (standing.failure, standing.tried) = (failure.clone(), now);
            standing.note(uid);
        }
        // Any answer of EC2's own that is about something else shows that the credentials are accepted.
        let accepted = matches!(error, CallError::Answered { .. }) && door != Some(Door::Credentials);
        let authorized = accepted && is_answered_after_authorization(classify(call, error));
        (authorized && self.lift(Door::Action(call), now)) | (accepted && self.lift(Door::Credentials, now))
    }

    /// Whether somebody who failed so was woken by the last success.
    pub fn concerns(&self, failure: &Failure) -> bool {
        Door::of(failure.call, failure.class).is_some_and(|door| !self.standing.contains_key(&door))
    }

    fn lift(&mut self, door: Door, now: Timestamp) -> bool {
        let Some(stood) = self.standing.remove(&door) else { return false };
        self.lifted.insert(door, now);
        if stood.refused.len() >= ENOUGH {
            self.granted.insert(door, now);
        }
        true
    }
}

/// EC2 answers so only to whom it has authorized the action.
fn is_answered_after_authorization(class: Class) -> bool {
    match class {
        Class::SubnetFull | Class::Limit | Class::SlotTaken | Class::Wait | Class::AlreadySo => true,
        Class::InstanceState | Class::Blocked => true,
        Class::Retry | Class::Throttled | Class::Unknown | Class::TokenMismatch | Class::Permanent => false,
        Class::Unauthorized | Class::Credentials => false,
        Class::EniNotFound | Class::InstanceNotFound | Class::ReferenceNotFound => false,
    }
}

impl Standing {
    fn next(&self) -> Timestamp {
        self.tried.saturating_add(EVERY).unwrap_or(Timestamp::MAX)
    }

    fn note(&mut self, uid: &str) {
        if self.refused.len() < ENOUGH {
            self.refused.insert(uid.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::at;

    fn refusal() -> Result<(), CallError> {
        Err(CallError::Answered { code: "UnauthorizedOperation".into(), message: "You are not authorized".into() })
    }

    fn failure(call: Call, seconds: i64, count: i32) -> Failure {
        let mut call_history = CallHistory::made(at(0));
        for _ in 0..count {
            call_history.failed(call, &refusal().unwrap_err(), at(seconds));
        }
        call_history.failure.unwrap()
    }

    #[test]
    fn one_call_a_minute_tries_for_a_thousand_and_its_success_wakes_all() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Attach, 1, 4);
        for n in 0..1000 {
            permissions.answered(&n.to_string(), Call::Attach, &refusal(), Some(&failed), at(1));
        }
        assert_eq!(permissions.governs(&failed, at(60)), Some(Some(at(61))));
        assert_eq!(permissions.governs(&failed, at(61)), Some(None));
        permissions.sent(Call::Attach, at(61));
        assert_eq!(permissions.governs(&failed, at(61)), Some(Some(at(121))), "one tries");
        let again = failure(Call::Attach, 62, 5);
        assert!(!permissions.answered("0", Call::Attach, &refusal(), Some(&again), at(62)));
        assert_eq!(permissions.governs(&failed, at(62)), Some(Some(at(122))));
        assert!(!permissions.answered("x", Call::Delete, &Ok(()), None, at(63)), "another action");
        assert!(permissions.answered("0", Call::Attach, &Ok(()), None, at(123)));
        assert!(permissions.concerns(&failed));
        assert_eq!(permissions.governs(&failed, at(123)), Some(None));
    }

    #[test]
    fn the_first_three_refusals_are_its_own_and_what_is_refused_to_one_alone_backs_off() {
        let mut permissions = PermissionGate::default();
        assert_eq!(permissions.governs(&failure(Call::Attach, 1, 3), at(2)), None);
        for (count, wait) in [(4, 1), (5, 2), (8, 16), (30, 75)] {
            let failed = failure(Call::Attach, 10, count);
            permissions.answered("a", Call::Attach, &refusal(), Some(&failed), at(10));
            permissions.answered("b", Call::Attach, &Ok(()), None, at(10));
            assert_eq!(permissions.governs(&failed, at(10)), Some(Some(at(10 + wait))), "{count}");
        }
    }

    #[test]
    fn who_was_not_refused_waits_only_where_nobody_succeeds() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Create, 1, 4);
        for uid in ["a", "b", "a"] {
            permissions.answered(uid, Call::Create, &refusal(), Some(&failed), at(1));
        }
        assert!(permissions.holds_back(Call::Create, at(2)).is_none());
        permissions.answered("c", Call::Create, &refusal(), Some(&failed), at(1));
        assert_eq!(permissions.holds_back(Call::Create, at(2)).map(|(_, until)| until), Some(at(61)));
        assert!(permissions.holds_back(Call::Attach, at(2)).is_none());
        assert!(permissions.holds_back(Call::Create, at(61)).is_none());
    }

    #[test]
    fn an_answer_about_something_else_shows_that_the_credentials_are_good() {
        let mut permissions = PermissionGate::default();
        let missing = Err(CallError::NotSent("no credentials".into()));
        let mut call_history = CallHistory::made(at(0));
        for _ in 0..4 {
            call_history.failed(Call::Delete, &missing.clone().unwrap_err(), at(1));
        }
        permissions.answered("a", Call::Delete, &missing, call_history.failure.as_ref(), at(1));
        assert!(permissions.governs(call_history.failure.as_ref().unwrap(), at(2)).unwrap().is_some());
        let busy = Err(CallError::Answered { code: "IncorrectState".into(), message: String::new() });
        assert!(permissions.answered("b", Call::Attach, &busy, None, at(3)));
    }

    /// Its subnet is full, or its slot is taken.
    #[test]
    fn an_answer_that_only_the_authorized_get_ends_the_refusal() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Create, 1, 4);
        for uid in ["a", "b", "c"] {
            permissions.answered(uid, Call::Create, &refusal(), Some(&failed), at(1));
        }
        assert!(!permissions.is_granted(&failed));
        let answer = |code: &str| Err(CallError::Answered { code: code.into(), message: String::new() });
        assert!(!permissions.answered("b", Call::Create, &answer("InvalidSubnetID.NotFound"), None, at(2)));
        assert!(permissions.answered("b", Call::Create, &answer("InsufficientFreeAddressesInSubnet"), None, at(3)));
        assert!(permissions.is_granted(&failed) && !permissions.is_granted(&failure(Call::Create, 4, 4)));
        // Refused to one alone, while others succeed: it is so still.
        let alone = failure(Call::Create, 5, 4);
        permissions.answered("a", Call::Create, &refusal(), Some(&alone), at(5));
        assert!(permissions.answered("b", Call::Create, &Ok(()), None, at(6)) && !permissions.is_granted(&alone));
    }

    #[test]
    fn a_new_process_lets_one_try_at_once() {
        let call_history =
            |uid| (uid, CallHistory { failure: Some(failure(Call::Attach, 1, 4)), ..CallHistory::made(at(0)) });
        let mut permissions = PermissionGate::from_histories([call_history("a"), call_history("b")].into_iter());
        let failed = failure(Call::Attach, 1, 4);
        assert_eq!(permissions.governs(&failed, at(500)), Some(None));
        permissions.sent(Call::Attach, at(500));
        assert_eq!(permissions.governs(&failed, at(500)), Some(Some(at(560))));
    }
}
