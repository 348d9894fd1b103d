//! `backs-off`: no process repeats a request that ended in the same way faster than a back-off allows.
//!
//! A streak is one process's request for one target that ends with the same answer again and again. News of the target ends the
//! streak, because the next request is a new decision. A request that changes something ends it, too.

use crate::script::Millis;
use std::collections::BTreeMap;

/// How many repetitions are free: a few quick attempts, also by two parts of the controller that decide about one target.
pub const FREE: u32 = 5;
/// The longest wait that is required.
pub const LONGEST: Millis = 300_000;
/// The longest wait while a permission is missing or EC2 throttles: one call a minute may check whether that has ended.
pub const LONGEST_PASSING: Millis = 60_000;
/// The required wait is divided by this number, because jitter shortens waits and clocks differ.
pub const TOLERANCE: Millis = 2;
/// A request that takes effect later than this after it was sent was decided by an older state.
const SLOW: Millis = 2_000;
/// How late news may reach a process: one resync a minute, 30 s of lag, and a watch that brings nothing.
pub const NEWS_LAST: Millis = 200_000;

/// A request: what is repeated, and which topics it depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Verb or action, and target.
    pub what: String,
    /// Verb and kind, or action: what a permission allows.
    pub may: String,
    /// The ENIAttachment for which it is sent.
    pub attachment: Option<String>,
    /// The object that a write changes: kind and name.
    pub object: String,
    /// Topics: news of one of them allows the request again.
    pub about: Vec<String>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It changed something, or read what was asked for.
    Changed,
    /// It succeeded and changed nothing.
    Nothing,
    /// It was refused, with this code.
    Refused(String),
    /// No answer was received.
    Unheard,
}

impl Answer {
    /// The longest wait that is required after it.
    fn longest(&self) -> Millis {
        if self.is_transient() { LONGEST_PASSING } else { LONGEST }
    }

    /// Whether the reason may end by itself; a success of another request shows that it has ended.
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
    /// The latest news that allowed a repetition.
    used: Option<Millis>,
}

/// All streaks, and the news by topic.
#[derive(Debug, Default)]
pub struct Repeats {
    streaks: BTreeMap<(String, String), Streak>,
    /// By topic and by the process that caused the news: when it was.
    news: BTreeMap<String, BTreeMap<String, Millis>>,
}

impl Repeats {
    /// There is news of a topic. `by`: the process that caused it, for which it is no news; empty if it is news for all.
    pub fn news(&mut self, topic: String, by: &str, at: Millis) {
        self.news.entry(topic).or_default().insert(by.to_owned(), at);
    }

    /// When a process last sent this request, if it does not know yet that the request took effect.
    pub fn sent(&self, process: &str, what: &str) -> Option<Millis> {
        self.streaks.get(&(process.to_owned(), what.to_owned())).map(|streak| streak.sent)
    }

    /// Whether a process sent its deletion of this ENIAttachment so long ago that it was decided by an older state.
    pub fn is_old_deletion(&self, process: &str, name: &str, at: Millis) -> bool {
        let what = format!("delete eniattachments.networking.k8s.aws {name}");
        self.sent(process, &what).is_some_and(|sent| at > sent + SLOW)
    }

    /// A process begins a new term and decides everything again.
    pub fn forget(&mut self, process: &str) {
        self.streaks.retain(|(whose, _), _| whose != process);
    }

    /// A process sends a request. Returns why it is too early; None if it is not.
    pub fn sends(&mut self, process: &str, request: &Request, at: Millis) -> Option<String> {
        let key = (process.to_owned(), request.what.clone());
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
        let news = self.latest(process, request, &answer).filter(|news| used.is_none_or(|used| *news > used));
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
            "{process} repeats {} after {} ms, after {count} attempts in a row ended with {answer:?}; the minimum is {least} ms",
            request.what,
            at - sent
        ))
    }

    /// A request has ended.
    pub fn ended(&mut self, process: &str, request: &Request, answer: Answer) {
        let key = (process.to_owned(), request.what.clone());
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

    /// When the last news for this request was.
    fn latest(&self, process: &str, request: &Request, answer: &Answer) -> Option<Millis> {
        let may = format!("may {}", request.may);
        let may = answer.is_transient().then_some(&may);
        let topics = request.about.iter().chain(may).filter_map(|topic| self.news.get(topic));
        topics.flatten().filter(|(by, _)| by.as_str() != process).map(|(_, at)| *at).max()
    }
}

/// The wait that is required after `count` requests with the same answer.
fn least(count: u32, longest: Millis) -> Millis {
    let Some(over) = count.checked_sub(FREE) else { return 0 };
    let doubled = 1_000_u64.checked_shl(over.min(20)).unwrap_or(longest);
    doubled.min(longest) / TOLERANCE
}
