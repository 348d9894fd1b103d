//! Eventual consistency: which state of an interface a read shows after a change.
//!
//! [`History`] keeps the former states. When a change becomes visible is decided by the caller.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::Eni;

/// Former states are kept this long even without lag, for [`super::Fault::StaleRead`].
const KEPT: SignedDuration = SignedDuration::from_secs(300);

/// The states of interfaces before each of their recent changes.
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

/// Which state of an interface a read shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// The newest state that is visible by this time. Later reads never show an older one.
    Settled(Timestamp),
    /// The state at this earlier time.
    AsOf(Timestamp),
}

impl History {
    /// Records a change. It becomes visible no sooner than the changes before it.
    pub fn record(&mut self, id: &str, before: Option<Eni>, at: Timestamp, visible_at: Timestamp) {
        let changes = self.changes.entry(id.to_owned()).or_default();
        let visible_at = changes.last().map_or(visible_at, |last| visible_at.max(last.visible_at));
        changes.push(Change { at, visible_at, before });
    }

    /// The state that a read shows of this interface, whose current state is `current`.
    pub fn shown<'a>(&'a self, id: &str, current: Option<&'a Eni>, view: View) -> Option<&'a Eni> {
        self.outdated(id, view).unwrap_or(current)
    }

    /// The state that a read shows of this interface, if it is not the current one.
    pub fn outdated(&self, id: &str, view: View) -> Option<Option<&Eni>> {
        let changes = self.changes.get(id).map_or(&[][..], Vec::as_slice);
        let hidden = changes.iter().find(|change| match view {
            View::Settled(now) => change.visible_at > now,
            View::AsOf(then) => change.at > then,
        });
        hidden.map(|change| change.before.as_ref())
    }

    /// Interfaces with recent changes, deleted ones included.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.changes.keys().map(String::as_str)
    }

    /// Drops the states that no read can show any more.
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
