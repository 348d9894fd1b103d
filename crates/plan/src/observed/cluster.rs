//! The identity of this cluster on EC2, by which ENIs are known as its own.

/// The identity of this cluster on EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// UID of the namespace kube-system: the value of the ownership tag.
    pub uid: String,
    /// Readable name, only for display.
    pub name: String,
}
