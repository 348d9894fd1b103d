//! What a change of the store affects: the keys that must be reconciled.

/// What a change of the store affects. Every key that depends on it is reconciled again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChange {
    /// The Node with this name.
    Node(String),
    /// A NodeENI.
    NodeEni {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// True: spec, age or finalizers changed. False: only the status did.
        nodeeni: bool,
    },
    /// The Pods of this Node that use interfaces.
    Pods(String),
    /// The first list of all Pods is complete.
    PodsListed,
    /// An ENIAttachment.
    Attachment {
        /// Its name.
        name: String,
        /// The Node under whose name it is decided.
        node: String,
        /// The UID of its NodeENI.
        nodeeni_uid: String,
    },
}
