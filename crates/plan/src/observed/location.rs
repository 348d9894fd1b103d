//! Where a subnet or an instance is: its Availability Zone and its Outpost. An Outpost has a zone of its Region, and EC2 attaches an ENI
//! only to an instance of the same zone and the same Outpost. Nothing is decided here.

use std::fmt;

/// The place of a subnet or of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Availability Zone.
    pub zone: String,
    /// ARN of the Outpost; None in the Region itself, or where it is not known.
    pub outpost: Option<Box<str>>,
}

impl Location {
    /// The place in the Region itself.
    pub fn in_region(zone: &str) -> Self {
        Self { zone: zone.to_owned(), outpost: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outpost) = &self.outpost else { return f.write_str(&self.zone) };
        // arn:aws:outposts:REGION:ACCOUNT:outpost/ID
        let id = outpost.rsplit_once('/').map_or(outpost.as_ref(), |(_, id)| id);
        write!(f, "{} on Outpost {id}", self.zone)
    }
}

/// The Outpost of a node's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeOutpost<'a> {
    /// EC2 has not shown it.
    NotShown,
    /// EC2 shows this Outpost by its ARN, or none.
    Shown(Option<&'a str>),
}

impl NodeOutpost<'_> {
    /// Whether an ENI of a subnet on this Outpost, by its ARN, can be attached to the instance, as far as it is known.
    pub fn takes(self, of_subnet: Option<&str>) -> bool {
        match self {
            Self::NotShown => true,
            Self::Shown(outpost) => outpost == of_subnet,
        }
    }

    /// The ARN, if EC2 shows one.
    pub fn arn(self) -> Option<Box<str>> {
        match self {
            Self::NotShown => None,
            Self::Shown(outpost) => outpost.map(Box::from),
        }
    }
}
