//! Records what happens in a simulated world: when each ENI was attached, when each ENIAttachment became Ready, what was written.
//! It never changes anything.

use jiff::Timestamp;
use multi_eni_api::names::GROUP;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{AttachmentStatus, Ec2, Happening};
use multi_eni_sim::kube::{ApiServer, ObjectChange};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was observed since [`Observer::begin`].
#[derive(Debug, Default)]
pub struct Observations {
    /// When ENIs became attached: seconds, in order.
    pub attached: Vec<f64>,
    /// When ENIAttachments became Ready: seconds, by name.
    pub ready: BTreeMap<String, f64>,
    /// How often each ENIAttachment was written, by name.
    pub writes: BTreeMap<String, u64>,
    /// Events about Nodes. The controller publishes them about ENIs.
    pub events: u64,
    /// ENIAttachments that exist.
    pub there: i64,
    /// ENIAttachments that are Ready.
    pub are_ready: i64,
    /// When EC2 last changed, in seconds.
    pub moved: f64,
}

/// Records the changes of one EC2 and one API server.
#[derive(Debug, Clone)]
pub struct Observer {
    observations: Arc<Mutex<Observations>>,
    clock: SimClock,
    since: Arc<Mutex<Timestamp>>,
}

impl Observer {
    /// Starts to record.
    pub fn open(ec2: &Ec2, api: &ApiServer, clock: SimClock) -> Self {
        let observer = Self { observations: Arc::default(), clock, since: Arc::new(Mutex::new(clock.now())) };
        let on = observer.clone();
        ec2.observe(Box::new(move |at, happening| on.ec2(at, happening)));
        let on = observer.clone();
        api.observe(Box::new(move |change| on.object(change)));
        observer
    }

    /// Forgets all observations except the present state. Times count from now.
    pub fn begin(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
        let mut observations = self.observations();
        let (there, are_ready) = (observations.there, observations.are_ready);
        *observations = Observations { there, are_ready, ..Observations::default() };
    }

    /// The observations so far.
    pub fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the last [`Observer::begin`].
    pub fn now(&self) -> f64 {
        self.at(self.clock.now())
    }

    fn at(&self, at: Timestamp) -> f64 {
        at.duration_since(*self.since.lock().unwrap_or_else(PoisonError::into_inner)).as_secs_f64()
    }

    fn ec2(&self, at: Timestamp, happening: &Happening<'_>) {
        let Happening::Changed { before, after, .. } = happening else { return };
        let status = |eni: &Option<&multi_eni_sim::ec2::Eni>| {
            eni.and_then(|eni| eni.attachment.as_ref()).map(|attachment| attachment.status)
        };
        let now = self.at(at);
        let mut observations = self.observations();
        observations.moved = now;
        if status(after) == Some(AttachmentStatus::Attached) && status(before) != Some(AttachmentStatus::Attached) {
            observations.attached.push(now);
        }
    }

    fn object(&self, change: &ObjectChange<'_>) {
        let now = self.now();
        let mut observations = self.observations();
        let begun = change.after.filter(|_| change.before.is_none() && change.resource.resource == "events");
        observations.events += u64::from(begun.is_some_and(|event| event["involvedObject"]["kind"] == "Node"));
        if change.resource.group != GROUP || change.resource.resource != "eniattachments" {
            return;
        }
        *observations.writes.entry(change.name.to_owned()).or_default() += 1;
        let (was, is) = (change.before.is_some_and(is_ready), change.after.is_some_and(is_ready));
        observations.there += i64::from(change.after.is_some()) - i64::from(change.before.is_some());
        observations.are_ready += i64::from(is) - i64::from(was);
        if is && !was {
            observations.ready.insert(change.name.to_owned(), now);
        }
    }
}

fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// A simulated clock that starts at a fixed time.
pub(crate) fn clock() -> SimClock {
    SimClock::starting_at(jiff::Timestamp::from_second(1_767_225_600).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}
