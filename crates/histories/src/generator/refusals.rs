//! Draws refusals of writes and calls, by admission and by EC2, and changes that undo the controller's repairs.

use super::setting::pick;
use crate::script::{HandChange, Millis, Operation};
use fastrand::Rng;

/// The writes that admission refuses.
const BY_ADMISSION: [(&str, &str); 6] = [
    ("create", "eniattachments"),
    ("delete", "eniattachments"),
    ("patch", "eniattachments"),
    ("patch", "eniattachments/status"),
    ("patch", "nodeenis"),
    ("patch", "nodeenis/status"),
];

/// The calls that EC2 refuses without a visible reason, and the codes. AttachmentLimitExceeded is not among them: its reason is
/// visible on the instance, so the controller does not try again until a lookup shows a change.
const BY_EC2: [(&str, &str); 8] = [
    ("CreateNetworkInterface", "InsufficientFreeAddressesInSubnet"),
    ("CreateNetworkInterface", "InvalidParameterValue"),
    ("CreateNetworkInterface", "UnauthorizedOperation"),
    ("AttachNetworkInterface", "IncorrectInstanceState"),
    ("DetachNetworkInterface", "OperationNotPermitted"),
    ("DeleteNetworkInterface", "InvalidNetworkInterface.InUse"),
    ("ModifyNetworkInterfaceAttribute", "UnauthorizedOperation"),
    ("CreateTags", "ConcurrentTagAccess"),
];

/// A policy or a webhook denies a kind of write.
pub(super) fn by_admission(rng: &mut Rng) -> Operation {
    let (verb, resource) = *pick(rng, &BY_ADMISSION);
    Operation::Refuse {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        code: *pick(rng, &[400, 403, 422, 500]),
        percent: *pick(rng, &[30, 100]),
        lasts: rng.u64(1_000..60_000),
    }
}

/// EC2 refuses an action, for seconds or for many minutes.
pub(super) fn by_ec2(rng: &mut Rng) -> Operation {
    let (action, code) = *pick(rng, &BY_EC2);
    Operation::RefuseCalls { action: action.to_owned(), code: code.to_owned(), lasts: rng.u64(5_000..600_000) }
}

/// Someone undoes the controller's repair again and again.
pub(super) fn undone(rng: &mut Rng) -> Vec<(Millis, Operation)> {
    let changes = [
        HandChange::Rename,
        HandChange::Describe,
        HandChange::Groups,
        HandChange::SourceDestCheck,
        HandChange::ConnectionTracking,
    ];
    let (nth, change, every) = (rng.usize(0..100), *pick(rng, &changes), rng.u64(5_000..30_000));
    (0..rng.u64(4..12)).map(|n| (n * every, Operation::HandChange { nth, change })).collect()
}
