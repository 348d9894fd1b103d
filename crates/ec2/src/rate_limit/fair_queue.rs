//! Who is served next, among those that wait for the same bucket. Pure.
//!
//! Flows take turns, so a NodeENI with a few nodes does not wait for one with thousands. In a flow who came first is served
//! first, but every fifth turn goes to whose work is the youngest: a single node that joins during a burst of 5,000 does not
//! wait for all of them, neither to create nor to attach, and the burst is slowed down by no more than that.

use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Every so many turns of a flow one goes to whose work is the youngest.
const LATECOMER: u32 = 5;

/// For whom a call is made.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    /// The UID of the NodeENI; empty for what is no NodeENI's, such as looks.
    pub flow: Arc<str>,
    /// Since when the work is there of which the call is a part.
    pub since: Timestamp,
    /// Nobody wants it any more: who still waits for a turn need not.
    pub withdrawn: CancellationToken,
}

impl Default for Ticket {
    fn default() -> Self {
        Self { flow: Arc::from(""), since: Timestamp::UNIX_EPOCH, withdrawn: CancellationToken::new() }
    }
}

/// Calls that wait for a token, in turn.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    flows: BTreeMap<Arc<str>, Waiting<T>>,
    turns: VecDeque<Arc<str>>,
    joined: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    /// In the order in which they came.
    waiters: BTreeMap<u64, (Timestamp, T)>,
    /// The youngest work last; of work that is as young, who came first.
    by_age: BTreeSet<(Timestamp, Reverse<u64>)>,
    served: u32,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), turns: VecDeque::new(), joined: 0 }
    }
}

impl<T> FairQueue<T> {
    /// One more waits, under the number that is answered.
    pub fn join(&mut self, ticket: &Ticket, waiter: T) -> u64 {
        let waiting = self.flows.entry(ticket.flow.clone()).or_insert_with(|| {
            self.turns.push_back(ticket.flow.clone());
            Waiting { waiters: BTreeMap::new(), by_age: BTreeSet::new(), served: 0 }
        });
        self.joined += 1;
        waiting.by_age.insert((ticket.since, Reverse(self.joined)));
        waiting.waiters.insert(self.joined, (ticket.since, waiter));
        self.joined
    }

    /// One waits no more, if it still did.
    pub fn leave(&mut self, ticket: &Ticket, number: u64) {
        let Some(waiting) = self.flows.get_mut(&ticket.flow) else { return };
        if let Some((since, _)) = waiting.waiters.remove(&number) {
            waiting.by_age.remove(&(since, Reverse(number)));
        }
        if waiting.waiters.is_empty() {
            self.flows.remove(&ticket.flow);
            self.turns.retain(|flow| *flow != ticket.flow);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.flows.values().map(|waiting| waiting.waiters.len()).sum()
    }

    /// How many wait, by flow.
    pub fn waiting(&self) -> BTreeMap<String, usize> {
        self.flows.iter().map(|(flow, waiting)| (flow.to_string(), waiting.waiters.len())).collect()
    }

    /// Whose turn it is; it waits no more.
    pub fn next(&mut self) -> Option<T> {
        let flow = self.turns.pop_front()?;
        let waiting = self.flows.get_mut(&flow)?;
        let waiter = waiting.next();
        if waiting.waiters.is_empty() {
            self.flows.remove(&flow);
        } else {
            self.turns.push_back(flow);
        }
        waiter
    }
}

impl<T> Waiting<T> {
    fn next(&mut self) -> Option<T> {
        self.served = self.served.wrapping_add(1);
        let number = match self.served % LATECOMER {
            0 => self.by_age.last().map(|(_, Reverse(number))| *number),
            _ => self.waiters.keys().next().copied(),
        };
        let number = number?;
        let (since, waiter) = self.waiters.remove(&number)?;
        self.by_age.remove(&(since, Reverse(number)));
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn ticket(flow: &str, since: i64) -> Ticket {
        Ticket {
            flow: Arc::from(flow),
            since: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(since),
            ..Ticket::default()
        }
    }

    fn queue(of: &[(&str, std::ops::Range<u32>)]) -> FairQueue<u32> {
        let mut queue = FairQueue::default();
        for (flow, waiters) in of {
            for waiter in waiters.clone() {
                queue.join(&ticket(flow, 0), waiter);
            }
        }
        queue
    }

    fn all(mut queue: FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn who_came_first_is_first_but_every_fifth_turn_is_the_youngest_works() {
        assert_eq!(all(queue(&[("a", 0..8)])), [0, 1, 2, 3, 4, 5, 6, 7], "of work as young who came first");
        let mut young = queue(&[("a", 0..6)]);
        // Not the last to come, but the youngest.
        young.join(&ticket("a", 9), 100);
        young.join(&ticket("a", 5), 101);
        assert_eq!(all(young), [0, 1, 2, 3, 100, 4, 5, 101]);
        assert_eq!(all(queue(&[])), [0; 0]);
    }

    #[test]
    fn who_leaves_is_not_served_and_a_flow_without_anybody_has_no_turn() {
        let mut queue = queue(&[("a", 0..2), ("b", 10..12)]);
        let number = queue.join(&ticket("c", 0), 20);
        queue.leave(&ticket("c", 0), number);
        queue.leave(&ticket("a", 0), 1);
        queue.leave(&ticket("a", 0), 1);
        assert_eq!(queue.waiting(), BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        assert_eq!(all(queue), [1, 10, 11]);
    }

    #[test]
    fn a_small_flow_does_not_wait_for_a_large_one() {
        let order = all(queue(&[("large", 0..1000), ("small", 1000..1010)]));
        let last_small = order.iter().rposition(|waiter| *waiter >= 1000);
        assert_eq!((order.len(), last_small), (1010, Some(19)));
    }

    #[test]
    fn a_latecomer_waits_for_five_turns_at_most_and_nobody_is_left_out() {
        let mut queue = queue(&[("a", 0..100)]);
        for _ in 0..7 {
            queue.next();
        }
        queue.join(&ticket("a", 1), 1000);
        // Work that is as old as the burst's comes after it without an end.
        let turns = (1..).find(|turn| {
            queue.join(&ticket("a", 0), 2000 + turn);
            queue.next() == Some(1000)
        });
        assert_eq!(turns, Some(3), "the tenth turn");
        assert_eq!(all(queue).len(), 100 - 9 + 3);
        // A flow that had gone comes back with a turn of its own.
        let mut again: FairQueue<u32> = FairQueue::default();
        for waiter in [1, 2] {
            again.join(&ticket("a", 0), waiter);
            assert_eq!((again.next(), again.next()), (Some(waiter), None));
        }
    }
}
