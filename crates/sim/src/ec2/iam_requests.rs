//! A call of EC2 as IAM sees it: one [`Request`] for each resource that the call is about, with the condition keys that AWS's
//! service authorization reference lists for the action and that kind of resource. A key that the reference does not list is
//! absent, as on AWS.
//!
//! Of the condition keys it has those that policies of the controller use: the tags of the call and of the resource,
//! `aws:TagKeys`, `ec2:CreateAction` and `ec2:Vpc`.

use std::collections::BTreeMap;

use super::model::Eni;
use super::params::Params;
use super::state::State;
use crate::iam::Request;

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";

/// What a request does not contain, each with the reason. Who holds it against a policy must know that these are not held.
pub const LEFT_OUT: [(&str, &str); 3] = [
    (
        "an interface, an attachment, a subnet or a group that does not exist",
        "it has no tags and no VPC; EC2 answers that it is not found",
    ),
    ("the default security group of a Create or a Modify without groups", "the call does not name it"),
    ("tags of subnets, groups and instances", "no policy of the controller has a condition on them"),
];

/// The requests of a call.
pub(super) fn of(state: &State, action: &str, params: &Params) -> Vec<Request> {
    let reader = Reader { state, action, params };
    match action {
        "CreateNetworkInterface" => reader.create(),
        "AttachNetworkInterface" => {
            let eni = reader.eni("NetworkInterfaceId").map(|eni| reader.on_eni(eni));
            eni.into_iter().chain(reader.instance(params.get("InstanceId"))).collect()
        }
        "DetachNetworkInterface" => {
            let eni = params.get("AttachmentId").and_then(|id| state.eni_of_attachment(id));
            let instance = eni.and_then(|eni| eni.attachment.as_ref()).map(|at| at.instance_id.as_str());
            eni.map(|eni| reader.on_eni(eni)).into_iter().chain(reader.instance(instance)).collect()
        }
        "DeleteNetworkInterface" => {
            reader.eni("NetworkInterfaceId").map(|eni| reader.on_eni(eni)).into_iter().collect()
        }
        "ModifyNetworkInterfaceAttribute" => reader.modify(),
        "CreateTags" | "DeleteTags" => reader.tags(),
        // The Describes have no resources. So a further action is refused by every policy that names resources, until it is here.
        _ => vec![reader.request("*")],
    }
}

struct Reader<'a> {
    state: &'a State,
    action: &'a str,
    params: &'a Params,
}

impl<'a> Reader<'a> {
    fn request(&self, resource: &str) -> Request {
        Request::new(&format!("ec2:{}", self.action), resource)
    }

    fn eni(&self, parameter: &str) -> Option<&'a Eni> {
        self.state.eni(self.params.get(parameter)?)
    }

    /// The tags and the VPC of an interface.
    fn on_eni(&self, eni: &Eni) -> Request {
        let request = resource_tags(self.request(&arn("network-interface", &eni.id)), &eni.tags);
        // AWS's reference lists no ec2:Vpc for DeleteTags.
        if self.action == "DeleteTags" { request } else { request.with("ec2:Vpc", &arn("vpc", &eni.vpc_id)) }
    }

    fn instance(&self, id: Option<&str>) -> Option<Request> {
        id.map(|id| self.request(&arn("instance", id)))
    }

    /// The security groups that the call names and that exist.
    fn groups(&self) -> impl Iterator<Item = Request> {
        self.params.list("SecurityGroupId").into_iter().filter_map(|id| {
            let vpc = &self.state.groups.get(&id)?.vpc_id;
            Some(self.request(&arn("security-group", &id)).with("ec2:Vpc", &arn("vpc", vpc)))
        })
    }

    /// The new interface, its subnet and groups, and CreateTags for its tags.
    fn create(&self) -> Vec<Request> {
        let eni = arn("network-interface", "*");
        let given: BTreeMap<String, String> =
            self.params.structs("TagSpecification").iter().flat_map(tags_in).collect();
        let mut requests = vec![request_tags(self.request(&eni), &given)];
        let subnet = self.params.get("SubnetId").and_then(|id| self.state.subnets.get(id)).map(|entry| &entry.subnet);
        requests.extend(
            subnet.map(|subnet| self.request(&arn("subnet", &subnet.id)).with("ec2:Vpc", &arn("vpc", &subnet.vpc_id))),
        );
        requests.extend(self.groups());
        if !given.is_empty() {
            let tags = Request::new("ec2:CreateTags", &eni).with("ec2:CreateAction", self.action);
            requests.push(request_tags(tags, &given));
        }
        requests
    }

    /// The interface, and the groups or the instance of the attribute.
    fn modify(&self) -> Vec<Request> {
        let eni = self.eni("NetworkInterfaceId");
        let attachment = eni.and_then(|eni| eni.attachment.as_ref()).filter(|_| self.params.mentions("Attachment"));
        let instance = self.instance(attachment.map(|at| at.instance_id.as_str()));
        eni.map(|eni| self.on_eni(eni)).into_iter().chain(self.groups()).chain(instance).collect()
    }

    fn tags(&self) -> Vec<Request> {
        let given = tags_in(self.params);
        let enis = self.params.list("ResourceId").into_iter().filter_map(|id| self.state.eni(&id));
        enis.map(|eni| request_tags(self.on_eni(eni), &given)).collect()
    }
}

/// The tags of a CreateTags or DeleteTags, or of one TagSpecification. A DeleteTags may have keys only.
fn tags_in(params: &Params) -> BTreeMap<String, String> {
    let tags = params.structs("Tag");
    let pair = |tag: &Params| Some((tag.get("Key")?.to_owned(), tag.get("Value").unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

fn request_tags(request: Request, tags: &BTreeMap<String, String>) -> Request {
    tags.iter().fold(request, |request, (key, value)| {
        request.with(&format!("aws:RequestTag/{key}"), value).with("aws:TagKeys", key)
    })
}

fn resource_tags(request: Request, tags: &BTreeMap<String, String>) -> Request {
    tags.iter().fold(request, |request, (key, value)| request.with(&format!("aws:ResourceTag/{key}"), value))
}

fn arn(kind: &str, id: &str) -> String {
    format!("arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/{id}")
}
