//! The answer of a write: the object as it is now, or an error.

use crate::client::NotLeader;
use crate::store::{AttachmentEntry, NodeEniEntry};
use std::sync::Arc;

/// An object as it is on the API server after a write.
#[derive(Debug)]
pub enum ObjectState {
    /// An ENIAttachment that this write created.
    Created(Arc<AttachmentEntry>),
    /// An ENIAttachment.
    Attachment(Arc<AttachmentEntry>),
    /// This ENIAttachment is gone.
    AttachmentDeleted {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// A Node. Its state comes with the watch.
    Node,
    /// A NodeENI.
    NodeEni(Box<NodeEniEntry>),
    /// This NodeENI is gone.
    NodeEniDeleted {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
}

/// The answer of a write that reached the API server.
#[derive(Debug)]
pub struct WriteAnswer {
    /// The object as it is now.
    pub object: ObjectState,
    /// False: the write was not applied, because another client had changed the object, which was then read.
    pub is_applied: bool,
}

/// Why a write failed, with the API server's message.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another client changed the object first, and the object could not be read afterwards.
    #[error("the object changed meanwhile: {0}")]
    Conflict(String),
    /// The API server refused the write.
    #[error("{code} {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// The write was not sent: this replica may no longer be the leader.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// The API server did not answer.
    #[error("{0}")]
    NoAnswer(String),
}

/// The answer of a write that was applied.
pub(super) fn applied(object: ObjectState) -> WriteAnswer {
    WriteAnswer { object, is_applied: true }
}

/// The answer of a write that was not applied, with the object that was read.
pub(super) fn not_applied(object: ObjectState) -> WriteAnswer {
    WriteAnswer { object, is_applied: false }
}
