//! Checks what a script must not say although its form is valid. Such a script would fail late or never end, without a reason.

use super::{Operation, Script, Setting, SubnetPlace};
use crate::environment::{ACTIONS, TAINT_EFFECTS, ZONES, all_groups};
use multi_eni_sim::ec2::catalog::instance_type;

/// The most replicas. More would test nothing new.
const MOST_REPLICAS: usize = 5;
/// The longest lag of EC2 that the checker assumes, in milliseconds.
const LONGEST_LAG: u64 = 30_000;

impl Script {
    /// Why the script cannot be run; None if it can.
    pub fn senseless(&self) -> Option<String> {
        let operations = self.events.iter().enumerate().find_map(|(number, event)| {
            let why = operation(&event.operation, &self.setting)?;
            Some(format!("events, number {} of {}: {why}", number + 1, self.events.len()))
        });
        let rate = self.trouble.rates.iter().find(|(_, per_mille)| **per_mille > 1000);
        let listed = self.trouble.listed.iter().find(|injected| injected.nth == 0);
        let last = self.events.iter().map(|event| event.at).max().unwrap_or(0);
        setting(&self.setting)
            .or(operations)
            .or_else(|| rate.map(|(fault, rate)| format!("trouble.rates: {fault:?} is {rate}; the maximum is 1000")))
            .or_else(|| listed.map(|fault| format!("trouble.listed: {} counts from 1, not 0", fault.call)))
            .or_else(|| (last > self.calm_at).then(|| format!("calm_at: an event is later, at {last}")))
    }
}

fn setting(setting: &Setting) -> Option<String> {
    let spans = [
        ("ec2_latency", setting.ec2_latency),
        ("kube_latency", setting.kube_latency),
        ("transition", setting.transition),
    ];
    let wrong = |name: &str, why: &str| Some(format!("setting.{name}: {why}"));
    if !(1..=MOST_REPLICAS).contains(&setting.replicas) {
        return wrong("replicas", &format!("{} is not between 1 and {MOST_REPLICAS}", setting.replicas));
    }
    if instance_type(&setting.instance_type).is_none() {
        return wrong("instance_type", &format!("the simulator does not know {}", setting.instance_type));
    }
    if setting.renew_every == 0 {
        return wrong("renew_every", "with 0, virtual time would stand still");
    }
    if !(5..=1000).contains(&setting.page_size) {
        return wrong("page_size", &format!("EC2 accepts 5 to 1000, not {}", setting.page_size));
    }
    if setting.lag > LONGEST_LAG {
        return wrong(
            "lag",
            &format!("{} is more than {LONGEST_LAG} ms, the maximum that the checker assumes", setting.lag),
        );
    }
    if let Some(place) = setting.subnets.iter().find(|place| !is_zone(&place.zone)) {
        return wrong("subnets", &format!("{} is in zone {:?}; there are {}", place.id, place.zone, ZONES.join(", ")));
    }
    let (name, _) = spans.into_iter().find(|(_, [from, to])| from > to)?;
    wrong(name, "the first number is larger than the second")
}

fn is_zone(zone: &str) -> bool {
    ZONES.contains(&zone)
}

fn operation(operation: &Operation, setting: &Setting) -> Option<String> {
    match operation {
        Operation::Join { zone, .. } | Operation::JoinManaged { zone, .. } if !is_zone(zone) => {
            Some(format!("there is no zone {zone:?}, only {}", ZONES.join(", ")))
        }
        Operation::Join { zone, placement, .. } | Operation::JoinManaged { zone, placement, .. } => {
            let is_there = |place: &&SubnetPlace| place.zone == *zone && place.placement == *placement;
            let is_known = placement.is_region() || setting.subnets.iter().find(is_there).is_some();
            (!is_known).then(|| format!("the setting has no subnet in zone {zone:?} that is in {placement:?}"))
        }
        Operation::Crowd { subnet, .. }
        | Operation::RenameSubnet { subnet, .. }
        | Operation::Uncrowd { subnet }
        | Operation::Upstream { subnet, .. } => {
            let is_there = setting.subnets.iter().any(|place| place.id == *subnet);
            (!is_there).then(|| format!("the setting has no subnet {subnet}"))
        }
        Operation::Deny { action } | Operation::Allow { action } => {
            (!ACTIONS.contains(&action.as_str())).then(|| format!("the controller never calls {action}"))
        }
        Operation::RefuseCalls { action, .. } => {
            let known = ACTIONS.contains(&action.as_str()) && !action.starts_with("Describe");
            (!known).then(|| format!("the controller changes nothing with {action}"))
        }
        Operation::RemakeGroup { number } => (!all_groups(&setting.subnets).contains(number))
            .then(|| format!("there is no group {number}, they count from 1")),
        Operation::Kill { replica, .. }
        | Operation::Elsewhere { replica, .. }
        | Operation::RoleSwap { replica, .. }
        | Operation::Stop { replica, .. }
        | Operation::Pause { replica, .. }
        | Operation::ClockStep { replica, .. }
        | Operation::Partition { replica, .. }
        | Operation::StaleWatch { replica, .. } => {
            (*replica >= setting.replicas).then(|| format!("there is no replica {replica}, they count from 0"))
        }
        Operation::Taint { effect, .. } => {
            (!TAINT_EFFECTS.contains(&effect.as_str())).then(|| format!("{effect:?} is no effect of a taint"))
        }
        Operation::Refuse { verb, resource, .. } => {
            let known = matches!(verb.as_str(), "create" | "patch" | "delete")
                && matches!(
                    resource.as_str(),
                    "eniattachments" | "eniattachments/status" | "nodeenis" | "nodeenis/status"
                );
            (!known).then(|| format!("the controller does not {verb} {resource}"))
        }
        Operation::Initialize { .. }
        | Operation::JoinUnsupported { .. }
        | Operation::Leave { .. }
        | Operation::Terminate { .. }
        | Operation::Twin { .. }
        | Operation::ZoneLabel { .. }
        | Operation::LeftOut { .. }
        | Operation::Halt { .. }
        | Operation::Boot { .. }
        | Operation::Label { .. }
        | Operation::Drain { .. }
        | Operation::Drained { .. }
        | Operation::Reboot { .. }
        | Operation::Heartbeat { .. }
        | Operation::Apply { .. }
        | Operation::Remove { .. }
        | Operation::DeleteAttachment(_)
        | Operation::StripAttachment(_)
        | Operation::Annotate(_)
        | Operation::ReconcileAt { .. }
        | Operation::HandDetach(_)
        | Operation::HandDelete(_)
        | Operation::HandMove { .. }
        | Operation::HandChange { .. }
        | Operation::CniAttach { .. }
        | Operation::OtherCluster { .. }
        | Operation::PodStarts { .. }
        | Operation::PodEnds { .. }
        | Operation::CniRelease { .. }
        | Operation::CniGrows { .. }
        | Operation::CniShrinks { .. }
        | Operation::Quota { .. }
        | Operation::BreakWatches {}
        | Operation::Compact {}
        | Operation::RestartApi { .. }
        | Operation::Forbid { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::generator;
    use crate::script::{Event, Operation, Placement, Script};

    fn refused(change: impl Fn(&mut Script)) -> Option<String> {
        let mut script = generator::script(1);
        change(&mut script);
        script.senseless()
    }

    #[test]
    fn a_script_that_cannot_be_run_is_refused_and_every_seeds_script_can_be_run() {
        assert_eq!((0..2000).find_map(|seed| generator::script(seed).senseless()), None);
        let why = |change: fn(&mut Script), words: &str| {
            let refused = refused(change).unwrap_or_default();
            assert!(refused.contains(words), "{refused:?} does not say {words:?}");
        };
        why(|script| script.setting.replicas = 0, "replicas");
        why(|script| script.setting.instance_type = "m5.huge".to_owned(), "m5.huge");
        why(|script| script.setting.renew_every = 0, "renew_every");
        why(|script| script.setting.page_size = 0, "page_size");
        why(|script| script.setting.lag = 60_000, "lag");
        why(|script| script.setting.subnets[0].zone = "c".to_owned(), "\"c\"");
        why(|script| script.setting.transition = [2, 1], "transition");
        why(|script| script.calm_at = 0, "calm_at");
        let late = |operation: Operation| {
            move |script: &mut Script| script.events.push(Event { at: 0, operation: operation.clone() })
        };
        let managed = |zone: &str, placement| Operation::JoinManaged {
            node: "u1".to_owned(),
            instance: "i-00000000000000999".to_owned(),
            zone: zone.to_owned(),
            labels: std::collections::BTreeMap::new(),
            placement,
        };
        let zone = refused(late(managed("c", Placement::Region)));
        assert!(zone.is_some_and(|why| why.contains("only a, b, xyz")));
        assert_eq!(refused(late(managed("xyz", Placement::Region))), None);
        let outpost = refused(late(managed("xyz", Placement::Outpost)));
        assert!(outpost.is_some_and(|why| why.contains("in Outpost")));
        let subnet = refused(late(Operation::Uncrowd { subnet: "subnet-1".to_owned() }));
        assert!(subnet.is_some_and(|why| why.contains("subnet-1")));
        let action = refused(late(Operation::Deny { action: "RunInstances".to_owned() }));
        assert!(action.is_some_and(|why| why.contains("RunInstances")));
        let replica = refused(late(Operation::Kill { replica: 7, restart: 1 }));
        assert!(replica.is_some_and(|why| why.contains("replica 7")));
    }
}
