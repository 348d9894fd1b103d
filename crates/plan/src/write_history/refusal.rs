//! Refusals of writes by the API server, and how they are reported: in the log once, again when the answer changes, and
//! every ten minutes while the refusal lasts; and as problems of the NodeENI.

use super::{Target, Write};
use crate::counted::{counted, is_or_are, verb};
use crate::message_time::second;
use crate::problem::Problem;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A refusal that lasts is logged at this interval.
const SAID_AGAIN: SignedDuration = SignedDuration::from_secs(600);
/// A message is cut to this number of characters, because a 422 may quote the whole object.
const MOST_WORDS: usize = 600;
/// Maximum number of kinds of refusals that the log keeps apart.
const MOST_KINDS: usize = 100;

/// An answer that refuses a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status. None: no answer came.
    pub code: Option<u16>,
    /// The API server's message, or why no answer came.
    pub words: String,
}

impl Answer {
    /// Other clients wrote first each time.
    pub(super) fn outrun() -> Self {
        let words = "another client changes the object each time that the controller writes it".to_owned();
        Self { code: Some(409), words }
    }
}

/// The refusal of one target.
#[derive(Debug)]
pub(super) struct Refusal {
    pub nodeeni: String,
    node: Option<String>,
    code: Option<u16>,
    /// The first message. A message that differs only in words with digits, such as a time or a request ID, counts as the
    /// same.
    words: String,
    since: Timestamp,
    count: u32,
}

impl Refusal {
    pub fn after(
        before: Option<Box<Self>>,
        answer: Answer,
        nodeeni: String,
        node: Option<String>,
        name: &str,
        now: Timestamp,
    ) -> Box<Self> {
        let Answer { code, words } = answer;
        let words: String = words.chars().take(MOST_WORDS).collect();
        match before {
            Some(mut same) if same.code == code && kind_of(&same.words, name) == kind_of(&words, name) => {
                same.count = same.count.saturating_add(1);
                (same.nodeeni, same.node) = (nodeeni, node);
                same
            }
            Some(mut other) => {
                other.count = other.count.saturating_add(1);
                (other.code, other.words, other.nodeeni, other.node) = (code, words, nodeeni, node);
                other
            }
            None => Box::new(Self { nodeeni, node, code, words, since: now, count: 1 }),
        }
    }

    /// Whether the API server itself has a problem, or does not answer.
    pub fn is_outage(&self) -> bool {
        self.code.is_none_or(|code| code >= 500 || code == 429)
    }

    /// What is reported on the NodeENI: a refusal at once, a problem of the API server from the second time on.
    pub fn reported(&self) -> Option<(Option<u16>, String)> {
        (!self.is_outage() || self.count > 1).then(|| (self.code, self.words.clone()))
    }

    fn answer(&self) -> String {
        match self.code {
            Some(code) => format!("{code} {}", self.words),
            None => self.words.clone(),
        }
    }
}

/// The message without the object's name and without words that contain digits.
fn kind_of(words: &str, name: &str) -> String {
    let words = words.replace(name, "");
    let words = words.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// When each kind of refusal was last logged, by the kind of write and the answer.
#[derive(Debug, Default)]
pub(super) struct ReportedRefusals(BTreeMap<(Write, Option<u16>, String), Timestamp>);

impl ReportedRefusals {
    pub fn refused(&mut self, target: &Target, refusal: &Refusal, all: usize, now: Timestamp) -> Option<String> {
        let Target { write, name } = target;
        let kind = (*write, refusal.code, kind_of(&refusal.words, name));
        if self.0.get(&kind).is_some_and(|logged| now.duration_since(*logged) < SAID_AGAIN) {
            return None;
        }
        if self.0.len() >= MOST_KINDS {
            self.0.retain(|_, logged| now.duration_since(*logged) < SAID_AGAIN);
        }
        if self.0.len() < MOST_KINDS {
            self.0.insert(kind, now);
        }
        let (verb, resource, since, answer) = (write.verb(), write.resource(), refusal.since, refusal.answer());
        let (since, others) = (second(since), all.saturating_sub(1));
        Some(format!(
            "the API server does not accept writes: {verb} of {resource} {name} has been refused since {since}, and {} {} \
             refused: {answer}. Each write is retried after a pause that grows to 5 minutes",
            counted(others, "other write"),
            is_or_are(others)
        ))
    }

    pub fn taken(&mut self, target: &Target, left: usize) -> Option<String> {
        let Target { write, name } = target;
        let before = self.0.len();
        self.0.retain(|(of, ..), _| of != write);
        let (what, resource) = (write.verb(), write.resource());
        (self.0.len() < before).then(|| {
            format!(
                "the API server accepts {what} of {resource} {name} again; {} {} to be retried",
                counted(left, "refused write"),
                verb(left, "remains", "remain")
            )
        })
    }
}

/// One problem for each target of the most frequent kind of write. The message names one target.
pub(super) fn problems<'a>(refused: impl Iterator<Item = (&'a Target, &'a Refusal)>) -> Vec<Problem> {
    let mut by_write: BTreeMap<Write, Vec<(&Target, &Refusal)>> = BTreeMap::new();
    for (target, refusal) in refused {
        by_write.entry(target.write).or_default().push((target, refusal));
    }
    let others = by_write.values().map(Vec::len).sum::<usize>();
    let Some((write, mut of_it)) = by_write.into_iter().max_by(|(_, a), (_, b)| a.len().cmp(&b.len())) else {
        return Vec::new();
    };
    of_it.sort_unstable_by_key(|(target, _)| *target);
    let Some((first, refusal)) = of_it.first() else { return Vec::new() };
    let since = of_it.iter().map(|(_, refusal)| refusal.since).min().unwrap_or(refusal.since);
    let since = second(since);
    let others = match others - of_it.len() {
        0 => String::new(),
        n => format!(" ({} {} refused, too)", counted(n, "other write"), is_or_are(n)),
    };
    let (resource, name) = (write.resource(), &first.name);
    let objects = match of_it.len() {
        1 => format!("{resource} {name}"),
        several => format!("{several} {resource}, {name} among them,"),
    };
    let message = format!(
        "the API server has refused to {} {objects} since {since}: {}{others}. Change the admission policy, webhook, quota or \
         RBAC rule that refuses it; the controller retries after a pause that grows to 5 minutes",
        write.verb(),
        refusal.answer()
    );
    let nodes = of_it.iter().map(|(_, refusal)| refusal.node.clone());
    nodes.map(|node| Problem { reason: "APIServerRefused", message: message.clone(), node }).collect()
}
