//! The history of one process's changes in place of one ENI: which were refused, and which somebody else undoes. It is
//! given the start and the result of each change, and answers when a change may be sent again.

use super::in_place_change::Change;
use crate::ec2_errors::Call;
use crate::failure::{Failure, MOST};
use crate::nodeeni::EniSpec;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// An attribute of EC2's attachment, which ends with the attachment.
pub(super) const OF_THE_ATTACHMENT: &str = "deleteOnTermination";
/// The entry for an ENI that came loose and is attached again.
pub(super) const ATTACHMENT: &str = "attachment";
/// The entry for an ENI whose ENIAttachment is being deleted, and which is detached again because it was attached after a
/// Detach.
const DETACHMENT: &str = "detachment";
/// A change that has lasted this long was not undone.
const LASTS: SignedDuration = SignedDuration::from_hours(1);
/// From this many changes on, each within an hour of the one before, the repetition is reported.
pub(super) const UNDONE_OFTEN: i32 = 4;
/// How long the repetition is reported after the last change.
const SAID_FOR: SignedDuration = SignedDuration::from_mins(15);

/// The changes of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    attribute: &'static str,
    /// The value that the NodeENI asks for.
    want: String,
    action: &'static str,
    last: Timestamp,
    /// Number of changes to the same value in a row, each within an hour of the one before.
    count: i32,
}

/// A change under way, and the entry of its attribute before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    attribute: &'static str,
    action: &'static str,
    want: String,
    before: Option<Made>,
}

/// One entry for each attribute that was changed, sorted by attribute. Nearly every ENI has one entry, so the list gets no spare
/// capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ChangesMade(Vec<Made>);

impl ChangesMade {
    fn get(&self, attribute: &str) -> Option<&Made> {
        self.0.iter().find(|made| made.attribute == attribute)
    }

    fn insert(&mut self, made: Made) {
        self.remove(made.attribute);
        let place = self.0.partition_point(|other| other.attribute < made.attribute);
        self.0.reserve_exact(1);
        self.0.insert(place, made);
    }

    fn remove(&mut self, attribute: &str) {
        self.0.retain(|made| made.attribute != attribute);
    }
}

/// Changes in place of one ENI, by attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RepairHistory {
    made: ChangesMade,
    /// Keyed by attribute and action, because one action sets tags and another removes them.
    refused: BTreeMap<(&'static str, &'static str), (String, Failure)>,
    under_way: Option<Box<UnderWay>>,
    /// When a user last asked for a new try. A change that was made before that need not wait longer.
    woken: Option<Timestamp>,
}

/// A change that somebody else undoes repeatedly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undone {
    /// The attribute.
    pub attribute: &'static str,
    /// The EC2 action that repairs the attribute.
    pub action: &'static str,
    /// Until when the repetition is reported.
    pub until: Timestamp,
}

/// The value that the NodeENI asks for. An edit changes this value, so the change after an edit is no repair.
pub(super) fn want(change: &Change, spec: Option<&EniSpec>) -> String {
    match change {
        Change::Tags(_) | Change::Untag(_) => format!("{:?}", spec.map(|spec| &spec.tags)),
        // The other timeouts in the change are those that EC2 shows.
        Change::ConnectionTracking(_) => format!("{:?}", spec.map(|spec| spec.connection_tracking)),
        Change::DeleteOnTermination { .. }
        | Change::Groups(_)
        | Change::Description(_)
        | Change::SourceDestCheck(_) => change.to_string(),
    }
}

impl RepairHistory {
    /// Records that a user asks for a new try.
    pub fn wake(&mut self, now: Timestamp) {
        self.woken = Some(now);
    }

    /// Whether a change was made again within an hour, so that the next one waits.
    pub fn has_repeated(&self) -> bool {
        self.made.0.iter().any(|made| made.count > 1)
    }

    /// Records that a change is sent.
    pub fn sends(&mut self, change: &Change, want: String, now: Timestamp) {
        let attribute = change.attribute().name();
        let before = self.made.get(attribute).cloned();
        self.counts(attribute, change.action(), want.clone(), now);
        self.under_way = Some(Box::new(UnderWay { attribute, action: change.action(), want, before }));
    }

    /// Records that an ENI that came loose was attached again.
    pub fn attached_again(&mut self, now: Timestamp) {
        self.counts(ATTACHMENT, Call::Attach.action(), String::new(), now);
    }

    /// Records that an ENI was detached again while its ENIAttachment is being deleted: the Detach before had no effect,
    /// or somebody attached the ENI.
    pub fn detached_again(&mut self, now: Timestamp) {
        self.counts(DETACHMENT, Call::Detach.action(), String::new(), now);
    }

    /// Records that the ENI has a new attachment. Nobody undid what was set on the former one.
    pub fn new_attachment(&mut self) {
        self.made.remove(OF_THE_ATTACHMENT);
        self.made.remove(DETACHMENT);
        self.refused.retain(|(attribute, _), _| *attribute != OF_THE_ATTACHMENT);
    }

    fn counts(&mut self, attribute: &'static str, action: &'static str, want: String, now: Timestamp) {
        let again = self.made.get(attribute).filter(|made| made.want == want && now.duration_since(made.last) < LASTS);
        let count = again.map_or(1, |made| made.count.saturating_add(1));
        self.made.insert(Made { attribute, want, action, last: now, count });
    }

    /// Records that the change under way was made.
    pub fn succeeded(&mut self) {
        if let Some(change) = self.under_way.take() {
            self.refused.remove(&(change.attribute, change.action));
        }
    }

    /// Whether a change is under way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Records that the change under way was not made, so nobody undoes it.
    pub fn not_made(&mut self) {
        let Some(change) = &self.under_way else { return };
        match change.before.clone() {
            Some(before) => self.made.insert(before),
            None => self.made.remove(change.attribute),
        }
    }

    /// How the change under way was refused before. Removes that entry.
    pub fn refused_before(&mut self) -> Option<Failure> {
        let UnderWay { attribute, action, want, .. } = self.under_way.as_deref()?;
        self.refused.remove(&(*attribute, *action)).filter(|(refused, _)| refused == want).map(|(_, failure)| failure)
    }

    /// Records how the change under way failed.
    pub fn failed(&mut self, failure: Failure) {
        if let Some(change) = self.under_way.take() {
            self.refused.insert((change.attribute, change.action), (change.want, failure));
        }
    }

    /// How a change to this value was refused.
    pub fn refused(&self, change: &Change, want: &str) -> Option<&Failure> {
        self.refused
            .get(&(change.attribute().name(), change.action()))
            .filter(|(refused, _)| refused == want)
            .map(|(_, failure)| failure)
    }

    /// All refusals.
    pub fn all_refused(&self) -> impl Iterator<Item = &Failure> {
        self.refused.values().map(|(_, failure)| failure)
    }

    /// The last refusal of the call, for any attribute.
    pub fn last_refused(&self, call: Call) -> Option<&Failure> {
        self.all_refused().filter(|failure| failure.call == call).max_by_key(|failure| failure.at)
    }

    /// How often an attribute was changed to this value again within an hour, and when the next change may be sent.
    pub fn undone(&self, attribute: &str, want: &str, now: Timestamp) -> Option<(i32, Timestamp)> {
        let made = self.made.get(attribute)?;
        if made.want != want || now.duration_since(made.last) >= LASTS {
            return None;
        }
        let doublings = u32::try_from((made.count - 1).clamp(0, 12)).unwrap_or(0);
        let doublings = if self.woken.is_some_and(|woken| woken > made.last) { 0 } else { doublings };
        let wait = SignedDuration::from_secs((1_i64 << doublings).min(MOST));
        Some((made.count, made.last.saturating_add(wait).unwrap_or(Timestamp::MAX)))
    }

    /// How often the ENI was attached again within an hour, and when the next Attach may be sent.
    pub fn detached(&self, now: Timestamp) -> Option<(i32, Timestamp)> {
        self.undone(ATTACHMENT, "", now)
    }

    /// How often the ENI was detached again while its ENIAttachment is being deleted, and when the next Detach may be
    /// sent.
    pub fn attached_by_others(&self, now: Timestamp) -> Option<(i32, Timestamp)> {
        self.undone(DETACHMENT, "", now)
    }

    /// The change that is undone repeatedly, if it is reported now.
    pub(super) fn undone_often(&self, now: Timestamp) -> Option<Undone> {
        let often = self.made.0.iter().filter(|made| made.count >= UNDONE_OFTEN);
        let reported = often.filter_map(|made| {
            let until = made.last.saturating_add(SAID_FOR).unwrap_or(Timestamp::MAX);
            (now < until).then_some(Undone { attribute: made.attribute, action: made.action, until })
        });
        reported.max_by_key(|undone| (undone.attribute == ATTACHMENT, undone.until))
    }
}
