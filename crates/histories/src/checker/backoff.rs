//! `backs-off`: no process repeats a request that ended the same way faster than a back-off allows.
//!
//! A streak is one process's request about one target, with one answer again and again. News of the target ends it: then the
//! decision is another one. What changed something ends it, too.

use crate::script::Millis;
use std::collections::BTreeMap;

/// How many repetitions are free: a few quick tries, also by two who decide about one target.
pub const FREE: u32 = 5;
/// The longest wait that is demanded.
pub const LONGEST: Millis = 300_000;
/// The same while a permission is missing or EC2 is too busy: one call a minute may look whether that has passed.
pub const LONGEST_PASSING: Millis = 60_000;
/// What of the wait is demanded, as a divisor: jitter makes it shorter, and clocks tick differently.
pub const TOLERANCE: Millis = 2;
/// A request that takes effect later than this was decided in another picture.
const SLOW: Millis = 2_000;
/// How late news may reach a process: a sweep a minute, 30 s of lag, a watch that brings nothing.
pub const NEWS_LAST: Millis = 200_000;

/// A request: what repeats, and what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Verb or action, and target.
    pub what: String,
    /// Verb and kind, or action: what a permission is for.
    pub may: String,
    /// The ENIAttachment that it is for.
    pub attachment: Option<String>,
    /// The object that a write is about, as kind and name.
    pub object: String,
    /// Topics whose news make it another decision.
    pub about: Vec<String>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It changed something, or read what was asked for.
    Changed,
    /// It succeeded, and nothing is different.
    Nothing,
    /// It was refused.
    Refused(String),
    /// Nobody heard an answer.
    Unheard,
}

impl Answer {
    /// The longest wait after it.
    fn longest(&self) -> Millis {
        if self.is_transient() { LONGEST_PASSING } else { LONGEST }
    }

    /// Another's success may show that this has passed.
    fn is_transient(&self) -> bool {
        const PASSING: [&str; 11] = [
            "403",
            "429",
            "500",
            "503",
            "UnauthorizedOperation",
            "AuthFailure",
            "ExpiredToken",
            "RequestExpired",
            "RequestLimitExceeded",
            "InternalError",
            "Unavailable",
        ];
        match self {
            Self::Refused(code) => PASSING.contains(&code.as_str()),
            Self::Unheard => true,
            Self::Changed | Self::Nothing => false,
        }
    }
}

#[derive(Debug)]
struct Streak {
    answer: Option<Answer>,
    count: u32,
    sent: Millis,
    /// The news that has been used as an excuse.
    used: Option<Millis>,
}

/// All streaks, and the news.
#[derive(Debug, Default)]
pub struct Repeats {
    streaks: BTreeMap<(String, String), Streak>,
    /// By topic, who made the last news of it, and when.
    news: BTreeMap<String, BTreeMap<String, Millis>>,
}

impl Repeats {
    /// Something is different. `by`: the process that made it so, if its own doing is no news to it.
    pub fn news(&mut self, topic: String, by: &str, at: Millis) {
        self.news.entry(topic).or_default().insert(by.to_owned(), at);
    }

    /// When a process last sent that request, if it does not know yet that it took effect.
    pub fn sent(&self, life: &str, what: &str) -> Option<Millis> {
        self.streaks.get(&(life.to_owned(), what.to_owned())).map(|streak| streak.sent)
    }

    /// Whether a process's deletion of that ENIAttachment was sent so long ago that it was decided in another picture.
    pub fn is_old_deletion(&self, life: &str, name: &str, at: Millis) -> bool {
        let what = format!("delete eniattachments.networking.k8s.aws {name}");
        self.sent(life, &what).is_some_and(|sent| at > sent + SLOW)
    }

    /// A process begins another term: it decides everything anew.
    pub fn forget(&mut self, life: &str) {
        self.streaks.retain(|(whose, _), _| whose != life);
    }

    /// A process sends a request. Says how, if it is too early.
    pub fn sends(&mut self, life: &str, request: &Request, at: Millis) -> Option<String> {
        let key = (life.to_owned(), request.what.clone());
        let Some(streak) = self.streaks.get(&key) else {
            self.streaks.insert(key, Streak { answer: None, count: 0, sent: at, used: None });
            return None;
        };
        let (count, sent, used) = (streak.count, streak.sent, streak.used);
        let (least, answer) = match &streak.answer {
            Some(answer) => (least(count, answer.longest()), answer.clone()),
            None => (0, Answer::Unheard),
        };
        let early = at < sent + least;
        let news = self.latest(life, request, &answer).filter(|news| used.is_none_or(|used| *news > used));
        let excuse = news.filter(|news| at <= news + NEWS_LAST);
        let streak = self.streaks.get_mut(&key)?;
        streak.sent = at;
        if !early {
            return None;
        }
        if excuse.is_some() {
            (streak.count, streak.answer, streak.used) = (0, None, excuse);
            return None;
        }
        Some(format!(
            "{life} repeats {} after {} ms, though {count} in a row ended so: {answer:?}; {least} ms are the least",
            request.what,
            at - sent
        ))
    }

    /// A request has ended.
    pub fn ended(&mut self, life: &str, request: &Request, answer: Answer) {
        let key = (life.to_owned(), request.what.clone());
        if answer == Answer::Changed {
            self.streaks.remove(&key);
            return;
        }
        let Some(streak) = self.streaks.get_mut(&key) else { return };
        if streak.answer.as_ref() == Some(&answer) {
            streak.count += 1;
        } else {
            (streak.answer, streak.count) = (Some(answer), 1);
        }
    }

    /// When there was last news for this request.
    fn latest(&self, life: &str, request: &Request, answer: &Answer) -> Option<Millis> {
        let may = format!("may {}", request.may);
        let may = answer.is_transient().then_some(&may);
        let topics = request.about.iter().chain(may).filter_map(|topic| self.news.get(topic));
        topics.flatten().filter(|(by, _)| by.as_str() != life).map(|(_, at)| *at).max()
    }
}

/// The least wait after so many of the same.
fn least(count: u32, longest: Millis) -> Millis {
    let Some(over) = count.checked_sub(FREE) else { return 0 };
    let doubled = 1_000_u64.checked_shl(over.min(20)).unwrap_or(longest);
    doubled.min(longest) / TOLERANCE
}
