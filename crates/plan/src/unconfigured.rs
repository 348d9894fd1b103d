//! ENIs that are attached and not Ready: the node agent has not configured their interface. The statuses show them only where the node
//! agent is enabled. Here is since when that lasts, and from when on it is a problem.

use crate::attachment::Attachment;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::types;
use multi_eni_api::configured_reason::ConfiguredReason;

/// For this time an ENI may be attached and not configured: the link appears, the agent starts, and repeats a step. After it the NodeENI
/// is Degraded.
pub const OVERDUE: SignedDuration = SignedDuration::from_mins(2);

/// Since when the ENI is attached and not Ready. None: it is not attached, or it is Ready.
pub fn since(status: &EniAttachmentStatus) -> Option<Timestamp> {
    let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    let attached = of(types::ATTACHED).filter(|attached| attached.status == "True")?.last_transition_time.0;
    match of(types::READY) {
        None => Some(attached),
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(attached.max(ready.last_transition_time.0)),
    }
}

/// When the ENI that is attached and not Ready is a problem, if nothing changes before.
pub fn overdue_at(attachment: &Attachment) -> Option<Timestamp> {
    overdue_from(&attachment.status).filter(|_| attachment.deleting.is_none())
}

/// Whether the ENI has been attached and not Ready for so long that a user should look.
pub fn is_overdue(attachment: &Attachment, now: Timestamp) -> bool {
    overdue_at(attachment).is_some_and(|at| at <= now)
}

/// Whether a person must act before the ENI, which is attached and not Ready, gets its interface: the agent's reason does not go by
/// itself, or it has lasted for too long.
pub fn needs_a_person(status: &EniAttachmentStatus, now: Timestamp) -> bool {
    let ready = status.conditions.iter().find(|condition| condition.type_ == types::READY);
    let reason = ready.and_then(|ready| ConfiguredReason::parse(&ready.reason));
    overdue_from(status).is_some_and(|at| at <= now || reason.is_some_and(is_lasting))
}

fn overdue_from(status: &EniAttachmentStatus) -> Option<Timestamp> {
    since(status).map(|since| since.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX))
}

/// Whether the agent's reason stays until a person has changed something.
fn is_lasting(reason: ConfiguredReason) -> bool {
    match reason {
        // The interface is as it should be, or the ENI goes.
        ConfiguredReason::Configured | ConfiguredReason::ConfiguredByOther | ConfiguredReason::InUse => false,
        ConfiguredReason::NotManaged | ConfiguredReason::BoundToDriver | ConfiguredReason::Restored => false,
        // The controller fills the ENIAttachment in when EC2 has answered.
        ConfiguredReason::WaitingForEni | ConfiguredReason::NoAddresses => false,
        // The kernel, or another program that is still at work, may end these in a moment.
        ConfiguredReason::LinkAbsent | ConfiguredReason::LinkNotBack | ConfiguredReason::ManagedByOther => false,
        // The agent tries these again.
        ConfiguredReason::DriverChanging | ConfiguredReason::StepFailed | ConfiguredReason::StepNotTaken => false,
        // The spec, or what is on the node, has to change.
        ConfiguredReason::InvalidNodeConfig | ConfiguredReason::SubnetUnknown | ConfiguredReason::NoIpv6 => true,
        ConfiguredReason::SeveralLinks | ConfiguredReason::HasDefaultRoute | ConfiguredReason::IsPort => true,
        ConfiguredReason::MtuOutOfBounds | ConfiguredReason::InterfaceNameTaken => true,
        ConfiguredReason::RouteCoversNode | ConfiguredReason::ForeignRule | ConfiguredReason::ForeignRoute => true,
        ConfiguredReason::DriverUnknown
        | ConfiguredReason::DriverMissing
        | ConfiguredReason::NoIommu
        | ConfiguredReason::GroupInUse => true,
        ConfiguredReason::PciAddressMismatch | ConfiguredReason::NotPci | ConfiguredReason::NotOurs => true,
        ConfiguredReason::SysfsReadOnly | ConfiguredReason::LinkInUse => true,
        // The agent tries these again, and an Event asks a person to end the program that has the device, or to look at the failed step.
        ConfiguredReason::DeviceHeld | ConfiguredReason::BindFailed | ConfiguredReason::RestoreFailed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::conditions::{self, ConditionUpdate};

    const GUIDE: &str = include_str!("../../../docs/node-agent.md");

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// An ENI that is attached since second 0 and not Ready for this reason.
    fn not_ready(reason: &str) -> EniAttachmentStatus {
        let mut status = EniAttachmentStatus::default();
        for (kind, is_so) in [(types::ATTACHED, true), (types::READY, false)] {
            conditions::set(&mut status.conditions, ConditionUpdate::new(kind, is_so, reason, "words"), None, at(0));
        }
        status
    }

    /// The rows of the guide's table of reasons: each reason, and its column "a person must act".
    fn rows() -> Vec<(ConfiguredReason, &'static str)> {
        let (_, table) = GUIDE.split_once("| reason | status | a person must act | meaning |\n").unwrap();
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        rows.flat_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let reasons = cells[1].split(", ").map(|reason| reason.trim_matches('`'));
            reasons.map(move |reason| (ConfiguredReason::parse(reason).expect(reason), cells[3])).collect::<Vec<_>>()
        })
        .collect()
    }

    #[test]
    fn a_person_must_act_when_the_guide_says_so_for_each_reason() {
        let (mut listed, mut all) =
            (rows().iter().map(|row| row.0).collect::<Vec<_>>(), ConfiguredReason::ALL.to_vec());
        listed.sort();
        all.sort();
        assert_eq!(listed, all, "docs/node-agent.md has each reason once");
        for (reason, when) in rows() {
            let status = not_ready(reason.as_str());
            let now = |seconds| needs_a_person(&status, at(seconds));
            assert_eq!(now(1), when == "at once", "{reason}");
            assert_eq!((now(119), now(120)), (when == "at once", true), "{reason}");
        }
    }

    #[test]
    fn what_no_agent_of_this_version_says_is_for_a_person_after_two_minutes() {
        for reason in ["Configuring", "NodeAgentNotReporting", "NotConfigured", "OfALaterVersion", ""] {
            let status = not_ready(reason);
            assert_eq!([1, 120].map(|seconds| needs_a_person(&status, at(seconds))), [false, true], "{reason}");
        }
        let mut ready = not_ready("RouteCoversNode");
        conditions::set(&mut ready.conditions, ConditionUpdate::new(types::READY, true, "Ready", ""), None, at(1));
        assert!(!needs_a_person(&ready, at(1000)));
    }
}
