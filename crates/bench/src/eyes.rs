//! What is seen of a world, as it happens: when each ENI was attached, when each ENIAttachment became Ready, what was written.

use jiff::Timestamp;
use multi_eni_api::names::GROUP;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{AttachmentStatus, Ec2, Happening};
use multi_eni_sim::kube::{ApiServer, ObjectChange};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seen since [`Eyes::begin`].
#[derive(Debug, Default)]
pub struct Seen {
    /// When ENIs became attached, in seconds, in order.
    pub attached: Vec<f64>,
    /// When ENIAttachments became Ready, by name.
    pub ready: BTreeMap<String, f64>,
    /// How often each ENIAttachment was written by the controller.
    pub writes: BTreeMap<String, u64>,
    /// Events about Nodes: those tell of their ENIs.
    pub events: u64,
    /// ENIAttachments that there are.
    pub there: i64,
    /// Those of them that are Ready.
    pub are_ready: i64,
    /// When something last changed on EC2.
    pub moved: f64,
}

/// Sees everything.
#[derive(Debug, Clone)]
pub struct Eyes {
    seen: Arc<Mutex<Seen>>,
    clock: SimClock,
    since: Arc<Mutex<Timestamp>>,
}

impl Eyes {
    /// Opens them.
    pub fn open(ec2: &Ec2, api: &ApiServer, clock: SimClock) -> Self {
        let eyes = Self { seen: Arc::default(), clock, since: Arc::new(Mutex::new(clock.now())) };
        let on = eyes.clone();
        ec2.observe(Box::new(move |at, happening| on.ec2(at, happening)));
        let on = eyes.clone();
        api.observe(Box::new(move |change| on.object(change)));
        eyes
    }

    /// Forgets what was seen; times count from now.
    pub fn begin(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
        let mut seen = self.seen();
        let (there, are_ready) = (seen.there, seen.are_ready);
        *seen = Seen { there, are_ready, ..Seen::default() };
    }

    /// What was seen.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the beginning.
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
        let mut seen = self.seen();
        seen.moved = now;
        if status(after) == Some(AttachmentStatus::Attached) && status(before) != Some(AttachmentStatus::Attached) {
            seen.attached.push(now);
        }
    }

    fn object(&self, change: &ObjectChange<'_>) {
        let now = self.now();
        let mut seen = self.seen();
        let begun = change.after.filter(|_| change.before.is_none() && change.resource.resource == "events");
        seen.events += u64::from(begun.is_some_and(|event| event["involvedObject"]["kind"] == "Node"));
        if change.resource.group != GROUP || change.resource.resource != "eniattachments" {
            return;
        }
        *seen.writes.entry(change.name.to_owned()).or_default() += 1;
        let (was, is) = (change.before.is_some_and(is_ready), change.after.is_some_and(is_ready));
        seen.there += i64::from(change.after.is_some()) - i64::from(change.before.is_some());
        seen.are_ready += i64::from(is) - i64::from(was);
        if is && !was {
            seen.ready.insert(change.name.to_owned(), now);
        }
    }
}

fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The clock of the world, which begins when the world does.
pub(crate) fn clock() -> SimClock {
    SimClock::starting_at(jiff::Timestamp::from_second(1_767_225_600).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}
