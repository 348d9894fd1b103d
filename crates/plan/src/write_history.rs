//! The writes to the API server, remembered by their target (the kind of write and the name of the object): when a write
//! may be sent again, which refusals stand, and what the log and the NodeENIs report. The keys `K` are those of the
//! caller's work queue. This file sends nothing.

mod pending_write;
mod refusal;
mod target;
#[cfg(test)]
mod tests;
mod undone;

pub use pending_write::PendingWrite;
pub use refusal::Answer;
pub use target::{Target, Write};

use crate::backoff::{Ended, Tries};
use crate::problem::Problem;
use jiff::Timestamp;
use refusal::{Refusal, ReportedRefusals};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher};
use undone::Undone;

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API server accepted it.
    Taken,
    /// Another client wrote first, or has already done the same.
    Outrun,
    /// It was not sent: this replica may not be the leader any more.
    NotSent,
    /// The API server refused it, or gave no answer.
    Refused(Answer),
}

/// What follows from the end of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteEffect<K> {
    /// Whether the problems of the NodeENI change.
    pub changed: bool,
    /// The line for the log, if a refusal begins, changes, continues or ends.
    pub line: Option<String>,
    /// Keys whose writes were refused and may be tried now, because the refusal seems to have ended.
    pub woken: Vec<K>,
}

/// What follows from the writes that are decided for a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecidedEffect {
    /// UIDs of the NodeENIs that have fewer problems.
    pub fewer: Vec<String>,
    /// When the key must be decided again: a write has lasted if it is not decided then.
    pub again: Option<Timestamp>,
}

/// A success after a refusal releases this many other writes. If the refusal has ended, each of these releases as many
/// again, so that all are sent within moments. If not, few requests are sent in vain.
const WAKES: usize = 4;

/// A digest of the content of a write.
pub fn digest(content: impl fmt::Debug) -> u64 {
    struct Sink(DefaultHasher);
    impl fmt::Write for Sink {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    // Hashing cannot fail.
    let _ = write!(sink, "{content:?}");
    sink.0.finish()
}

#[derive(Debug)]
struct Remembered {
    target: Target,
    tries: Tries,
    refusal: Option<Box<Refusal>>,
    /// The writes to this target are accepted and do not last.
    undone: Option<Box<Undone>>,
}

/// A write that conflicts this many times in a row is reported.
const OUTRUN_OFTEN: u32 = 8;

/// The writes of one term of leadership.
#[derive(Debug)]
pub struct Writes<K> {
    by_key: BTreeMap<K, Vec<Remembered>>,
    /// Number of targets that are refused now. Zero saves the usual case a search.
    refused: usize,
    /// Number of targets whose writes do not last, for the same reason.
    undone: usize,
    said: ReportedRefusals,
}

impl<K> Default for Writes<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), refused: 0, undone: 0, said: ReportedRefusals::default() }
    }
}

impl<K: Ord + Clone> Writes<K> {
    /// When this write may be sent. None: now.
    pub fn not_before(&self, key: &K, asked: &PendingWrite, now: Timestamp) -> Option<Timestamp> {
        let known = self.by_key.get(key)?.iter().find(|known| known.target == asked.target)?;
        known.tries.not_before(asked.content, &asked.target.name, now)
    }

    /// Whether the last write to this target was not accepted.
    pub fn is_failing(&self, key: &K, target: &Target) -> bool {
        let known = self.by_key.get(key).into_iter().flatten().find(|known| known.target == *target);
        known.is_some_and(|known| known.tries.failed() > 0)
    }

    /// How many targets wait in a back-off because the last write to them was not accepted.
    pub fn failing(&self) -> usize {
        self.by_key.values().flatten().filter(|known| known.tries.failed() > 0).count()
    }

    /// Records the end of a write.
    pub fn ended(&mut self, key: &K, asked: PendingWrite, outcome: Outcome, now: Timestamp) -> WriteEffect<K> {
        let known = self.by_key.entry(key.clone()).or_default();
        let place = known.iter().position(|known| known.target == asked.target);
        let mut old = place.map(|place| known.swap_remove(place));
        let last = match &outcome {
            Outcome::Taken => Ended::Taken,
            Outcome::Outrun => Ended::Outrun,
            Outcome::NotSent | Outcome::Refused(_) => Ended::Failed,
        };
        let tries = Tries::after(old.as_ref().map(|old| &old.tries), asked.content, last, now);
        let before = old.as_mut().and_then(|old| old.refusal.take());
        let was_undone = old.as_mut().and_then(|old| old.undone.take());
        let outcome = match outcome {
            Outcome::Outrun if tries.failed() >= OUTRUN_OFTEN => Outcome::Refused(Answer::outrun()),
            other => other,
        };
        let is_refused = !matches!(outcome, Outcome::Taken | Outcome::Outrun);
        let until_before = was_undone.as_ref().map(|undone| undone.until());
        let undone = match last {
            Ended::Taken => Undone::after(was_undone.as_deref(), &asked, &tries, now),
            Ended::Outrun | Ended::Failed => was_undone,
        };
        let PendingWrite { target, nodeeni, node, .. } = asked;
        let reported =
            |refusal: Option<&Refusal>| refusal.filter(|_| target.write.is_reportable()).and_then(Refusal::reported);
        let (was_told, was_there) = (reported(before.as_deref()), before.is_some());
        let refusal = match outcome {
            Outcome::Refused(answer) => Some(Refusal::after(before, answer, nodeeni, node, &target.name, now)),
            Outcome::Outrun | Outcome::NotSent => before,
            Outcome::Taken => None,
        };
        let until = undone.as_ref().map(|undone| undone.until());
        let (undone_now, undone_before) = (until.is_some(), until_before.is_some());
        let changed = was_told != reported(refusal.as_deref()) || until != until_before;
        self.undone = self.undone + usize::from(undone_now) - usize::from(undone_before);
        self.refused = self.refused + usize::from(refusal.is_some()) - usize::from(was_there);
        let taken = matches!(last, Ended::Taken);
        let line = match &refusal {
            Some(refusal) if is_refused => self.said.refused(&target, refusal, self.refused, now),
            Some(_) => None,
            None if undone_now && !undone_before => undone.as_deref().map(|undone| undone.line(&target)),
            None if was_there && taken => self.said.taken(&target, self.refused),
            None => None,
        };
        let write = target.write;
        known.push(Remembered { target, tries, refusal, undone });
        let woken = if taken && was_there { self.wake(WAKES, |other| other.target.write == write) } else { Vec::new() };
        WriteEffect { changed, line, woken }
    }

    /// The API server answers again: writes that got no answer, or a server error, may be tried now. Returns their keys.
    pub fn answers_again(&mut self) -> Vec<K> {
        let passing = |known: &Remembered| known.refusal.as_ref().is_some_and(|refusal| refusal.is_outage());
        self.wake(usize::MAX, passing)
    }

    /// A user asks for a new try: the waiting writes of this key to these targets may be sent after [`backoff::FIRST`].
    /// `concerns` also gets the UID of the NodeENI, if the problem of the write is known. A write that does not last is reported only
    /// if it is decided again now. Returns whether there is such a write.
    ///
    /// [`backoff::FIRST`]: crate::backoff::FIRST
    pub fn wake_key(&mut self, key: &K, concerns: impl Fn(&Target, Option<&str>) -> bool, now: Timestamp) -> bool {
        let mut is_one_woken = false;
        let backs_off = |known: &Remembered| known.tries.failed() > 0 || known.tries.same() > 1;
        for known in self.by_key.get_mut(key).into_iter().flatten().filter(|known| backs_off(known)) {
            let refused = known.refusal.as_ref().map(|refusal| refusal.nodeeni.as_str());
            let nodeeni = refused.or(known.undone.as_ref().map(|undone| undone.nodeeni.as_str()));
            if concerns(&known.target, nodeeni) {
                known.tries.wake();
                known.undone.iter_mut().for_each(|undone| undone.wake(now));
                is_one_woken = true;
            }
        }
        is_one_woken
    }

    fn wake(&mut self, most: usize, concerns: impl Fn(&Remembered) -> bool) -> Vec<K> {
        if self.refused == 0 {
            return Vec::new();
        }
        let mut keys = Vec::new();
        for (key, known) in &mut self.by_key {
            for known in known.iter_mut().filter(|known| known.tries.is_failing() && concerns(known)) {
                if keys.len() < most && known.tries.wake() {
                    keys.push(key.clone());
                }
            }
        }
        keys
    }

    /// Records which writes were decided for a key now. A refused write that is no longer decided is no problem any more,
    /// unless its NodeENI (`waits`, by UID) waits for something else; nor is a write that did not last before, once its back-off
    /// is over. The back-offs stay.
    pub fn decided(
        &mut self,
        key: &K,
        wanted: &[Target],
        waits: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> DecidedEffect {
        let mut effect = DecidedEffect::default();
        if self.refused == 0 && self.undone == 0 {
            return effect;
        }
        for known in self.by_key.get_mut(key).into_iter().flatten() {
            let is_wanted = wanted.contains(&known.target);
            let is_over = |nodeeni: &str| !is_wanted && !waits(nodeeni);
            if let Some(refusal) = known.refusal.take_if(|refusal| is_over(&refusal.nodeeni)) {
                self.refused -= 1;
                effect.fewer.push(refusal.nodeeni);
            }
            let Some(undone) = known.undone.as_ref().filter(|undone| is_over(&undone.nodeeni)) else { continue };
            let until = undone.until();
            if now < until {
                effect.again = Some(effect.again.map_or(until, |again| again.min(until)));
            } else if let Some(undone) = known.undone.take() {
                self.undone -= 1;
                effect.fewer.push(undone.nodeeni);
            }
        }
        effect
    }

    /// Forgets old writes, and the writes of keys that no longer exist. Returns the UIDs of the NodeENIs that have fewer
    /// problems.
    pub fn forget(&mut self, now: Timestamp, is_there: impl Fn(&K) -> bool) -> Vec<String> {
        let (mut refused, mut undone, mut lasts) = (0, 0, Vec::new());
        self.by_key.retain(|key, known| {
            let there = is_there(key);
            known.retain(|known| {
                let stays = there && !known.tries.is_forgotten(now);
                lasts.extend(known.undone.iter().filter(|_| !stays).map(|undone| undone.nodeeni.clone()));
                stays
            });
            undone += known.iter().filter(|known| known.undone.is_some()).count();
            known.shrink_to_fit();
            refused += known.iter().filter(|known| known.refusal.is_some()).count();
            !known.is_empty()
        });
        (self.refused, self.undone) = (refused, undone);
        if refused == 0 {
            self.said = ReportedRefusals::default();
        }
        lasts
    }

    /// The problems of the NodeENI with this UID: one for each Node whose writes are refused or do not last, with the
    /// same message.
    pub fn problems(&self, nodeeni: &str) -> Vec<Problem> {
        if self.refused == 0 && self.undone == 0 {
            return Vec::new();
        }
        let undone = self.by_key.values().flatten().filter(|known| known.target.write.is_reportable());
        let undone = undone.filter_map(|known| Some((&known.target, known.undone.as_deref()?)));
        let mut problems = undone::problems(undone.filter(|(_, undone)| undone.nodeeni == nodeeni));
        let all = self.by_key.values().flatten();
        let reported = all.filter_map(|known| Some((&known.target, known.refusal.as_deref()?)));
        let reported = reported.filter(|(target, _)| target.write.is_reportable());
        let reported = reported.filter(|(_, refusal)| refusal.nodeeni == nodeeni && refusal.reported().is_some());
        problems.extend(refusal::problems(reported));
        problems
    }
}
