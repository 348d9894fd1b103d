//! The cache's observation of the ENI of one ENIAttachment: the ENI, or what proves that it is gone. Nothing is decided here.

use super::eni::ObservedEni;
use jiff::Timestamp;

/// Successive lookups that did not show an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Start of the first lookup.
    pub since: Timestamp,
    /// Start of the latest lookup.
    pub last: Timestamp,
    /// Whether EC2 answered a Delete of this process with the error that it does not know the ENI.
    pub by_delete: bool,
    /// When EC2 had last shown an ENI or an instance of this cluster, at the start of the latest lookup.
    pub home: Option<Timestamp>,
}

impl Missed {
    /// One lookup that began at this time.
    pub fn once(at: Timestamp) -> Self {
        Self { since: at, last: at, by_delete: false, home: None }
    }

    /// A Delete was answered at this time with the error that EC2 does not know the ENI.
    pub fn by_delete(at: Timestamp) -> Self {
        Self { by_delete: true, ..Self::once(at) }
    }

    /// Adds when EC2 had last shown this cluster at the start of the latest lookup.
    #[must_use]
    pub fn after(self, home: Option<Timestamp>) -> Self {
        Self { home: home.max(self.home), ..self }
    }

    /// Whether EC2 has shown this cluster since the first lookup. Otherwise the absence proves nothing, because the credentials
    /// may belong to another account.
    pub fn is_proven(&self) -> bool {
        self.home.is_some_and(|home| home >= self.since)
    }

    /// Adds a lookup that began at `at`.
    #[must_use]
    pub fn and(self, at: Timestamp) -> Self {
        Self { since: self.since.min(at), last: self.last.max(at), ..self }
    }
}

/// The cache's observation of the ENI of one ENIAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// No resync has ended yet: nothing is known.
    Blind,
    /// EC2 shows the ENI.
    Seen(Box<ObservedEni>),
    /// EC2 does not show the ENI.
    Absent {
        /// Start of the latest complete resync or lookup by tag that did not show the ENI.
        by_tag: Timestamp,
        /// When EC2 had last shown an ENI or an instance of this cluster, at the start of that resync or lookup.
        home: Option<Timestamp>,
        /// The lookups by ID that did not show the ENI, or EC2's answer to a Delete that it does not know the ENI.
        by_id: Option<Missed>,
        /// When EC2 answered this process's own DeleteNetworkInterface, if it did.
        deleted: Option<Timestamp>,
    },
}
