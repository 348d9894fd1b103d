//! What `multi-eni drain` says. The functions are given plain data and return text that ends in a line break, or nothing.

use super::objects::AttachmentObject;
use super::removal::{Removal, Scope};
use super::verdict::Audit;
use multi_eni_plan::counted::{counted, is_or_are, part_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How many ENIs one list names. The rest is counted.
const MOST_NAMED: usize = 10;

/// What will be removed, from the cluster with this API server. `owned`: how many ENIs with the tag of this cluster EC2 shows; None
/// if nobody asked EC2.
pub(super) fn announcement(removal: &Removal, server: &str, owned: Option<usize>) -> String {
    let (nodeenis, attachments) = (removal.nodeenis_left(), removal.attachments_left());
    let mut by_nodeeni: BTreeMap<&str, Vec<&AttachmentObject>> = BTreeMap::new();
    for nodeeni in &nodeenis {
        by_nodeeni.entry(&nodeeni.name).or_default();
    }
    for attachment in &attachments {
        by_nodeeni.entry(&attachment.nodeeni).or_default().push(attachment);
    }
    let mut text = format!("To be removed from the cluster at {server}:\n");
    for (name, all) in by_nodeeni {
        let (enis, without): (Vec<&AttachmentObject>, Vec<&AttachmentObject>) =
            all.into_iter().partition(|attachment| removal.has_eni(attachment));
        let nodes: BTreeSet<&str> = enis.iter().map(|attachment| attachment.node.as_str()).collect();
        let note = match nodeenis.iter().find(|nodeeni| nodeeni.name == name) {
            None => " (the NodeENI is gone already)",
            Some(nodeeni) if nodeeni.deleting => " (is being deleted already)",
            Some(_) => "",
        };
        let (enis, nodes) = (counted(enis.len(), "ENI"), counted(nodes.len(), "node"));
        let _ = writeln!(text, "  NodeENI {name}: {enis} on {nodes}{}{note}", and_without(without.len()));
    }
    let without = attachments.iter().filter(|attachment| !removal.has_eni(attachment)).count();
    let _ = writeln!(
        text,
        "In all {} and {}{}. Each ENI is detached from its instance and deleted, also while pods use it.",
        counted(nodeenis.len(), "NodeENI"),
        counted(removal.enis(), "ENI"),
        and_without(without),
    );
    if let Some(owned) = owned {
        let _ =
            writeln!(text, "EC2 shows {} with the tag of this cluster{}.", counted(owned, "ENI"), of(&removal.scope));
    }
    text
}

/// No controller leads, as `--dry-run` says it.
pub(super) fn nobody_leads(why: &str) -> String {
    format!("No controller leads: {why}. Without one, drain deletes nothing.\n")
}

/// Nothing is there to remove, apart from orphans. If the user named a NodeENI, the ones that exist are listed: the name may be misspelt.
pub(super) fn nothing_to_do(removal: &Removal, has_orphans: bool) -> String {
    match &removal.scope {
        Scope::Cluster if has_orphans => "There is no NodeENI and no ENIAttachment.\n".to_owned(),
        Scope::Cluster => "Nothing to do: there is no NodeENI and no ENIAttachment.\n".to_owned(),
        Scope::NodeEni(name) => {
            let all: Vec<&str> = removal.nodeenis.items.values().map(|nodeeni| nodeeni.name.as_str()).collect();
            let names: BTreeSet<&str> = all.into_iter().collect();
            let first: Vec<&str> = names.iter().copied().take(MOST_NAMED).collect();
            let there = match (first.join(", "), names.len().saturating_sub(MOST_NAMED)) {
                (first, _) if first.is_empty() => "the cluster has none".to_owned(),
                (first, 0) => format!("the cluster has {first}"),
                (first, more) => format!("the cluster has {first} and {more} more"),
            };
            format!("There is no NodeENI {name} and no ENIAttachment of it; {there}. Nothing was deleted.\n")
        }
    }
}

/// How far the removal is, and the ENIs for which a person must act.
pub(super) fn progress(removal: &Removal) -> String {
    let (enis, without) = left_of(removal);
    let total = removal.enis();
    let gone = total.saturating_sub(enis.len());
    let mut text = match total {
        0 => "There is no ENI to remove".to_owned(),
        _ => format!("{} {} gone", part_of(gone, total, "ENI"), is_or_are(gone)),
    };
    if !without.is_empty() {
        let (number, are) = (counted(without.len(), "ENIAttachment"), is_or_are(without.len()));
        let _ = write!(text, "; {number} without an ENI {are} left");
    }
    text.push('\n');
    // What is blocked for a reason from before its deletion may be gone in a moment.
    let is_stuck = |attachment: &&&AttachmentObject| attachment.blocked && attachment.deleting && attachment.is_current;
    let blocked: Vec<&AttachmentObject> = enis.iter().chain(&without).filter(is_stuck).copied().collect();
    text.push_str(&lines(&blocked));
    text
}

/// What is left: the ENIAttachments with an ENI, and those without.
fn left_of(removal: &Removal) -> (Vec<&AttachmentObject>, Vec<&AttachmentObject>) {
    removal.attachments_left().into_iter().partition(|attachment| removal.has_eni(attachment))
}

/// The ENIAttachments without an ENI, as the end of a list. Empty if there are none.
fn and_without(number: usize) -> String {
    if number == 0 { String::new() } else { format!(", and {} without an ENI", counted(number, "ENIAttachment")) }
}

/// Everything that is left, and why.
pub(super) fn waiting(removal: &Removal) -> String {
    let mut text = lines(&removal.attachments_left());
    for nodeeni in removal.nodeenis_left() {
        let why = match (nodeeni.deleting, nodeeni.message.as_str()) {
            (false, _) => "is not being deleted yet",
            (true, "") => "the controller has not removed its finalizer yet",
            (true, message) => message,
        };
        let _ = writeln!(text, "  waits: NodeENI {}: {why}", nodeeni.name);
    }
    text
}

fn lines(attachments: &[&AttachmentObject]) -> String {
    let mut text = String::new();
    for attachment in attachments.iter().take(MOST_NAMED) {
        let eni = attachment.eni.as_deref().unwrap_or("no ENI");
        let why = match (attachment.deleting, attachment.message.as_str()) {
            (false, _) => "the controller has not deleted its ENIAttachment yet",
            (true, "") => "the controller has reported nothing about it yet",
            (true, message) => message,
        };
        let (node, index) = (&attachment.node, attachment.index);
        let _ = writeln!(text, "  waits: {node}, index {index}, {eni} of NodeENI {}: {why}", attachment.nodeeni);
    }
    if let Some(more @ 1..) = attachments.len().checked_sub(MOST_NAMED) {
        let _ = writeln!(text, "  waits: {more} more (kubectl get eniattachments -o wide)");
    }
    text
}

/// The timeout is over.
pub(super) fn timed_out(removal: &Removal, timeout: &str) -> String {
    let (enis, without) = left_of(removal);
    format!(
        "Not done within {timeout}: {} and {}{} are left. The deletion goes on in the cluster while a controller runs; \
         multi-eni drain waits again.\n{}",
        counted(enis.len(), "ENI"),
        counted(removal.nodeenis_left().len(), "NodeENI"),
        and_without(without.len()),
        waiting(removal)
    )
}

/// A signal ended the command.
pub(super) fn interrupted() -> String {
    "Interrupted. The deletion goes on in the cluster: the controller detaches and deletes the ENIs of the NodeENIs that are \
     being deleted. multi-eni drain waits for the rest, and kubectl get eniattachments shows it.\n"
        .to_owned()
}

/// NodeENIs that somebody created in the meantime.
pub(super) fn created_since(names: &[&str]) -> String {
    names.iter().fold(String::new(), |mut text, name| {
        let _ = writeln!(
            text,
            "NodeENI {name} was created while the removal ran, and gets ENIs: take it out of what creates it (GitOps, a chart), \
             and run multi-eni drain again."
        );
        text
    })
}

/// The result of the audit.
pub(super) fn audit(scope: &Scope, audit: &Audit) -> String {
    match audit {
        Audit::Skipped => "EC2 was not audited (--no-audit).\n".to_owned(),
        Audit::Failed(why) => audit_failed(why),
        Audit::Made { left, without_id } => {
            if audit.is_clean() {
                return format!("EC2 shows no ENI with the tag of this cluster{}.\n", of(scope));
            }
            let mut text =
                format!("EC2 still shows {} with the tag of this cluster{}:\n", counted(left.len(), "ENI"), of(scope));
            for eni in left {
                let _ = writeln!(
                    text,
                    "  {}: {} (NodeENI {}, node {}); {}",
                    eni.id, eni.state, eni.nodeeni, eni.node, eni.advice
                );
            }
            if *without_id > 0 {
                let _ = writeln!(
                    text,
                    "  {} without an ID in EC2's answer: run the audit again",
                    counted(*without_id, "ENI")
                );
            }
            text
        }
    }
}

/// EC2 cannot be audited.
pub(super) fn audit_failed(why: &str) -> String {
    format!(
        "EC2 cannot be audited: {why}. The audit needs ec2:DescribeNetworkInterfaces in the Region of the nodes. To remove the \
         ENIs without it use --no-audit, and check EC2 by hand.\n"
    )
}

fn of(scope: &Scope) -> String {
    match scope {
        Scope::Cluster => String::new(),
        Scope::NodeEni(name) => format!(" and of NodeENI {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::left::LeftEni;
    use super::super::progress::Progress;
    use super::super::removal::tests::{attachment, begun};
    use super::*;
    use crate::watch::Watched;
    use multi_eni_api::ids::EniId;

    #[test]
    fn it_says_beforehand_what_it_removes() {
        let all = [attachment("1", "n1", "a"), attachment("2", "n2", "a"), attachment("3", "n1", "old")];
        let server = "https://10.0.0.1:6443/";
        let text = announcement(&begun(Scope::Cluster, &["a", "b"], &all), server, Some(4));
        assert_eq!(
            text,
            "To be removed from the cluster at https://10.0.0.1:6443/:\n  NodeENI a: 2 ENIs on 2 nodes\n  NodeENI b: 0 ENIs on 0 \
             nodes\n  NodeENI old: 1 ENI on 1 node (the NodeENI is gone already)\nIn all 2 NodeENIs and 3 ENIs. Each ENI is detached from its instance and deleted, also \
             while pods use it.\nEC2 shows 4 ENIs with the tag of this cluster.\n"
        );
    }

    #[test]
    fn a_name_that_no_nodeeni_has_is_said_with_those_that_exist() {
        let scope = || Scope::NodeEni("stroage".into());
        let text = nothing_to_do(&begun(scope(), &["storage", "web"], &[attachment("1", "n1", "storage")]), false);
        let expected = "There is no NodeENI stroage and no ENIAttachment of it; the cluster has storage, web. Nothing was deleted.\n";
        assert_eq!(text, expected);
        assert!(nothing_to_do(&begun(scope(), &[], &[]), false).contains("the cluster has none"));
        let many: Vec<String> = (10..23).map(|n| format!("n{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let text = nothing_to_do(&begun(scope(), &many, &[]), false);
        assert!(text.contains("n19 and 3 more."), "{text}");
        assert!(nothing_to_do(&begun(Scope::Cluster, &[], &[]), false).starts_with("Nothing to do"));
        assert!(nothing_to_do(&begun(Scope::Cluster, &[], &[]), true).starts_with("There is no NodeENI and no"));
    }

    #[test]
    fn progress_names_only_those_for_which_a_person_must_act_and_the_timeout_names_all() {
        let mut blocked = attachment("2", "n2", "a");
        (blocked.blocked, blocked.message) = (true, "Unauthorized: allow ec2:DetachNetworkInterface".into());
        let all = [attachment("1", "n1", "a"), blocked, attachment("3", "n3", "a")];
        let mut removal = begun(Scope::Cluster, &["a"], &all);
        removal.attachments.take(Watched::Delete { name: String::new(), uid: "3".into(), version: String::new() });
        assert_eq!(
            progress(&removal),
            "1 of 3 ENIs is gone\n  waits: n2, index 1, eni-2 of NodeENI a: Unauthorized: allow ec2:DetachNetworkInterface\n"
        );
        let text = timed_out(&removal, "10m");
        assert!(text.starts_with("Not done within 10m: 2 ENIs and 1 NodeENI are left."), "{text}");
        for line in
            ["n1, index 1, eni-1 of NodeENI a: Detaching: EC2 detaches it", "NodeENI a: is not being deleted yet"]
        {
            assert!(text.contains(&format!("  waits: {line}\n")), "{line:?} is not in {text}");
        }
    }

    #[test]
    fn an_eniattachment_without_an_eni_is_not_counted_as_an_eni() {
        let mut full = attachment("2", "n2", "a");
        (full.eni, full.blocked, full.deleting) = (None, true, false);
        let mut removal = begun(Scope::Cluster, &["a"], &[attachment("1", "n1", "a"), full.clone()]);
        let text = announcement(&removal, "https://10.0.0.1:6443/", Some(1));
        assert!(text.contains("  NodeENI a: 1 ENI on 1 node, and 1 ENIAttachment without an ENI\n"), "{text}");
        assert!(text.contains("In all 1 NodeENI and 1 ENI, and 1 ENIAttachment without an ENI."), "{text}");
        let at_once = "0 of 1 ENIs are gone; 1 ENIAttachment without an ENI is left\n";
        assert_eq!(progress(&removal), at_once, "it is not being deleted yet, so nothing waits");
        // Its deletion begins. Its status is from before.
        (full.deleting, full.is_current) = (true, false);
        removal.attachments.take(Watched::Apply(("2".into(), full.clone())));
        assert_eq!(progress(&removal), at_once);
        full.is_current = true;
        removal.attachments.take(Watched::Apply(("2".into(), full)));
        assert!(progress(&removal).contains("  waits: n2, index 1, no ENI of NodeENI a: "), "{}", progress(&removal));
        let text = timed_out(&removal, "10m");
        let left = "Not done within 10m: 1 ENI and 1 NodeENI, and 1 ENIAttachment without an ENI are left.";
        assert!(text.starts_with(left), "{text}");
        let (mut said, without) = (Progress::default(), begun(Scope::Cluster, &["a"], &[]));
        assert_eq!(said.news(&without).as_deref(), Some("There is no ENI to remove\n"));
        assert_eq!(said.news(&without), None, "it is said once");
        assert!(said.news(&removal).is_some());
    }

    #[test]
    fn of_one_nodeeni_only_its_enis_and_its_nodes_are_said() {
        let all = [attachment("1", "n1", "a"), attachment("2", "n1", "b"), attachment("3", "n2", "b")];
        let mut removal = begun(Scope::NodeEni("a".into()), &["a", "b"], &all);
        let said = announcement(&removal, "https://10.0.0.1:6443/", Some(1)) + &waiting(&removal);
        let said = said + &timed_out(&removal, "10m") + &progress(&removal);
        assert!(said.contains("  NodeENI a: 1 ENI on 1 node\nIn all 1 NodeENI and 1 ENI. Each"), "{said}");
        assert!(said.contains("EC2 shows 1 ENI with the tag of this cluster and of NodeENI a.\n"), "{said}");
        assert!(said.contains("0 of 1 ENIs are gone\n"), "{said}");
        for other in ["NodeENI b", "n2", "eni-2", "eni-3"] {
            assert!(!said.contains(other), "{other:?} is in {said}");
        }
        // NodeENI b gets one more on a node that a has, too.
        removal.attachments.take(Watched::Apply(("4".into(), attachment("4", "n1", "b"))));
        removal.note_new();
        assert_eq!((removal.enis(), removal.attachments_left().len()), (1, 1), "only those of a are waited for");
    }

    #[test]
    fn a_long_list_ends_with_a_count() {
        let all: Vec<_> = (0..13).map(|n| attachment(&n.to_string(), &format!("n{n:02}"), "a")).collect();
        let text = waiting(&begun(Scope::Cluster, &[], &all));
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(text.ends_with("  waits: 3 more (kubectl get eniattachments -o wide)\n"), "{text}");
    }

    #[test]
    fn the_audit_names_each_eni_with_its_state_and_what_to_do() {
        let eni = LeftEni {
            id: EniId::parse("eni-0aaaaaaaaaaaaaaa1").unwrap(),
            nodeeni: "a".into(),
            node: "n1".into(),
            state: "available".into(),
            advice: "delete it".into(),
        };
        let scope = Scope::NodeEni("a".into());
        let made = Audit::Made { left: vec![eni], without_id: 0 };
        assert_eq!(
            audit(&scope, &made),
            "EC2 still shows 1 ENI with the tag of this cluster and of NodeENI a:\n  eni-0aaaaaaaaaaaaaaa1: available (NodeENI a, node n1); \
             delete it\n"
        );
        let clean = Audit::Made { left: Vec::new(), without_id: 0 };
        assert_eq!(audit(&Scope::Cluster, &clean), "EC2 shows no ENI with the tag of this cluster.\n");
        assert!(audit(&scope, &Audit::Failed("no credentials".into())).contains("--no-audit"));
    }
}
