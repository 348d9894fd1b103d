//! One line of the plan: one ENI of one NodeENI on one Node, or the reason why there is no ENI. Data only.

use crate::assign::VpcCniClaim;
use serde::Serialize;
use std::collections::BTreeMap;

/// The kind of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LineKind {
    /// Nothing can be done until somebody changes something.
    Blocked,
    /// An existing ENI is adopted as it is.
    Adopt,
    /// An ENI is created and attached.
    Create,
    /// An ENI is detached and deleted.
    Remove,
    /// An ENI is replaced when the rollout permits.
    Replace,
    /// An attached ENI is changed in place.
    Change,
    /// An action is under way, or waits for something that ends by itself.
    Waits,
    /// The ENI is as its spec asks.
    InPlace,
}

impl LineKind {
    /// The character that stands for the kind in text.
    pub fn sign(self) -> char {
        match self {
            Self::Blocked => '!',
            Self::Adopt => '<',
            Self::Create => '+',
            Self::Remove => '-',
            Self::Replace => '±',
            Self::Change => '~',
            Self::Waits => '…',
            Self::InPlace => '=',
        }
    }
}

/// A slot of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Network card.
    pub network_card_index: i32,
    /// Device index.
    pub device_index: i32,
}

impl Slot {
    pub(super) fn at((network_card_index, device_index): (i32, i32)) -> Self {
        Self { network_card_index, device_index }
    }
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The Node.
    pub node: String,
    /// The slot, if the line is about one slot.
    #[serde(flatten)]
    pub slot: Option<Slot>,
    /// The kind of the line.
    pub mark: LineKind,
    /// The ENI, if there is one.
    #[serde(rename = "eniID", skip_serializing_if = "Option::is_none")]
    pub eni: Option<String>,
    /// A CamelCase reason for programs, as in conditions.
    pub reason: String,
    /// A sentence for the user.
    pub message: String,
    /// What the AWS VPC CNI of the node does with the slot of the new ENI, if it reaches it.
    #[serde(rename = "vpcCNI", skip_serializing_if = "Option::is_none")]
    pub vpc_cni: Option<VpcCniClaim>,
    /// The NodeENI does not cover the Node, which is no failure. The kind is then `Blocked`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_uncovered: bool,
    /// Number of EC2 calls that change something, by action.
    pub calls: BTreeMap<&'static str, u32>,
}
