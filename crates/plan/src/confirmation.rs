//! When answers of EC2 to the terms of a NodeENI suffice to take a group off an ENI or to replace the ENI. It compares times only, and
//! looks nothing up.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long EC2 must have shown the same groups for a term, or the same tags of a subnet, before an ENI may lose a group or its
/// subnet for it. A replica of EC2 may lag for seconds, and a tag that is moved may be on nothing for a while. Credentials of
/// another account raise a doubt at the next resync, which is a minute later, and what they showed is forgotten.
pub const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// How long after an edit of the terms a lookup must begin to suffice for tags that were shown before the edit, too. A user may have
/// tagged the subnet just before the edit, and EC2 may show a new tag late.
pub const EDIT_SETTLES: SignedDuration = SignedDuration::from_secs(15);

/// How long EC2 must have shown the tags of a subnet before an edit of the terms, for the edit to be the change and not the tags. A tag
/// that is moved may be taken off just before the edit, and the resync that raises a doubt about the account is a minute apart.
const STANDS_BEFORE_EDIT: SignedDuration = SignedDuration::from_mins(1);

/// When the subnet terms of each NodeENI (by UID) were edited last, as far as this process has observed.
pub type TermEdits = BTreeMap<String, Timestamp>;

/// When a Describe can confirm what EC2 has shown since `since`.
pub fn confirmed_at(since: Timestamp) -> Timestamp {
    since.saturating_add(CONFIRMED_AFTER).unwrap_or(Timestamp::MAX)
}

/// Whether the tags that EC2 has shown since `since` stood before the terms were edited, and did not change with the edit.
pub fn is_before_edit(since: Timestamp, edited: Timestamp) -> bool {
    edited.duration_since(since) >= STANDS_BEFORE_EDIT
}

/// When a Describe must begin to confirm tags that EC2 has shown since `since`, if the terms were edited at `edited`, as far as this
/// process has observed. If the tags stood before the edit, one Describe after the edit suffices.
pub fn tags_confirmed_at(since: Timestamp, edited: Option<Timestamp>) -> Timestamp {
    let Some(edited) = edited else { return confirmed_at(since) };
    // Only a Describe after the edit shows a tag that was set together with the edit.
    let settled = edited.saturating_add(EDIT_SETTLES).unwrap_or(Timestamp::MAX);
    if is_before_edit(since, edited) { settled } else { confirmed_at(since).max(settled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn an_edit_needs_a_fresh_lookup_and_not_three_minutes() {
        assert_eq!(tags_confirmed_at(at(0), None), at(180), "a change on EC2");
        assert_eq!(tags_confirmed_at(at(0), Some(at(60))), at(75), "shown before the edit");
        assert_eq!(tags_confirmed_at(at(0), Some(at(59))), at(180), "the tags may have changed for the edit");
        assert_eq!(tags_confirmed_at(at(0), Some(at(1000))), at(1015), "an old answer does not suffice after an edit");
        assert_eq!(tags_confirmed_at(at(20), Some(at(10))), at(200), "a change on EC2 after the edit");
    }
}
