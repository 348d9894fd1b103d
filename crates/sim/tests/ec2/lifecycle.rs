//! Tests of the actions that change interfaces, from Create to Delete, and of their refusals.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_interface_is_created_attached_detached_and_deleted() {
    let ec2 = account(steady());
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attaching));
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await, "InvalidParameterValue");
    pass(2).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attached));
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Detaching));
    let delete = [("NetworkInterfaceId", eni.as_str())];
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &delete).await, "InvalidParameterValue");
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await, "IncorrectState");
    pass(2).await;
    assert_eq!(status(&ec2, &eni), None);
    assert_eq!(
        code(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await,
        "InvalidAttachmentID.NotFound"
    );
    ok(&ec2, "DeleteNetworkInterface", &delete).await;
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &delete).await, "InvalidNetworkInterfaceID.NotFound");
    assert!(!ec2.snapshot().enis.contains_key(&eni));
}

/// The words of the refusal are not EC2's.
#[tokio::test(start_paused = true)]
async fn an_interface_is_attached_only_on_the_outpost_of_its_subnet() {
    let ec2 = account(steady());
    let (subnet, node) = ("subnet-00000000000000eee", "i-0000000000000000e");
    let arn = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0ab23c4567890de1f";
    let (vpc, zone) = {
        let of = ec2.snapshot().subnets[SUBNET].clone();
        (of.vpc_id, of.zone)
    };
    ec2.add_subnet(subnet, &vpc, &zone, "10.99.0.0/24", None).unwrap();
    ec2.put_on_outpost(subnet, arn).unwrap();
    ec2.run_instance(node, "m5.large", subnet).unwrap();
    let of_region = create(&ec2).await;
    let answer = ok(&ec2, "CreateNetworkInterface", &[("SubnetId", subnet)]).await;
    assert_eq!(text(&answer, "outpostArn"), arn);
    let of_outpost = text(&answer, "networkInterfaceId");
    for (eni, instance) in [(&of_region, node), (&of_outpost, NODE)] {
        assert_eq!(
            code(&ec2, "AttachNetworkInterface", &slot(eni, instance, "1")).await,
            "InvalidParameterCombination"
        );
    }
    attach(&ec2, &of_outpost, node, "1").await;
    attach(&ec2, &of_region, NODE, "1").await;
    for (action, filter, on_outpost, in_region) in [
        ("DescribeSubnets", "subnet-id", subnet, SUBNET),
        ("DescribeInstances", "instance-id", node, NODE),
        ("DescribeNetworkInterfaces", "network-interface-id", of_outpost.as_str(), of_region.as_str()),
    ] {
        let shown = ok(&ec2, action, &[("Filter.1.Name", filter), ("Filter.1.Value.1", on_outpost)]).await;
        assert_eq!(text(&shown, "outpostArn"), arn, "{action}");
        let shown = ok(&ec2, action, &[("Filter.1.Name", filter), ("Filter.1.Value.1", in_region)]).await;
        assert!(!shown.contains("outpostArn"), "{action}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn create_refuses_what_ec2_refuses() {
    let ec2 = account(steady());
    let long = "x".repeat(256);
    let cases: &[(Pairs<'_>, &str)] = &[
        (&[], "MissingParameter"),
        (&[("SubnetId", "subnet-zzz")], "InvalidSubnetID.Malformed"),
        (&[("SubnetId", "subnet-00000000000000fff")], "InvalidSubnetID.NotFound"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", "sg-x")], "InvalidGroupId.Malformed"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", "sg-00000000000000fff")], "InvalidGroup.NotFound"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", FOREIGN_GROUP)], "InvalidParameter"),
        (&[("SubnetId", SUBNET), ("Description", &long)], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("ClientToken", &long)], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("InterfaceType", "nat")], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("PrivateIpAddress", "10.9.9.9")], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("PrivateIpAddress", "10.0.0.1")], "InvalidIPAddress.InUse"),
        (
            &[("SubnetId", SUBNET), ("Ipv4PrefixCount", "1"), ("SecondaryPrivateIpAddressCount", "1")],
            "InvalidParameterCombination",
        ),
        (&[("SubnetId", TINY), ("Ipv4PrefixCount", "1")], "InvalidParameterValue"),
        (&[("SubnetId", TINY), ("SecondaryPrivateIpAddressCount", "11")], "InsufficientFreeAddressesInSubnet"),
        (&[("SubnetId", SUBNET), ("Ipv6AddressCount", "1")], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("DryRun", "true")], "DryRunOperation"),
        (&[("SubnetId", SUBNET), ("Colour", "red")], "UnknownParameter"),
        (
            &[
                ("SubnetId", SUBNET),
                ("TagSpecification.1.ResourceType", "network-interface"),
                ("TagSpecification.1.Tag.1.Key", "aws:x"),
            ],
            "InvalidParameterValue",
        ),
        (&[("SubnetId", SUBNET), ("TagSpecification.1.ResourceType", "instance")], "InvalidParameterValue"),
    ];
    for (pairs, expected) in cases {
        assert_eq!(code(&ec2, "CreateNetworkInterface", pairs).await, *expected, "{pairs:?}");
    }
    let mut many: Vec<(String, String)> = vec![("SubnetId".into(), SUBNET.into())];
    many.push(("TagSpecification.1.ResourceType".into(), "network-interface".into()));
    many.extend((1..=51).map(|n| (format!("TagSpecification.1.Tag.{n}.Key"), format!("k{n}"))));
    let many: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(code(&ec2, "CreateNetworkInterface", &many).await, "TagLimitExceeded");
    ec2.configure(|settings| settings.groups_per_interface = 0);
    let pairs = [("SubnetId", SUBNET), ("SecurityGroupId.1", GROUP)];
    assert_eq!(code(&ec2, "CreateNetworkInterface", &pairs).await, "InvalidParameterValue");
    ec2.configure(|settings| settings.eni_quota = Some(2));
    assert_eq!(code(&ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await, "NetworkInterfaceLimitExceeded");
    assert_eq!(ec2.snapshot().enis.len(), 2, "a refused Create leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn addresses_are_real_and_come_back() {
    let ec2 = account(steady());
    let free = || ec2.snapshot().subnets[TINY].available_addresses;
    assert_eq!(free(), 11);
    let body =
        ok(&ec2, "CreateNetworkInterface", &[("SubnetId", TINY), ("SecondaryPrivateIpAddressCount", "10")]).await;
    assert_eq!(free(), 0);
    assert_eq!(all(&body, "privateIpAddress")[0], "10.0.2.4");
    let full = code(&ec2, "CreateNetworkInterface", &[("SubnetId", TINY)]).await;
    assert_eq!(full, "InsufficientFreeAddressesInSubnet");
    let shown = ok(&ec2, "DescribeSubnets", &[("SubnetId.1", TINY)]).await;
    assert_eq!(text(&shown, "availableIpAddressCount"), "0");
    let eni = text(&body, "networkInterfaceId");
    ok(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await;
    assert_eq!(free(), 11);
    ok(&ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET), ("Ipv4PrefixCount", "2")]).await;
    assert_eq!(ec2.snapshot().subnets[SUBNET].available_addresses, 251 - 2 - 1 - 32);
}

#[tokio::test(start_paused = true)]
async fn a_client_token_makes_create_idempotent() {
    let ec2 = account(steady());
    let pairs = [("SubnetId", SUBNET), ("ClientToken", "t1")];
    let first = text(&ok(&ec2, "CreateNetworkInterface", &pairs).await, "networkInterfaceId");
    let again = text(&ok(&ec2, "CreateNetworkInterface", &pairs).await, "networkInterfaceId");
    assert_eq!(first, again);
    let other = [("SubnetId", SUBNET), ("ClientToken", "t1"), ("Description", "x")];
    assert_eq!(code(&ec2, "CreateNetworkInterface", &other).await, "IdempotentParameterMismatch");
    ec2.hand_delete(&first).unwrap();
    let deleted = text(&ok(&ec2, "CreateNetworkInterface", &pairs).await, "networkInterfaceId");
    assert_eq!(first, deleted, "the original answer, though the interface is gone");
    assert!(!ec2.snapshot().enis.contains_key(&first));
    pass(12 * 3600).await;
    let forgotten = text(&ok(&ec2, "CreateNetworkInterface", &pairs).await, "networkInterfaceId");
    assert_ne!(first, forgotten);
    ec2.configure(|settings| settings.eni_quota = Some(3));
    assert_eq!(code(&ec2, "CreateNetworkInterface", &pairs).await, "NetworkInterfaceLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn attach_refuses_what_ec2_refuses() {
    let ec2 = account(steady());
    let eni = create(&ec2).await;
    let expect = async |eni: &str, instance: &str, index: &str, expected: &str| {
        assert_eq!(code(&ec2, "AttachNetworkInterface", &slot(eni, instance, index)).await, expected, "{eni} {index}");
    };
    expect("eni-x", NODE, "1", "InvalidNetworkInterfaceID.Malformed").await;
    expect(&eni, "i-x", "1", "InvalidInstanceID.Malformed").await;
    expect(GHOST, NODE, "1", "InvalidNetworkInterfaceID.NotFound").await;
    expect(&eni, "i-00000000000000fff", "1", "InvalidInstanceID.NotFound").await;
    expect(&eni, NODE, "0", "InvalidParameterValue").await;
    expect(&eni, NODE, "one", "InvalidParameterValue").await;
    expect(&ec2.hand_create(OTHER_ZONE, &[]).unwrap(), NODE, "1", "InvalidParameterCombination").await;
    expect(&ec2.hand_create(OTHER_VPC, &[]).unwrap(), NODE, "1", "InvalidParameterCombination").await;

    attach(&ec2, &eni, NODE, "1").await;
    expect(&eni, NODE, "2", "InvalidNetworkInterface.InUse").await;
    let second = create(&ec2).await;
    let (_, taken) = raw(&ec2, "AttachNetworkInterface", &slot(&second, NODE, "1")).await.unwrap();
    assert_eq!(text(&taken, "Code"), "InvalidParameterValue");
    assert!(text(&taken, "Message").contains("already has an interface attached at device index"));
    attach(&ec2, &second, NODE, "2").await;
    let third = create(&ec2).await;
    expect(&third, NODE, "3", "AttachmentLimitExceeded").await;

    // The same index on another card is another slot. A card that does not exist is refused.
    attach(&ec2, &third, CARDS, "1").await;
    let fourth = create(&ec2).await;
    let mut at = slot(&fourth, CARDS, "1");
    at[3].1 = "2";
    assert_eq!(code(&ec2, "AttachNetworkInterface", &at).await, "InvalidParameterValue");
    at[3].1 = "1";
    ok(&ec2, "AttachNetworkInterface", &at).await;

    let body = ok(&ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET), ("InterfaceType", "efa")]).await;
    expect(&text(&body, "networkInterfaceId"), CARDS, "5", "UnsupportedOperation").await;
    ec2.terminate_instance(CARDS).unwrap();
    expect(&text(&body, "networkInterfaceId"), CARDS, "5", "IncorrectState").await;
}

#[tokio::test(start_paused = true)]
async fn detach_force_and_the_primary_interface() {
    let ec2 = account(Settings { force_spoils_slot: true, ..steady() });
    let primary = ec2.snapshot().attached_to(NODE)[&(0, 0)].attachment.clone().unwrap().id;
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", &primary)]).await, "OperationNotPermitted");
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", "x")]).await, "InvalidParameterValue");
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment), ("Force", "true")]).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Detaching), "that takes its time, too");
    pass(2).await;
    assert_eq!(status(&ec2, &eni), None);
    attach(&ec2, &eni, NODE, "1").await;
    pass(600).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attaching), "the slot is spoilt");
}

#[tokio::test(start_paused = true)]
async fn modify_takes_one_attribute_a_call() {
    let ec2 = account(steady());
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    let name = "ModifyNetworkInterfaceAttribute";
    let id = ("NetworkInterfaceId", eni.as_str());
    assert_eq!(code(&ec2, name, &[id]).await, "InvalidParameterCombination");
    let two = [id, ("Description.Value", "x"), ("SourceDestCheck.Value", "false")];
    assert_eq!(code(&ec2, name, &two).await, "InvalidParameterCombination");
    ok(&ec2, name, &[id, ("Description.Value", "x")]).await;
    ok(&ec2, name, &[id, ("SourceDestCheck.Value", "false")]).await;
    let spec = |field: &str| format!("ConnectionTrackingSpecification.{field}");
    let (tcp, stream, udp) = (spec("TcpEstablishedTimeout"), spec("UdpStreamTimeout"), spec("UdpTimeout"));
    for (timeout, outside) in [(&tcp, ["59", "432001"]), (&stream, ["59", "181"]), (&udp, ["29", "61"])] {
        for value in outside {
            assert_eq!(code(&ec2, name, &[id, (timeout, value)]).await, "InvalidParameterValue", "{timeout} {value}");
        }
    }
    ok(&ec2, name, &[id, (&tcp, "60"), (&udp, "60")]).await;
    let set = ec2.snapshot().enis[&eni].connection_tracking;
    assert_eq!((set.tcp_established, set.udp_stream, set.udp), (Some(60), None, Some(60)));
    ok(&ec2, name, &[id, (&stream, "180")]).await;
    let set = ec2.snapshot().enis[&eni].connection_tracking;
    assert_eq!((set.tcp_established, set.udp_stream, set.udp), (None, Some(180), None), "the others are reset");
    ok(&ec2, name, &[id, ("SecurityGroupId.1", GROUP)]).await;
    let term = ("Attachment.DeleteOnTermination", "true");
    ok(&ec2, name, &[id, ("Attachment.AttachmentId", &attachment), term]).await;
    let ghost = [id, ("Attachment.AttachmentId", "eni-attach-0000000000000dead"), term];
    assert_eq!(code(&ec2, name, &ghost).await, "InvalidAttachmentID.NotFound");
    assert_eq!(code(&ec2, name, &[id, ("SecurityGroupId.1", FOREIGN_GROUP)]).await, "InvalidGroup.NotFound");
    let found = ec2.snapshot().enis[&eni].clone();
    assert_eq!((found.description.as_str(), found.source_dest_check), ("x", false));
    assert_eq!(found.groups, [GROUP]);
    assert!(found.attachment.unwrap().delete_on_termination);
}

#[tokio::test(start_paused = true)]
async fn termination_honours_delete_on_termination() {
    let ec2 = account(Settings { shutdown_delay: Duration::from_secs(30), ..steady() });
    let (kept, gone) = (create(&ec2).await, create(&ec2).await);
    attach(&ec2, &kept, NODE, "1").await;
    let attachment = attach(&ec2, &gone, NODE, "2").await;
    let modify = [
        ("NetworkInterfaceId", gone.as_str()),
        ("Attachment.AttachmentId", &attachment),
        ("Attachment.DeleteOnTermination", "true"),
    ];
    ok(&ec2, "ModifyNetworkInterfaceAttribute", &modify).await;
    ec2.terminate_instance(NODE).unwrap();
    assert!(ec2.snapshot().enis.contains_key(&gone), "not before it is terminated");
    pass(30).await;
    let after = ec2.snapshot();
    assert!(!after.enis.contains_key(&gone));
    assert_eq!(after.enis[&kept].status(), "available");
    assert!(after.attached_to(NODE).is_empty());
    let shown = ok(&ec2, "DescribeInstances", &[("InstanceId.1", NODE)]).await;
    assert_eq!(text(&shown, "name"), "terminated");
    pass(3600).await;
    assert_eq!(code(&ec2, "DescribeInstances", &[("InstanceId.1", NODE)]).await, "InvalidInstanceID.NotFound");
}

#[tokio::test(start_paused = true)]
async fn tags_by_call() {
    let ec2 = account(steady());
    let eni = create(&ec2).await;
    let id = ("ResourceId.1", eni.as_str());
    ok(&ec2, "CreateTags", &[id, ("Tag.1.Key", "a"), ("Tag.1.Value", "<1>"), ("Tag.2.Key", "b")]).await;
    let shown = ok(&ec2, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &eni)]).await;
    assert!(shown.contains("<value>&lt;1&gt;</value>"), "{shown}");
    ok(&ec2, "DeleteTags", &[id, ("Tag.1.Key", "a"), ("Tag.1.Value", "other")]).await;
    assert_eq!(ec2.snapshot().enis[&eni].tags.len(), 2, "another value: nothing is deleted");
    ok(&ec2, "DeleteTags", &[id, ("Tag.1.Key", "a")]).await;
    assert_eq!(ec2.snapshot().enis[&eni].tags.len(), 1);
    let ghost = [("ResourceId.1", GHOST), ("Tag.1.Key", "a")];
    assert_eq!(code(&ec2, "CreateTags", &ghost).await, "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(code(&ec2, "CreateTags", &[id]).await, "MissingParameter");
}
