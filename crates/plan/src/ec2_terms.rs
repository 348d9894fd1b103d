//! Terms of `securityGroupSelectorTerms` and `subnetSelectorTerms`, parsed. Parsing refuses what the CRD's schema refuses, because
//! a stored object may be older than the schema. Nothing is looked up here.

use crate::string_map::StringMap;
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_api::{SecurityGroupSelectorTerm, SubnetSelectorTerm};
use std::collections::BTreeMap;
use std::fmt;

/// Tags that a resource on EC2 must have, all of them. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagTerm {
    /// Key and value; None: any value.
    tags: BTreeMap<String, Option<String>>,
}

/// A term that selects security groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupTerm {
    /// By ID.
    Id(SecurityGroupId),
    /// By the group's name.
    Name(String),
    /// By tags.
    Tags(TagTerm),
}

/// A term that selects subnets. A term by name is one by the tag Name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubnetTerm {
    /// By ID.
    Id(SubnetId),
    /// By tags.
    Tags(TagTerm),
}

/// The most characters of a tag value in a filter of EC2, and of a key.
const LONGEST_VALUE: usize = 255;
const LONGEST_KEY: usize = 128;

impl TagTerm {
    /// The tags of a term, and the tag Name if the term has a name.
    ///
    /// # Errors
    /// A sentence: there is no tag, or a key or a value cannot be used.
    pub fn read(name: Option<&str>, tags: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut read: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (key, value) in tags {
            let length = key.chars().count();
            if length == 0 || length > LONGEST_KEY {
                return Err(format!("the tag key {key:?} has {length} characters; 1 to {LONGEST_KEY} are allowed"));
            }
            let value = if value == "*" { None } else { Some(tag_value(value)?) };
            read.insert(key.clone(), value);
        }
        if let Some(name) = name {
            let name = tag_value(name)?;
            if read.insert("Name".to_owned(), Some(name)).is_some() {
                return Err("name is the tag Name: set one of them".to_owned());
            }
        }
        if read.is_empty() { Err("a term must not be empty".to_owned()) } else { Ok(Self { tags: read }) }
    }

    /// Whether a resource with these tags matches.
    pub fn matches(&self, tags: &StringMap) -> bool {
        self.tags().all(|(key, value)| tags.get(key).is_some_and(|has| value.is_none_or(|value| value == has)))
    }

    /// The tags: key and value; None stands for any value.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }
}

fn tag_value(value: &str) -> Result<String, String> {
    if value.is_empty() || value.contains('*') || value.chars().count() > LONGEST_VALUE {
        return Err(format!(
            "{value:?} is no value of a tag or a name here: 1 to {LONGEST_VALUE} characters, and '*' only alone, as a tag's value"
        ));
    }
    Ok(value.to_owned())
}

impl GroupTerm {
    /// Parses a term.
    ///
    /// # Errors
    /// A sentence: the term is empty or has several parts, or a part cannot be used.
    pub fn read(term: &SecurityGroupSelectorTerm) -> Result<Self, String> {
        let tags = term.tags.as_ref().filter(|tags| !tags.is_empty());
        match (&term.id, &term.name, tags) {
            (Some(id), None, None) => SecurityGroupId::parse(id).map(Self::Id).map_err(|error| error.to_string()),
            (None, Some(name), None) => tag_value(name).map(Self::Name),
            (None, None, Some(tags)) => TagTerm::read(None, tags).map(Self::Tags),
            (None, None, None) => Err("a term must not be empty: set id, name or tags".to_owned()),
            _ => Err("a term has one of id, name and tags: add another term for the others".to_owned()),
        }
    }
}

impl SubnetTerm {
    /// Parses a term.
    ///
    /// # Errors
    /// A sentence: the term is empty or mixes an ID with others, or a part cannot be used.
    pub fn read(term: &SubnetSelectorTerm) -> Result<Self, String> {
        let none = BTreeMap::new();
        let tags = term.tags.as_ref().unwrap_or(&none);
        match (&term.id, &term.name) {
            (Some(id), None) if tags.is_empty() => SubnetId::parse(id).map(Self::Id).map_err(|error| error.to_string()),
            (Some(_), _) => Err("id stands alone in a term: add another term for the name or the tags".to_owned()),
            (None, name) => TagTerm::read(name.as_deref(), tags).map(Self::Tags),
        }
    }
}

impl fmt::Display for TagTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<String> = self.tags().map(|(key, value)| format!("tag {key}={}", value.unwrap_or("*"))).collect();
        f.write_str(&tags.join(" and "))
    }
}

impl fmt::Display for GroupTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "name {name}"),
            Self::Tags(tags) => write!(f, "{tags}"),
        }
    }
}

impl fmt::Display for SubnetTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Tags(tags) => write!(f, "{tags}"),
        }
    }
}

/// The terms as a text, such as `sg-05da196f3314d4af8 or tag team=net and tag tier=*`.
pub fn text<T: fmt::Display>(terms: &[T]) -> String {
    terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn all_tags_of_a_term_must_match_and_a_star_stands_for_any_value() {
        let term = TagTerm::read(Some("db"), &tags(&[("team", "*")]).unwrap()).unwrap();
        let matches = |tags: &[(&str, &str)]| term.matches(&tags.iter().copied().collect());
        assert!(matches(&[("Name", "db"), ("team", "net"), ("more", "x")]));
        assert!(matches(&[("Name", "db"), ("team", "")]));
        assert!(!matches(&[("Name", "db")]) && !matches(&[("Name", "DB"), ("team", "net")]));
        assert_eq!(term.to_string(), "tag Name=db and tag team=*");
    }

    #[test]
    fn a_stored_term_that_the_schema_would_refuse_is_an_error() {
        let group = |id: Option<&str>, name: Option<&str>, tags: Option<BTreeMap<String, String>>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            GroupTerm::read(&SecurityGroupSelectorTerm { id: owned(id), name: owned(name), tags })
        };
        assert!(group(Some("sg-05da196f3314d4af8"), None, tags(&[])).is_ok());
        assert!(group(None, Some("web"), None).is_ok() && group(None, None, tags(&[("a", "b")])).is_ok());
        for bad in [
            group(None, None, None),
            group(None, None, tags(&[])),
            group(Some("sg-05da196f3314d4af8"), Some("web"), None),
            group(None, Some("web"), tags(&[("a", "b")])),
            group(Some("web"), None, None),
            group(None, Some(""), None),
            group(None, None, tags(&[("", "b")])),
            group(None, None, tags(&[("a", "")])),
            group(None, None, tags(&[("a", "b*")])),
            group(None, None, tags(&[("a", &"b".repeat(256))])),
        ] {
            assert!(bad.is_err(), "{bad:?}");
        }
        let subnet = |id: Option<&str>, name: Option<&str>, tags: Option<BTreeMap<String, String>>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            SubnetTerm::read(&SubnetSelectorTerm { id: owned(id), name: owned(name), tags })
        };
        assert!(subnet(Some("subnet-0f59b4f14737be9ad"), None, None).is_ok());
        assert!(subnet(None, Some("db"), tags(&[("team", "*")])).is_ok());
        for bad in [
            subnet(None, None, None),
            subnet(Some("subnet-0f59b4f14737be9ad"), Some("db"), None),
            subnet(Some("subnet-0f59b4f14737be9ad"), None, tags(&[("a", "b")])),
            subnet(None, Some("db"), tags(&[("Name", "db")])),
            subnet(Some("db"), None, None),
        ] {
            assert!(bad.is_err(), "{bad:?}");
        }
    }
}
