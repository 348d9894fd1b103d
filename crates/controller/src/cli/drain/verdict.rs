//! How a removal ended, and the exit status that follows from it. This file calls nothing.

use super::left::LeftEni;
use super::removal::Scope;
use std::time::Duration;

/// How the wait for the removal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left on the API server.
    Complete,
    /// The timeout is over, and something is left.
    TimedOut,
}

/// The audit of EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Audit {
    /// The user asked for none.
    Skipped,
    /// EC2 gave no answer, with the reason.
    Failed(String),
    /// EC2 answered.
    Made {
        /// The ENIs that are left.
        left: Vec<LeftEni>,
        /// Number of ENIs in the answer that have no ID: it is not known whether they are left.
        without_id: usize,
    },
}

impl Audit {
    /// The ENIs that are left.
    pub fn left(&self) -> impl Iterator<Item = &LeftEni> {
        let left = match self {
            Self::Made { left, .. } => left.as_slice(),
            Self::Skipped | Self::Failed(_) => &[],
        };
        left.iter()
    }

    /// Whether EC2 showed that nothing is left.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Made { left, without_id } => left.is_empty() && *without_id == 0,
            Self::Skipped | Self::Failed(_) => false,
        }
    }
}

/// Waits between the first looks at EC2 after the removal. EC2 may show an ENI for some seconds after its deletion.
const SOON: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10), Duration::from_secs(15)];
/// Time between two looks at EC2 while the controller decides about orphans.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The looks at EC2 so far, after the removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Looks {
    /// Answered looks.
    pub answered: usize,
    /// Looks without an answer since the last answered one.
    pub failed: usize,
    /// Whether an answered look has shown an orphan that the controller removes by itself.
    pub has_waited: bool,
}

/// What to do after a look at EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextLook {
    /// No further look: this one is the audit.
    Never,
    /// Another look after this time, also after the timeout: EC2 may be late.
    Soon(Duration),
    /// Another look after this time, unless the timeout is over: the controller decides about orphans.
    WhileWaiting(Duration),
}

/// What comes after a look. `is_late`: whether an ENI is left that EC2 may only show late. `orphans`: how many orphans are left
/// that the controller removes by itself; 0 if no controller leads.
pub(super) fn next_look(audit: &Audit, looks: Looks, is_late: bool, orphans: usize) -> NextLook {
    let soon = |tries: usize| tries.checked_sub(1).and_then(|tries| SOON.get(tries)).copied();
    match audit {
        Audit::Skipped => NextLook::Never,
        Audit::Made { .. } if audit.is_clean() => NextLook::Never,
        Audit::Failed(_) => match soon(looks.failed) {
            Some(pause) => NextLook::Soon(pause),
            None if looks.has_waited => NextLook::WhileWaiting(LOOK_EVERY),
            None => NextLook::Never,
        },
        // An ENI without an ID may be one that EC2 shows late, too.
        Audit::Made { without_id, .. } => match soon(looks.answered).filter(|_| is_late || *without_id > 0) {
            Some(pause) => NextLook::Soon(pause),
            None if orphans > 0 => NextLook::WhileWaiting(LOOK_EVERY),
            None => NextLook::Never,
        },
    }
}

/// The exit status: 0 only if nothing is left on the API server, nobody has created a NodeENI again, and EC2 shows no ENI, or the
/// user asked for no audit.
pub(super) fn exit_status(end: End, audit: &Audit, created_since: &[&str]) -> u8 {
    let is_clean = audit.is_clean() || *audit == Audit::Skipped;
    u8::from(!(end == End::Complete && is_clean && created_since.is_empty()))
}

/// The exit status if there was nothing to remove on the API server: the NodeENI that a user names must exist, as for `kubectl
/// delete`, or have left orphans on EC2.
pub(super) fn nothing_named(scope: &Scope, has_orphans: bool) -> u8 {
    match scope {
        Scope::NodeEni(_) if !has_orphans => 1,
        Scope::Cluster | Scope::NodeEni(_) => 0,
    }
}

/// The exit status of `--dry-run` that found something to remove: 0 if a removal could begin.
pub(super) fn dry_run(leads: bool) -> u8 {
    u8::from(!leads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::ids::EniId;

    fn eni() -> EniId {
        EniId::parse("eni-0aaaaaaaaaaaaaaa1").unwrap()
    }

    #[test]
    fn the_exit_status_is_zero_only_if_nothing_is_left() {
        let eni = LeftEni {
            id: eni(),
            nodeeni: "a".into(),
            node: "n1".into(),
            state: "available".into(),
            advice: "delete it".into(),
        };
        let made = |left: &[LeftEni], without_id| Audit::Made { left: left.to_vec(), without_id };
        let clean = made(&[], 0);
        assert_eq!(exit_status(End::Complete, &clean, &[]), 0);
        assert_eq!(exit_status(End::Complete, &Audit::Skipped, &[]), 0);
        assert_eq!(exit_status(End::TimedOut, &clean, &[]), 1);
        assert_eq!(exit_status(End::TimedOut, &Audit::Skipped, &[]), 1);
        assert_eq!(exit_status(End::Complete, &Audit::Failed("no credentials".into()), &[]), 1);
        assert_eq!(exit_status(End::Complete, &made(std::slice::from_ref(&eni), 0), &[]), 1);
        assert_eq!(exit_status(End::Complete, &made(&[], 1), &[]), 1, "an ENI without an ID may be one of ours");
        assert_eq!(exit_status(End::Complete, &clean, &["a"]), 1, "GitOps created it again");
        assert_eq!((dry_run(true), dry_run(false)), (0, 1), "without a leader nothing would be removed");
        let named = || Scope::NodeEni("a".into());
        assert_eq!((nothing_named(&Scope::Cluster, false), nothing_named(&named(), false)), (0, 1));
        assert_eq!(nothing_named(&named(), true), 0, "its orphans were waited for");
    }

    #[test]
    fn ec2_is_asked_again_while_it_may_be_late_and_while_the_controller_decides() {
        let eni = LeftEni {
            id: eni(),
            nodeeni: "a".into(),
            node: "n1".into(),
            state: "available".into(),
            advice: "wait".into(),
        };
        let (clean, left) =
            (Audit::Made { left: Vec::new(), without_id: 0 }, Audit::Made { left: vec![eni], without_id: 0 });
        let failed = Audit::Failed("no credentials".into());
        let looks = |answered, failed, has_waited| Looks { answered, failed, has_waited };
        assert_eq!(next_look(&clean, looks(1, 0, false), false, 0), NextLook::Never);
        assert_eq!(next_look(&Audit::Skipped, looks(0, 0, false), false, 0), NextLook::Never);
        assert_eq!(next_look(&left, looks(1, 0, false), true, 1), NextLook::Soon(SOON[0]));
        assert_eq!(next_look(&left, looks(4, 0, false), true, 1), NextLook::Soon(SOON[3]));
        assert_eq!(next_look(&left, looks(5, 0, false), true, 1), NextLook::WhileWaiting(LOOK_EVERY));
        assert_eq!(next_look(&left, looks(1, 0, false), false, 1), NextLook::WhileWaiting(LOOK_EVERY), "known before");
        assert_eq!(next_look(&left, looks(1, 0, false), false, 0), NextLook::Never, "the controller never removes it");
        assert_eq!(next_look(&left, looks(5, 0, false), true, 0), NextLook::Never);
        let unread = Audit::Made { left: Vec::new(), without_id: 1 };
        assert_eq!(next_look(&unread, looks(1, 0, false), false, 0), NextLook::Soon(SOON[0]), "it may be late");
        assert_eq!(next_look(&unread, looks(5, 0, false), false, 0), NextLook::Never);
        assert_eq!(next_look(&failed, looks(0, 4, false), false, 0), NextLook::Soon(SOON[3]));
        assert_eq!(next_look(&failed, looks(0, 5, false), false, 0), NextLook::Never);
        assert_eq!(next_look(&failed, looks(3, 5, true), false, 0), NextLook::WhileWaiting(LOOK_EVERY));
    }
}
