//! Eventual consistency: what a read shows of an interface that has just changed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::Eni;

/// Past states are kept this long even without lag, for [`super::Fault::StaleRead`].
const KEPT: SignedDuration = SignedDuration::from_secs(300);

/// What interfaces were before each of their recent changes.
#[derive(Debug, Default)]
pub(super) struct History {
    changes: BTreeMap<String, Vec<Change>>,
    pruned: Option<Timestamp>,
}

#[derive(Debug)]
struct Change {
    at: Timestamp,
    visible_at: Timestamp,
    before: Option<Eni>,
}

/// Which of its states a read shows of an interface.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// The newest state that has become visible by this time; never goes back.
    Settled(Timestamp),
    /// The true state of this earlier time.
    AsOf(Timestamp),
}

impl History {
    /// Notes a change; it becomes visible no sooner than the changes before it.
    pub fn note(&mut self, id: &str, before: Option<Eni>, at: Timestamp, visible_at: Timestamp) {
        let changes = self.changes.entry(id.to_owned()).or_default();
        let visible_at = changes.last().map_or(visible_at, |last| visible_at.max(last.visible_at));
        changes.push(Change { at, visible_at, before });
    }

    /// What a read shows of this interface, whose true state is `truth`.
    pub fn shown<'a>(&'a self, id: &str, truth: Option<&'a Eni>, view: View) -> Option<&'a Eni> {
        self.outdated(id, view).unwrap_or(truth)
    }

    /// What a read shows of this interface where that is not the truth.
    pub fn outdated(&self, id: &str, view: View) -> Option<Option<&Eni>> {
        let changes = self.changes.get(id).map_or(&[][..], Vec::as_slice);
        let hidden = changes.iter().find(|change| match view {
            View::Settled(now) => change.visible_at > now,
            View::AsOf(then) => change.at > then,
        });
        hidden.map(|change| change.before.as_ref())
    }

    /// Interfaces with recent changes, deleted ones among them.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.changes.keys().map(String::as_str)
    }

    /// Forgets what no read can show any more.
    pub fn prune(&mut self, now: Timestamp) {
        if self.pruned.is_some_and(|last| now.duration_since(last) < KEPT) {
            return;
        }
        self.pruned = Some(now);
        self.changes.retain(|_, changes| {
            changes.retain(|change| change.visible_at > now || now.duration_since(change.at) <= KEPT);
            !changes.is_empty()
        });
    }
}
