//! What the condition Progressing says besides its numbers: which node a NodeENI waits for, and what is still to come after an edit
//! of the spec. It decides nothing.

use crate::api_time::whole_second;
use crate::assign::{GroupsWait, Unassigned, UnassignedReason};
use crate::counted::{counted, verb};
use crate::ec2_messages::second;
use crate::nodeeni::NodeEni;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What is going on for a NodeENI.
pub(super) struct Progress<'a> {
    /// The spec was edited since the last status, or Progressing was True in it. Otherwise a lookup that is repeated, such as after
    /// the start of a process, is no progress.
    pub is_new: bool,
    /// Nodes that have not been decided since the NodeENI changed.
    pub undecided: usize,
    /// Nodes with ENIs that are replaced in their turn.
    pub outdated: usize,
    /// Nodes that are to lose ENIs at the pace of removals.
    pub losing: usize,
    /// Pairs of NodeENI and Node that get no ENI now, with the reason.
    pub refused: &'a [&'a Unassigned],
    /// Security groups that stay on ENIs for a while.
    pub groups_waits: &'a [&'a GroupsWait],
    /// A node on which an ENI is being removed or is not ready.
    pub replaced: Option<&'a str>,
    /// A node whose agent gives a device back before the ENI is detached, and until when that is awaited.
    pub returning: Option<(&'a str, Timestamp)>,
}

impl Progress<'_> {
    /// The node that the NodeENI waits for, and why, in parentheses. A node that waits for its turn in a rollout is not the one that
    /// the rollout works on.
    pub fn waits(&self) -> String {
        if self.returning.is_some() {
            return self.returns();
        }
        let is_in_turn = |refusal: &&&Unassigned| refusal.why != UnassignedReason::AwaitingRollout;
        let mut transient = self.refused.iter().filter(|refusal| refusal.why.is_transient());
        if let Some(refusal) = transient.clone().find(is_in_turn) {
            return format!(" ({}: {})", refusal.node, refusal.why);
        }
        match (self.replaced, transient.next()) {
            (_, None) => String::new(),
            (Some(node), Some(_)) => {
                let turns = self.refused.iter().filter(|refusal| !is_in_turn(refusal)).map(|refusal| &refusal.node);
                let turns = turns.collect::<BTreeSet<_>>().len();
                let (turns, wait) = (counted(turns, "node"), verb(turns, "waits for its", "wait for their"));
                format!(" (an ENI of {node} is being replaced, and {turns} {wait} turn)")
            }
            (None, Some(refusal)) => format!(" ({}: {})", refusal.node, refusal.why),
        }
    }

    /// The node whose agent gives a device back, and until when, in parentheses.
    pub fn returns(&self) -> String {
        let Some((node, until)) = self.returning else { return String::new() };
        let until = second(until);
        format!(
            " ({node}: until {until} waiting for the node agent to give a device back to its kernel driver before the Detach)"
        )
    }

    /// What an edit of the spec leaves to do, while no ENI is missing and none is being removed.
    pub fn to_come(&self, nodeeni: &NodeEni, matched: usize) -> Option<String> {
        if self.outdated > 0 {
            let most = nodeeni.spec.as_ref().map_or(1, |spec| spec.max_unavailable.of(matched));
            return Some(format!(
                "the spec no longer describes ENIs on {}: they are replaced on at most {} at a time (rollout.maxUnavailable)",
                counted(self.outdated, "node"),
                counted(most, "node")
            ));
        }
        if self.losing > 0 {
            let losing = counted(self.losing, "node");
            return Some(format!("ENIs on {losing} are to be removed, at the pace of rollout.maxRemovals"));
        }
        if self.undecided > 0 {
            let (nodes, have) = (counted(self.undecided, "node"), verb(self.undecided, "has", "have"));
            return Some(format!("the NodeENI changed, and {nodes} {have} not been reconciled since"));
        }
        if let Some(waits) = self.unconfirmed() {
            return Some(waits);
        }
        let waits = self.refused.iter().find(|refusal| refusal.why.is_transient()).filter(|_| self.is_new)?;
        Some(format!("{}: {}", waits.node, waits.why))
    }

    /// What waits until EC2 has confirmed its answers, and until when, whether or not the spec was edited.
    fn unconfirmed(&self) -> Option<String> {
        let is_unconfirmed = |why: &UnassignedReason| matches!(why, UnassignedReason::SubnetUnconfirmed { .. });
        let mut of_subnets = self.refused.iter().filter(|refusal| is_unconfirmed(&refusal.why));
        if let Some(first) = of_subnets.next() {
            let others = of_subnets.map(|refusal| &refusal.node).collect::<BTreeSet<_>>().len();
            let others = if others > 0 { format!(" and {}", counted(others, "other node")) } else { String::new() };
            return Some(format!("{}{others}: {}", first.node, first.why));
        }
        let until = self.groups_waits.iter().map(|waits| waits.until).max()?;
        let groups: BTreeSet<_> = self.groups_waits.iter().flat_map(|waits| &waits.groups).collect();
        let named: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let nodes = self.groups_waits.iter().map(|waits| &waits.node).collect::<BTreeSet<_>>().len();
        Some(format!(
            "no term of securityGroupSelectorTerms selects {} any more by EC2's last answers: on {} {} on the ENIs until {}, because \
             EC2 must have shown the same groups for 3 min",
            named.join(", "),
            counted(nodes, "node"),
            verb(groups.len(), "the group stays", "the groups stay"),
            whole_second(until).0
        ))
    }
}
