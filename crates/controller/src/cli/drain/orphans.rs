//! The orphans during a removal: ENIs with this cluster's ownership tag that no ENIAttachment has. It is given what EC2 and the
//! watches show, and says which of them the controller removes by itself, by when, and which it never removes. It calls nothing.

use super::removal::Removal;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::counted::{counted, first_of, is_or_are, verb};
use multi_eni_plan::message_time::second;
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::orphans::{self, Known, RemovalEstimates, Sightings, TooMany};
use multi_eni_plan::settings::Settings;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The orphans that EC2 has shown during this command.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    sightings: Sightings,
    said: Said,
}

/// What was said last of the wait. A time that moves with each look is no news.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    orphans: Vec<EniId>,
    ends_before: bool,
    too_many: Option<TooMany>,
}

impl Orphans {
    /// Takes what EC2 shows now. Returns what the controller does with the orphans of the removal's scope.
    pub fn look(
        &mut self,
        removal: &Removal,
        owned: &[ObservedEni],
        instances: &BTreeSet<InstanceId>,
        resync_every: SignedDuration,
        now: Timestamp,
    ) -> RemovalEstimates {
        let (attachments, named) = holders(removal);
        // A NodeENI that is not being deleted may adopt it, and the controller's proof begins when none may.
        let is_open = |eni: &ObservedEni| {
            let mut nodeenis = removal.nodeenis.items.values().filter(|nodeeni| !nodeeni.deleting);
            eni.attachment.is_some() && nodeenis.any(|nodeeni| eni.names_nodeeni(&nodeeni.uid, &nodeeni.name))
        };
        self.sightings.note(orphans::lone(owned, &attachments, &named).filter(|eni| !is_open(eni)), now);
        let mut estimates = orphans::estimates(&Known {
            now,
            owned,
            attachments: &attachments,
            named: &named,
            instances,
            seen: &self.sightings,
            resync_every,
            settings: &Settings::default(),
        });
        let meant: BTreeSet<&EniId> = removal.scope.enis(owned).map(|eni| &eni.id).collect();
        estimates.removed_by.retain(|eni, _| meant.contains(eni));
        estimates.kept.retain(|eni, _| meant.contains(eni));
        estimates
    }

    /// What the command waits for, if that is not what was said last. `deadline`: when it stops waiting.
    pub fn news(&mut self, estimates: &RemovalEstimates, deadline: Option<Timestamp>) -> Option<String> {
        let now = Said {
            orphans: estimates.removed_by.keys().cloned().collect(),
            ends_before: estimates.last().zip(deadline).is_some_and(|(last, deadline)| deadline < last),
            too_many: estimates.too_many,
        };
        (now != self.said).then(|| {
            self.said = now;
            waiting(estimates, deadline)
        })
    }
}

/// Whether an orphan of the removal's scope is attached: then it must be known which instances are Nodes.
pub(super) fn is_one_attached(removal: &Removal, owned: &[ObservedEni]) -> bool {
    let (attachments, named) = holders(removal);
    let meant: BTreeSet<&EniId> = removal.scope.enis(owned).map(|eni| &eni.id).collect();
    orphans::lone(owned, &attachments, &named).any(|eni| eni.attachment.is_some() && meant.contains(&eni.id))
}

/// UIDs of all ENIAttachments, and the ENIs in their statuses.
fn holders(removal: &Removal) -> (BTreeSet<String>, BTreeSet<EniId>) {
    let all = || removal.attachments.items.values();
    let named = all().filter_map(|attachment| EniId::parse(attachment.eni.as_deref()?).ok());
    (all().map(|attachment| attachment.uid.clone()).collect(), named.collect())
}

/// The ENIs without an ENIAttachment, as they are announced before anything is removed. Empty if there are none.
pub(super) fn announcement(estimates: &RemovalEstimates) -> String {
    let mut text = String::new();
    if !estimates.is_final() {
        let number = estimates.removed_by.len();
        let _ = writeln!(
            text,
            "EC2 shows {} that {} no ENIAttachment. The controller removes such ENIs by itself, minutes after it found them.",
            counted(number, "ENI"),
            verb(number, "has", "have")
        );
    }
    for (eni, kept) in &estimates.kept {
        let _ = writeln!(text, "Not removed: {eni} has no ENIAttachment, and {}.", kept.sentence());
    }
    text
}

/// What is waited for, and until when. Empty if nothing is.
fn waiting(estimates: &RemovalEstimates, deadline: Option<Timestamp>) -> String {
    let Some(last) = estimates.last() else { return String::new() };
    let ids: Vec<&str> = estimates.removed_by.keys().map(EniId::as_str).collect();
    let mut text = format!(
        "{} without an ENIAttachment {} left ({}). The controller removes such ENIs by itself when EC2 has shown them so for \
         minutes: by {} if EC2 refuses no call\n",
        counted(ids.len(), "ENI"),
        is_or_are(ids.len()),
        first_of(&ids),
        second(last)
    );
    if let Some(deadline) = deadline.filter(|deadline| *deadline < last) {
        let _ = writeln!(text, "  --timeout ends before that, at {}", second(deadline));
    }
    if let Some(many) = estimates.too_many {
        let _ = writeln!(text, "  {}", many.sentence());
    }
    text
}

/// The timeout is over, and the controller has not removed all orphans.
pub(super) fn timed_out(number: usize, timeout: &str) -> String {
    format!(
        "Not done within {timeout}: {} without an ENIAttachment {} left. The controller goes on while it runs; multi-eni drain \
         waits again.\n",
        counted(number, "ENI"),
        is_or_are(number)
    )
}

/// A signal ended the wait for orphans.
pub(super) fn interrupted() -> String {
    "Interrupted. The controller goes on to remove the ENIs that have no ENIAttachment while it runs.\n".to_owned()
}

/// Nobody removes the orphans.
pub(super) fn nobody_leads(why: &str) -> String {
    format!("No controller leads: {why}. Without one, nothing removes the ENIs that EC2 shows.\n")
}

#[cfg(test)]
mod tests {
    use super::super::left::tests::{attached, eni};
    use super::super::removal::Scope;
    use super::super::removal::tests::{attachment, begun};
    use super::*;
    use crate::watch::Watched;
    use multi_eni_plan::orphans::Kept;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn estimates(removed: &[(&str, i64)], kept: &[(&str, Kept)]) -> RemovalEstimates {
        let id = |id: &str| EniId::parse(id).unwrap();
        RemovalEstimates {
            removed_by: removed.iter().map(|(eni, by)| (id(eni), at(*by))).collect(),
            kept: kept.iter().map(|(eni, why)| (id(eni), why.clone())).collect(),
            too_many: None,
        }
    }

    const ENI: &str = "eni-0aaaaaaaaaaaaaaa1";

    #[test]
    fn the_wait_is_said_with_its_number_and_its_end_and_said_again_only_if_it_changes() {
        let mut orphans = Orphans::default();
        let two = estimates(&[(ENI, 300), ("eni-0aaaaaaaaaaaaaaa2", 540)], &[]);
        let text = orphans.news(&two, Some(at(600))).unwrap();
        assert!(text.starts_with("2 ENIs without an ENIAttachment are left (eni-0aaaaaaaaaaaaaaa1, eni-"), "{text}");
        assert!(text.contains("by 1970-01-01T00:09:00Z if EC2 refuses no call\n"), "{text}");
        assert!(!text.contains("--timeout"), "{text}");
        assert_eq!(orphans.news(&two, Some(at(600))), None);
        let later = estimates(&[(ENI, 315), ("eni-0aaaaaaaaaaaaaaa2", 555)], &[]);
        assert_eq!(orphans.news(&later, Some(at(600))), None, "a time that moves is no news");
        let text = orphans.news(&two, Some(at(240))).unwrap();
        assert!(text.ends_with("  --timeout ends before that, at 1970-01-01T00:04:00Z\n"), "{text}");
        let many = RemovalEstimates { too_many: Some(TooMany { count: 12, limit: 10 }), ..two };
        let text = orphans.news(&many, None).unwrap();
        assert!(text.contains("start the controller with --max-orphans=12"), "{text}");
        assert_eq!(orphans.news(&estimates(&[], &[]), None).as_deref(), Some(""));
    }

    #[test]
    fn what_is_never_removed_is_announced_with_its_reason() {
        let text = announcement(&estimates(&[], &[(ENI, Kept::Untagged)]));
        assert!(
            text.starts_with("Not removed: eni-0aaaaaaaaaaaaaaa1 has no ENIAttachment, and it has no tag "),
            "{text}"
        );
        let text = announcement(&estimates(&[(ENI, 300)], &[]));
        assert!(text.starts_with("EC2 shows 1 ENI that has no ENIAttachment. The controller removes"), "{text}");
        assert_eq!(announcement(&estimates(&[], &[])), "");
    }

    #[test]
    fn an_eni_in_the_status_of_an_eniattachment_is_named() {
        let mut one = attachment("1", "n1", "a");
        one.eni = Some(ENI.into());
        let (uids, named) = holders(&begun(Scope::Cluster, &["a"], &[one]));
        assert_eq!(uids, BTreeSet::from(["1".to_owned()]));
        assert_eq!(named, BTreeSet::from([EniId::parse(ENI).unwrap()]));
    }

    const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

    #[test]
    fn the_proof_begins_when_no_nodeeni_may_adopt_the_eni() {
        let mut removal = begun(Scope::Cluster, &["a"], &[]);
        let (mut orphans, owned) = (Orphans::default(), [attached(INSTANCE)]);
        let nodes = BTreeSet::from([InstanceId::parse(INSTANCE).unwrap()]);
        let minute = SignedDuration::from_secs(60);
        let mut look = |removal: &Removal, now| orphans.look(removal, &owned, &nodes, minute, at(now)).last();
        assert_eq!(look(&removal, 0), Some(at(540)));
        assert_eq!(look(&removal, 60), Some(at(600)), "NodeENI a may still adopt it");
        removal.nodeenis.take(Watched::Delete { name: "a".into(), uid: "a-uid".into(), version: String::new() });
        assert_eq!(look(&removal, 100), Some(at(640)));
        assert_eq!(look(&removal, 130), Some(at(640)));
        assert!(is_one_attached(&removal, &owned) && !is_one_attached(&removal, &[eni()]));
    }

    #[test]
    fn an_eni_of_another_nodeeni_and_an_instance_without_a_node_are_not_waited_for() {
        let minute = SignedDuration::from_secs(60);
        let look = |scope: Scope, owned: ObservedEni| {
            Orphans::default().look(&begun(scope, &[], &[]), &[owned], &BTreeSet::new(), minute, at(0))
        };
        assert_eq!(look(Scope::NodeEni("b".into()), eni()), RemovalEstimates::default());
        assert_eq!(look(Scope::NodeEni("a".into()), eni()).removed_by.len(), 1);
        let lists_nodes =
            |name: &str| is_one_attached(&begun(Scope::NodeEni(name.into()), &[], &[]), &[attached(INSTANCE)]);
        assert!(lists_nodes("a") && !lists_nodes("b"), "the Nodes are listed only for an orphan that is meant");
        let elsewhere = look(Scope::Cluster, attached(INSTANCE));
        assert!(elsewhere.is_final() && elsewhere.kept.len() == 1, "{elsewhere:?}");
    }
}
