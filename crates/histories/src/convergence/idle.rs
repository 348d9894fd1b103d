//! At rest nothing is done but what tells that nothing has to be done.

use crate::checker::Activity;

/// What was done in `minutes` of rest and should not have been; None if all is well. `sweep`: how many pages one has. `crowded`:
/// how many ENIs wait for room on their instance, which only EC2's answer to an Attach can show: each tries every ten minutes,
/// and its ENIAttachment says so. `full`: how many subnets are waited for that have no room: each is looked at every two minutes.
/// `names`: how many of the three kinds of names are in use: all of a kind are asked for every three minutes.
pub fn problem(
    activity: &Activity,
    minutes: u64,
    sweep: u64,
    (crowded, full, names): (usize, usize, u64),
) -> Option<String> {
    let tries = usize::try_from(minutes / 10 + 1).unwrap_or(usize::MAX).saturating_mul(crowded);
    let excused = |of: &[String], what: &str| of.len() <= tries && of.iter().all(|one| one.starts_with(what));
    if let Some(call) = activity.mutations.first().filter(|_| !excused(&activity.mutations, "AttachNetworkInterface")) {
        return Some(format!("{} calls that change something, {call} first", activity.mutations.len()));
    }
    if let Some(write) = activity.writes.first().filter(|_| !excused(&activity.writes, "patch eniattachments")) {
        return Some(format!("{} writes to the API server, {write} first", activity.writes.len()));
    }
    // A sweep a minute and one call besides; the minutes' edges may cut one more sweep off.
    let looks = u64::try_from(full).unwrap_or(u64::MAX).saturating_mul(minutes / 2 + 1);
    let names = names * (minutes / 3 + 1);
    let most = ((sweep + 1) * (minutes + 1)).saturating_add(looks).saturating_add(names);
    (activity.reads > most).then(|| format!("{} Describes in {minutes} minutes, more than {most}", activity.reads))
}
