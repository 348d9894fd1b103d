//! What the text says once of all new ENIs at a device index that the AWS VPC CNI may take later. It is given the lines of a plan and
//! decides nothing.

use super::line::{Line, Slot};
use crate::assign::VpcCniClaim;
use std::collections::BTreeMap;

/// One sentence about the new ENIs in one slot.
pub(super) struct Note<'a> {
    pub slot: Slot,
    pub nodes: Vec<&'a str>,
    pub sentence: String,
}

/// The notes about these lines, by slot.
pub(super) fn notes<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<Note<'a>> {
    let mut by_slot: BTreeMap<(Slot, Option<i32>), Vec<&str>> = BTreeMap::new();
    for line in lines {
        match (line.slot, line.vpc_cni) {
            (Some(slot), Some(VpcCniClaim::Later { max_eni })) => {
                by_slot.entry((slot, max_eni)).or_default().push(&line.node);
            }
            // The line itself has the warning.
            (_, Some(VpcCniClaim::Next)) | (_, None) | (None, Some(VpcCniClaim::Later { .. })) => {}
        }
    }
    by_slot.into_iter().map(|((slot, most), nodes)| Note { slot, nodes, sentence: sentence(most) }).collect()
}

fn sentence(max_eni: Option<i32>) -> String {
    let unless = max_eni.map(|most| format!(", unless its MAX_ENI is at most {most}")).unwrap_or_default();
    format!(
        "the AWS VPC CNI, which seems to run there, may take this device index as the number of pods grows{unless}. \
         deviceIndexPolicy highestFree avoids that"
    )
}
