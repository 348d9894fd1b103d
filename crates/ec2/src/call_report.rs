//! The times of one call, for whoever follows the call. A handle without a [`CallReport`] notes nothing.

use jiff::Timestamp;
use multi_eni_plan::attach_trace::Ec2Call;
use std::sync::{Arc, OnceLock};

/// What became of one call. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CallReport(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    queued: OnceLock<Timestamp>,
    ended: OnceLock<Ec2Call>,
}

impl CallReport {
    /// The call, once it has been sent and has ended. None also for a call that was never sent.
    pub fn ended(&self) -> Option<&Ec2Call> {
        self.0.ended.get()
    }

    /// The call begins to wait for the rate limiter. The first time counts.
    pub(crate) fn note_queued(&self, at: Timestamp) {
        let _ = self.0.queued.set(at);
    }

    /// When the call began to wait.
    pub(crate) fn queued(&self) -> Option<Timestamp> {
        self.0.queued.get().copied()
    }

    /// The call has ended. The first time counts: a report is for one call.
    pub(crate) fn note_ended(&self, call: Ec2Call) {
        let _ = self.0.ended.set(call);
    }
}
