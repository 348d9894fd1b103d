//! What names stand for changes: groups and subnets are deleted, made again and renamed. Every answer that decisions use is asked
//! again within minutes, all names together, and at once when EC2 does not know what an answer named.

use super::Reconciler;
use crate::work_queue::Key;
use jiff::SignedDuration;
use multi_eni_api::ids::SubnetId;
use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};
use multi_eni_plan::nodeeni::{EniSpec, SubnetRef};
use std::collections::BTreeSet;

/// How old an answer may get: the sweep after that asks again.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_secs(180);

/// What can change under a NodeENI that does not change itself.
#[derive(Debug, Default)]
struct Names {
    groups: BTreeSet<String>,
    subnets: BTreeSet<String>,
    /// Subnets by ID that EC2 did not know. A subnet that it knows keeps its zone and VPC.
    missing: BTreeSet<SubnetId>,
}

impl Reconciler {
    /// After a sweep: asks again what names stand for.
    pub(super) fn ask_for_names_again(&mut self) {
        let now = self.now();
        if self.names_asked.is_some_and(|at| now.duration_since(at) < ASKED_AGAIN) {
            return;
        }
        self.names_asked = Some(now);
        let names = self.names_in_use(|_| true);
        self.deps.ec2.ask_again(names.groups, names.subnets, names.missing);
        // A type that EC2 did not know may be one by now.
        let unknown = self.deps.ec2.catalog().unknown_types();
        let in_use = |kind: &String| self.store.nodes().any(|node| node.instance_type.as_ref() == Some(kind));
        unknown.iter().filter(|kind| in_use(kind)).for_each(|kind| self.deps.ec2.want_instance_type(kind));
    }

    fn names_in_use(&self, of: impl Fn(&str) -> bool) -> Names {
        let catalog = self.deps.ec2.catalog();
        let mut names = Names::default();
        for entry in self.store.nodeenis().filter(|entry| of(&entry.nodeeni.uid)) {
            let Ok(spec) = &entry.nodeeni.spec else { continue };
            names.groups.extend(spec.group_names.iter().cloned());
            for subnet in &spec.subnets {
                match subnet {
                    SubnetRef::Name(name) => drop(names.subnets.insert(name.clone())),
                    SubnetRef::Id(id) if catalog.missing_subnets.contains_key(id) => names.missing.extend([id.clone()]),
                    SubnetRef::Id(_) => {}
                }
            }
        }
        names
    }

    /// EC2 did not know a group or a subnet that a call named: what the names of its NodeENI stand for is asked at once.
    pub(super) fn doubt_names(&mut self, attachment_uid: &str, call: Call, error: &CallError) {
        if classify(call, error) != Class::ReferenceNotFound {
            return;
        }
        let attachment = self.store.attachment_by_uid(attachment_uid).and_then(|name| self.store.attachment(name));
        let Some(entry) = attachment.cloned() else { return };
        let mut names = self.names_in_use(|uid| uid == entry.attachment.nodeeni_uid);
        if error.code() == "InvalidSubnetID.NotFound" {
            names.missing.extend(SubnetId::parse(&entry.attachment.request.subnet_id).ok());
        }
        self.deps.ec2.ask_again(names.groups, names.subnets, names.missing);
    }

    /// A name stands for something else now: whoever uses names is decided again.
    pub(super) fn names_changed(&mut self) {
        let uses_names = |spec: &EniSpec| {
            !spec.group_names.is_empty() || spec.subnets.iter().any(|subnet| matches!(subnet, SubnetRef::Name(_)))
        };
        let users: Vec<&str> = self
            .store
            .nodeenis()
            .filter(|entry| entry.nodeeni.spec.as_ref().is_ok_and(uses_names))
            .map(|entry| entry.nodeeni.uid.as_str())
            .collect();
        let uses = |uid: &str| users.contains(&uid);
        let nodes = self.assignments.iter().filter(|(_, last)| last.matched.iter().any(|uid| uses(uid)));
        let nodes: Vec<Key> = nodes.map(|(node, _)| Key::Node(node.clone())).collect();
        let attachments = self.store.attachments().filter(|entry| uses(&entry.attachment.nodeeni_uid));
        let attachments: Vec<Key> = attachments.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
        nodes.into_iter().chain(attachments).for_each(|key| self.queue.now(key));
    }
}
