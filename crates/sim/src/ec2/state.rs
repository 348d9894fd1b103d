//! The account's state and its event queue.
//!
//! Every future event (an attach ends, a request takes effect) waits in one queue, ordered by time, and is processed at the
//! next access. The state spawns no task and reads no clock but the simulator's, so a run depends on its inputs alone.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::addresses::AddressPool;
use super::api_error::ApiError;
use super::buckets::TokenBuckets;
use super::call_log::{CallLog, CallRecord};
use super::client_tokens::ClientTokens;
use super::faults::Faults;
use super::history::{History, View};
use super::ids::Ids;
use super::in_flight::InFlight;
use super::list_order::ListOrder;
use super::model::{AttachmentStatus, Eni, Instance, InstanceState, SecurityGroup, Snapshot, Subnet};
use super::observer::{By, Happening, IamObserver, Observer};
use super::rng::Rng;
use super::settings::Settings;
use crate::clock::SimClock;

/// EC2 describes a terminated instance for about an hour.
const TERMINATED_SHOWN: SignedDuration = SignedDuration::from_hours(1);

/// Everything in the account, and all that its behaviour depends on.
pub(super) struct State {
    pub clock: SimClock,
    pub settings: Settings,
    /// The time of the event that is being processed, or of the access.
    pub now: Timestamp,
    pub rng: Rng,
    /// Apart from `rng`, so that the order of lists changes nothing else.
    list_orders: Rng,
    pub ids: Ids,
    /// The default security group of each VPC.
    pub vpcs: BTreeMap<String, String>,
    pub subnets: BTreeMap<String, SubnetEntry>,
    pub groups: BTreeMap<String, SecurityGroup>,
    pub instances: BTreeMap<String, Instance>,
    /// For how many more answers DescribeInstances leaves an instance out.
    pub left_out: BTreeMap<String, u32>,
    pub client_tokens: ClientTokens,
    pub token_buckets: TokenBuckets,
    pub faults: Faults,
    /// Actions without permission.
    pub denied: BTreeMap<String, String>,
    pub call_log: CallLog,
    pub observer: Option<Observer>,
    pub iam_observer: Option<IamObserver>,
    /// The origin of the changes that are being made, for the observer.
    pub by: By,
    enis: BTreeMap<String, Eni>,
    by_attachment: BTreeMap<String, String>,
    by_instance: BTreeMap<String, BTreeSet<String>>,
    history: History,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
}

/// A subnet and the addresses in use. `subnet.available_addresses` is not kept up to date: see [`SubnetEntry::shown`].
pub(super) struct SubnetEntry {
    pub subnet: Subnet,
    pub pool: AddressPool,
}

/// A future event.
pub(super) enum Event {
    /// An attachment becomes `attached`.
    Attached(String),
    /// An attachment ends.
    Detached(String),
    /// An instance's shutdown ends.
    Terminated(String),
    /// A terminated instance is no longer described.
    Forgotten(String),
    /// A request takes effect.
    RequestLanded(Box<InFlight>),
}

impl State {
    /// An empty account.
    pub fn new(clock: SimClock, settings: Settings) -> Self {
        Self {
            now: clock.now(),
            rng: Rng::new(settings.seed ^ 0xC0FF_EE00),
            list_orders: Rng::new(settings.seed ^ 0x0DD0_12DE),
            ids: Ids::new(settings.seed),
            call_log: CallLog::new(settings.records),
            clock,
            settings,
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            left_out: BTreeMap::new(),
            client_tokens: ClientTokens::default(),
            token_buckets: TokenBuckets::default(),
            faults: Faults::default(),
            denied: BTreeMap::new(),
            observer: None,
            iam_observer: None,
            by: By::Hand,
            enis: BTreeMap::new(),
            by_attachment: BTreeMap::new(),
            by_instance: BTreeMap::new(),
            history: History::default(),
            queue: BTreeMap::new(),
            queued: 0,
        }
    }

    /// The instances that this answer of DescribeInstances leaves out. Each call counts as one answer.
    pub fn leave_out(&mut self) -> BTreeSet<String> {
        let now = self.left_out.keys().cloned().collect();
        self.left_out.retain(|_, times| {
            *times = times.saturating_sub(1);
            *times > 0
        });
        now
    }

    /// Processes, in order, all events that are due by now.
    pub fn advance_to_now(&mut self) {
        let until = self.clock.now();
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.by = By::Time;
            self.process(event);
        }
        self.by = By::Hand;
        self.now = self.now.max(until);
        self.history.prune(self.now);
    }

    /// The time of the next event.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Queues an event; returns its time.
    pub fn schedule(&mut self, after: Duration, event: Event) -> Timestamp {
        let at = later(self.now, after);
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
        at
    }

    /// The order of the lists of the next answer.
    pub fn list_order(&mut self) -> ListOrder {
        if self.settings.shuffles_lists { ListOrder::random(self.list_orders.next()) } else { ListOrder::as_stored() }
    }

    /// Draws a duration from a range.
    pub fn draw(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let nanos = |d: &Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.between(nanos(range.start()), nanos(range.end())))
    }

    fn process(&mut self, event: Event) {
        match event {
            Event::Attached(attachment) => self.finish_attach(&attachment),
            Event::Detached(attachment) => self.finish_detach(&attachment),
            Event::Terminated(instance) => self.finish_termination(&instance),
            Event::Forgotten(instance) => {
                self.instances.remove(&instance);
            }
            Event::RequestLanded(in_flight) => self.land(*in_flight),
        }
    }

    fn finish_attach(&mut self, attachment: &str) {
        let Some(mut eni) = self.eni_of_attachment(attachment).cloned() else {
            return;
        };
        if let Some(attachment) = &mut eni.attachment
            && attachment.status == AttachmentStatus::Attaching
            && attachment.stuck.is_none()
        {
            attachment.status = AttachmentStatus::Attached;
            self.put(eni);
        }
    }

    /// Ends an attachment, in whatever status.
    pub fn finish_detach(&mut self, attachment: &str) {
        let Some(mut eni) = self.eni_of_attachment(attachment).cloned() else {
            return;
        };
        eni.attachment = None;
        self.put(eni);
    }

    /// Terminates an instance. Interfaces with deleteOnTermination are deleted; the others become `available`.
    pub fn finish_termination(&mut self, id: &str) {
        for mut eni in self.enis_of_instance(id).into_iter().cloned().collect::<Vec<_>>() {
            if eni.attachment.as_ref().is_some_and(|attachment| attachment.delete_on_termination) {
                self.remove(&eni.id);
            } else {
                eni.attachment = None;
                self.put(eni);
            }
        }
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = InstanceState::Terminated;
            self.schedule(TERMINATED_SHOWN.unsigned_abs(), Event::Forgotten(id.to_owned()));
        }
        self.call_log.touch();
    }

    /// The interface as it is, visible to reads or not.
    pub fn eni(&self, id: &str) -> Option<&Eni> {
        self.enis.get(id)
    }

    pub fn eni_count(&self) -> usize {
        self.enis.len()
    }

    pub fn eni_of_attachment(&self, attachment: &str) -> Option<&Eni> {
        self.enis.get(self.by_attachment.get(attachment)?)
    }

    pub fn enis_of_instance(&self, instance: &str) -> Vec<&Eni> {
        self.by_instance.get(instance).into_iter().flatten().filter_map(|id| self.enis.get(id)).collect()
    }

    /// The interface, or NotFound if it was created so recently that a mutating call does not find it yet.
    pub fn eni_known(&self, id: &str) -> Result<Eni, ApiError> {
        let current = self.enis.get(id);
        let known = self.history.shown(id, current, View::Settled(self.now)).is_some();
        current.filter(|_| known).cloned().ok_or_else(|| ApiError::no_eni(id))
    }

    /// Stores a new state of an interface.
    pub fn put(&mut self, eni: Eni) {
        let before = self.enis.get(&eni.id).cloned();
        self.remove_from_indexes(before.as_ref());
        self.notify_observer(&eni.id, before.as_ref(), Some(&eni));
        self.record_history(&eni.id, before);
        if let Some(entry) = self.subnets.get_mut(&eni.subnet_id) {
            entry.pool.take(&eni);
        }
        if let Some(attachment) = &eni.attachment {
            self.by_attachment.insert(attachment.id.clone(), eni.id.clone());
            self.by_instance.entry(attachment.instance_id.clone()).or_default().insert(eni.id.clone());
        }
        self.enis.insert(eni.id.clone(), eni);
        self.call_log.touch();
    }

    /// Deletes an interface.
    pub fn remove(&mut self, id: &str) {
        if let Some(before) = self.enis.remove(id) {
            self.remove_from_indexes(Some(&before));
            self.notify_observer(id, Some(&before), None);
            self.record_history(id, Some(before));
            self.call_log.touch();
        }
    }

    /// Frees the addresses of an interface's former state and drops it from the indexes.
    fn remove_from_indexes(&mut self, before: Option<&Eni>) {
        let Some(before) = before else { return };
        if let Some(entry) = self.subnets.get_mut(&before.subnet_id) {
            entry.pool.release(before);
        }
        if let Some(attachment) = &before.attachment {
            self.by_attachment.remove(&attachment.id);
            if let Some(enis) = self.by_instance.get_mut(&attachment.instance_id) {
                enis.remove(&before.id);
            }
        }
    }

    fn notify_observer(&mut self, id: &str, before: Option<&Eni>, after: Option<&Eni>) {
        if let Some(observer) = &mut self.observer
            && before != after
        {
            observer(self.now, &Happening::Changed { id, before, after, by: &self.by });
        }
    }

    /// Reports a call to the observer and records it.
    pub fn record_call(&mut self, record: CallRecord) {
        if let Some(observer) = &mut self.observer {
            observer(self.now, &Happening::Landed(&record));
        }
        self.call_log.push(record);
    }

    /// Keeps an interface's former state until reads show the new one.
    fn record_history(&mut self, id: &str, before: Option<Eni>) {
        let lag = self.draw(&(Duration::ZERO..=self.settings.lag));
        self.history.record(id, before, self.now, later(self.now, lag));
    }

    /// The interfaces for which a Describe shows an older state: late by the settings' lag, or as of `stale` ago.
    pub fn lagging(&mut self, stale: Option<Duration>) -> BTreeMap<String, Option<Eni>> {
        let lag = self.settings.lag;
        if lag.is_zero() && stale.is_none() {
            return BTreeMap::new();
        }
        let changed: Vec<String> = self.history.changed().map(str::to_owned).collect();
        let mut lagging = BTreeMap::new();
        for id in changed {
            let view = match stale {
                Some(ago) => View::AsOf(earlier(self.now, ago)),
                None if self.settings.flapping_reads => {
                    View::AsOf(earlier(self.now, self.draw(&(Duration::ZERO..=lag))))
                }
                None => View::Settled(self.now),
            };
            if let Some(shown) = self.history.outdated(&id, view).map(|shown| shown.cloned()) {
                lagging.insert(id, shown);
            }
        }
        lagging
    }

    /// The interface as a Describe shows it, if it shows it. `lagging` comes from [`Self::lagging`].
    pub fn shown_eni<'a>(&'a self, id: &str, lagging: &'a BTreeMap<String, Option<Eni>>) -> Option<&'a Eni> {
        lagging.get(id).map_or_else(|| self.enis.get(id), Option::as_ref)
    }

    /// The interfaces as a Describe shows them, in order of their IDs, from the one that follows `after`. `lagging` comes from
    /// [`Self::lagging`].
    pub fn shown_enis<'a>(
        &'a self,
        lagging: &'a BTreeMap<String, Option<Eni>>,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Eni)> {
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let current = self.enis.range::<str, _>(from).map(|(id, eni)| (id.as_str(), Some(eni)));
        let lagging = lagging.range::<str, _>(from).map(|(id, eni)| (id.as_str(), eni.as_ref()));
        InOrder { first: lagging.peekable(), second: current.peekable() }.filter_map(|(id, eni)| Some((id, eni?)))
    }

    /// The current state, without eventual consistency.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: self.now,
            enis: self.enis.clone(),
            instances: self.instances.clone(),
            subnets: self.subnets.iter().map(|(id, entry)| (id.clone(), entry.shown())).collect(),
            groups: self.groups.clone(),
        }
    }
}

impl SubnetEntry {
    /// The subnet with the number of addresses that are available now.
    pub fn shown(&self) -> Subnet {
        Subnet { available_addresses: self.pool.available(), ..self.subnet.clone() }
    }
}

/// Two sequences in order of their keys. Of two items with one key it has the item of `first`.
struct InOrder<A: Iterator, B: Iterator> {
    first: Peekable<A>,
    second: Peekable<B>,
}

impl<K: Ord, V, A: Iterator<Item = (K, V)>, B: Iterator<Item = (K, V)>> Iterator for InOrder<A, B> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        match self.first.peek().zip(self.second.peek()).map(|(first, second)| first.0.cmp(&second.0)) {
            Some(Ordering::Less) => self.first.next(),
            Some(Ordering::Greater) => self.second.next(),
            Some(Ordering::Equal) => {
                self.second.next();
                self.first.next()
            }
            None => self.first.next().or_else(|| self.second.next()),
        }
    }
}

/// `at` plus `by`, saturating.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
