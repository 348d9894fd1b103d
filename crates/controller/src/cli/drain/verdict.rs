//! How a removal ended, and the exit status that follows from it. This file calls nothing.

use super::left::LeftEni;
use super::removal::Scope;

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
    /// Whether EC2 showed that nothing is left.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Made { left, without_id } => left.is_empty() && *without_id == 0,
            Self::Skipped | Self::Failed(_) => false,
        }
    }
}

/// The exit status: 0 only if nothing is left on the API server, nobody has created a NodeENI again, and EC2 shows no ENI, or the
/// user asked for no audit.
pub(super) fn exit_status(end: End, audit: &Audit, created_since: &[&str]) -> u8 {
    let is_clean = audit.is_clean() || *audit == Audit::Skipped;
    u8::from(!(end == End::Complete && is_clean && created_since.is_empty()))
}

/// The exit status if there was nothing to remove: the NodeENI that a user names must exist, as for `kubectl delete`.
pub(super) fn nothing_named(scope: &Scope) -> u8 {
    match scope {
        Scope::Cluster => 0,
        Scope::NodeEni(_) => 1,
    }
}

/// The exit status of `--dry-run` that found something to remove: 0 if a removal could begin.
pub(super) fn dry_run(leads: bool) -> u8 {
    u8::from(!leads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_zero_only_if_nothing_is_left() {
        let eni = LeftEni {
            id: "eni-1".into(),
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
        assert_eq!((nothing_named(&Scope::Cluster), nothing_named(&Scope::NodeEni("typo".into()))), (0, 1));
    }
}
