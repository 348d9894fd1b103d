//! The security groups of one name, by EC2's answers so far. A name stands for at most one group of a VPC, EC2 renames no group, and it
//! deletes none that an ENI has. So the first answer is certain, and no answer is partial. A name that stands for another group than
//! before is not certain: somebody shares groups with the account, or another account answers.

use crate::confirmation::confirmed_at;
use jiff::Timestamp;
use multi_eni_api::ids::SecurityGroupId;
use std::collections::BTreeSet;

/// VPC and ID of security groups, in every VPC.
pub type GroupsByVpc = BTreeSet<(String, SecurityGroupId)>;

/// The security groups of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedGroups {
    /// The groups of the last answer.
    pub groups: GroupsByVpc,
    /// Start of the first Describe that showed these groups, if the name stood for others before, and EC2 has not shown these for
    /// minutes since (three, see `confirmation.rs`). None: certain.
    pub moved: Option<Timestamp>,
    /// The groups of the last answer that had any.
    last: GroupsByVpc,
}

impl NamedGroups {
    /// The first answer.
    pub fn first(groups: GroupsByVpc) -> Self {
        Self { last: groups.clone(), groups, moved: None }
    }

    /// After another answer, to a Describe that began at `at`.
    #[must_use]
    pub fn and(&self, groups: GroupsByVpc, at: Timestamp) -> Self {
        if groups.is_empty() {
            return Self { groups, ..self.clone() };
        }
        let is_other = !self.last.is_empty() && self.last != groups;
        let moved = match self.moved {
            _ if is_other => Some(at),
            // There was another answer in between, and the time begins again.
            Some(_) if self.groups != groups => Some(at),
            Some(since) => Some(since.min(at)).filter(|since| at < confirmed_at(*since)),
            None => None,
        };
        Self { last: groups.clone(), groups, moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn groups(ids: &[u32]) -> GroupsByVpc {
        let id = |n: &u32| SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap();
        ids.iter().map(|n| ("vpc-1".to_owned(), id(n))).collect()
    }

    /// When the groups of the last of these answers were shown first, if they are not certain yet.
    fn moved(answers: &[(i64, &[u32])]) -> Option<Timestamp> {
        let ((_, first), others) = answers.split_first().unwrap();
        let first = NamedGroups::first(groups(first));
        others.iter().fold(first, |named, (seconds, ids)| named.and(groups(ids), at(*seconds))).moved
    }

    #[test]
    fn the_first_group_of_a_name_is_certain_and_another_one_after_three_minutes() {
        assert_eq!(moved(&[(0, &[1])]), None);
        assert_eq!(moved(&[(0, &[1]), (60, &[1])]), None);
        assert_eq!(moved(&[(0, &[1]), (60, &[2])]), Some(at(60)));
        assert_eq!(moved(&[(0, &[1]), (60, &[2]), (239, &[2])]), Some(at(60)));
        assert_eq!(moved(&[(0, &[1]), (60, &[2]), (240, &[2])]), None);
        assert_eq!(moved(&[(0, &[1]), (60, &[2]), (240, &[1])]), Some(at(240)), "back again");
        // The clock is set back: the answer counts from its own time.
        assert_eq!(moved(&[(0, &[1]), (60, &[2]), (-100, &[2])]), Some(at(-100)));
    }

    #[test]
    fn an_answer_without_a_group_makes_no_other_group_certain() {
        assert_eq!(moved(&[(0, &[]), (60, &[1])]), None, "the group was created");
        assert_eq!(moved(&[(0, &[1]), (60, &[]), (120, &[1])]), None, "EC2 did not show it for a moment");
        assert_eq!(moved(&[(0, &[1]), (60, &[]), (120, &[2])]), Some(at(120)), "the group was made again");
        assert_eq!(moved(&[(0, &[1]), (60, &[2]), (120, &[]), (240, &[2])]), Some(at(240)), "the time begins again");
    }
}
