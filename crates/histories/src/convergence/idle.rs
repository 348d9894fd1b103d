//! What a controller may do at rest: only the lookups that show that there is nothing to do.

use crate::checker::Activity;

/// What ENIs wait for at rest, and what must be looked up again and again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// How many ENIs wait for room on their instance, which only EC2's answer to an Attach can show. The controller tries each one
    /// every ten minutes, and writes the result to its ENIAttachment.
    pub crowded: usize,
    /// How many ENIs EC2 never creates. The controller tries each one every ten minutes.
    pub refused: usize,
    /// How many ENIs keep their groups, because EC2 refuses others. The controller tries each one every ten minutes.
    pub kept_groups: usize,
    /// How many full subnets ENIs wait for. The controller describes each one every two minutes.
    pub full: usize,
    /// How many of the kinds of names are in use. The controller looks up each kind every three minutes.
    pub names: u64,
}

/// What the replicas did in `minutes` of rest and should not have done; None if there is no problem.
///
/// `resync_pages`: how many pages one resync has.
pub fn problem(activity: &Activity, minutes: u64, resync_pages: u64, waits: &Waits) -> Option<String> {
    let Waits { crowded, refused, kept_groups, full, names } = *waits;
    let tries = |enis: usize| usize::try_from(minutes / 10 + 1).unwrap_or(usize::MAX).saturating_mul(enis);
    let of = |what: &str| activity.mutations.iter().filter(|call| *call == what).count();
    let (attaches, creates) = (of("AttachNetworkInterface"), of("CreateNetworkInterface"));
    let changes = of("ModifyNetworkInterfaceAttribute");
    let is_excused = attaches <= tries(crowded)
        && creates <= tries(refused)
        && changes <= tries(kept_groups)
        && attaches + creates + changes == activity.mutations.len();
    if let Some(call) = activity.mutations.first().filter(|_| !is_excused) {
        return Some(format!("{} calls that change EC2, the first is {call}", activity.mutations.len()));
    }
    let is_excused = activity.writes.len() <= tries(crowded + refused + kept_groups)
        && activity.writes.iter().all(|write| write.starts_with("patch eniattachments"));
    if let Some(write) = activity.writes.first().filter(|_| !is_excused) {
        return Some(format!("{} writes to the API server, the first is {write}", activity.writes.len()));
    }
    // One resync a minute and one call besides. The span may begin and end within a minute, so one more resync is allowed.
    let subnet_lookups = u64::try_from(full).unwrap_or(u64::MAX).saturating_mul(minutes / 2 + 1);
    let names = names * (minutes / 3 + 1);
    let most = ((resync_pages + 1) * (minutes + 1)).saturating_add(subnet_lookups).saturating_add(names);
    (activity.reads > most).then(|| format!("{} Describes in {minutes} minutes, the maximum is {most}", activity.reads))
}
