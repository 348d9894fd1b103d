//! In which part of the account a subnet or an instance is. Nearly all are in the first VPC and in the Region.

use serde::{Deserialize, Serialize};

/// A part of the account. The Outpost is in the first VPC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The first VPC, in the Region.
    #[default]
    Region,
    /// The first VPC, on the Outpost of a zone.
    Outpost,
    /// The second VPC, in the Region.
    SecondVpc,
}

impl Placement {
    /// Whether it is the first VPC in the Region, which scripts do not write.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn is_region(&self) -> bool {
        *self == Self::Region
    }

    /// Whether both are on the Outpost, or neither is.
    pub fn is_on_outpost_of(self, other: Self) -> bool {
        (self == Self::Outpost) == (other == Self::Outpost)
    }

    /// Whether both are in one VPC.
    pub fn is_in_vpc_of(self, other: Self) -> bool {
        (self == Self::SecondVpc) == (other == Self::SecondVpc)
    }
}
