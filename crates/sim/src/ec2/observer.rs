//! Eyes on the account: every change of an interface at the moment at which it happens, and who made it.

use jiff::Timestamp;

use super::ledger::CallRecord;
use super::model::Eni;

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A call that landed.
    Call(Box<CallRecord>),
    /// Somebody by hand, through the methods of [`super::Ec2`].
    Hand,
    /// Time: an attach or detach that ended, an instance that terminated.
    Time,
}

/// Something that happened.
#[derive(Debug)]
pub enum Happening<'a> {
    /// An interface is new, changed or gone.
    Changed {
        /// Its ID.
        id: &'a str,
        /// What it was.
        before: Option<&'a Eni>,
        /// What it is.
        after: Option<&'a Eni>,
        /// Who made the change.
        by: &'a By,
    },
    /// A call took effect, was refused, or did not arrive. What it changed was told before.
    Landed(&'a CallRecord),
}

/// Is told everything, in order, while the account is locked: it must not call into it.
pub type Observer = Box<dyn FnMut(Timestamp, &Happening<'_>) + Send>;
