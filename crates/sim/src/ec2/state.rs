//! The account's state, and time passing in it.
//!
//! Everything that is to happen (an attach ending, a request landing) waits in one queue by time, and happens when
//! somebody looks. No task is spawned, so paused time works and a run depends on nothing but its inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::addresses::Pool;
use super::buckets::Levels;
use super::faults::Faults;
use super::history::{History, View};
use super::ids::{Chance, Ids};
use super::ledger::{CallRecord, Ledger};
use super::model::{AttachmentStatus, Eni, Instance, InstanceState, SecurityGroup, Snapshot, Subnet};
use super::observer::{By, Happening, Observer};
use super::refusal::Refusal;
use super::request::InFlight;
use super::settings::Settings;
use super::tokens::Tokens;
use crate::clock::SimClock;

/// EC2 describes a terminated instance for about an hour.
const TERMINATED_SHOWN: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct State {
    pub clock: SimClock,
    pub settings: Settings,
    /// The moment that is being executed.
    pub now: Timestamp,
    pub chance: Chance,
    pub ids: Ids,
    /// Default security group by VPC.
    pub vpcs: BTreeMap<String, String>,
    pub subnets: BTreeMap<String, SubnetEntry>,
    pub groups: BTreeMap<String, SecurityGroup>,
    pub instances: BTreeMap<String, Instance>,
    /// Instances that so many more answers of DescribeInstances leave out.
    pub left_out: BTreeMap<String, u32>,
    pub tokens: Tokens,
    pub levels: Levels,
    pub faults: Faults,
    pub denied: BTreeSet<String>,
    pub ledger: Ledger,
    pub observer: Option<Observer>,
    /// Who makes what happens now.
    pub by: By,
    enis: BTreeMap<String, Eni>,
    by_attachment: BTreeMap<String, String>,
    by_instance: BTreeMap<String, BTreeSet<String>>,
    history: History,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
}

pub(super) struct SubnetEntry {
    pub about: Subnet,
    pub pool: Pool,
}

/// Something that is to happen.
pub(super) enum Due {
    /// An attachment becomes `attached`.
    Attached(String),
    /// An attachment is gone.
    Detached(String),
    /// An instance's shutdown ends.
    Terminated(String),
    /// A terminated instance is described no longer.
    Forgotten(String),
    /// A request takes effect.
    Lands(Box<InFlight>),
}

impl State {
    pub fn new(clock: SimClock, settings: Settings) -> Self {
        Self {
            now: clock.now(),
            chance: Chance::new(settings.seed ^ 0xC0FF_EE00),
            ids: Ids::new(settings.seed),
            ledger: Ledger::new(settings.records),
            clock,
            settings,
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            left_out: BTreeMap::new(),
            tokens: Tokens::default(),
            levels: Levels::default(),
            faults: Faults::default(),
            denied: BTreeSet::new(),
            observer: None,
            by: By::Hand,
            enis: BTreeMap::new(),
            by_attachment: BTreeMap::new(),
            by_instance: BTreeMap::new(),
            history: History::default(),
            queue: BTreeMap::new(),
            queued: 0,
        }
    }

    /// Instances that this answer of DescribeInstances leaves out.
    pub fn leave_out(&mut self) -> BTreeSet<String> {
        let now = self.left_out.keys().cloned().collect();
        self.left_out.retain(|_, times| {
            *times = times.saturating_sub(1);
            *times > 0
        });
        now
    }

    /// Lets happen, in order, all that was due by now.
    pub fn settle(&mut self) {
        let until = self.clock.now();
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), due) = entry.remove_entry();
            self.now = self.now.max(at);
            self.by = By::Time;
            self.happen(due);
        }
        self.by = By::Hand;
        self.now = self.now.max(until);
        self.history.prune(self.now);
    }

    /// When the next thing happens by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    pub fn schedule(&mut self, after: Duration, due: Due) -> Timestamp {
        let at = later(self.now, after);
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
        at
    }

    /// A duration out of a range, by the seed.
    pub fn draw(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let nanos = |d: &Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.chance.between(nanos(range.start()), nanos(range.end())))
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Attached(attachment) => self.finish_attach(&attachment),
            Due::Detached(attachment) => self.finish_detach(&attachment),
            Due::Terminated(instance) => self.finish_termination(&instance),
            Due::Forgotten(instance) => {
                self.instances.remove(&instance);
            }
            Due::Lands(in_flight) => self.land(*in_flight),
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

    pub fn finish_detach(&mut self, attachment: &str) {
        let Some(mut eni) = self.eni_of_attachment(attachment).cloned() else {
            return;
        };
        eni.attachment = None;
        self.put(eni);
    }

    /// deleteOnTermination decides whether an interface goes with its instance or becomes `available`.
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
            self.schedule(TERMINATED_SHOWN.unsigned_abs(), Due::Forgotten(id.to_owned()));
        }
        self.ledger.touch();
    }

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

    /// The interface, unless it was created so recently that this call goes to a replica that does not know it yet.
    pub fn eni_known(&self, id: &str) -> Result<Eni, Refusal> {
        let truth = self.enis.get(id);
        let known = self.history.shown(id, truth, View::Settled(self.now)).is_some();
        truth.filter(|_| known).cloned().ok_or_else(|| Refusal::no_eni(id))
    }

    /// Stores a new state of an interface.
    pub fn put(&mut self, eni: Eni) {
        let before = self.enis.get(&eni.id).cloned();
        self.unbook(before.as_ref());
        self.tell_change(&eni.id, before.as_ref(), Some(&eni));
        self.note_change(&eni.id, before);
        if let Some(entry) = self.subnets.get_mut(&eni.subnet_id) {
            entry.pool.take(&eni);
        }
        if let Some(attachment) = &eni.attachment {
            self.by_attachment.insert(attachment.id.clone(), eni.id.clone());
            self.by_instance.entry(attachment.instance_id.clone()).or_default().insert(eni.id.clone());
        }
        self.enis.insert(eni.id.clone(), eni);
        self.ledger.touch();
    }

    pub fn remove(&mut self, id: &str) {
        if let Some(before) = self.enis.remove(id) {
            self.unbook(Some(&before));
            self.tell_change(id, Some(&before), None);
            self.note_change(id, Some(before));
            self.ledger.touch();
        }
    }

    fn unbook(&mut self, before: Option<&Eni>) {
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

    fn tell_change(&mut self, id: &str, before: Option<&Eni>, after: Option<&Eni>) {
        if let Some(observer) = &mut self.observer
            && before != after
        {
            observer(self.now, &Happening::Changed { id, before, after, by: &self.by });
        }
    }

    /// Records a call and tells it.
    pub fn tell_call(&mut self, record: CallRecord) {
        if let Some(observer) = &mut self.observer {
            observer(self.now, &Happening::Landed(&record));
        }
        self.ledger.note(record);
    }

    fn note_change(&mut self, id: &str, before: Option<Eni>) {
        let lag = self.draw(&(Duration::ZERO..=self.settings.lag));
        self.history.note(id, before, self.now, later(self.now, lag));
    }

    /// Where a Describe shows something else than the truth: late by the settings' lag, or as of `stale` ago.
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

    /// Interfaces as a Describe shows them, given [`Self::lagging`], by ID.
    pub fn shown_enis<'a>(&'a self, lagging: &'a BTreeMap<String, Option<Eni>>) -> BTreeMap<&'a str, &'a Eni> {
        let mut shown: BTreeMap<&str, &Eni> = self.enis.iter().map(|(id, eni)| (id.as_str(), eni)).collect();
        for (id, eni) in lagging {
            match eni {
                Some(eni) => shown.insert(id, eni),
                None => shown.remove(id.as_str()),
            };
        }
        shown
    }

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
    pub fn shown(&self) -> Subnet {
        Subnet { available_addresses: self.pool.available(), ..self.about.clone() }
    }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
