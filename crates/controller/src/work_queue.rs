//! The work queue: the keys to reconcile, each once, now or at a time, and never while a call for the key is under way. It limits
//! how many Nodes write at a time. It does not know what a key's reconciliation does.

use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The object that a reconciliation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A Node, by name: `assign` decides.
    Node(String),
    /// An ENIAttachment, by name: `lifecycle::step` decides.
    Attachment(String),
    /// A NodeENI, by name: rollout, finalizer and status.
    NodeEni(String),
    /// The ENIs without an ENIAttachment.
    Orphans,
}

impl Key {
    /// The kinds, as [`kind`](Self::kind) names them.
    const KINDS: [&'static str; 4] = ["Node", "ENIAttachment", "NodeENI", "Orphans"];

    /// The kind of the object, for metrics.
    pub fn kind(&self) -> &'static str {
        let [node, attachment, nodeeni, orphans] = Self::KINDS;
        match self {
            Self::Node(_) => node,
            Self::Attachment(_) => attachment,
            Self::NodeEni(_) => nodeeni,
            Self::Orphans => orphans,
        }
    }
}

/// While this many Nodes write, no further Node becomes ready by a timer alone. The rest of [`NODES_AT_ONCE`] is reserved for
/// Nodes that something changed for.
const DUE_NODES_AT_ONCE: usize = NODES_AT_ONCE / 2;

/// How many Nodes may write at a time, so that a NodeENI for thousands of nodes does not cause thousands of requests at once.
pub const NODES_AT_ONCE: usize = 50;

/// How long NodeENIs and orphans wait at most for Nodes whose writes wait for room. After this time a status of half of the Nodes
/// is better than none.
const HELD_BACK: SignedDuration = SignedDuration::from_secs(1);

/// The queue. Its sets are ordered, so that the same input gives the same order of keys.
#[derive(Debug, Default)]
pub struct Queue {
    /// Since when each key is ready.
    ready: BTreeMap<Key, Timestamp>,
    /// Nodes that became ready by a timer alone, for example after a failed write, in the order in which they became due.
    due_nodes: VecDeque<Key>,
    due: BTreeSet<(Timestamp, Key)>,
    due_of: BTreeMap<Key, Timestamp>,
    /// Since when a call for each key is under way.
    busy: BTreeMap<Key, Timestamp>,
    /// Nodes that are decided and must wait until fewer Nodes write, in the order in which they came.
    waiting: VecDeque<Key>,
    /// Since when each of those waits.
    waiting_keys: BTreeMap<Key, Timestamp>,
    now: Timestamp,
    /// Since when NodeENIs and orphans are held back.
    held_back: Option<Timestamp>,
}

impl Queue {
    /// Adds a key that is ready at once.
    pub fn add(&mut self, key: Key) {
        if !self.busy.contains_key(&key) {
            self.ready.entry(key).or_insert(self.now);
        }
    }

    /// Adds a key for a time. An earlier time that is set already stays.
    pub fn add_at(&mut self, key: Key, time: Timestamp) {
        if let Some(set) = self.due_of.get(&key).copied() {
            if set <= time {
                return;
            }
            self.due.remove(&(set, key.clone()));
        }
        self.due_of.insert(key.clone(), time);
        self.due.insert((time, key));
    }

    /// Moves keys that are due by now to the ready ones. A Node comes behind all keys that changed, so that Nodes whose writes
    /// hang do not delay other keys.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = now;
        while let Some((time, key)) = self.due.first().cloned() {
            if time > now {
                break;
            }
            self.due.remove(&(time, key.clone()));
            self.due_of.remove(&key);
            match key {
                Key::Node(_) if !self.busy.contains_key(&key) => self.due_nodes.push_back(key),
                Key::Node(_) | Key::Attachment(_) | Key::NodeEni(_) | Key::Orphans => self.add(key),
            }
        }
    }

    /// The next ready key: Nodes first, then ENIAttachments, then NodeENIs and orphans, which are decided from the decisions of
    /// all Nodes. Every ready Node is decided, but only a limited number write at a time. While Nodes wait for room, NodeENIs and
    /// orphans are held back for a short time, so that a status is not written for each batch of Nodes.
    pub fn pop(&mut self) -> Option<Key> {
        if !matches!(self.first_ready(), Some(Key::Node(_))) && !self.nodes_are_busy() {
            self.admit_waiting();
        }
        if self.ready.is_empty() {
            self.admit_due_nodes();
        }
        if self.first_ready().is_some_and(depends_on_all) {
            if self.waiting.is_empty() {
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
        self.ready.pop_first().map(|(key, _)| key)
    }

    fn first_ready(&self) -> Option<&Key> {
        self.ready.first_key_value().map(|(key, _)| key)
    }

    /// A Node has something to write. True: too many Nodes are writing, so this one must wait; it becomes ready again when there
    /// is room.
    pub fn waits_for_room(&mut self, key: &Key) -> bool {
        let waits = self.nodes_are_busy();
        if waits && !self.waiting_keys.contains_key(key) {
            self.waiting_keys.insert(key.clone(), self.now);
            self.waiting.push_back(key.clone());
        }
        waits
    }

    /// Makes the first waiting Node ready.
    fn admit_waiting(&mut self) {
        if let Some(next) = self.waiting.pop_front() {
            self.waiting_keys.remove(&next);
            self.add(next);
        }
    }

    /// Makes several due Nodes ready at once, because NodeENIs are decided after each batch.
    fn admit_due_nodes(&mut self) {
        for _ in self.busy_nodes()..DUE_NODES_AT_ONCE {
            let Some(key) = self.due_nodes.pop_front() else { return };
            self.add(key);
        }
    }

    fn nodes_are_busy(&self) -> bool {
        self.busy_nodes() == NODES_AT_ONCE
    }

    /// How many Nodes are writing, counted up to the limit.
    fn busy_nodes(&self) -> usize {
        self.busy.range(..Key::Attachment(String::new())).take(NODES_AT_ONCE).count()
    }

    /// When the next key is due, or when a held-back key is released.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(time, _)| *time);
        let held_back = self.held_back.map(|since| since.saturating_add(HELD_BACK).unwrap_or(Timestamp::MAX));
        due.into_iter().chain(held_back).min()
    }

    /// Marks that a call for this key is under way: the key is not returned until the call has ended, also if a change has made it ready
    /// since it was returned.
    pub fn busy(&mut self, key: Key) {
        self.ready.remove(&key);
        self.busy.insert(key, self.now);
    }

    /// Marks that the call for this key has ended: the key is ready again.
    pub fn done(&mut self, key: &Key) {
        self.busy.remove(key);
        self.ready.entry(key.clone()).or_insert(self.now);
    }

    /// Removes the timer of a key whose object is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(time) = self.due_of.remove(key) {
            self.due.remove(&(time, key.clone()));
        }
    }

    /// How many keys are ready or have a call under way.
    pub fn len(&self) -> usize {
        self.ready.len() + self.due_nodes.len() + self.waiting.len() + self.busy.len()
    }

    /// How many keys of each kind are ready, wait for room, or have a call under way.
    pub fn depths(&self) -> [(&'static str, usize); 4] {
        let mut depths = Key::KINDS.map(|kind| (kind, 0));
        let keys = self.ready.keys().chain(self.busy.keys()).chain(&self.due_nodes).chain(&self.waiting);
        for key in keys {
            if let Some((_, depth)) = depths.iter_mut().find(|(kind, _)| *kind == key.kind()) {
                *depth += 1;
            }
        }
        depths
    }

    /// Since when the oldest key of each kind is ready, waits for room, or has a call under way.
    pub fn oldest(&self) -> [(&'static str, Option<Timestamp>); 4] {
        let mut oldest = Key::KINDS.map(|kind| (kind, None));
        for (key, since) in self.ready.iter().chain(&self.busy).chain(&self.waiting_keys) {
            if let Some((_, known)) = oldest.iter_mut().find(|(kind, _)| *kind == key.kind()) {
                *known = Some(known.map_or(*since, |known: Timestamp| known.min(*since)));
            }
        }
        oldest
    }

    /// Whether no key is ready and no call is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether the key is decided from the decisions of all Nodes.
pub(crate) fn depends_on_all(key: &Key) -> bool {
    matches!(key, Key::NodeEni(_) | Key::Orphans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &mut Queue, now: Timestamp) -> Option<Key> {
        queue.advance_to(now);
        queue.pop()
    }

    #[test]
    fn all_nodes_are_decided_but_nodes_beyond_the_limit_and_nodeenis_wait() {
        let mut queue = Queue::default();
        let node = |n: usize| Key::Node(format!("n{n:03}"));
        let (attachment, nodeeni) = (Key::Attachment("a".into()), Key::NodeEni("e".into()));
        (0..=NODES_AT_ONCE).for_each(|n| queue.add(node(n)));
        [attachment.clone(), nodeeni.clone(), Key::Orphans].into_iter().for_each(|key| queue.add(key));
        for n in 0..=NODES_AT_ONCE {
            assert_eq!(queue.pop(), Some(node(n)));
            match queue.waits_for_room(&node(n)) {
                true => assert_eq!(n, NODES_AT_ONCE),
                false => queue.busy(node(n)),
            }
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(attachment), None));
        queue.done(&node(7));
        assert_eq!(queue.pop(), Some(node(7)), "nothing is left to write for it");
        assert_eq!(queue.pop(), Some(node(NODES_AT_ONCE)));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(nodeeni), Some(Key::Orphans), None));
    }

    /// An answer that comes between the decision and its call makes the key ready once more.
    #[test]
    fn a_key_with_a_call_under_way_is_not_returned_although_a_change_came_before_the_call() {
        let (mut queue, nodeeni) = (Queue::default(), Key::NodeEni("e".into()));
        queue.add(nodeeni.clone());
        assert_eq!(queue.pop().as_ref(), Some(&nodeeni));
        queue.add(nodeeni.clone());
        queue.busy(nodeeni.clone());
        assert_eq!(queue.pop(), None);
        queue.done(&nodeeni);
        assert_eq!((queue.pop(), queue.pop()), (Some(nodeeni), None));
    }

    #[test]
    fn waiting_nodes_hold_a_status_back_for_at_most_a_second() {
        let mut queue = Queue::default();
        let at = |ms: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms);
        let (node, nodeeni) = (|n: usize| Key::Node(format!("n{n:05}")), Key::NodeEni("e".into()));
        queue.advance_to(at(0));
        (0..5000).for_each(|n| queue.add(node(n)));
        queue.add(nodeeni.clone());
        let (mut reported, mut ended) = (Vec::new(), 0);
        // Each write takes 20 ms and changes the status of the NodeENI.
        for ms in (0..2000).step_by(20) {
            queue.advance_to(at(ms));
            let busy: Vec<Key> = queue.busy.keys().cloned().collect();
            ended += busy.len();
            busy.iter().for_each(|key| queue.done(key));
            queue.add(nodeeni.clone());
            while let Some(key) = queue.pop() {
                match key {
                    Key::NodeEni(_) => reported.push(ms),
                    // The write of this Node has just ended.
                    key if busy.contains(&key) => {}
                    key if queue.waits_for_room(&key) => {}
                    key => queue.busy(key),
                }
            }
        }
        assert!(reported.first().is_some_and(|ms| *ms == 1000), "{reported:?}");
        assert!(ended > 4800, "{ended}");
        assert!(queue.next_due().is_none() || queue.next_due() > Some(at(1000)));
    }

    #[test]
    fn a_node_that_needs_no_write_any_more_leaves_its_room_to_the_next() {
        let mut queue = Queue::default();
        let node = |n: usize| Key::Node(format!("n{n:03}"));
        (0..NODES_AT_ONCE).for_each(|n| queue.busy(node(n)));
        assert!([70, 71].iter().all(|n| queue.waits_for_room(&node(*n))));
        queue.done(&node(0));
        queue.add(node(70));
        assert_eq!(queue.pop(), Some(node(0)));
        assert_eq!(queue.pop(), Some(node(70)), "nothing is left to write for it");
        assert_eq!((queue.pop(), queue.pop()), (Some(node(70)), Some(node(71))));
    }

    #[test]
    fn nodes_whose_writes_hang_do_not_delay_other_keys() {
        let mut queue = Queue::default();
        let (node, at) = (|n: usize| Key::Node(format!("n{n:03}")), Timestamp::UNIX_EPOCH);
        let many = NODES_AT_ONCE + 20;
        (0..many).for_each(|n| queue.add_at(node(n), at));
        queue.advance_to(at);
        let changed = [node(many), Key::NodeEni("e".into()), Key::Orphans];
        let served = |queue: &mut Queue| {
            changed.iter().for_each(|key| queue.add(key.clone()));
            changed.iter().all(|key| queue.pop().as_ref() == Some(key))
        };
        assert!(served(&mut queue), "changed keys come before retries");
        for n in 0..DUE_NODES_AT_ONCE {
            assert_eq!(queue.pop(), Some(node(n)));
            queue.busy(node(n));
        }
        assert_eq!(queue.pop(), None, "the other places are for nodes that changed");
        assert!(served(&mut queue));
        queue.done(&node(0));
        assert_eq!(queue.pop(), Some(node(0)), "it is decided and must wait");
        queue.add_at(node(0), at);
        queue.advance_to(at);
        assert_eq!(
            queue.pop(),
            Some(node(DUE_NODES_AT_ONCE)),
            "a node that failed comes behind nodes that were not tried yet"
        );
    }

    #[test]
    fn a_busy_key_waits_and_an_earlier_time_wins() {
        let mut queue = Queue::default();
        let key = Key::Node("n".into());
        let at = |s: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(s);
        queue.add(key.clone());
        queue.add(key.clone());
        assert_eq!(next(&mut queue, at(0)), Some(key.clone()));
        queue.busy(key.clone());
        queue.add(key.clone());
        assert_eq!(next(&mut queue, at(0)), None);
        queue.done(&key);
        assert_eq!(next(&mut queue, at(0)), Some(key.clone()));
        queue.add_at(key.clone(), at(10));
        queue.add_at(key.clone(), at(5));
        queue.add_at(key.clone(), at(7));
        assert_eq!((next(&mut queue, at(4)), queue.next_due()), (None, Some(at(5))));
        assert_eq!((next(&mut queue, at(5)), queue.next_due()), (Some(key), None));
    }

    #[test]
    fn depths_are_counted_by_kind_and_the_oldest_key_is_known() {
        let mut queue = Queue::default();
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let oldest = |queue: &Queue| queue.oldest().map(|(_, since)| since);
        assert_eq!(oldest(&queue), [None; 4]);
        queue.advance_to(at(5));
        queue.add(Key::Attachment("a".into()));
        queue.advance_to(at(8));
        queue.add(Key::Attachment("a".into()));
        queue.add(Key::Orphans);
        queue.busy(Key::Node("n".into()));
        assert_eq!(queue.depths(), [("Node", 1), ("ENIAttachment", 1), ("NodeENI", 0), ("Orphans", 1)]);
        let is_kept = [Some(at(8)), Some(at(5)), None, Some(at(8))];
        assert_eq!(oldest(&queue), is_kept, "a key that is added again keeps its age");
        assert_eq!(queue.pop(), Some(Key::Attachment("a".into())));
        assert_eq!((queue.pop(), oldest(&queue)), (Some(Key::Orphans), [Some(at(8)), None, None, None]));
        queue.advance_to(at(9));
        queue.done(&Key::Node("n".into()));
        assert_eq!(oldest(&queue), [Some(at(9)), None, None, None]);
        let depths: usize = queue.depths().iter().map(|(_, depth)| depth).sum();
        assert_eq!(depths, queue.len());
    }
}
