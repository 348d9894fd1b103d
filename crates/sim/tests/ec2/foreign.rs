//! Tests of resources of other AWS services, and of what EC2 omits of them.

use super::*;
use multi_eni_sim::ec2::{Foreign, Shape};

#[tokio::test(start_paused = true)]
async fn managed_resources_are_hidden_unless_asked_for() {
    let ec2 = account(steady());
    let eni = ec2.hand_create(SUBNET, &[]).unwrap();
    ec2.hand_change(&eni, |eni| eni.managed = true).unwrap();
    ec2.hand_change_instance(NODE, |instance| instance.managed = true).unwrap();
    for (asked, shown) in [(None, false), (Some("false"), false), (Some("true"), true)] {
        let pairs = |name, value| {
            let filter = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
            filter.into_iter().chain(asked.map(|asked| ("IncludeManagedResources", asked))).collect::<Vec<_>>()
        };
        let enis = ok(&ec2, "DescribeNetworkInterfaces", &pairs("network-interface-id", &eni)).await;
        assert_eq!(all(&enis, "networkInterfaceId").len(), usize::from(shown), "{asked:?}");
        let instances = ok(&ec2, "DescribeInstances", &pairs("instance-id", NODE)).await;
        assert_eq!(all(&instances, "instanceId").len(), usize::from(shown), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_managed_resources_are_refused() {
    let ec2 = account(steady());
    let (eni, own) = (ec2.hand_create(SUBNET, &[]).unwrap(), ec2.hand_create(SUBNET, &[]).unwrap());
    let on = attach(&ec2, &eni, NODE, "1").await;
    let free = ec2.hand_create(SUBNET, &[]).unwrap();
    for id in [&eni, &free] {
        ec2.hand_change(id, |eni| eni.managed = true).unwrap();
    }
    let describe = [("NetworkInterfaceId", eni.as_str()), ("Description.Value", "x")];
    assert_eq!(code(&ec2, "ModifyNetworkInterfaceAttribute", &describe).await, "OperationNotPermitted");
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", &on)]).await, "OperationNotPermitted");
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &free)]).await, "OperationNotPermitted");
    let attach = |eni| [("NetworkInterfaceId", eni), ("InstanceId", NODE), ("DeviceIndex", "2")];
    assert_eq!(code(&ec2, "AttachNetworkInterface", &attach(free.as_str())).await, "OperationNotPermitted");
    ec2.hand_change_instance(NODE, |instance| instance.managed = true).unwrap();
    assert_eq!(code(&ec2, "AttachNetworkInterface", &attach(own.as_str())).await, "OperationNotPermitted");
    ec2.hand_change_instance(NODE, |instance| instance.managed = false).unwrap();
    ok(&ec2, "AttachNetworkInterface", &attach(own.as_str())).await;
}

#[tokio::test(start_paused = true)]
async fn an_interface_of_another_account_is_shown_and_not_changed() {
    let ec2 = account(steady());
    let (eni, free) = (create(&ec2).await, create(&ec2).await);
    let on = attach(&ec2, &eni, NODE, "1").await;
    for id in [&eni, &free] {
        ec2.hand_change(id, |eni| eni.other_owner = Some("210987654321".to_owned())).unwrap();
    }
    let shown = ok(&ec2, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &eni)]).await;
    assert_eq!(all(&shown, "ownerId"), ["210987654321"]);
    let calls: [(&str, Pairs<'_>); 6] = [
        ("AttachNetworkInterface", &[("NetworkInterfaceId", &free), ("InstanceId", NODE), ("DeviceIndex", "2")]),
        ("DetachNetworkInterface", &[("AttachmentId", &on)]),
        ("DeleteNetworkInterface", &[("NetworkInterfaceId", &free)]),
        ("ModifyNetworkInterfaceAttribute", &[("NetworkInterfaceId", &eni), ("Description.Value", "x")]),
        ("CreateTags", &[("ResourceId.1", &eni), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")]),
        ("DeleteTags", &[("ResourceId.1", &eni), ("Tag.1.Key", "a")]),
    ];
    for (action, pairs) in calls {
        let (status, body) = raw(&ec2, action, pairs).await.unwrap();
        assert_eq!((status, text(&body, "Code").as_str()), (401, "AuthFailure"), "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_not_know_a_parameter_yet() {
    let ec2 = account(Settings { unknown_parameters: &["IncludeManagedResources"], ..steady() });
    let asked = [("IncludeManagedResources", "true")];
    for action in ["DescribeInstances", "DescribeNetworkInterfaces"] {
        assert_eq!(code(&ec2, action, &asked).await, "UnknownParameter", "{action}");
        ok(&ec2, action, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_subnet_shows_its_owner_and_no_tags() {
    let ec2 = account(steady());
    ec2.name_subnet(SUBNET, "storage").unwrap();
    let found = async |name: &str, value: &str| {
        ok(&ec2, "DescribeSubnets", &[("Filter.1.Name", name), ("Filter.1.Value.1", value)]).await
    };
    assert_eq!(all(&found("tag:Name", "storage").await, "subnetId"), [SUBNET]);
    ec2.share_subnet(SUBNET, "210987654321").unwrap();
    assert!(all(&found("tag:Name", "storage").await, "subnetId").is_empty());
    let body = found("subnet-id", SUBNET).await;
    assert_eq!((text(&body, "ownerId"), all(&body, "tagSet").concat().trim()), ("210987654321".to_owned(), ""));
    let eni = ec2.hand_create(SUBNET, &[]).unwrap();
    let eni = ok(&ec2, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &eni)]).await;
    assert_eq!(text(&eni, "ownerId"), "123456789012", "a participant owns its interfaces");
}

#[tokio::test(start_paused = true)]
async fn interfaces_of_other_services_have_the_recorded_shapes() {
    let ec2 = account(steady());
    for kind in Foreign::ALL {
        let eni = ec2.add_foreign(kind, SUBNET).unwrap();
        let body = ok(&ec2, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &eni)]).await;
        assert_eq!(text(&body, "networkInterfaceId"), eni, "{kind:?}");
        assert!(!body.contains("<instanceId>") && body.contains("<status>in-use</status>"), "{kind:?}: {body}");
        assert_eq!(body.contains("<attachment>"), kind != Foreign::Branch, "{kind:?}: {body}");
        let own = matches!(kind, Foreign::FargateTask);
        assert_eq!(body.contains("<networkCardIndex>"), own, "{kind:?}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_omit_any_element() {
    let ec2 = account(steady());
    let eni = ec2.hand_create(SUBNET, &[]).unwrap();
    let shape = Shape { without: ["subnetId"].into(), texts: [("groupId", "sg/<new>".to_owned())].into() };
    ec2.reshape(&eni, shape).unwrap();
    let body = ok(&ec2, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &eni)]).await;
    assert!(!body.contains("subnetId") && body.contains("<groupId>sg/&lt;new&gt;</groupId>"), "{body}");
}
