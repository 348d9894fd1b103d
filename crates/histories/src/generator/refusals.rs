//! Who refuses, and who undoes: admission, EC2, and somebody with a tool of their own.

use super::setting::pick;
use crate::script::{HandChange, Millis, Operation};
use fastrand::Rng;

/// What admission refuses.
const BY_ADMISSION: [(&str, &str); 6] = [
    ("create", "eniattachments"),
    ("delete", "eniattachments"),
    ("patch", "eniattachments"),
    ("patch", "eniattachments/status"),
    ("patch", "nodeenis"),
    ("patch", "nodeenis/status"),
];

/// What EC2 refuses for reasons that nobody sees from outside. AttachmentLimitExceeded is not among them: what refuses that is on the
/// instance, and until a look shows another picture of it nothing is tried again.
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

/// EC2 refuses an action, for moments or for many minutes.
pub(super) fn by_ec2(rng: &mut Rng) -> Operation {
    let (action, code) = *pick(rng, &BY_EC2);
    Operation::RefuseCalls { action: action.to_owned(), code: code.to_owned(), lasts: rng.u64(5_000..600_000) }
}

/// Somebody undoes what is repaired, again and again.
pub(super) fn undone(rng: &mut Rng) -> Vec<(Millis, Operation)> {
    let changes = [HandChange::Rename, HandChange::Describe, HandChange::Groups, HandChange::SourceDestCheck];
    let (nth, change, every) = (rng.usize(0..100), *pick(rng, &changes), rng.u64(5_000..30_000));
    (0..rng.u64(4..12)).map(|n| (n * every, Operation::HandChange { nth, change })).collect()
}
