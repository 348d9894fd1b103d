//! Performs a script's operations on EC2 and on the API server. [`crate::replica`] performs the operations on replicas.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::{POD_ANNOTATION, eniattachments, nodeenis, nodes, pods};
use super::ec2_setup::{CNI_TAG, GROUPS, SECOND_VPC, group};
use super::joining::{NewNode, instance_in};
use super::operation_result::OperationResult;
use super::upstream::UpstreamEni;
use crate::script::{HandChange, Operation, Target};
use multi_eni_api::names::{ANNOTATION_RECONCILE_AT, TAG_ATTACHMENT_UID, TAG_CLUSTER};
use multi_eni_sim::ec2::{ConnectionTracking, Eni, InstanceState};
use multi_eni_sim::kube::Denial;
use serde_json::{Value, json};

/// The message with which the simulated admission policy denies a write.
pub const DENIED: &str = "not in this cluster";

impl Environment {
    /// Performs an operation on EC2 or on the API server. Operations on replicas and on their network do nothing here.
    pub async fn play(&self, operation: &Operation) -> OperationResult {
        let client = ApiClient::new(&self.api);
        match operation {
            Operation::Join { node, instance, zone, labels, bare, placement } => {
                let place = (zone.as_str(), *placement);
                self.join(&client, &NewNode { node, instance, place, labels, bare: *bare }).await
            }
            Operation::Initialize { node } => self.initialize(&client, node).await,
            Operation::JoinUnsupported { node, kind, labels } => {
                self.join_unsupported(&client, node, *kind, labels).await
            }
            Operation::JoinManaged { node, instance, zone, labels, placement } => {
                let place = (zone.as_str(), *placement);
                self.join_managed(&client, &NewNode { node, instance, place, labels, bare: false }).await
            }
            Operation::Leave { node, terminate } => {
                if *terminate {
                    self.terminate(node)?;
                }
                client.delete(&nodes(), node).await.map(|_| format!("Node {node} is deleted"))
            }
            Operation::Terminate { node } => self.terminate(node),
            Operation::Twin { node, name, labels } => self.twin(&client, node, name, labels).await,
            Operation::ZoneLabel { node, zone } => self.zone_label(&client, node, zone.as_deref()).await,
            Operation::LeftOut { instance, times } => {
                self.ec2.leave_out(instance, *times);
                Ok(format!("{times} answers of DescribeInstances leave {instance} out"))
            }
            Operation::Halt { node } => self.set_power(node, false),
            Operation::Boot { node } => self.set_power(node, true),
            Operation::Label { node, set } => {
                client.patch(&nodes(), node, &json!({ "metadata": { "labels": set } })).await?;
                Ok(format!("Node {node} is labelled {}", Value::from_iter(set.clone())))
            }
            Operation::Drain { node } => {
                let eni_attachment = json!({ "metadata": { "finalizers": ["example.com/drain"] } });
                client.patch(&nodes(), node, &eni_attachment).await?;
                client.delete(&nodes(), node).await.map(|_| format!("Node {node} is being deleted"))
            }
            Operation::Drained { node } => {
                self.terminate(node)?;
                let free = json!({ "metadata": { "finalizers": null } });
                client.patch(&nodes(), node, &free).await.map(|_| format!("the finalizers of Node {node} are removed"))
            }
            Operation::Taint { node, effect } => self.taint(&client, node, effect).await,
            Operation::Reboot { node } => self.reboot(&client, node).await,
            Operation::Heartbeat { node } => {
                let ready = json!({ "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status", "lastHeartbeatTime": self.clock.now().to_string() });
                client.patch_status(&nodes(), node, &json!({ "status": { "conditions": [ready] } })).await?;
                Ok(String::new())
            }
            Operation::Apply { name, spec } => self.apply(&client, name, spec).await,
            Operation::Remove { name } => {
                client.delete(&nodeenis(), name).await.map(|_| format!("NodeENI {name} is deleted"))
            }
            Operation::DeleteAttachment(target) => {
                let name = self.attachment(target)?;
                client.delete(&eniattachments(), &name).await.map(|_| format!("somebody deletes {name}"))
            }
            Operation::StripAttachment(target) => {
                let name = self.attachment(target)?;
                let strip = json!({ "metadata": { "finalizers": null } });
                client.patch(&eniattachments(), &name, &strip).await?;
                client.delete(&eniattachments(), &name).await?;
                Ok(format!("somebody removes the finalizers of {name} and deletes it"))
            }
            Operation::Annotate(target) => {
                let name = self.attachment(target)?;
                let note =
                    json!({ "metadata": { "annotations": { "example.com/seen": self.clock.now().to_string() } } });
                client.patch(&eniattachments(), &name, &note).await.map(|_| format!("somebody annotates {name}"))
            }
            Operation::ReconcileAt { nodeeni, nth } => {
                let value = self.clock.now().to_string();
                let request = json!({ "metadata": { "annotations": { (ANNOTATION_RECONCILE_AT): value } } });
                let (kind, name) = match nodeeni {
                    Some(name) => (nodeenis(), name.clone()),
                    None => (eniattachments(), self.attachment(&Target { nth: *nth })?),
                };
                client.patch(&kind, &name, &request).await.map(|_| format!("somebody asks for a new try of {name}"))
            }
            Operation::HandDetach(target) => {
                let eni = self.eni(target.nth)?;
                self.ec2.hand_detach(&eni.id, false).map_err(|error| error.to_string())?;
                Ok(format!("somebody detaches {}", eni.id))
            }
            Operation::HandDelete(target) => {
                let eni = self.eni(target.nth)?;
                self.free(&eni)?;
                self.ec2.hand_delete(&eni.id).map_err(|error| error.to_string())?;
                Ok(format!("somebody deletes {}", eni.id))
            }
            Operation::HandMove { nth, node, index } => {
                let eni = self.eni(*nth)?;
                let instance = self.instance_of(node)?;
                let on = self.ec2.snapshot().instances.get(&instance).cloned();
                let Some(on) = on.filter(|on| on.zone == eni.zone) else {
                    return Err(format!("{} is in {}, and {node} is not", eni.id, eni.zone));
                };
                if (&on.vpc_id, &on.outpost) != (&eni.vpc_id, &eni.outpost) {
                    return Err(format!("{} is in another VPC than {node}, or not on its Outpost", eni.id));
                }
                self.free(&eni)?;
                self.ec2.hand_attach(&eni.id, &instance, 0, *index).map_err(|error| error.to_string())?;
                Ok(format!("somebody attaches {} to {node} at index {index}", eni.id))
            }
            Operation::HandChange { nth, change } => {
                let eni = self.eni(*nth)?;
                self.ec2.hand_change(&eni.id, |eni| change_by_hand(eni, *change)).map_err(|error| error.to_string())?;
                Ok(format!("somebody changes {}: {change:?}", eni.id))
            }
            Operation::CniAttach { node } => self.cni_attach(node),
            Operation::OtherCluster { node } => self.other_cluster(node),
            Operation::Upstream { node, nodeeni, subnet, index, listed } => {
                let place = UpstreamEni { node, nodeeni, subnet, index: *index };
                self.upstream(&client, &place, *listed).await
            }
            Operation::CniRelease { node } => self.cni_release(node),
            Operation::CniGrows { node, interfaces, addresses } => self.cni_grows(node, *interfaces, *addresses),
            Operation::CniShrinks { node, interfaces } => self.cni_shrinks(node, *interfaces),
            Operation::PodStarts { pod, node, nodeeni } => {
                let object = json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": { "name": pod, "namespace": "default", "annotations": { POD_ANNOTATION: nodeeni } },
                    "spec": { "nodeName": node, "containers": [{ "name": "c", "image": "none" }] },
                });
                client.create(&pods(), &object).await.map(|_| format!("Pod {pod} starts on {node} and uses {nodeeni}"))
            }
            Operation::PodEnds { pod } => client.delete(&pods(), pod).await.map(|_| format!("Pod {pod} ends")),
            Operation::Quota { room } => {
                let limit = room.map_or(5000, |room| u32::try_from(self.ec2.snapshot().enis.len()).unwrap_or(0) + room);
                self.ec2.configure(|settings| settings.eni_quota = Some(limit));
                Ok(format!("the quota is {limit} network interfaces"))
            }
            Operation::RemakeGroup { number } => self.remake_group(*number),
            Operation::RenameSubnet { subnet, name } => self.rename_subnet(subnet, name),
            Operation::Crowd { subnet, leave } => self.crowd(subnet, *leave),
            Operation::Uncrowd { subnet } => self.uncrowd(subnet),
            Operation::Deny { action } => {
                self.ec2.deny(action);
                Ok(format!("IAM denies {action}"))
            }
            Operation::Allow { action } => {
                self.ec2.allow(action);
                Ok(format!("IAM allows {action}"))
            }
            Operation::BreakWatches {} => {
                self.api.break_watches();
                Ok("all watches end".to_owned())
            }
            Operation::Compact {} => {
                self.api.compact();
                Ok("the store is compacted".to_owned())
            }
            Operation::Refuse { verb, resource, code, percent, lasts } => {
                let lasts = jiff::SignedDuration::from_millis(i64::try_from(*lasts).unwrap_or(i64::MAX));
                self.api.refuse(Denial {
                    verb: verb.clone(),
                    resource: resource.clone(),
                    percent: *percent,
                    code: *code,
                    message: DENIED.to_owned(),
                    until: self.clock.now().checked_add(lasts).ok(),
                });
                Ok(format!("admission refuses to {verb} {percent} % of {resource} with {code}"))
            }
            Operation::Kill { .. }
            | Operation::Elsewhere { .. }
            | Operation::RoleSwap { .. }
            | Operation::Stop { .. }
            | Operation::Pause { .. }
            | Operation::ClockStep { .. }
            | Operation::Partition { .. }
            | Operation::StaleWatch { .. }
            | Operation::RestartApi { .. }
            | Operation::RefuseCalls { .. }
            | Operation::Forbid { .. } => Ok(String::new()),
        }
    }

    async fn apply(&self, client: &ApiClient, name: &str, spec: &Value) -> OperationResult {
        let object = json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": name }, "spec": spec,
        });
        match client.get(&nodeenis(), name).await {
            Err(_) => client.create(&nodeenis(), &object).await.map(|_| format!("NodeENI {name} is created")),
            Ok(mut object) => {
                object["spec"] = spec.clone();
                client.replace(&nodeenis(), name, &object).await.map(|_| format!("NodeENI {name} is changed"))
            }
        }
    }

    pub(super) fn instance_of(&self, node: &str) -> Result<String, String> {
        let object = self.api.get(&nodes(), "", node).ok_or_else(|| format!("there is no Node {node}"))?;
        Ok(instance_in(&object).to_owned())
    }

    fn terminate(&self, node: &str) -> OperationResult {
        let instance = self.instance_of(node)?;
        let state = self.ec2.snapshot().instances.get(&instance).map(|instance| instance.state);
        if matches!(state, None | Some(InstanceState::ShuttingDown | InstanceState::Terminated)) {
            return Ok(format!("{instance} of {node} is terminated already"));
        }
        self.ec2.terminate_instance(&instance).map_err(|error| error.to_string())?;
        Ok(format!("{instance} of {node} is terminated"))
    }

    fn set_power(&self, node: &str, on: bool) -> OperationResult {
        let instance = self.instance_of(node)?;
        let state = self.ec2.snapshot().instances.get(&instance).map(|instance| instance.state);
        let changed = match (state, on) {
            (Some(InstanceState::Running), false) => self.ec2.stop_instance(&instance),
            (Some(InstanceState::Stopped), true) => self.ec2.start_instance(&instance),
            _ => return Err(format!("{instance} is {state:?}")),
        };
        changed.map_err(|error| error.to_string())?;
        Ok(format!("{instance} of {node} is {}", if on { "started" } else { "stopped" }))
    }

    /// The name of the ENIAttachment that a target means.
    fn attachment(&self, target: &Target) -> Result<String, String> {
        let all = self.api.list(&eniattachments());
        let nth = target.nth.checked_rem(all.len()).ok_or("there is no ENIAttachment")?;
        let name = all.get(nth).and_then(|object| object.pointer("/metadata/name")).and_then(Value::as_str);
        name.map(str::to_owned).ok_or_else(|| "the ENIAttachment has no name".to_owned())
    }

    /// The ENI of this cluster that is meant. ENIs count that were created or adopted for this cluster, whatever their tags say
    /// now.
    fn eni(&self, nth: usize) -> Result<Eni, String> {
        let snapshot = self.ec2.snapshot();
        let is_tagged = |eni: &Eni| {
            eni.tags.contains_key(TAG_ATTACHMENT_UID) && eni.tags.get(TAG_CLUSTER).is_none_or(|of| of != OTHER_CLUSTER)
        };
        let is_ours = |eni: &Eni| eni.client_token.is_some() || is_tagged(eni);
        let ours: Vec<Eni> = snapshot.enis.into_values().filter(is_ours).collect();
        let nth = nth.checked_rem(ours.len()).ok_or("there is no ENI of this cluster")?;
        ours.get(nth).cloned().ok_or_else(|| "there is no ENI of this cluster".to_owned())
    }

    fn free(&self, eni: &Eni) -> Result<(), String> {
        if eni.attachment.is_some() {
            self.ec2.hand_detach(&eni.id, true).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn cni_attach(&self, node: &str) -> OperationResult {
        let eni = self.foreign_attach(node, &[(CNI_TAG, &self.instance_of(node)?)])?;
        Ok(format!("the VPC CNI attaches {eni}"))
    }

    fn other_cluster(&self, node: &str) -> OperationResult {
        let eni = self.foreign_attach(node, &[(TAG_CLUSTER, OTHER_CLUSTER), (TAG_ATTACHMENT_UID, OTHER_CLUSTER)])?;
        Ok(format!("another cluster's Multi-ENI attaches {eni}"))
    }

    /// Attaches an ENI of someone else at a Node's lowest free index. Returns the ENI and its place, in words.
    fn foreign_attach(&self, node: &str, tags: &[(&str, &str)]) -> OperationResult {
        let instance = self.instance_of(node)?;
        let snapshot = self.ec2.snapshot();
        let about = snapshot.instances.get(&instance).ok_or_else(|| format!("{instance} is gone"))?;
        if about.state != InstanceState::Running {
            return Err(format!("{instance} does not run"));
        }
        let taken = snapshot.attached_to(&instance);
        let index = (1..8).find(|index| !taken.contains_key(&(0, *index))).ok_or("no index is free")?;
        let eni = self.ec2.hand_create(&about.subnet_id, tags).map_err(|error| error.to_string())?;
        self.ec2.hand_attach(&eni, &instance, 0, index).map_err(|error| error.to_string())?;
        Ok(format!("{eni} to {node} at index {index}"))
    }

    pub(super) fn cni_release(&self, node: &str) -> OperationResult {
        let instance = self.instance_of(node)?;
        let snapshot = self.ec2.snapshot();
        let last = snapshot.attached_to(&instance).into_values().rfind(|eni| eni.tags.contains_key(CNI_TAG));
        let eni = last.ok_or_else(|| format!("the VPC CNI has no ENI on {node}"))?;
        self.free(eni)?;
        self.ec2.hand_delete(&eni.id).map_err(|error| error.to_string())?;
        Ok(format!("the VPC CNI releases {} of {node}", eni.id))
    }

    fn crowd(&self, subnet: &str, leave: u64) -> OperationResult {
        let mut taken = 0;
        while self.ec2.snapshot().subnets.get(subnet).is_some_and(|subnet| subnet.available_addresses > leave) {
            self.ec2.hand_create(subnet, &[(CROWD_TAG, subnet)]).map_err(|error| error.to_string())?;
            taken += 1;
        }
        Ok(format!("ENIs of others take {taken} addresses of {subnet}"))
    }

    pub(super) fn uncrowd(&self, subnet: &str) -> OperationResult {
        let snapshot = self.ec2.snapshot();
        for eni in snapshot.tagged(CROWD_TAG, subnet) {
            self.ec2.hand_delete(&eni.id).map_err(|error| error.to_string())?;
        }
        Ok(format!("ENIs of others release the addresses of {subnet}"))
    }
}

/// The UID of another cluster.
const OTHER_CLUSTER: &str = "c1057e50-0000-4000-8000-000000000000";

/// The tag of the ENIs that fill a subnet.
const CROWD_TAG: &str = "example.com/crowd";

fn change_by_hand(eni: &mut Eni, change: HandChange) {
    match change {
        HandChange::Untag => eni.tags.clear(),
        HandChange::UntagCluster => drop(eni.tags.remove(TAG_CLUSTER)),
        HandChange::UntagAttachment => drop(eni.tags.remove(TAG_ATTACHMENT_UID)),
        HandChange::Rename => drop(eni.tags.insert("Name".to_owned(), "renamed by hand".to_owned())),
        HandChange::Describe => "described by hand".clone_into(&mut eni.description),
        HandChange::Groups => {
            let of_vpc = if eni.vpc_id == SECOND_VPC { 2 * GROUPS } else { GROUPS };
            eni.groups = vec![group(of_vpc)];
        }
        HandChange::SourceDestCheck => eni.source_dest_check = !eni.source_dest_check,
        HandChange::ConnectionTracking => {
            eni.connection_tracking = ConnectionTracking { udp: Some(31), ..ConnectionTracking::default() };
        }
        HandChange::DeleteOnTermination => {
            if let Some(attachment) = &mut eni.attachment {
                attachment.delete_on_termination = !attachment.delete_on_termination;
            }
        }
    }
}
