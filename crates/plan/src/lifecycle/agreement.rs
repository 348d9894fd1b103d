//! The last values of an ENI's attributes that its NodeENI asked for and that EC2 showed. They are not stored: a new process begins
//! without them. This file decides nothing.

use super::attribute::Attribute;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;

/// A short digest of a value. There may be tens of thousands of ENIs, so the values themselves are not kept.
pub(super) type Digest = NonZeroU32;

/// For each attribute, the last value that the NodeENI asked for and that EC2 showed on the ENI. None: no such value is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement {
    /// EC2's ID of the attachment that `delete_on_termination` is about.
    attachment: Option<Digest>,
    delete_on_termination: Option<Digest>,
    groups: Option<Digest>,
    description: Option<Digest>,
    source_dest_check: Option<Digest>,
    connection_tracking: Option<Digest>,
    tags: Option<Digest>,
}

impl Agreement {
    /// Records that EC2 shows this value, which the NodeENI asks for. `attachment`: EC2's ID of the attachment.
    pub(super) fn agree(&mut self, attribute: Attribute, value: Digest, attachment: &str) {
        *self.of_mut(attribute) = Some(value);
        if attribute == Attribute::DeleteOnTermination {
            self.attachment = Some(digest(attachment));
        }
    }

    /// The last value of this attribute. A new attachment has EC2's default for deleteOnTermination.
    pub(super) fn of(mut self, attribute: Attribute, attachment: Option<&str>) -> Option<Digest> {
        let is_former = attribute == Attribute::DeleteOnTermination && self.attachment != attachment.map(digest);
        self.of_mut(attribute).filter(|_| !is_former)
    }

    fn of_mut(&mut self, attribute: Attribute) -> &mut Option<Digest> {
        match attribute {
            Attribute::DeleteOnTermination => &mut self.delete_on_termination,
            Attribute::Groups => &mut self.groups,
            Attribute::Description => &mut self.description,
            Attribute::SourceDestCheck => &mut self.source_dest_check,
            Attribute::ConnectionTracking => &mut self.connection_tracking,
            Attribute::Tags => &mut self.tags,
        }
    }
}

/// The digest of a value.
pub(super) fn digest<T: Hash + ?Sized>(value: &T) -> Digest {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    Digest::new(u32::from_le_bytes([a, b, c, d])).unwrap_or(Digest::MIN)
}
