//! The target of a write: the kind of write, and the name of the object.

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// Create an ENIAttachment.
    CreateAttachment,
    /// Delete an ENIAttachment.
    DeleteAttachment,
    /// Mark an ENIAttachment as no longer asked for, or remove the mark.
    MarkAttachment,
    /// Change the node settings of an ENIAttachment.
    ConfigureAttachment,
    /// Put back what somebody removed from an ENIAttachment: finalizer, label, owner.
    RepairAttachment,
    /// Let an ENIAttachment follow its instance to another Node.
    FollowInstance,
    /// Remove the finalizer of an ENIAttachment.
    ReleaseAttachment,
    /// Write the status of an ENIAttachment.
    ReportAttachment,
    /// Add the controller's finalizer to a NodeENI, or remove it.
    GuardNodeEni,
    /// Write the status of a NodeENI.
    ReportNodeEni,
    /// Remove the startup taint of a Node.
    RemoveStartupTaint,
}

impl Write {
    /// The verb, as RBAC and admission policies name it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::CreateAttachment => "create",
            Self::DeleteAttachment => "delete",
            Self::MarkAttachment
            | Self::ConfigureAttachment
            | Self::FollowInstance
            | Self::RepairAttachment
            | Self::ReleaseAttachment => "patch",
            Self::ReportAttachment | Self::GuardNodeEni | Self::ReportNodeEni | Self::RemoveStartupTaint => "patch",
        }
    }

    /// The resource, as RBAC and admission policies name it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::CreateAttachment | Self::DeleteAttachment | Self::MarkAttachment => "eniattachments",
            Self::ConfigureAttachment | Self::FollowInstance | Self::RepairAttachment | Self::ReleaseAttachment => {
                "eniattachments"
            }
            Self::ReportAttachment => "eniattachments/status",
            Self::GuardNodeEni => "nodeenis",
            Self::ReportNodeEni => "nodeenis/status",
            Self::RemoveStartupTaint => "nodes",
        }
    }

    /// The part of the object that is written, in a word or two.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::CreateAttachment => "the object",
            Self::DeleteAttachment => "its deletion",
            Self::MarkAttachment => "the annotation deselected-since",
            Self::ConfigureAttachment => "spec.nodeSettings",
            Self::RepairAttachment => "finalizer, label and owner",
            Self::FollowInstance => "spec.nodeName",
            Self::ReleaseAttachment | Self::GuardNodeEni => "the finalizer",
            Self::ReportAttachment | Self::ReportNodeEni => "the status",
            Self::RemoveStartupTaint => "the removal of the startup taint",
        }
    }

    /// Whether a refusal can be reported in the NodeENI's status. A refusal to write that status cannot.
    pub(super) fn is_reportable(self) -> bool {
        self != Self::ReportNodeEni
    }
}

/// The target of a write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The kind of write.
    pub write: Write,
    /// Name of the object.
    pub name: String,
}
