//! `only-the-leader`: until when a process may send what changes something, by what the API server has told it.

use crate::script::Millis;
use std::collections::BTreeMap;

/// How long the Lease lasts. The checker's own number, so that another one in the controller shows.
const LASTS: Millis = 15_000;

/// The Lease as the processes know it, and as it is.
#[derive(Debug, Default)]
pub struct Leases {
    /// When a renewal was sent that has not been answered yet, by process.
    sent: BTreeMap<String, Millis>,
    /// Until when a process is the leader, by process.
    until: BTreeMap<String, Millis>,
    /// Who holds the Lease, by the API server.
    pub holder: String,
}

impl Leases {
    /// A process sends a write of the Lease.
    pub fn sends(&mut self, life: &str, at: Millis) {
        self.sent.insert(life.to_owned(), at);
    }

    /// It was answered: if the write was taken and the Lease is its own, it leads until the Lease's end, counted from the
    /// sending. True: that came so late that it may be another term, which remembers nothing of the one before.
    pub fn answered(&mut self, life: &str, identity: &str, taken: bool) -> bool {
        let Some(sent) = self.sent.remove(life) else { return false };
        if !taken || self.holder != identity {
            return false;
        }
        let before = self.until.insert(life.to_owned(), sent + LASTS);
        before.is_none_or(|before| before < sent + LASTS / 2)
    }

    /// Why this process must not send, at `at`, what is given up after `timeout`; None if it may.
    pub fn forbids(&self, life: &str, identity: &str, at: Millis, timeout: Millis) -> Option<String> {
        let until = self.until.get(life).copied().unwrap_or(0);
        if self.holder != identity {
            return Some(format!("{} holds the Lease", if self.holder.is_empty() { "nobody" } else { &self.holder }));
        }
        (at + timeout >= until).then(|| format!("its Lease ends at {until} ms, before the request's own end"))
    }
}
