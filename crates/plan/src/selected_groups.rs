//! The security groups that a NodeENI selects in one VPC, by terms or by lists, and by what the catalog knows. No group is taken off an
//! ENI before EC2 has shown the same groups for minutes for each term with tags and for each name that stood for another group before,
//! and a group for each term: partial answers of seconds interrupt no traffic.

use crate::ec2_terms::{GroupTerm, TagTerm};
use crate::nodeeni::EniSpec;
use crate::observed::Ec2Catalog;
use jiff::Timestamp;
use multi_eni_api::ids::SecurityGroupId;
use std::collections::BTreeSet;

/// The most security groups of an ENI, with EC2's highest quota.
pub const MOST_GROUPS: usize = 16;

/// The groups that a NodeENI selects in one VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedGroups {
    /// The groups, sorted. Not empty.
    pub groups: Vec<SecurityGroupId>,
    /// The terms that match no group of the VPC.
    pub unmatched: Vec<GroupTerm>,
    /// The terms by tags and the names whose groups EC2 has not shown for minutes, and since when EC2 has shown them.
    pub unconfirmed: Vec<(GroupTerm, Timestamp)>,
}

/// Why the terms select no usable set of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSelection {
    /// These names and tags were not looked up yet.
    NotLookedUp(Vec<String>, Vec<TagTerm>),
    /// No group of the VPC matches.
    NoGroup,
    /// More groups match than an ENI can have.
    TooMany(usize),
}

impl Ec2Catalog {
    /// The groups that the terms select in a VPC. An ID is taken as it is: EC2 refuses one that it does not know.
    ///
    /// # Errors
    /// See [`NoSelection`].
    pub fn selected_groups(&self, terms: &[GroupTerm], vpc: &str) -> Result<SelectedGroups, NoSelection> {
        let (mut names, mut tags) = (Vec::new(), Vec::new());
        let (mut groups, mut unmatched, mut unconfirmed) = (BTreeSet::new(), Vec::new(), Vec::new());
        let in_vpc = |found: &BTreeSet<(String, SecurityGroupId)>| {
            found.iter().filter(|(of, _)| of == vpc).map(|(_, id)| id.clone()).collect::<Vec<_>>()
        };
        for own in terms {
            match own {
                GroupTerm::Id(id) => drop(groups.insert(id.clone())),
                GroupTerm::Name(name) => match self.groups_named.get(name) {
                    // A name stands for at most one group of a VPC. If it stands for none, it may be made again in a moment.
                    Some(known) => {
                        let found = in_vpc(&known.groups);
                        unmatched.extend(found.is_empty().then(|| own.clone()));
                        unconfirmed.extend(known.moved.map(|since| (own.clone(), since)));
                        groups.extend(found);
                    }
                    None => names.push(name.clone()),
                },
                GroupTerm::Tags(term) => match self.groups_tagged.get(term) {
                    // Tags that no group of the VPC has may have been moved, or another account answers.
                    Some(known) => {
                        let found = in_vpc(&known.groups);
                        unmatched.extend(found.is_empty().then(|| own.clone()));
                        unconfirmed.extend((!known.is_confirmed).then(|| (own.clone(), known.since)));
                        groups.extend(found);
                    }
                    None => tags.push(term.clone()),
                },
            }
        }
        if !names.is_empty() || !tags.is_empty() {
            return Err(NoSelection::NotLookedUp(names, tags));
        }
        match groups.len() {
            0 => Err(NoSelection::NoGroup),
            many if many > MOST_GROUPS => Err(NoSelection::TooMany(many)),
            _ => Ok(SelectedGroups { groups: groups.into_iter().collect(), unmatched, unconfirmed }),
        }
    }

    /// The groups for ENIs that exist in a VPC, by the terms or the lists of a spec. None: the spec names no group, or not all of its
    /// groups are known.
    pub fn groups_of(&self, spec: &EniSpec, vpc: &str) -> Option<SelectedGroups> {
        if spec.group_terms.is_empty() {
            self.listed_groups(spec, vpc)
        } else {
            self.selected_groups(&spec.group_terms, vpc).ok()
        }
    }

    /// The same by the lists. Without a group in them the VPC's default group applies, which only Create knows. A name that does not
    /// stand for exactly one group changes nothing.
    pub fn listed_groups(&self, spec: &EniSpec, vpc: &str) -> Option<SelectedGroups> {
        let mut groups = self.groups(&spec.groups, &spec.group_names, vpc).ok()?;
        groups.sort();
        let moved = |name: &String| {
            let since = self.groups_named.get(name)?.moved?;
            Some((GroupTerm::Name(name.clone()), since))
        };
        let unconfirmed = spec.group_names.iter().filter_map(moved).collect();
        (!groups.is_empty()).then_some(SelectedGroups { groups, unmatched: Vec::new(), unconfirmed })
    }
}

impl SelectedGroups {
    /// Whether a group that is not in `groups` may be taken off an ENI: each term matches a group, and EC2 has shown it for minutes
    /// where one answer is not certain.
    pub fn is_confirmed(&self) -> bool {
        self.unmatched.is_empty() && self.unconfirmed.is_empty()
    }

    /// The groups for an ENI that has these groups now; None if the ENI stays as it is.
    pub fn for_eni(self, now: &[SecurityGroupId]) -> Option<Vec<SecurityGroupId>> {
        let keeps_all = self.kept(now).next().is_none();
        (self.is_confirmed() || keeps_all).then_some(self.groups)
    }

    /// The groups of an ENI that no term selects.
    pub fn kept<'g>(&self, now: &'g [SecurityGroupId]) -> impl Iterator<Item = &'g SecurityGroupId> {
        now.iter().filter(|group| !self.groups.contains(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::nodeeni;
    use crate::named_groups::NamedGroups;
    use crate::observed::TaggedGroups;

    fn id(n: usize) -> SecurityGroupId {
        SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap()
    }

    fn term(key: &str) -> TagTerm {
        TagTerm::read(None, &[(key.to_owned(), "*".to_owned())].into()).unwrap()
    }

    fn tagged(ids: impl IntoIterator<Item = usize>, is_confirmed: bool) -> TaggedGroups {
        let groups = ids.into_iter().map(|n| ("vpc-1".to_owned(), id(n))).chain([("vpc-2".to_owned(), id(99))]);
        TaggedGroups { groups: groups.collect(), since: Timestamp::UNIX_EPOCH, is_confirmed }
    }

    #[test]
    fn the_groups_of_all_terms_are_united_and_sorted_and_of_one_vpc() {
        let mut catalog = Ec2Catalog::default();
        let terms = [GroupTerm::Tags(term("a")), GroupTerm::Name("web".to_owned()), GroupTerm::Id(id(1))];
        let missing = NoSelection::NotLookedUp(vec!["web".to_owned()], vec![term("a")]);
        assert_eq!(catalog.selected_groups(&terms, "vpc-1"), Err(missing));
        catalog.groups_tagged.insert(term("a"), tagged([3, 2], true));
        catalog.groups_named.insert("web".to_owned(), NamedGroups::first([("vpc-1".to_owned(), id(2))].into()));
        let selected = catalog.selected_groups(&terms, "vpc-1").unwrap();
        assert_eq!((selected.groups.as_slice(), selected.is_confirmed()), ([id(1), id(2), id(3)].as_slice(), true));
        // The order of the terms does not matter.
        let reversed: Vec<GroupTerm> = terms.iter().rev().cloned().collect();
        assert_eq!(catalog.selected_groups(&reversed, "vpc-1").unwrap(), selected);
        assert_eq!(catalog.selected_groups(&terms[..1], "vpc-3"), Err(NoSelection::NoGroup));
        catalog.groups_tagged.insert(term("a"), tagged(10..27, true));
        assert_eq!(catalog.selected_groups(&terms[..1], "vpc-1"), Err(NoSelection::TooMany(17)));
    }

    #[test]
    fn one_answer_adds_groups_and_takes_none_off() {
        let mut catalog = Ec2Catalog::default();
        let terms = [GroupTerm::Tags(term("a"))];
        let mut of = |ids: &[usize], is_confirmed: bool, now: &[SecurityGroupId]| {
            catalog.groups_tagged.insert(term("a"), tagged(ids.iter().copied(), is_confirmed));
            catalog.selected_groups(&terms, "vpc-1").unwrap().for_eni(now)
        };
        let (both, one) = ([id(1), id(2)], [id(1)]);
        assert_eq!(of(&[1, 2], false, &one), Some(both.to_vec()), "a group is added by one answer");
        assert_eq!(of(&[1], false, &both), None, "a partial answer takes no group off");
        assert_eq!(of(&[1], true, &both), Some(one.to_vec()));
        assert_eq!(of(&[3], false, &both), None);
    }

    /// Another account's answer has no group of this VPC, however often it is given.
    #[test]
    fn a_term_that_selects_no_group_of_the_vpc_takes_no_group_off() {
        let mut catalog = Ec2Catalog::default();
        let terms = [GroupTerm::Id(id(1)), GroupTerm::Tags(term("a"))];
        catalog.groups_tagged.insert(term("a"), tagged([], true));
        let selected = catalog.selected_groups(&terms, "vpc-1").unwrap();
        assert_eq!((selected.groups.as_slice(), selected.is_confirmed()), ([id(1)].as_slice(), false));
        assert_eq!(selected.unmatched, terms[1..], "the term is named");
        assert_eq!(selected.clone().for_eni(&[id(1), id(2)]), None);
        assert_eq!(selected.for_eni(&[]), Some(vec![id(1)]), "a group is added all the same");
        catalog.groups_tagged.insert(term("a"), tagged([3], true));
        let selected = catalog.selected_groups(&terms, "vpc-1").unwrap();
        assert_eq!(selected.for_eni(&[id(1), id(2)]), Some(vec![id(1), id(3)]));
    }
    /// The edit of a term is the will of the user; a name that stands for another group than before is not.
    #[test]
    fn an_edit_of_names_takes_a_group_off_at_once_and_a_name_that_moved_after_minutes() {
        let named = |n: usize| NamedGroups::first([("vpc-1".to_owned(), id(n))].into());
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut catalog = Ec2Catalog::default();
        for (name, n) in [("web", 1), ("db", 2)] {
            catalog.groups_named.insert(name.to_owned(), named(n));
        }
        let both = [id(1), id(2)];
        let of = |catalog: &Ec2Catalog, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            let spec = nodeeni("a", 1, &["subnet-00000001"]).spec.unwrap();
            let by_terms = EniSpec { group_terms: names.clone().map(GroupTerm::Name).collect(), ..spec.clone() };
            let by_list = EniSpec { group_names: names.collect(), ..spec };
            let [terms, list] = [by_terms, by_list].map(|spec| catalog.groups_of(&spec, "vpc-1").unwrap());
            assert_eq!(terms, list);
            terms
        };
        assert_eq!(of(&catalog, &["web"]).for_eni(&both), Some(vec![id(1)]), "the name of the other group was removed");
        assert_eq!(of(&catalog, &["db"]).for_eni(&[id(1)]), Some(vec![id(2)]), "the name was replaced");
        let moved = named(1).and([("vpc-1".to_owned(), id(3))].into(), at(60));
        catalog.groups_named.insert("web".to_owned(), moved.clone());
        let selected = of(&catalog, &["web", "db"]);
        assert_eq!(selected.unconfirmed, [(GroupTerm::Name("web".to_owned()), at(60))]);
        assert_eq!(selected.clone().for_eni(&both), None, "the ENI keeps its groups");
        assert_eq!(selected.for_eni(&[id(2)]), Some(vec![id(2), id(3)]), "a group is added at once");
        catalog.groups_named.insert("web".to_owned(), moved.and(moved.groups.clone(), at(240)));
        assert_eq!(of(&catalog, &["web", "db"]).for_eni(&both), Some(vec![id(2), id(3)]));
    }
}
