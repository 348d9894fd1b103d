//! The gate for refusals that concern many ENIAttachments: an action that IAM does not allow, or credentials that EC2 does not
//! accept. While a refusal is in force, one call per minute is sent for all that wait, and the first that succeeds wakes them. A
//! user's request for a new try is one more call. The gate is given the answers of calls, and sends no call.

use crate::backoff;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::{Failure, PASSING};
use crate::lifecycle::call_history::CallHistory;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The longest wait, in seconds, of a call that is refused for one ENIAttachment while it succeeds for others. So a new
/// permission takes effect within two minutes.
const ALONE: i64 = 75;
/// How long after the last call that was sent the next one is sent.
pub const EVERY: SignedDuration = SignedDuration::from_secs(60);
/// The number of different ENIAttachments that must have been refused, with no success in between, before the gate also holds
/// back calls of ENIAttachments that were not refused.
const ENOUGH: usize = 3;

/// The scope of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    /// IAM does not allow this action.
    Action(Call),
    /// EC2 does not accept the credentials, for any action.
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

/// The state of the gate in one process: the refusals in force, when each last ended, and when each that concerned all ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PermissionGate {
    standing: BTreeMap<Door, Standing>,
    lifted: BTreeMap<Door, Timestamp>,
    /// When a refusal ended that [`ENOUGH`] ENIAttachments had met.
    granted: BTreeMap<Door, Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Standing {
    failure: Failure,
    /// When a call was last sent or refused.
    tried: Timestamp,
    /// When a call was last sent, or the refusal began. A request of a user from before that time has had its try.
    sent: Timestamp,
    /// UIDs of the ENIAttachments that were refused, at most [`ENOUGH`].
    refused: BTreeSet<String>,
}

impl PermissionGate {
    /// Restores the gate from the failures in the statuses of ENIAttachments, when a process starts. One call may be sent at
    /// once.
    pub fn from_histories<'a>(call_histories: impl Iterator<Item = (&'a str, CallHistory)>) -> Self {
        let mut permissions = Self::default();
        for (uid, call_history) in call_histories {
            if let Some(failure) = call_history.failure.filter(|failure| failure.count > PASSING)
                && let Some(door) = Door::of(failure.call, failure.class)
            {
                let tried = Timestamp::MIN;
                let new = Standing { failure, tried, sent: tried, refused: BTreeSet::new() };
                permissions.standing.entry(door).or_insert(new).note(uid);
            }
        }
        permissions
    }

    /// Whether this gate decides when a call that failed this way is repeated: None if not. Otherwise Some with the time until
    /// which the call waits, or Some(None) if it may be sent now. Requests of users come before that: [`Self::requested_try`].
    pub fn governs(&self, failure: &Failure, now: Timestamp) -> Option<Option<Timestamp>> {
        let door = Door::of(failure.call, failure.class).filter(|_| failure.count > PASSING)?;
        let at = match self.standing.get(&door) {
            Some(standing) => standing.next(None),
            // The call succeeds for others. The wait of the one that is refused alone doubles with each refusal.
            None if self.lifted.get(&door).is_some_and(|lifted| *lifted >= failure.at) => {
                let doublings = u32::try_from(failure.count.clamp(PASSING + 1, 13) - PASSING - 1).unwrap_or(0);
                let wait = SignedDuration::from_secs((1_i64 << doublings).min(ALONE));
                failure.at.saturating_add(wait).unwrap_or(Timestamp::MAX)
            }
            None => failure.at.saturating_add(EVERY).unwrap_or(Timestamp::MAX),
        };
        Some((now < at).then_some(at))
    }

    /// When a call that failed this way may be tried because a user asked for a new try at `requested`; None if no try is due for
    /// that. One call tries for all that were requested before it was sent.
    pub fn requested_try(&self, failure: &Failure, requested: Option<Timestamp>) -> Option<Timestamp> {
        let door = Door::of(failure.call, failure.class)?;
        let (refused, sent) = match self.standing.get(&door) {
            Some(standing) => (standing.failure.at, standing.sent),
            None => (failure.at, failure.at),
        };
        requested
            .filter(|requested| *requested > sent)
            .map(|_| refused.saturating_add(backoff::FIRST).unwrap_or(refused))
    }

    /// Whether a refusal that concerned all has ended since this failure. A call that is refused for one ENIAttachment alone is
    /// still refused.
    pub fn is_granted(&self, failure: &Failure) -> bool {
        Door::of(failure.call, failure.class)
            .filter(|door| !self.standing.contains_key(door))
            .is_some_and(|door| self.granted.get(&door).is_some_and(|granted| *granted >= failure.at))
    }

    /// The refusal that holds back a call of an ENIAttachment that was not refused itself, and until when. None if the call may
    /// be sent. `requested`: when a user last asked for a new try of this ENIAttachment.
    pub fn holds_back(
        &self,
        call: Call,
        now: Timestamp,
        requested: Option<Timestamp>,
    ) -> Option<(&Failure, Timestamp)> {
        let standing = self.for_all(call)?;
        let next = standing.next(requested);
        (now < next).then_some((&standing.failure, next))
    }

    /// The refusal of this call that is in force for all, whether or not a call may be sent now.
    pub fn standing(&self, call: Call) -> Option<&Failure> {
        self.for_all(call).map(|standing| &standing.failure)
    }

    /// How many refusals are in force: of one action for all, or of the credentials.
    pub fn closed(&self) -> usize {
        self.standing.len()
    }

    fn for_all(&self, call: Call) -> Option<&Standing> {
        let doors = [Door::Action(call), Door::Credentials];
        doors.iter().filter_map(|door| self.standing.get(door)).find(|one| one.refused.len() >= ENOUGH)
    }

    /// Records that a call is sent.
    pub fn sent(&mut self, call: Call, now: Timestamp) {
        for door in [Door::Action(call), Door::Credentials] {
            if let Some(standing) = self.standing.get_mut(&door) {
                (standing.tried, standing.sent) = (now, now);
            }
        }
    }

    /// Records the answer of a call. `failure`: the failure in the call history. True if other calls may be sent now.
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
            let new = Standing { failure: failure.clone(), tried: now, sent: now, refused: BTreeSet::new() };
            let standing = self.standing.entry(door).or_insert(new);
            (standing.failure, standing.tried) = (failure.clone(), now);
            standing.note(uid);
        }
        // An error of EC2 about anything else shows that EC2 accepts the credentials.
        let accepted = matches!(error, CallError::Answered { .. }) && door != Some(Door::Credentials);
        let authorized = accepted && is_answered_after_authorization(classify(call, error));
        (authorized && self.lift(Door::Action(call), now)) | (accepted && self.lift(Door::Credentials, now))
    }

    /// Whether an ENIAttachment with this failure may send its call again, because no refusal of this scope is in force.
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

/// Whether EC2 gives such an error only after it has authorized the action.
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
    /// When the next call may be sent.
    fn next(&self, requested: Option<Timestamp>) -> Timestamp {
        let is_requested = requested.is_some_and(|requested| requested > self.sent);
        let (last, wait) = if is_requested { (self.failure.at, backoff::FIRST) } else { (self.tried, EVERY) };
        last.saturating_add(wait).unwrap_or(Timestamp::MAX)
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
    fn one_call_a_minute_is_sent_for_a_thousand_and_its_success_wakes_all() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Attach, 1, 4);
        for n in 0..1000 {
            permissions.answered(&n.to_string(), Call::Attach, &refusal(), Some(&failed), at(1));
        }
        assert_eq!(permissions.closed(), 1, "one action is refused, however many wait for it");
        assert_eq!(permissions.governs(&failed, at(60)), Some(Some(at(61))));
        assert_eq!(permissions.governs(&failed, at(61)), Some(None));
        permissions.sent(Call::Attach, at(61));
        assert_eq!(permissions.governs(&failed, at(61)), Some(Some(at(121))), "one call is sent");
        let again = failure(Call::Attach, 62, 5);
        assert!(!permissions.answered("0", Call::Attach, &refusal(), Some(&again), at(62)));
        assert_eq!(permissions.governs(&failed, at(62)), Some(Some(at(122))));
        assert!(!permissions.answered("x", Call::Delete, &Ok(()), None, at(63)), "another action");
        assert!(permissions.answered("0", Call::Attach, &Ok(()), None, at(123)));
        assert!(permissions.concerns(&failed) && permissions.closed() == 0);
        assert_eq!(permissions.governs(&failed, at(123)), Some(None));
    }

    #[test]
    fn the_first_three_refusals_are_not_governed_and_a_single_refused_attachment_backs_off() {
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
    fn an_attachment_that_was_not_refused_waits_only_if_no_call_succeeds() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Create, 1, 4);
        for uid in ["a", "b", "a"] {
            permissions.answered(uid, Call::Create, &refusal(), Some(&failed), at(1));
        }
        assert!(permissions.holds_back(Call::Create, at(2), None).is_none());
        permissions.answered("c", Call::Create, &refusal(), Some(&failed), at(1));
        assert_eq!(permissions.holds_back(Call::Create, at(2), None).map(|(_, until)| until), Some(at(61)));
        assert!(permissions.holds_back(Call::Attach, at(2), None).is_none());
        assert!(permissions.holds_back(Call::Create, at(61), None).is_none());
    }

    #[test]
    fn an_error_about_another_subject_shows_that_the_credentials_are_accepted() {
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

    /// For example, the subnet is full or the slot is taken.
    #[test]
    fn an_error_that_follows_authorization_ends_the_refusal() {
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
        // The call is refused for one ENIAttachment while it succeeds for others, so the refusal is still in force.
        let alone = failure(Call::Create, 5, 4);
        permissions.answered("a", Call::Create, &refusal(), Some(&alone), at(5));
        assert!(permissions.answered("b", Call::Create, &Ok(()), None, at(6)) && !permissions.is_granted(&alone));
    }

    #[test]
    fn a_new_process_sends_one_call_at_once() {
        let call_history =
            |uid| (uid, CallHistory { failure: Some(failure(Call::Attach, 1, 4)), ..CallHistory::made(at(0)) });
        let mut permissions = PermissionGate::from_histories([call_history("a"), call_history("b")].into_iter());
        let failed = failure(Call::Attach, 1, 4);
        assert_eq!(permissions.governs(&failed, at(500)), Some(None));
        permissions.sent(Call::Attach, at(500));
        assert_eq!(permissions.governs(&failed, at(500)), Some(Some(at(560))));
    }

    #[test]
    fn a_request_of_a_user_is_one_call_for_all_that_were_requested() {
        let mut permissions = PermissionGate::default();
        let failed = failure(Call::Create, 10, 4);
        for uid in ["a", "b", "c"] {
            permissions.answered(uid, Call::Create, &refusal(), Some(&failed), at(10));
        }
        let until = |gate: &PermissionGate, now: i64, requested: i64| {
            let own = gate.requested_try(&failed, Some(at(requested)));
            (own, gate.holds_back(Call::Create, at(now), Some(at(requested))).map(|(_, until)| until))
        };
        assert_eq!(until(&permissions, 20, 10), (None, Some(at(70))), "the refusal came after that request");
        assert_eq!(until(&permissions, 20, 20), (Some(at(11)), None));
        assert!(permissions.holds_back(Call::Create, at(20), None).is_some(), "those that nobody asked for wait");
        permissions.sent(Call::Create, at(20));
        assert_eq!(until(&permissions, 20, 20), (None, Some(at(80))), "one call tries for all");
        permissions.answered("a", Call::Create, &refusal(), Some(&failure(Call::Create, 21, 5)), at(21));
        assert_eq!(until(&permissions, 30, 20), (None, Some(at(81))), "the request has had its try");
        assert_eq!(until(&permissions, 30, 25), (Some(at(22)), None));
        // The call is refused for one ENIAttachment alone.
        permissions.answered("b", Call::Create, &Ok(()), None, at(31));
        let alone = failure(Call::Create, 31, 30);
        assert_eq!(permissions.governs(&alone, at(40)), Some(Some(at(31 + 75))));
        assert_eq!(permissions.requested_try(&alone, Some(at(40))), Some(at(32)));
        assert_eq!(permissions.requested_try(&alone, Some(at(31))), None);
    }
}
