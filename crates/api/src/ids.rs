//! IDs of EC2, parsed once. All of them are short enough to be stored inline, without an allocation.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An ID that does not have EC2's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {what}: use the form {prefix}0123456789abcdef0")]
pub struct MalformedId {
    what: &'static str,
    prefix: &'static str,
    value: String,
}

fn parse(what: &'static str, prefix: &'static str, value: &str) -> Result<CompactString, MalformedId> {
    let digits = value.strip_prefix(prefix).unwrap_or_default();
    let hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    // Old accounts have 8 digits and new ones 17. The architecture page has an example with 16.
    if hex && (8..=17).contains(&digits.len()) {
        Ok(value.into())
    } else {
        Err(MalformedId { what, prefix, value: value.to_owned() })
    }
}

macro_rules! ec2_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(CompactString);

        impl $name {
            /// Parses an ID with 8 to 17 hex digits after its prefix.
            ///
            /// # Errors
            /// [`MalformedId`] for any other text.
            pub fn parse(value: &str) -> Result<Self, MalformedId> {
                parse($what, $prefix, value).map(Self)
            }

            /// Any text as an ID, for an object that EC2 shows without one.
            pub fn of(text: &str) -> Self {
                Self(text.into())
            }

            /// An ID that EC2 returned. Any text is allowed, because only EC2 knows which forms it uses. None for an empty text.
            pub fn observed(value: &str) -> Option<Self> {
                (!value.is_empty()).then(|| Self(value.into()))
            }

            /// The ID as EC2 writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ec2_id!(
    /// `subnet-…`
    SubnetId, "a subnet ID", "subnet-"
);
ec2_id!(
    /// `sg-…`
    SecurityGroupId, "a security group ID", "sg-"
);
ec2_id!(
    /// `i-…`
    InstanceId, "an instance ID", "i-"
);
ec2_id!(
    /// `eni-…`
    EniId, "a network interface ID", "eni-"
);
ec2_id!(
    /// `vpc-…`
    VpcId, "a VPC ID", "vpc-"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_8_to_17_hex_digits_behind_their_prefix() {
        for good in ["subnet-0f59b4f14737be9ad", "subnet-abcdef1234567890", "subnet-12345678"] {
            assert_eq!(SubnetId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "subnet-", "subnet-1234567", "subnet-0123456789abcdef01", "subnet-ABCDEF12", "sg-12345678"]
        {
            assert!(SubnetId::parse(bad).is_err(), "{bad}");
        }
    }
}
