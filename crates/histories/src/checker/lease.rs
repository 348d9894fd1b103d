//! `only-the-leader`: until when a process may send changing requests, by the API server's answers to its renewals of the Lease.

use crate::script::Millis;
use std::collections::BTreeMap;

/// How long the Lease lasts. The checker has its own number, so that it notices a different one in the controller.
const LASTS: Millis = 15_000;

/// The Lease as it is, and as the processes know it.
#[derive(Debug, Default)]
pub struct Leases {
    /// By process: when it sent a renewal that is not answered yet.
    sent: BTreeMap<String, Millis>,
    /// By process: until when it is the leader.
    until: BTreeMap<String, Millis>,
    /// The holder of the Lease on the API server.
    pub holder: String,
}

impl Leases {
    /// A process sends a write of the Lease.
    pub fn sends(&mut self, process: &str, at: Millis) {
        self.sent.insert(process.to_owned(), at);
    }

    /// A write of the Lease was answered. If it was accepted and the process holds the Lease, the process leads until the Lease
    /// ends, counted from when the write was sent. Returns true if it came so late that it may begin a new term, which starts
    /// without memory.
    pub fn answered(&mut self, process: &str, identity: &str, taken: bool) -> bool {
        let Some(sent) = self.sent.remove(process) else { return false };
        if !taken || self.holder != identity {
            return false;
        }
        let before = self.until.insert(process.to_owned(), sent + LASTS);
        before.is_none_or(|before| before < sent + LASTS / 2)
    }

    /// Why a process must not send at `at` a request that times out after `timeout`; None if it may.
    pub fn forbids(&self, process: &str, identity: &str, at: Millis, timeout: Millis) -> Option<String> {
        let until = self.until.get(process).copied().unwrap_or(0);
        if self.holder != identity {
            return Some(format!("{} holds the Lease", if self.holder.is_empty() { "nobody" } else { &self.holder }));
        }
        (at + timeout >= until).then(|| format!("its Lease ends at {until} ms, before the request's timeout"))
    }
}
