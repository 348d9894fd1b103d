//! What a process remembers of the changes in place that it made to one ENI: which were refused, and which do not last.

use super::change::Change;
use crate::ec2_errors::Call;
use crate::failure::{Failure, MOST};
use crate::nodeeni::EniSpec;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What is set on an attachment, and ends with it.
pub(super) const OF_THE_ATTACHMENT: &str = "deleteOnTermination";
/// An ENI that came loose is attached again.
pub(super) const ATTACHMENT: &str = "attachment";
/// An ENI on its way out that is attached although it was detached is detached again.
const DETACHMENT: &str = "detachment";
/// A change that is there for so long was not undone.
const LASTS: SignedDuration = SignedDuration::from_hours(1);
/// From so many within the hour on it is said.
pub(super) const UNDONE_OFTEN: i32 = 4;
/// For so long after the last time.
const SAID_FOR: SignedDuration = SignedDuration::from_mins(15);

/// Changes of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    /// What was asked for.
    want: String,
    action: &'static str,
    last: Timestamp,
    /// How many came within an hour of the one before, for the same.
    count: i32,
}

/// A change on its way, and what was known of its attribute before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    attribute: &'static str,
    action: &'static str,
    want: String,
    before: Option<Made>,
}

/// Changes in place of one ENI, by attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RepairHistory {
    made: BTreeMap<&'static str, Made>,
    /// By attribute and action: tags are set by one and taken away by another.
    refused: BTreeMap<(&'static str, &'static str), (String, Failure)>,
    under_way: Option<UnderWay>,
}

/// Something that somebody else undoes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undone {
    /// What.
    pub attribute: &'static str,
    /// The EC2 action that puts it right.
    pub action: &'static str,
    /// Until when that is said.
    pub until: Timestamp,
}

/// What is asked for of an attribute: an edit of it is no repair.
pub(super) fn want(change: &Change, spec: Option<&EniSpec>) -> String {
    match change {
        Change::Tags(_) | Change::Untag(_) => format!("{:?}", spec.map(|spec| &spec.tags)),
        Change::DeleteOnTermination { .. }
        | Change::Groups(_)
        | Change::Description(_)
        | Change::SourceDestCheck(_) => change.to_string(),
    }
}

impl RepairHistory {
    /// A change is sent.
    pub fn sends(&mut self, change: &Change, want: String, now: Timestamp) {
        let attribute = change.attribute();
        let before = self.made.get(attribute).cloned();
        self.counts(attribute, change.action(), want.clone(), now);
        self.under_way = Some(UnderWay { attribute, action: change.action(), want, before });
    }

    /// An ENI that came loose was attached again.
    pub fn attached_again(&mut self, now: Timestamp) {
        self.counts(ATTACHMENT, Call::Attach.action(), String::new(), now);
    }

    /// An ENI on its way out was detached again: the Detach before came to nothing, or somebody attached it.
    pub fn detached_again(&mut self, now: Timestamp) {
        self.counts(DETACHMENT, Call::Detach.action(), String::new(), now);
    }

    /// It has another attachment: what is set on that was undone by nobody.
    pub fn new_attachment(&mut self) {
        self.made.remove(OF_THE_ATTACHMENT);
        self.made.remove(DETACHMENT);
        self.refused.retain(|(attribute, _), _| *attribute != OF_THE_ATTACHMENT);
    }

    fn counts(&mut self, attribute: &'static str, action: &'static str, want: String, now: Timestamp) {
        let again = self.made.get(attribute).filter(|made| made.want == want && now.duration_since(made.last) < LASTS);
        let count = again.map_or(1, |made| made.count.saturating_add(1));
        self.made.insert(attribute, Made { want, action, last: now, count });
    }

    /// The change on its way was made.
    pub fn succeeded(&mut self) {
        if let Some(UnderWay { attribute, action, .. }) = self.under_way.take() {
            self.refused.remove(&(attribute, action));
        }
    }

    /// A change is on its way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// The change on its way was not made, so nobody undoes it.
    pub fn not_made(&mut self) {
        let Some(UnderWay { attribute, before, .. }) = &self.under_way else { return };
        match before.clone() {
            Some(before) => drop(self.made.insert(attribute, before)),
            None => drop(self.made.remove(attribute)),
        }
    }

    /// How the change on its way was refused before.
    pub fn refused_before(&mut self) -> Option<Failure> {
        let UnderWay { attribute, action, want, .. } = self.under_way.as_ref()?;
        self.refused.remove(&(*attribute, *action)).filter(|(refused, _)| refused == want).map(|(_, failure)| failure)
    }

    /// What the change on its way was answered.
    pub fn failed(&mut self, failure: Failure) {
        if let Some(UnderWay { attribute, action, want, .. }) = self.under_way.take() {
            self.refused.insert((attribute, action), (want, failure));
        }
    }

    /// How a change to this was refused.
    pub fn refused(&self, change: &Change, want: &str) -> Option<&Failure> {
        self.refused
            .get(&(change.attribute(), change.action()))
            .filter(|(refused, _)| refused == want)
            .map(|(_, failure)| failure)
    }

    /// All refusals.
    pub fn all_refused(&self) -> impl Iterator<Item = &Failure> {
        self.refused.values().map(|(_, failure)| failure)
    }

    /// The last refusal of the call, of whatever attribute.
    pub fn last_refused(&self, call: Call) -> Option<&Failure> {
        self.all_refused().filter(|failure| failure.call == call).max_by_key(|failure| failure.at)
    }

    /// How often an attribute was changed to this again although it had been within the hour, and when the next time may be.
    pub fn undone(&self, attribute: &str, want: &str, now: Timestamp) -> Option<(i32, Timestamp)> {
        let made = self.made.get(attribute)?;
        if made.want != want || now.duration_since(made.last) >= LASTS {
            return None;
        }
        let doublings = u32::try_from((made.count - 1).clamp(0, 12)).unwrap_or(0);
        let wait = SignedDuration::from_secs((1_i64 << doublings).min(MOST));
        Some((made.count, made.last.saturating_add(wait).unwrap_or(Timestamp::MAX)))
    }

    /// The same of the attachment itself.
    pub fn detached(&self, now: Timestamp) -> Option<(i32, Timestamp)> {
        self.undone(ATTACHMENT, "", now)
    }

    /// How often an ENI on its way out was detached again, and when the next time may be.
    pub fn attached_by_others(&self, now: Timestamp) -> Option<(i32, Timestamp)> {
        self.undone(DETACHMENT, "", now)
    }

    /// What is undone again and again, if that is said now.
    pub(super) fn undone_often(&self, now: Timestamp) -> Option<Undone> {
        let often = self.made.iter().filter(|(_, made)| made.count >= UNDONE_OFTEN);
        let said = often.filter_map(|(attribute, made)| {
            let until = made.last.saturating_add(SAID_FOR).unwrap_or(Timestamp::MAX);
            (now < until).then_some(Undone { attribute, action: made.action, until })
        });
        said.max_by_key(|undone| (undone.attribute == ATTACHMENT, undone.until))
    }
}
