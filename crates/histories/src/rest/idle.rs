//! At rest nothing is done but what tells that nothing has to be done.

use crate::witness::Activity;

/// What was done in `minutes` of rest and should not have been; None if all is well. `sweep`: how many pages one has.
pub fn problem(activity: &Activity, minutes: u64, sweep: u64) -> Option<String> {
    if let Some(call) = activity.mutations.first() {
        return Some(format!("{} calls that change something, {call} first", activity.mutations.len()));
    }
    if let Some(write) = activity.writes.first() {
        return Some(format!("{} writes to the API server, {write} first", activity.writes.len()));
    }
    // A sweep a minute and one call besides; the minutes' edges may cut one more sweep off.
    let most = (sweep + 1) * (minutes + 1);
    (activity.reads > most).then(|| format!("{} Describes in {minutes} minutes, more than {most}", activity.reads))
}
