//! A change in place of one ENI: of its security groups, its tags, or another attribute.

use super::attribute::Attribute;
use crate::connection_tracking::Words;
use crate::ec2_errors::Call;
use crate::observed::ObservedEni;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::SecurityGroupId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One change in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The attachment's deleteOnTermination.
    DeleteOnTermination {
        /// EC2's attachment ID.
        attachment: String,
        /// The value to set.
        value: bool,
    },
    /// Security groups.
    Groups(Vec<SecurityGroupId>),
    /// Description.
    Description(String),
    /// Source/destination check.
    SourceDestCheck(bool),
    /// Timeouts of connection tracking: those that the NodeENI asks for, and the others as EC2 shows them.
    ConnectionTracking(ConnectionTracking),
    /// Tags to set.
    Tags(BTreeMap<String, String>),
    /// Keys of tags to remove. Only tags that were set from `spec.tags` are removed.
    Untag(BTreeSet<String>),
}

impl Change {
    /// The EC2 action that makes the change.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Tags(_) => "CreateTags",
            Self::Untag(_) => "DeleteTags",
            Self::DeleteOnTermination { .. }
            | Self::Groups(_)
            | Self::Description(_)
            | Self::SourceDestCheck(_)
            | Self::ConnectionTracking(_) => "ModifyNetworkInterfaceAttribute",
        }
    }

    /// What the change sets.
    pub fn attribute(&self) -> Attribute {
        match self {
            Self::DeleteOnTermination { .. } => Attribute::DeleteOnTermination,
            Self::Groups(_) => Attribute::Groups,
            Self::Description(_) => Attribute::Description,
            Self::SourceDestCheck(_) => Attribute::SourceDestCheck,
            Self::ConnectionTracking(_) => Attribute::ConnectionTracking,
            Self::Tags(_) | Self::Untag(_) => Attribute::Tags,
        }
    }

    /// The call that makes the change.
    pub(crate) fn call(&self) -> Call {
        match self {
            Self::Tags(_) => Call::Tag,
            Self::Untag(_) => Call::Untag,
            Self::DeleteOnTermination { .. }
            | Self::Groups(_)
            | Self::Description(_)
            | Self::SourceDestCheck(_)
            | Self::ConnectionTracking(_) => Call::Modify,
        }
    }

    /// Applies the change to an observation of the ENI.
    pub(crate) fn apply(&self, eni: &mut ObservedEni) {
        match self {
            Self::DeleteOnTermination { value, .. } => {
                if let Some(at) = &mut eni.attachment {
                    at.delete_on_termination = *value;
                }
            }
            Self::Groups(groups) => eni.groups.clone_from(groups),
            Self::Description(text) => eni.description.clone_from(text),
            Self::SourceDestCheck(value) => eni.source_dest_check = *value,
            Self::ConnectionTracking(timeouts) => eni.connection_tracking = *timeouts,
            Self::Tags(tags) => eni.tags.extend(tags.clone()),
            Self::Untag(keys) => {
                eni.tags = eni.tags.iter().filter(|(key, _)| !keys.contains(*key)).collect();
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(", ");
        match self {
            Self::DeleteOnTermination { value, .. } => write!(f, "deleteOnTermination: {value}"),
            Self::Groups(groups) => {
                write!(f, "security groups: {}", list(groups.iter().map(ToString::to_string).collect()))
            }
            Self::Description(text) => write!(f, "description: {text:?}"),
            Self::SourceDestCheck(value) => write!(f, "sourceDestCheck: {value}"),
            Self::ConnectionTracking(timeouts) => write!(f, "connectionTracking: {}", Words(*timeouts)),
            Self::Tags(tags) => {
                write!(f, "tags: {}", list(tags.iter().map(|(key, value)| format!("{key}={value}")).collect()))
            }
            Self::Untag(keys) => write!(f, "tags removed: {}", list(keys.iter().cloned().collect())),
        }
    }
}
