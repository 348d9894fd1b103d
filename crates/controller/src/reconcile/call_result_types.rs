//! The results of calls that have ended, as the loop collects them.

use crate::api_writes::{WriteAnswer, WriteError};
use crate::work_queue::Key;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::write_history::PendingWrite;

/// The calls for one key, all ended.
pub struct Finished {
    /// The key that was reconciled.
    pub key: Key,
    /// The result of each call.
    pub outcomes: Vec<Outcome>,
}

/// The result of one call.
pub enum Outcome {
    /// A Create on EC2.
    Created {
        /// UID of the ENIAttachment.
        uid: String,
        /// When the call was started.
        sent: Timestamp,
        /// EC2's answer, or why there is none.
        result: Result<EniId, CallError>,
    },
    /// Another EC2 call for an ENIAttachment.
    Called {
        /// UID of the ENIAttachment.
        uid: String,
        /// Which call.
        call: Call,
        /// When the call was started.
        sent: Timestamp,
        /// EC2's answer, or why there is none.
        result: Result<(), CallError>,
    },
    /// An EC2 call for an ENI without an ENIAttachment.
    OrphanCalled {
        /// The ENI.
        eni: Box<ObservedEni>,
        /// Which call.
        call: Call,
        /// EC2's answer, or why there is none.
        result: Result<(), CallError>,
    },
    /// A write to the API server.
    ApiWrite {
        /// The write.
        asked: PendingWrite,
        /// The API server's answer, or why there is none.
        result: Result<WriteAnswer, WriteError>,
    },
}
