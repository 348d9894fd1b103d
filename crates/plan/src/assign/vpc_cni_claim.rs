//! What the AWS VPC CNI of a node does with the device index of a new ENI. Data for a warning to users; it decides nothing.

use serde::Serialize;

/// How the AWS VPC CNI comes to the device index of a new ENI, if that is free then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VpcCniClaim {
    /// It takes this index next.
    Next,
    /// It may take this index as the number of pods grows.
    #[serde(rename_all = "camelCase")]
    Later {
        /// The greatest `MAX_ENI` of the CNI with which it never takes this index; None if each value leaves it room.
        #[serde(rename = "maxENI", skip_serializing_if = "Option::is_none")]
        max_eni: Option<i32>,
    },
}
