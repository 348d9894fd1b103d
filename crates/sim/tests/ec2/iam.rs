//! What IAM sees of each call: a request for each resource, with the condition keys of AWS's service authorization reference.

use std::sync::{Arc, Mutex};

use super::*;
use multi_eni_sim::iam::{Policy, Request};

const ARN: &str = "arn:aws:ec2:eu-central-1:123456789012:";

/// The requests of this call.
async fn seen(ec2: &Ec2, action: &str, parameters: &[(&str, &str)]) -> Vec<Request> {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let observed = requests.clone();
    ec2.observe_iam(Box::new(move |call| observed.lock().unwrap().extend(call)));
    raw(ec2, action, parameters).await.unwrap();
    requests.lock().unwrap().drain(..).collect()
}

/// Action, resource and condition keys with their values.
fn short(requests: &[Request]) -> Vec<String> {
    let context = |request: &Request| {
        let keys = request.context.iter().map(|(key, values)| format!("{key}={}", values.join(",")));
        keys.collect::<Vec<_>>().join(" ").replace(ARN, "")
    };
    let one = |request: &Request| {
        format!("{} {} {}", request.action, request.resource.replace(ARN, ""), context(request)).trim().to_owned()
    };
    requests.iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn each_call_is_one_request_for_each_resource_with_its_condition_keys() {
    let ec2 = account(steady());
    let tagged = [
        ("SubnetId", SUBNET),
        ("SecurityGroupId.1", GROUP),
        ("TagSpecification.1.ResourceType", "network-interface"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "b"),
    ];
    let made = seen(&ec2, "CreateNetworkInterface", &tagged).await;
    let expected = [
        "ec2:CreateNetworkInterface network-interface/* aws:RequestTag/a=b aws:TagKeys=a".to_owned(),
        format!("ec2:CreateNetworkInterface subnet/{SUBNET} ec2:Vpc=vpc/vpc-0000000a"),
        format!("ec2:CreateNetworkInterface security-group/{GROUP} ec2:Vpc=vpc/vpc-0000000a"),
        "ec2:CreateTags network-interface/* aws:RequestTag/a=b aws:TagKeys=a ec2:CreateAction=CreateNetworkInterface"
            .to_owned(),
    ];
    assert_eq!(short(&made), expected);

    let unknown = [("SubnetId", "subnet-0000000000000dead"), ("SecurityGroupId.1", "sg-0000000000000dead")];
    let known = short(&seen(&ec2, "CreateNetworkInterface", &unknown).await);
    assert_eq!(known, ["ec2:CreateNetworkInterface network-interface/*"]);

    let eni = ec2.snapshot().enis.into_values().find(|eni| eni.tags.contains_key("a")).unwrap().id;
    let on_eni = |action: &str, more: &str| format!("ec2:{action} network-interface/{eni} aws:ResourceTag/a=b{more}");
    let vpc = " ec2:Vpc=vpc/vpc-0000000a";
    let instance = |action: &str| format!("ec2:{action} instance/{NODE}");
    let attach = seen(&ec2, "AttachNetworkInterface", &slot(&eni, NODE, "1")).await;
    assert_eq!(short(&attach), [on_eni("AttachNetworkInterface", vpc), instance("AttachNetworkInterface")]);
    pass(5).await;
    let attachment = ec2.snapshot().enis[&eni].attachment.clone().unwrap().id;

    let modify = "ModifyNetworkInterfaceAttribute";
    let at_end = [
        ("NetworkInterfaceId", eni.as_str()),
        ("Attachment.AttachmentId", &attachment),
        ("Attachment.DeleteOnTermination", "true"),
    ];
    assert_eq!(short(&seen(&ec2, modify, &at_end).await), [on_eni(modify, vpc), instance(modify)]);
    let groups = [("NetworkInterfaceId", eni.as_str()), ("SecurityGroupId.1", GROUP)];
    let group = format!("ec2:{modify} security-group/{GROUP}{vpc}");
    assert_eq!(short(&seen(&ec2, modify, &groups).await), [on_eni(modify, vpc), group]);

    let retag = [("ResourceId.1", eni.as_str()), ("Tag.1.Key", "c"), ("Tag.1.Value", "d")];
    let request = format!(
        "ec2:CreateTags network-interface/{eni} aws:RequestTag/c=d aws:ResourceTag/a=b aws:TagKeys=c ec2:Vpc=vpc/vpc-0000000a"
    );
    assert_eq!(short(&seen(&ec2, "CreateTags", &retag).await), [request]);
    let untag = [("ResourceId.1", eni.as_str()), ("Tag.1.Key", "c")];
    let untagged = seen(&ec2, "DeleteTags", &untag).await;
    assert_eq!((untagged.len(), untagged[0].values("aws:tagkeys")), (1, ["c".to_owned()].as_slice()));
    assert!(untagged[0].values("ec2:Vpc").is_empty(), "AWS's reference lists no VPC for DeleteTags");

    let detach = "DetachNetworkInterface";
    let detached = seen(&ec2, detach, &[("AttachmentId", &attachment)]).await;
    assert_eq!(short(&detached), [on_eni(detach, vpc), instance(detach)]);
    pass(5).await;
    let delete = [("NetworkInterfaceId", eni.as_str())];
    assert_eq!(short(&seen(&ec2, "DeleteNetworkInterface", &delete).await), [on_eni("DeleteNetworkInterface", vpc)]);
    assert_eq!(short(&seen(&ec2, "DescribeSubnets", &[]).await), ["ec2:DescribeSubnets *"]);
    assert_eq!(seen(&ec2, "DeleteNetworkInterface", &delete).await, [], "EC2 does not know it any more");
}

#[tokio::test(start_paused = true)]
async fn the_documented_policy_allows_the_life_of_an_own_interface_and_no_change_of_a_foreign_one() {
    let ec2 = account(steady());
    let policy = Policy::parse(include_str!("../../../../docs/iam-policy.json")).unwrap();
    let owner = "multi-eni.networking.k8s.aws/cluster";
    let create = |key| {
        let tag = [("TagSpecification.1.ResourceType", "network-interface"), ("TagSpecification.1.Tag.1.Key", key)];
        [[("SubnetId", SUBNET), ("SecurityGroupId.1", GROUP)], tag].concat()
    };
    let refused = |requests: &[Request]| {
        let refused = requests.iter().filter(|request| !policy.allows(request));
        refused.map(|request| request.action.clone()).collect::<Vec<_>>()
    };
    assert_eq!(refused(&seen(&ec2, "CreateNetworkInterface", &create("Name")).await), ["ec2:CreateNetworkInterface"]);
    assert_eq!(refused(&seen(&ec2, "CreateNetworkInterface", &create(owner)).await), [""; 0]);
    let enis: Vec<_> = ec2.snapshot().enis.into_values().filter(|eni| !eni.tags.is_empty()).collect();
    assert_eq!(enis.len(), 2);
    for eni in enis {
        let (id, is_own) = (eni.id.as_str(), eni.tags.contains_key(owner));
        let of = |action: &str| if is_own { Vec::new() } else { vec![format!("ec2:{action}")] };
        let name = [("ResourceId.1", id), ("Tag.1.Key", "Name"), ("Tag.1.Value", "x")];
        assert_eq!(refused(&seen(&ec2, "CreateTags", &name).await), of("CreateTags"));
        let owner = [("ResourceId.1", id), ("Tag.1.Key", owner), ("Tag.1.Value", "x")];
        assert_eq!(
            refused(&seen(&ec2, "CreateTags", &[owner.as_slice(), &[("DryRun", "true")]].concat()).await),
            ["ec2:CreateTags"]
        );
        let attach = seen(&ec2, "AttachNetworkInterface", &slot(id, NODE, if is_own { "1" } else { "2" })).await;
        assert_eq!(refused(&attach), of("AttachNetworkInterface"), "the instance is allowed");
        assert_eq!(
            refused(&seen(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", id)]).await),
            of("DeleteNetworkInterface")
        );
    }
}
