//! One change of one network interface, as the simulated EC2 reports it.

use crate::script::Millis;
use multi_eni_sim::ec2::AttachmentStatus::Detaching;
use multi_eni_sim::ec2::{By, CallRecord, Eni};

/// A change of a network interface.
pub struct EniChange<'a> {
    /// When it changed.
    pub at: Millis,
    /// Its ID.
    pub id: &'a str,
    /// As it was; None if it is new.
    pub before: Option<&'a Eni>,
    /// As it is; None if it was deleted.
    pub after: Option<&'a Eni>,
    /// What changed it.
    pub by: &'a By,
}

impl<'a> EniChange<'a> {
    /// The call that changed it, if a call did.
    pub fn call(&self) -> Option<&'a CallRecord> {
        match self.by {
            By::Call(record) => Some(record.as_ref()),
            By::Hand | By::Time => None,
        }
    }

    /// The process whose call changed it; empty if no call did.
    pub fn actor(&self) -> &'a str {
        self.call().map_or("", |record| record.user_agent.as_str())
    }

    /// Whether someone changed it by hand, or it lost its attachment together with its instance.
    pub fn is_external(&self) -> bool {
        match self.by {
            By::Call(_) => false,
            By::Hand => true,
            By::Time => self.ends_with_instance(),
        }
    }

    /// Whether its attachment ended without a detach: an attachment ends so when its instance is terminated.
    fn ends_with_instance(&self) -> bool {
        let attachment = self.before.and_then(|eni| eni.attachment.as_ref());
        let was_attached = attachment.is_some_and(|attachment| attachment.status != Detaching);
        was_attached && self.after.is_none_or(|eni| eni.attachment.is_none())
    }
}
