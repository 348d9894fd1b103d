//! The addresses of one subnet that this process uses: those of its unanswered Creates, and those that it took since a Describe. It
//! decides nothing.

use crate::observed::ObservedSubnet;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// How many Creates may rely on an old Describe.
const BY_AN_OLD_LOOKUP: usize = 10;

/// What this process uses of one subnet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Used {
    /// The Creates that have not been answered yet, by UID of the ENIAttachment.
    pub(super) trying: BTreeMap<String, Try>,
    /// The Creates that succeeded: when, and how many addresses each took.
    pub(super) taken: VecDeque<(Timestamp, i32)>,
}

/// One Create that has not been answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    /// The addresses that it needs.
    pub(super) needs: i32,
    /// The last refusal in this pool when the Create was sent.
    pub(super) refused_at: Option<Timestamp>,
}

impl Used {
    /// The free addresses by this Describe, less those that this process took since and those of its unanswered Creates.
    pub(super) fn left(&self, observed_subnet: &ObservedSubnet) -> i32 {
        observed_subnet
            .free_addresses
            .saturating_sub(self.taken_since(observed_subnet))
            .saturating_sub(self.trying.values().map(|one| one.needs).sum())
    }

    /// Whether so many Creates rely on this Describe, which is older than `valid`, that other clients may have filled the subnet
    /// since.
    pub(super) fn outgrows(&self, observed_subnet: &ObservedSubnet, now: Timestamp, valid: SignedDuration) -> bool {
        let taken = self.taken.iter().rev().take_while(|(at, _)| now.duration_since(*at) < valid).count();
        now.duration_since(observed_subnet.as_of) >= valid && self.trying.len() + taken >= BY_AN_OLD_LOOKUP
    }

    /// The addresses that this process took since this Describe.
    pub(super) fn taken_since(&self, observed_subnet: &ObservedSubnet) -> i32 {
        self.taken.iter().rev().take_while(|(at, _)| *at >= observed_subnet.as_of).map(|(_, needs)| needs).sum()
    }
}

/// Whether the count of free addresses is meaningful. For a subnet without IPv4 it is not.
pub(super) fn has_ipv4_count(observed_subnet: &ObservedSubnet) -> bool {
    !observed_subnet.cidr.is_empty()
}
