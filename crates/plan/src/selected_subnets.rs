//! Which subnets `subnetSelectorTerms` select, by what the catalog knows. A subnet that an ENI is in counts as selected until EC2 has
//! shown the subnet itself with the same tags for minutes, or before and after an edit of the terms, and these tags match no term:
//! its absence from an answer proves nothing.

use crate::ec2_terms::{SubnetTerm, TagTerm};
use crate::observed::{Ec2Catalog, ObservedSubnet};
use jiff::Timestamp;
use multi_eni_api::ids::SubnetId;

/// Whether the terms select a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// A term matches by its ID, by the last answer, or by the subnet's last known tags.
    Selected,
    /// No term matches, for certain.
    NotSelected,
    /// No term is known to match, and EC2 has not shown the same tags of the subnet for minutes, nor before and after an edit of the
    /// terms.
    Unknown,
}

impl Ec2Catalog {
    /// Whether the terms select the subnet with this ID. `edited`: when the terms were edited, as far as this process has observed.
    pub fn selection(&self, terms: &[SubnetTerm], id: &SubnetId, edited: Option<Timestamp>) -> Selection {
        let known = self.subnets.get(id);
        let matches = |term: &SubnetTerm| match term {
            SubnetTerm::Id(own) => own == id,
            SubnetTerm::Tags(tags) => {
                self.subnets_tagged.get(tags).is_some_and(|found| found.contains(id))
                    || known.is_some_and(|subnet| tags.matches(&subnet.tags))
            }
        };
        let is_certain = |term: &SubnetTerm| match term {
            SubnetTerm::Id(_) => true,
            SubnetTerm::Tags(_) => known.is_some_and(|subnet| subnet.has_confirmed_tags(edited)),
        };
        if terms.iter().any(matches) {
            Selection::Selected
        } else if terms.iter().all(is_certain) {
            Selection::NotSelected
        } else {
            Selection::Unknown
        }
    }

    /// The tags of terms that were not looked up yet.
    pub fn unresolved_tags(&self, terms: &[SubnetTerm]) -> Vec<TagTerm> {
        let tags = terms.iter().filter_map(|term| match term {
            SubnetTerm::Tags(tags) if !self.subnets_tagged.contains_key(tags) => Some(tags.clone()),
            SubnetTerm::Tags(_) | SubnetTerm::Id(_) => None,
        });
        tags.collect()
    }

    /// The subnets that the terms select by the last answers, in every VPC, in the order of their IDs.
    pub fn selected_subnets(&self, terms: &[SubnetTerm]) -> Vec<&ObservedSubnet> {
        let ids = terms.iter().flat_map(|term| match term {
            SubnetTerm::Id(id) => vec![id],
            SubnetTerm::Tags(tags) => self.subnets_tagged.get(tags).into_iter().flatten().collect(),
        });
        let mut found: Vec<&ObservedSubnet> = ids.filter_map(|id| self.subnets.get(id)).collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        found
    }

    /// The first term by ID that stands for no known subnet.
    pub fn unknown_term<'t>(&self, terms: &'t [SubnetTerm]) -> Option<&'t SubnetId> {
        terms.iter().find_map(|term| match term {
            SubnetTerm::Id(id) if !self.subnets.contains_key(id) => Some(id),
            SubnetTerm::Id(_) | SubnetTerm::Tags(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::{SUBNET_A, World, at, nodeeni};
    use crate::string_map::StringMap;

    #[test]
    fn a_subnet_is_not_selected_only_if_its_tags_are_confirmed() {
        let mut catalog = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]).catalog;
        let id = SubnetId::parse(SUBNET_A).unwrap();
        let tags = TagTerm::read(None, &[("tier".to_owned(), "db".to_owned())].into()).unwrap();
        let (by_tags, by_id) = (SubnetTerm::Tags(tags.clone()), SubnetTerm::Id(id.clone()));
        let other = SubnetTerm::Id(SubnetId::parse("subnet-00000009").unwrap());
        let both = [by_tags.clone(), other.clone()];
        assert_eq!(
            catalog.selection(std::slice::from_ref(&other), &id, None),
            Selection::NotSelected,
            "an ID is certain"
        );
        assert_eq!(catalog.selection(&[by_tags.clone(), by_id], &id, None), Selection::Selected);
        assert_eq!(catalog.selection(&both, &id, None), Selection::Unknown);
        // An answer without the subnet proves nothing.
        catalog.subnets_tagged.insert(tags.clone(), [].into());
        assert_eq!(catalog.selection(&both, &id, None), Selection::Unknown);
        catalog.subnets.get_mut(&id).unwrap().as_of = at(180);
        assert_eq!(catalog.selection(&both, &id, None), Selection::NotSelected);
        catalog.subnets.get_mut(&id).unwrap().tags = StringMap::from([("tier", "db")]);
        assert_eq!(catalog.selection(&both, &id, None), Selection::Selected);
        // EC2 does not show the subnet any more, and the last answer had it.
        catalog.subnets.remove(&id);
        assert_eq!(catalog.selection(&both, &id, None), Selection::Unknown);
        catalog.subnets_tagged.insert(tags, [id.clone()].into());
        assert_eq!(catalog.selection(&both, &id, None), Selection::Selected);
    }

    /// The terms change, and the subnet's tags do not.
    #[test]
    fn after_an_edit_one_fresh_description_of_the_subnet_suffices() {
        let mut catalog = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]).catalog;
        let id = SubnetId::parse(SUBNET_A).unwrap();
        let tags = TagTerm::read(None, &[("tier".to_owned(), "db".to_owned())].into()).unwrap();
        let terms = [SubnetTerm::Tags(tags.clone())];
        catalog.subnets_tagged.insert(tags, [].into());
        catalog.subnets.get_mut(&id).unwrap().tags_since = Some(at(-60));
        let mut of = |as_of: i64, edited: Option<i64>| {
            catalog.subnets.get_mut(&id).unwrap().as_of = at(as_of);
            catalog.selection(&terms, &id, edited.map(at))
        };
        assert_eq!(of(20, None), Selection::Unknown);
        assert_eq!(of(20, Some(5)), Selection::NotSelected);
        assert_eq!(of(19, Some(5)), Selection::Unknown, "EC2 may show a tag late");
        assert_eq!(of(1000, Some(990)), Selection::Unknown, "the description is older than the edit");
    }
}
