//! Writes that the API server accepts and that do not last: a mutating webhook, a GitOps tool or a CRD of another version
//! removes their content, and they are decided again. A write whose content is still there when its back-off is over has lasted.

use super::pending_write::PendingWrite;
use super::target::{Target, Write};
use crate::backoff::Tries;
use crate::message_time::second;
use crate::problem::Problem;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// From this many accepted writes in a row with the same content on, each within ten minutes of the one before, it is
/// reported.
const OFTEN: u32 = 4;

/// One target whose writes do not last.
#[derive(Debug)]
pub(super) struct Undone {
    pub nodeeni: String,
    node: Option<String>,
    since: Timestamp,
    /// When the back-off of the last write ends. If the write is not decided again by then, it has lasted.
    until: Timestamp,
}

impl Undone {
    /// The state after one more write.
    pub fn after(before: Option<&Self>, asked: &PendingWrite, tries: &Tries, now: Timestamp) -> Option<Box<Self>> {
        let PendingWrite { target, content, nodeeni, node } = asked;
        // An object that is created again was removed by this process or by a user, and a taint that is there again was set again.
        let is_made_again =
            matches!(target.write, Write::CreateAttachment | Write::DeleteAttachment | Write::RemoveStartupTaint);
        (!is_made_again && tries.same() >= OFTEN).then(|| {
            let since = before.map_or(now, |before| before.since);
            let until = tries.not_before(*content, &target.name, now).unwrap_or(now);
            Box::new(Self { nodeeni: nodeeni.clone(), node: node.clone(), since, until })
        })
    }

    /// When the report ends, unless the write is decided again.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Ends the back-off now: a user asks for a new try.
    pub fn wake(&mut self, now: Timestamp) {
        self.until = self.until.min(now);
    }

    /// The line for the log.
    pub fn line(&self, target: &Target) -> String {
        message(target, (self.since, self.until), 1)
    }
}

fn message(target: &Target, (since, until): (Timestamp, Timestamp), all: usize) -> String {
    let Target { write, name } = target;
    let since = second(since);
    // With several objects the time would change with each write.
    let end = match all {
        1 => format!("this report ends at {} if the content is still there", second(until)),
        _ => "an object is no longer counted when its content has lasted through its pause".to_owned(),
    };
    format!(
        "the API server accepts each write to {all} {} ({}), {name} among them, but afterwards the written content is missing, \
         repeatedly since {since}: a mutating webhook, a GitOps tool, or a CRD of another version removes it. Exclude these \
         objects from that webhook or tool, or install the CRDs of this controller's version; the controller retries after \
         pauses that grow to 5 minutes; {end}",
        write.resource(),
        write.says()
    )
}

/// One problem for each target of the most frequent kind of write. The message names one target.
pub(super) fn problems<'a>(undone: impl Iterator<Item = (&'a Target, &'a Undone)>) -> Vec<Problem> {
    let mut by_write: BTreeMap<_, Vec<(&Target, &Undone)>> = BTreeMap::new();
    undone.for_each(|(target, undone)| by_write.entry(target.write).or_default().push((target, undone)));
    let Some(mut of_it) = by_write.into_values().max_by_key(Vec::len) else { return Vec::new() };
    of_it.sort_unstable_by_key(|(target, _)| *target);
    let Some((first, undone)) = of_it.first() else { return Vec::new() };
    let since = of_it.iter().map(|(_, undone)| undone.since).min().unwrap_or(undone.since);
    let message = message(first, (since, undone.until), of_it.len());
    let nodes = of_it.iter().map(|(_, undone)| undone.node.clone());
    nodes.map(|node| Problem { reason: "RepairUndone", message: message.clone(), node }).collect()
}
