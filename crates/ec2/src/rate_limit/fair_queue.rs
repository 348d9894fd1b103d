//! Decides which of the calls that wait for the same bucket is served next. Pure: no time, no I/O.
//!
//! Flows take turns, so a NodeENI with a few nodes does not wait for a NodeENI with thousands. Within a flow, calls are served in
//! the order in which they joined, but every fifth turn goes to the call with the youngest work. So a single node that joins
//! during a burst of 5,000 does not wait for the whole burst, neither to create nor to attach, and the burst loses at most every
//! fifth turn.

use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One in this many turns of a flow goes to the call with the youngest work.
const LATECOMER: u32 = 5;

/// The flow of a call, and the age of the work that the call is a part of.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    /// The UID of the NodeENI. Empty for calls that are not made for a NodeENI, such as lookups.
    pub flow: Arc<str>,
    /// When the work began that the call is a part of.
    pub since: Timestamp,
    /// Cancelled when the call is no longer needed: a call that still waits for its turn is then not sent.
    pub withdrawn: CancellationToken,
}

impl Default for Ticket {
    fn default() -> Self {
        Self { flow: Arc::from(""), since: Timestamp::UNIX_EPOCH, withdrawn: CancellationToken::new() }
    }
}

/// The calls that wait for a token, by flow, and the order of the flows.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    flows: BTreeMap<Arc<str>, Waiting<T>>,
    turns: VecDeque<Arc<str>>,
    joined: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    /// The waiting calls, in the order in which they joined.
    waiters: BTreeMap<u64, (Timestamp, T)>,
    /// The youngest work is last. Among calls with work of the same age, the call that joined first is last.
    by_age: BTreeSet<(Timestamp, Reverse<u64>)>,
    served: u32,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), turns: VecDeque::new(), joined: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Adds a call. Returns its number, which [`leave`](Self::leave) takes.
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

    /// Removes a call, if it still waits.
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

    /// The number of waiting calls.
    pub fn len(&self) -> usize {
        self.flows.values().map(|waiting| waiting.waiters.len()).sum()
    }

    /// The number of waiting calls, by flow.
    pub fn waiting(&self) -> BTreeMap<String, usize> {
        self.flows.iter().map(|(flow, waiting)| (flow.to_string(), waiting.waiters.len())).collect()
    }

    /// Removes and returns the call whose turn it is.
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
    fn calls_are_served_in_order_but_every_fifth_turn_goes_to_the_youngest_work() {
        assert_eq!(
            all(queue(&[("a", 0..8)])),
            [0, 1, 2, 3, 4, 5, 6, 7],
            "work of the same age is served in order of arrival"
        );
        let mut young = queue(&[("a", 0..6)]);
        // The call with the youngest work is served, not the call that joined last.
        young.join(&ticket("a", 9), 100);
        young.join(&ticket("a", 5), 101);
        assert_eq!(all(young), [0, 1, 2, 3, 100, 4, 5, 101]);
        assert_eq!(all(queue(&[])), [0; 0]);
    }

    #[test]
    fn a_call_that_left_is_not_served_and_an_empty_flow_has_no_turn() {
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
    fn the_youngest_work_waits_for_five_turns_at_most_and_every_call_is_served() {
        let mut queue = queue(&[("a", 0..100)]);
        for _ in 0..7 {
            queue.next();
        }
        queue.join(&ticket("a", 1), 1000);
        // Before each turn, another call joins whose work is as old as the burst's.
        let turns = (1..).find(|turn| {
            queue.join(&ticket("a", 0), 2000 + turn);
            queue.next() == Some(1000)
        });
        assert_eq!(turns, Some(3), "the tenth turn");
        assert_eq!(all(queue).len(), 100 - 9 + 3);
        // A flow that was empty gets a turn again when a call joins.
        let mut again: FairQueue<u32> = FairQueue::default();
        for waiter in [1, 2] {
            again.join(&ticket("a", 0), waiter);
            assert_eq!((again.next(), again.next()), (Some(waiter), None));
        }
    }
}
