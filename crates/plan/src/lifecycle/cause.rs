//! The causes of a change in place, as a metric shows them.

use super::attribute::Attribute;

/// Why an ENI needs a change in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The NodeENI asks for another value than before: its spec was edited, its names or tags select other groups, or the ENI was
    /// adopted.
    Edit,
    /// EC2 showed the value that the NodeENI asks for, and shows another one now.
    Drift,
    /// Neither Create nor Attach sets the attribute.
    Attach,
}

impl Cause {
    /// Its name in a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Drift => "drift",
            Self::Attach => "attach",
        }
    }

    /// The causes that a change of this attribute can have.
    pub fn of(attribute: Attribute) -> &'static [Self] {
        match attribute.is_set_by_create_or_attach() {
            true => &[Self::Edit, Self::Drift],
            false => &[Self::Edit, Self::Drift, Self::Attach],
        }
    }
}
