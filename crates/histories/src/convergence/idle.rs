//! What a controller may do at rest: only the lookups that show that there is nothing to do.

use crate::checker::Activity;

/// What the replicas did in `minutes` of rest and should not have done; None if there is no problem.
///
/// `resync_pages`: how many pages one resync has. `crowded`: how many ENIs wait for room on their instance, which only EC2's
/// answer to an Attach can show. The controller tries each one every ten minutes, and writes the result to its ENIAttachment.
/// `full`: how many full subnets ENIs wait for; the controller describes each one every two minutes. `names`: how many of the
/// three kinds of names are in use; the controller looks up each kind every three minutes.
pub fn problem(
    activity: &Activity,
    minutes: u64,
    resync_pages: u64,
    (crowded, full, names): (usize, usize, u64),
) -> Option<String> {
    let tries = usize::try_from(minutes / 10 + 1).unwrap_or(usize::MAX).saturating_mul(crowded);
    let excused = |of: &[String], what: &str| of.len() <= tries && of.iter().all(|one| one.starts_with(what));
    if let Some(call) = activity.mutations.first().filter(|_| !excused(&activity.mutations, "AttachNetworkInterface")) {
        return Some(format!("{} calls that change EC2, the first is {call}", activity.mutations.len()));
    }
    if let Some(write) = activity.writes.first().filter(|_| !excused(&activity.writes, "patch eniattachments")) {
        return Some(format!("{} writes to the API server, the first is {write}", activity.writes.len()));
    }
    // One resync a minute and one call besides. The span may begin and end within a minute, so one more resync is allowed.
    let subnet_lookups = u64::try_from(full).unwrap_or(u64::MAX).saturating_mul(minutes / 2 + 1);
    let names = names * (minutes / 3 + 1);
    let most = ((resync_pages + 1) * (minutes + 1)).saturating_add(subnet_lookups).saturating_add(names);
    (activity.reads > most).then(|| format!("{} Describes in {minutes} minutes, the maximum is {most}", activity.reads))
}
