//! What is written to: a kind of write, and the name of the object.

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// An ENIAttachment is made.
    CreateAttachment,
    /// An ENIAttachment is deleted.
    DeleteAttachment,
    /// It is marked as no longer asked for, or unmarked.
    MarkAttachment,
    /// It gets other settings for the node's half.
    ConfigureAttachment,
    /// What somebody took off it is put back: finalizer, label, owner.
    RepairAttachment,
    /// It follows its instance to another Node.
    FollowInstance,
    /// Its finalizer is taken away.
    ReleaseAttachment,
    /// Its status.
    ReportAttachment,
    /// A NodeENI gets our finalizer, or loses it.
    GuardNodeEni,
    /// The status of a NodeENI.
    ReportNodeEni,
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
            Self::ReportAttachment | Self::GuardNodeEni | Self::ReportNodeEni => "patch",
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
        }
    }

    /// What it writes, in a word or two.
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
        }
    }

    /// That a NodeENI's status cannot be written cannot be said in it.
    pub(super) fn is_reportable(self) -> bool {
        self != Self::ReportNodeEni
    }
}

/// What is written to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// What is done.
    pub write: Write,
    /// Name of the object.
    pub name: String,
}
