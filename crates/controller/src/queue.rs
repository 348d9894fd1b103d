//! What is to be looked at: each key once, now or at a time, and never while a call for it is on its way.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a reconciliation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A Node by name: `assign`.
    Node(String),
    /// An ENIAttachment by name: `step`.
    Attachment(String),
    /// A NodeENI by name: rollout, finalizer, `fold`.
    NodeEni(String),
    /// The ENIs that no ENIAttachment knows.
    Orphans,
}

/// So many of those that nothing has changed for have theirs written at a time: the rest is for those that something has changed for.
const LATE_AT_ONCE: usize = NODES_AT_ONCE / 2;

/// So many Nodes have their objects written at a time: a NodeENI for thousands of nodes is no burst of thousands of requests.
pub const NODES_AT_ONCE: usize = 50;

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

    /// The next key that is ready: Nodes first. While as many of them are busy as may be, the others wait, and with them whatever is
    /// decided from all Nodes' decisions.
    pub fn pop(&mut self) -> Option<Key> {
        if self.ready.is_empty() {
            self.admit_the_late();
        }
        let first = self.ready.first()?;
        if matches!(first, Key::Node(_)) && self.nodes_are_busy() {
            let attachments = Key::Attachment(String::new())..Key::NodeEni(String::new());
            let key = self.ready.range(attachments).next()?.clone();
            return self.ready.take(&key);
        }
        self.ready.pop_first()
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

    /// When the next key comes due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(time, _)| *time)
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

    /// Not before that time: what is ready is moved there.
    pub fn put_off(&mut self, key: &Key, time: Timestamp) {
        self.ready.remove(key);
        self.late.retain(|late| late != key);
        self.at(key.clone(), time);
    }

    /// Forgets a key whose object is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(time) = self.due_of.remove(key) {
            self.due.remove(&(time, key.clone()));
        }
    }

    /// Keys waiting to be looked at or with a call on its way.
    pub fn len(&self) -> usize {
        self.ready.len() + self.late.len() + self.busy.len()
    }

    /// Nothing to look at now and nothing on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &mut Queue, now: Timestamp) -> Option<Key> {
        queue.fall_due(now);
        queue.pop()
    }

    #[test]
    fn nodes_beyond_those_that_may_be_busy_wait_and_what_needs_all_of_them_too() {
        let mut queue = Queue::default();
        let node = |n: usize| Key::Node(format!("n{n:03}"));
        let (attachment, nodeeni) = (Key::Attachment("a".into()), Key::NodeEni("e".into()));
        (0..=NODES_AT_ONCE).for_each(|n| queue.now(node(n)));
        [attachment.clone(), nodeeni.clone(), Key::Orphans].into_iter().for_each(|key| queue.now(key));
        for n in 0..NODES_AT_ONCE {
            assert_eq!(queue.pop(), Some(node(n)));
            queue.busy(node(n));
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(attachment), None));
        queue.done(&node(7));
        assert_eq!(queue.pop(), Some(node(7)), "nothing was written for it: it is not busy any more");
        assert_eq!(queue.pop(), Some(node(NODES_AT_ONCE)));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(nodeeni), Some(Key::Orphans), None));
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
        queue.put_off(&node(0), at);
        queue.fall_due(at);
        assert_eq!(queue.pop(), Some(node(LATE_AT_ONCE)), "who failed goes behind those who have not been tried");
    }

    #[test]
    fn a_pause_is_kept_by_who_came_due_meanwhile() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(s);
        let key = Key::Node("n".into());
        for busy_before_it_is_due in [true, false] {
            let mut queue = Queue::default();
            queue.at(key.clone(), at(1));
            if busy_before_it_is_due {
                queue.busy(key.clone());
            }
            queue.fall_due(at(1));
            queue.busy(key.clone());
            queue.done(&key);
            queue.put_off(&key, at(9));
            assert_eq!((next(&mut queue, at(8)), next(&mut queue, at(9))), (None, Some(key.clone())));
        }
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
