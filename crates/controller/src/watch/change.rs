//! One change that a watch brings, in plain data. The names follow kube's `watcher::Event`.

use crate::store::entries::{AttachmentEntry, NodeEniEntry};
use multi_eni_plan::observed::ObservedNode;
use multi_eni_plan::pods::ObservedPod;
use std::sync::Arc;

/// One change of one kind of object.
#[derive(Debug)]
pub enum Watched<T> {
    /// A new list begins. An object that the list does not bring is gone.
    Init,
    /// One object of that list.
    InitApply(T),
    /// The list is complete.
    InitDone,
    /// An object was created or changed.
    Apply(T),
    /// An object is gone.
    Delete {
        /// Its name.
        name: String,
        /// Its UID: another object may have its name already.
        uid: String,
        /// The resourceVersion of the deletion.
        version: String,
    },
}

/// A change of any kind.
#[derive(Debug)]
pub enum Change {
    /// A Node.
    Node(Watched<Box<ObservedNode>>),
    /// A NodeENI.
    NodeEni(Watched<Arc<NodeEniEntry>>),
    /// An ENIAttachment.
    Attachment(Watched<Arc<AttachmentEntry>>),
    /// A Pod.
    Pod(Watched<ObservedPod>),
    /// One of our CRDs.
    Crd {
        /// Its name.
        name: &'static str,
        /// Whether it has a deletionTimestamp.
        terminating: bool,
    },
    /// The API server answers again after an outage.
    ApiAnswers,
}
