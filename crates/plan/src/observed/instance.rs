//! The ENIs on one instance, by the last lookup. Nothing is decided here.

use super::eni::ObservedEni;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

/// All ENIs on one instance, whoever owns them, by the last lookup that showed the primary interface (network card 0, device
/// index 0). A lookup without the primary interface does not count: EC2 shows it late, EC2 hides something, or the instance is
/// gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceInterfaces {
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// The VPC of its primary interface; None if no lookup has shown that interface.
    pub vpc: Option<CompactString>,
    /// The Availability Zone of its primary interface; None if no lookup has shown that interface.
    pub zone: Option<CompactString>,
    /// The AWS service that manages its primary interface and so the instance, by EC2's `Operator`.
    pub operator: Option<CompactString>,
    /// Its ENIs.
    pub enis: Vec<ObservedEni>,
    /// The lookups since then, if they did not show the primary interface.
    pub without_primary: Option<Unshown>,
}

/// Successive lookups that did not show the primary interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshown {
    /// Start of the first lookup.
    pub since: Timestamp,
    /// Start of the latest lookup.
    pub as_of: Timestamp,
}

impl Unshown {
    /// When the instance may be looked up again. The wait grows with the time for which EC2 does not show the primary interface,
    /// from one second (EC2 shows the interfaces of a new instance late) to five minutes.
    pub fn again_at(&self) -> Timestamp {
        let wait = self.as_of.duration_since(self.since);
        let wait = wait.clamp(SignedDuration::from_secs(1), SignedDuration::from_mins(5));
        self.as_of.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}
