//! What is to be looked at: each key once, now or at a time, and never while a call for it is on its way.

use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a reconciliation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A Node by name: `assign`.
    Node(String),
    /// An ENIAttachment by name: `step`.
    Attachment(String),
    /// A NodeENI by name: rollout, finalizer, `status`.
    NodeEni(String),
    /// The ENIs that no ENIAttachment knows.
    Orphans,
}

/// So many of those that nothing has changed for have theirs written at a time: the rest is for those that something has changed for.
const LATE_AT_ONCE: usize = NODES_AT_ONCE / 2;

/// So many Nodes have their objects written at a time: a NodeENI for thousands of nodes is no burst of thousands of requests.
pub const NODES_AT_ONCE: usize = 50;

/// What is decided from all Nodes' decisions waits no longer than this for Nodes whose writes wait for room: a status that
/// tells of half of them is better than none.
const HELD_BACK: SignedDuration = SignedDuration::from_secs(1);

/// Ordered sets, so that the same history gives the same order.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeSet<Key>,
    /// Nodes for which nothing has changed but the time: one whose writes failed is such a one. In the order in which they came due.
    late: VecDeque<Key>,
    due: BTreeSet<(Timestamp, Key)>,
    due_of: BTreeMap<Key, Timestamp>,
    busy: BTreeSet<Key>,
    again: BTreeSet<Key>,
    /// Nodes that are decided and have something to write, in the order in which they came: they wait for room.
    crowd: VecDeque<Key>,
    crowded: BTreeSet<Key>,
    now: Timestamp,
    /// Since when NodeENIs and orphans are held back.
    held_back: Option<Timestamp>,
}

impl Queue {
    /// Look at it as soon as possible.
    pub fn now(&mut self, key: Key) {
        if self.busy.contains(&key) {
            self.again.insert(key);
        } else {
            self.ready.insert(key);
        }
    }

    /// Look at it at a time, unless an earlier one is set.
    pub fn at(&mut self, key: Key, time: Timestamp) {
        if let Some(set) = self.due_of.get(&key).copied() {
            if set <= time {
                return;
            }
            self.due.remove(&(set, key.clone()));
        }
        self.due_of.insert(key.clone(), time);
        self.due.insert((time, key));
    }

    /// What has come due by now is ready; a Node behind all else, so that those whose writes hang hold up nobody.
    pub fn fall_due(&mut self, now: Timestamp) {
        self.now = now;
        while let Some((time, key)) = self.due.first().cloned() {
            if time > now {
                break;
            }
            self.due.remove(&(time, key.clone()));
            self.due_of.remove(&key);
            match key {
                Key::Node(_) if !self.busy.contains(&key) => self.late.push_back(key),
                Key::Node(_) | Key::Attachment(_) | Key::NodeEni(_) | Key::Orphans => self.now(key),
            }
        }
    }

    /// The next key that is ready: Nodes first, then ENIAttachments, and then what is decided from all Nodes' decisions. Every
    /// Node that is ready is decided, but only so many of them write at a time; while others wait for room NodeENIs and orphans
    /// are held back, so that a status is not written for each lot of Nodes, but not for long.
    pub fn pop(&mut self) -> Option<Key> {
        if !matches!(self.ready.first(), Some(Key::Node(_))) && !self.nodes_are_busy() {
            self.make_room();
        }
        if self.ready.is_empty() {
            self.admit_the_late();
        }
        if self.ready.first().is_some_and(depends_on_all) {
            if self.crowd.is_empty() {
                self.held_back = None;
            } else {
                let since = *self.held_back.get_or_insert(self.now);
                if self.now.duration_since(since) < HELD_BACK {
                    return None;
                }
            }
        } else if self.ready.is_empty() {
            self.held_back = None;
        }
        self.ready.pop_first()
    }

    /// A Node has something to write. True: it must wait, since as many as may be do so now; then it is ready again when there
    /// is room.
    pub fn waits_for_room(&mut self, key: &Key) -> bool {
        let waits = self.nodes_are_busy();
        if waits && self.crowded.insert(key.clone()) {
            self.crowd.push_back(key.clone());
        }
        waits
    }

    /// There is room for one more.
    fn make_room(&mut self) {
        if let Some(next) = self.crowd.pop_front() {
            self.crowded.remove(&next);
            self.now(next);
        }
    }

    /// Several at once, for what all Nodes' decisions decide is looked at after each lot.
    fn admit_the_late(&mut self) {
        for _ in self.busy_nodes()..LATE_AT_ONCE {
            let Some(key) = self.late.pop_front() else { return };
            self.now(key);
        }
    }

    fn nodes_are_busy(&self) -> bool {
        self.busy_nodes() == NODES_AT_ONCE
    }

    /// How many Nodes are busy; more than may be are not counted.
    fn busy_nodes(&self) -> usize {
        self.busy.range(..Key::Attachment(String::new())).take(NODES_AT_ONCE).count()
    }

    /// When the next key comes due, or is held back no longer.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(time, _)| *time);
        let held_back = self.held_back.map(|since| since.saturating_add(HELD_BACK).unwrap_or(Timestamp::MAX));
        due.into_iter().chain(held_back).min()
    }

    /// A call for it is on its way: it is not looked at until the call has ended.
    pub fn busy(&mut self, key: Key) {
        self.busy.insert(key);
    }

    /// Its call has ended: look again.
    pub fn done(&mut self, key: &Key) {
        self.busy.remove(key);
        self.again.remove(key);
        self.ready.insert(key.clone());
    }

    /// Forgets a key whose object is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(time) = self.due_of.remove(key) {
            self.due.remove(&(time, key.clone()));
        }
    }

    /// Keys waiting to be looked at or with a call on its way.
    pub fn len(&self) -> usize {
        self.ready.len() + self.late.len() + self.crowd.len() + self.busy.len()
    }

    /// Nothing to look at now and nothing on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What all Nodes' decisions decide.
fn depends_on_all(key: &Key) -> bool {
    matches!(key, Key::NodeEni(_) | Key::Orphans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &mut Queue, now: Timestamp) -> Option<Key> {
        queue.fall_due(now);
        queue.pop()
    }

    #[test]
    fn all_nodes_are_decided_and_those_beyond_room_wait_and_what_needs_all_of_them_too() {
        let mut queue = Queue::default();
        let node = |n: usize| Key::Node(format!("n{n:03}"));
        let (attachment, nodeeni) = (Key::Attachment("a".into()), Key::NodeEni("e".into()));
        (0..=NODES_AT_ONCE).for_each(|n| queue.now(node(n)));
        [attachment.clone(), nodeeni.clone(), Key::Orphans].into_iter().for_each(|key| queue.now(key));
        for n in 0..=NODES_AT_ONCE {
            assert_eq!(queue.pop(), Some(node(n)));
            match queue.waits_for_room(&node(n)) {
                true => assert_eq!(n, NODES_AT_ONCE),
                false => queue.busy(node(n)),
            }
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(attachment), None));
        queue.done(&node(7));
        assert_eq!(queue.pop(), Some(node(7)), "nothing is left to write for it: it is not busy any more");
        assert_eq!(queue.pop(), Some(node(NODES_AT_ONCE)));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(nodeeni), Some(Key::Orphans), None));
    }

    #[test]
    fn nodes_that_wait_for_room_hold_a_status_back_for_a_second_and_no_longer() {
        let mut queue = Queue::default();
        let at = |ms: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms);
        let (node, nodeeni) = (|n: usize| Key::Node(format!("n{n:05}")), Key::NodeEni("e".into()));
        queue.fall_due(at(0));
        (0..5000).for_each(|n| queue.now(node(n)));
        queue.now(nodeeni.clone());
        let (mut told, mut ended) = (Vec::new(), 0);
        // Each write takes 20 ms and changes the NodeENI's status.
        for ms in (0..2000).step_by(20) {
            queue.fall_due(at(ms));
            let busy: Vec<Key> = queue.busy.iter().cloned().collect();
            ended += busy.len();
            busy.iter().for_each(|key| queue.done(key));
            queue.now(nodeeni.clone());
            while let Some(key) = queue.pop() {
                match key {
                    Key::NodeEni(_) => told.push(ms),
                    // It was written already.
                    key if busy.contains(&key) => {}
                    key if queue.waits_for_room(&key) => {}
                    key => queue.busy(key),
                }
            }
        }
        assert!(told.first().is_some_and(|ms| *ms == 1000), "{told:?}");
        assert!(ended > 4800, "{ended}");
        assert!(queue.next_due().is_none() || queue.next_due() > Some(at(1000)));
    }

    #[test]
    fn who_came_to_write_by_another_way_takes_nobodys_room() {
        let mut queue = Queue::default();
        let node = |n: usize| Key::Node(format!("n{n:03}"));
        (0..NODES_AT_ONCE).for_each(|n| queue.busy(node(n)));
        assert!([70, 71].iter().all(|n| queue.waits_for_room(&node(*n))));
        queue.done(&node(0));
        queue.now(node(70));
        assert_eq!(queue.pop(), Some(node(0)));
        assert_eq!(queue.pop(), Some(node(70)), "there is nothing to write for it any more");
        assert_eq!((queue.pop(), queue.pop()), (Some(node(70)), Some(node(71))));
    }

    #[test]
    fn nodes_whose_writes_hang_hold_up_nobody_else() {
        let mut queue = Queue::default();
        let (node, at) = (|n: usize| Key::Node(format!("n{n:03}")), Timestamp::UNIX_EPOCH);
        let many = NODES_AT_ONCE + 20;
        (0..many).for_each(|n| queue.at(node(n), at));
        queue.fall_due(at);
        let changed = [node(many), Key::NodeEni("e".into()), Key::Orphans];
        let served = |queue: &mut Queue| {
            changed.iter().for_each(|key| queue.now(key.clone()));
            changed.iter().all(|key| queue.pop().as_ref() == Some(key))
        };
        assert!(served(&mut queue), "what changed goes before what is tried again");
        for n in 0..LATE_AT_ONCE {
            assert_eq!(queue.pop(), Some(node(n)));
            queue.busy(node(n));
        }
        assert_eq!(queue.pop(), None, "the others are for those that something has changed for");
        assert!(served(&mut queue));
        queue.done(&node(0));
        assert_eq!(queue.pop(), Some(node(0)), "it is decided that it waits");
        queue.at(node(0), at);
        queue.fall_due(at);
        assert_eq!(queue.pop(), Some(node(LATE_AT_ONCE)), "who failed goes behind those who have not been tried");
    }

    #[test]
    fn a_busy_key_waits_and_an_earlier_time_wins() {
        let mut queue = Queue::default();
        let key = Key::Node("n".into());
        let at = |s: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(s);
        queue.now(key.clone());
        queue.now(key.clone());
        assert_eq!(next(&mut queue, at(0)), Some(key.clone()));
        queue.busy(key.clone());
        queue.now(key.clone());
        assert_eq!(next(&mut queue, at(0)), None);
        queue.done(&key);
        assert_eq!(next(&mut queue, at(0)), Some(key.clone()));
        queue.at(key.clone(), at(10));
        queue.at(key.clone(), at(5));
        queue.at(key.clone(), at(7));
        assert_eq!((next(&mut queue, at(4)), queue.next_due()), (None, Some(at(5))));
        assert_eq!((next(&mut queue, at(5)), queue.next_due()), (Some(key), None));
    }
}
