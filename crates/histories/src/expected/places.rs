//! The places that a NodeENI asks for on one Node, as data.

/// A place for an ENI on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Network card.
    pub card: i32,
    /// Device index. Negative: any free index is right, because `deviceIndexPolicy` is `highestFree` and no ENIAttachment has an
    /// index for the subnet yet.
    pub index: i32,
    /// The subnet.
    pub subnet: String,
    /// Whether the subnet is in another VPC than the instance, so that no controller can attach an ENI there.
    pub is_in_other_vpc: bool,
}

/// The places that one NodeENI asks for on one Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesiredPlaces {
    /// No places: the selector does not match, the NodeENI is being deleted, or the Node can never have an ENI.
    Nothing,
    /// Exactly these places. The list is empty if none of the NodeENI's subnets is in the node's zone.
    These(Vec<Place>),
    /// Unknown: the spec or a name in it cannot be resolved, or the Node is being deleted. The controller adds and removes
    /// nothing.
    Unknown,
}

impl DesiredPlaces {
    /// The places, if they are known.
    pub fn places(self) -> Vec<Place> {
        match self {
            Self::These(places) => places,
            Self::Nothing | Self::Unknown => Vec::new(),
        }
    }
}
