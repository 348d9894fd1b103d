//! The observer of an account. It receives every change of an interface, with its origin, and every call.

use jiff::Timestamp;

use super::call_log::CallRecord;
use super::model::Eni;
use crate::iam::Request;

/// The origin of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A call that took effect.
    Call(Box<CallRecord>),
    /// A change by hand, through the methods of [`super::Ec2`].
    Hand,
    /// An event in EC2: an attach or detach that ends, an instance that terminates.
    Time,
}

/// An event that the observer receives.
#[derive(Debug)]
pub enum Happening<'a> {
    /// An interface was created, changed or deleted.
    Changed {
        /// The interface's ID.
        id: &'a str,
        /// The interface before the change.
        before: Option<&'a Eni>,
        /// The interface after the change.
        after: Option<&'a Eni>,
        /// The origin of the change.
        by: &'a By,
    },
    /// A call took effect, was refused, or did not arrive. The changes that it made were reported before.
    Landed(&'a CallRecord),
}

/// Receives all events in order, while the account is locked. It must not call methods of the account.
pub type Observer = Box<dyn FnMut(Timestamp, &Happening<'_>) + Send>;

/// Receives what IAM sees of each call, while the account is locked. It must not call methods of the account.
pub type IamObserver = Box<dyn FnMut(Vec<Request>) + Send>;
