//! Keeps names of groups and subnets resolved. Groups and subnets are deleted, made again and renamed, so all names in use are
//! looked up again every few minutes, and at once when EC2 does not know the ID that a name was resolved to.

use super::Reconciler;
use crate::work_queue::Key;
use jiff::SignedDuration;
use multi_eni_api::ids::SubnetId;
use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};
use multi_eni_plan::ec2_terms::{GroupTerm, SubnetTerm, TagTerm};
use multi_eni_plan::nodeeni::{EniSpec, SubnetRef};
use multi_eni_plan::observed::Ec2Catalog;
use std::collections::BTreeSet;

/// The age after which a resync is followed by a new lookup of all names.
const LOOK_UP_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(180);

/// What can change on EC2 while the NodeENI that names it does not change.
#[derive(Debug, Default)]
struct Names {
    groups: BTreeSet<String>,
    subnets: BTreeSet<String>,
    /// IDs of subnets that EC2 did not know. The zone and VPC of a known subnet never change.
    missing: BTreeSet<SubnetId>,
    group_tags: BTreeSet<TagTerm>,
    subnet_tags: BTreeSet<TagTerm>,
}

impl Reconciler {
    /// Looks up all names in use again, after a resync.
    pub(super) fn refresh_names(&mut self) {
        let now = self.now();
        if self.names_looked_up_at.is_some_and(|at| now.duration_since(at) < LOOK_UP_AGAIN_AFTER) {
            return;
        }
        self.names_looked_up_at = Some(now);
        let names = self.names_in_use(|_| true);
        self.refresh(names);
        // EC2 may know an instance type by now that it did not know before.
        let unknown = self.deps.ec2.catalog().unknown_types();
        let in_use = |kind: &String| self.store.nodes().any(|node| node.instance_type.as_ref() == Some(kind));
        unknown.iter().filter(|kind| in_use(kind)).for_each(|kind| self.deps.ec2.lookup_instance_type(kind));
    }

    fn names_in_use(&self, of: impl Fn(&str) -> bool) -> Names {
        let catalog = self.deps.ec2.catalog();
        let mut names = Names::default();
        for entry in self.store.nodeenis().filter(|entry| of(&entry.nodeeni.uid)) {
            let Ok(spec) = &entry.nodeeni.spec else { continue };
            names.groups.extend(spec.group_names.iter().cloned());
            for term in &spec.group_terms {
                match term {
                    GroupTerm::Id(_) => {}
                    GroupTerm::Name(name) => drop(names.groups.insert(name.clone())),
                    GroupTerm::Tags(tags) => drop(names.group_tags.insert(tags.clone())),
                }
            }
            for term in &spec.subnet_terms {
                match term {
                    SubnetTerm::Id(id) if catalog.missing_subnets.contains_key(id) => {
                        names.missing.extend([id.clone()])
                    }
                    SubnetTerm::Id(_) => {}
                    SubnetTerm::Tags(tags) => drop(names.subnet_tags.insert(tags.clone())),
                }
            }
            names.missing.extend(self.unselected_subnets(&entry.nodeeni.uid, spec, &catalog));
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

    /// Looks up the names of the NodeENI with this UID at once, because a user asks for it.
    pub(super) fn recheck_names_of(&mut self, nodeeni_uid: &str) {
        self.refresh(self.names_in_use(|uid| uid == nodeeni_uid));
    }

    /// The subnets of a NodeENI's ENIs that the last answers to its terms do not have. EC2 shows their tags only by their IDs.
    fn unselected_subnets(&self, uid: &str, spec: &EniSpec, catalog: &Ec2Catalog) -> BTreeSet<SubnetId> {
        let is_by_tags = spec.subnet_terms.iter().any(|term| matches!(term, SubnetTerm::Tags(_)));
        let attachments = self.store.attachments_of(uid).filter(|_| is_by_tags);
        let ids = attachments.filter_map(|entry| SubnetId::parse(&entry.attachment.request.subnet_id).ok());
        let ids: BTreeSet<SubnetId> = ids.collect();
        if ids.is_empty() {
            return ids;
        }
        let selected: BTreeSet<&SubnetId> =
            catalog.selected_subnets(&spec.subnet_terms).into_iter().map(|subnet| &subnet.id).collect();
        ids.into_iter().filter(|id| !selected.contains(id)).collect()
    }

    /// Looks up the names of a NodeENI at once, because EC2 did not know the group or subnet of one of its calls.
    pub(super) fn recheck_names(&mut self, attachment_uid: &str, call: Call, error: &CallError) {
        if classify(call, error) != Class::ReferenceNotFound {
            return;
        }
        let attachment = self.store.attachment_by_uid(attachment_uid).and_then(|name| self.store.attachment(name));
        let Some(entry) = attachment.cloned() else { return };
        let mut names = self.names_in_use(|uid| uid == entry.attachment.nodeeni_uid);
        if error.code() == "InvalidSubnetID.NotFound" {
            names.missing.extend(SubnetId::parse(&entry.attachment.request.subnet_id).ok());
        }
        self.refresh(names);
    }

    fn refresh(&self, names: Names) {
        self.deps.ec2.refresh(names.groups, names.subnets, names.missing);
        self.deps.ec2.refresh_tagged(names.group_tags, names.subnet_tags);
    }

    /// Reconciles all Nodes and ENIAttachments of NodeENIs that use names: a name is resolved to something else now.
    pub(super) fn names_changed(&mut self) {
        let uses_names = |spec: &EniSpec| {
            !spec.group_names.is_empty()
                || !spec.group_terms.is_empty()
                || !spec.subnet_terms.is_empty()
                || spec.subnets.iter().any(|subnet| matches!(subnet, SubnetRef::Name(_)))
        };
        let users: Vec<&str> = self
            .store
            .nodeenis()
            .filter(|entry| entry.nodeeni.spec.as_ref().is_ok_and(uses_names))
            .map(|entry| entry.nodeeni.uid.as_str())
            .collect();
        let uses = |uid: &str| users.contains(&uid);
        let nodes = self.assignments.iter().filter(|(_, last)| last.concerns(uses));
        let nodes: BTreeSet<String> = nodes.map(|(node, _)| node.clone()).collect();
        let attachments = self.store.attachments().filter(|entry| uses(&entry.attachment.nodeeni_uid));
        let attachments: Vec<Key> = attachments.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
        self.enqueue_instances_of(nodes);
        attachments.into_iter().for_each(|key| self.queue.add(key));
    }
}
