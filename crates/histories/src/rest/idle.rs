//! At rest nothing is done but what tells that nothing has to be done.

use crate::witness::Activity;

/// What was done in `minutes` of rest and should not have been; None if all is well. `enis`: how many ENIs are ours.
pub fn problem(activity: &Activity, minutes: u64, enis: usize) -> Option<String> {
    if let Some(call) = activity.mutations.first() {
        return Some(format!("{} calls that change something, {call} first", activity.mutations.len()));
    }
    if let Some(write) = activity.writes.first() {
        return Some(format!("{} writes to the API server, {write} first", activity.writes.len()));
    }
    let a_minute = u64::try_from(enis.div_ceil(1000)).unwrap_or(u64::MAX) + 1;
    // The minutes' edges may cut one more sweep off.
    let most = a_minute * (minutes + 1);
    (activity.reads > most).then(|| format!("{} Describes in {minutes} minutes, more than {most}", activity.reads))
}
