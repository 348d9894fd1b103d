//! The attributes of an ENI that can be changed in place.

/// An attribute that can be changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// The attachment's deleteOnTermination.
    DeleteOnTermination,
    /// Security groups.
    Groups,
    /// Description.
    Description,
    /// Source/destination check.
    SourceDestCheck,
    /// Timeouts of connection tracking.
    ConnectionTracking,
    /// Tags.
    Tags,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DeleteOnTermination,
        Self::Groups,
        Self::Description,
        Self::SourceDestCheck,
        Self::ConnectionTracking,
        Self::Tags,
    ];

    /// Its name in reports and in a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeleteOnTermination => "deleteOnTermination",
            Self::Groups => "securityGroups",
            Self::Description => "description",
            Self::SourceDestCheck => "sourceDestCheck",
            Self::ConnectionTracking => "connectionTracking",
            Self::Tags => "tags",
        }
    }

    /// Whether Create or Attach sets it. The others have EC2's default until a call of their own sets them.
    pub fn is_set_by_create_or_attach(self) -> bool {
        match self {
            Self::DeleteOnTermination | Self::SourceDestCheck => false,
            Self::Groups | Self::Description | Self::ConnectionTracking | Self::Tags => true,
        }
    }
}
