//! The simulated EC2, driven as a client drives it: requests in, XML out, under paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "ec2/boto3.rs"]
mod boto3;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{
    AttachmentStatus, Buckets, Ec2, Fault, FaultRule, Loss, LostAnswer, Outcome, Settings, Stuck, form_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SUBNET: &str = "subnet-0000000000000000a";
const OTHER_ZONE: &str = "subnet-0000000000000000b";
const OTHER_VPC: &str = "subnet-0000000000000000c";
const TINY: &str = "subnet-0000000000000000d";
const GROUP: &str = "sg-0000000000000000a";
const FOREIGN_GROUP: &str = "sg-0000000000000000b";
const NODE: &str = "i-0000000000000000a";
const CARDS: &str = "i-0000000000000000b";
const GHOST: &str = "eni-0000000000000dead";

fn world(settings: Settings) -> Ec2 {
    let clock = SimClock::starting_at("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let ec2 = Ec2::new(clock, settings);
    ec2.add_subnet(SUBNET, "vpc-0000000a", "eu-west-1a", "10.0.0.0/24", Some("storage")).unwrap();
    ec2.add_subnet(OTHER_ZONE, "vpc-0000000a", "eu-west-1b", "10.0.1.0/24", None).unwrap();
    ec2.add_subnet(OTHER_VPC, "vpc-0000000b", "eu-west-1a", "10.1.0.0/24", None).unwrap();
    ec2.add_subnet(TINY, "vpc-0000000a", "eu-west-1a", "10.0.2.0/28", None).unwrap();
    ec2.add_security_group(GROUP, "vpc-0000000a", "nodes");
    ec2.add_security_group(FOREIGN_GROUP, "vpc-0000000b", "nodes");
    ec2.run_instance(NODE, "m5.large", SUBNET).unwrap();
    ec2.run_instance(CARDS, "c6in.32xlarge", SUBNET).unwrap();
    ec2
}

fn steady() -> Settings {
    let second = Duration::from_secs(2);
    Settings { attach_delay: second..=second, detach_delay: second..=second, ..Settings::instant() }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

async fn raw(ec2: &Ec2, action: &str, pairs: Pairs<'_>) -> Result<(u16, String), LostAnswer> {
    let parameters: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let answer = ec2.send(form_request(action, &parameters)).await?;
    Ok((answer.status().as_u16(), String::from_utf8(answer.into_body().to_vec()).unwrap()))
}

async fn ok(ec2: &Ec2, action: &str, pairs: Pairs<'_>) -> String {
    let (status, body) = raw(ec2, action, pairs).await.unwrap();
    assert_eq!(status, 200, "{action} {pairs:?}: {body}");
    body
}

async fn code(ec2: &Ec2, action: &str, pairs: Pairs<'_>) -> String {
    let (status, body) = raw(ec2, action, pairs).await.unwrap();
    assert_ne!(status, 200, "{action} {pairs:?} succeeded: {body}");
    text(&body, "Code")
}

fn text(body: &str, element: &str) -> String {
    all(body, element).into_iter().next().unwrap_or_else(|| panic!("no {element} in {body}"))
}

fn all(body: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    body.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}

async fn create(ec2: &Ec2) -> String {
    text(&ok(ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await, "networkInterfaceId")
}

async fn attach(ec2: &Ec2, eni: &str, instance: &str, index: &str) -> String {
    text(&ok(ec2, "AttachNetworkInterface", &slot(eni, instance, index)).await, "attachmentId")
}

fn slot<'a>(eni: &'a str, instance: &'a str, index: &'a str) -> [(&'a str, &'a str); 4] {
    [("NetworkInterfaceId", eni), ("InstanceId", instance), ("DeviceIndex", index), ("NetworkCardIndex", "0")]
}

fn status(ec2: &Ec2, eni: &str) -> Option<AttachmentStatus> {
    ec2.snapshot().enis.get(eni)?.attachment.as_ref().map(|attachment| attachment.status)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_interface_lives_and_dies() {
    let ec2 = world(steady());
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attaching));
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await, "InvalidParameterValue");
    pass(2).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attached));
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Detaching));
    let delete = [("NetworkInterfaceId", eni.as_str())];
    assert_eq!(code(&ec2, "DeleteNetworkInterface", &delete).await, "InvalidNetworkInterface.InUse");
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

#[tokio::test(start_paused = true)]
async fn create_refuses_what_ec2_refuses() {
    let ec2 = world(steady());
    let long = "x".repeat(256);
    let cases: &[(Pairs<'_>, &str)] = &[
        (&[], "MissingParameter"),
        (&[("SubnetId", "subnet-zzz")], "InvalidSubnetID.Malformed"),
        (&[("SubnetId", "subnet-00000000000000fff")], "InvalidSubnetID.NotFound"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", "sg-x")], "InvalidGroupId.Malformed"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", "sg-00000000000000fff")], "InvalidGroup.NotFound"),
        (&[("SubnetId", SUBNET), ("SecurityGroupId.1", FOREIGN_GROUP)], "InvalidGroup.NotFound"),
        (&[("SubnetId", SUBNET), ("Description", &long)], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("ClientToken", &long)], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("InterfaceType", "nat")], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("PrivateIpAddress", "10.9.9.9")], "InvalidParameterValue"),
        (&[("SubnetId", SUBNET), ("PrivateIpAddress", "10.0.0.1")], "InvalidIPAddress.InUse"),
        (
            &[("SubnetId", SUBNET), ("Ipv4PrefixCount", "1"), ("SecondaryPrivateIpAddressCount", "1")],
            "InvalidParameterCombination",
        ),
        (&[("SubnetId", TINY), ("Ipv4PrefixCount", "1")], "InsufficientCidrBlocks"),
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
    assert_eq!(code(&ec2, "CreateNetworkInterface", &pairs).await, "SecurityGroupsPerInterfaceLimitExceeded");
    ec2.configure(|settings| settings.eni_quota = Some(2));
    assert_eq!(code(&ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await, "NetworkInterfaceLimitExceeded");
    assert_eq!(ec2.snapshot().enis.len(), 2, "a refused Create leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn addresses_are_real_and_come_back() {
    let ec2 = world(steady());
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
    let ec2 = world(steady());
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
    let ec2 = world(steady());
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

    // The same index on another card is another slot; a card that does not exist is refused.
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
    let ec2 = world(Settings { force_spoils_slot: true, ..steady() });
    let primary = ec2.snapshot().attached_to(NODE)[&(0, 0)].attachment.clone().unwrap().id;
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", &primary)]).await, "OperationNotPermitted");
    assert_eq!(code(&ec2, "DetachNetworkInterface", &[("AttachmentId", "x")]).await, "InvalidParameterValue");
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment), ("Force", "true")]).await;
    assert_eq!(status(&ec2, &eni), None);
    attach(&ec2, &eni, NODE, "1").await;
    pass(600).await;
    assert_eq!(status(&ec2, &eni), Some(AttachmentStatus::Attaching), "the slot is spoilt");
}

#[tokio::test(start_paused = true)]
async fn modify_takes_one_attribute_a_call() {
    let ec2 = world(steady());
    let eni = create(&ec2).await;
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    let name = "ModifyNetworkInterfaceAttribute";
    let id = ("NetworkInterfaceId", eni.as_str());
    assert_eq!(code(&ec2, name, &[id]).await, "InvalidParameterCombination");
    let two = [id, ("Description.Value", "x"), ("SourceDestCheck.Value", "false")];
    assert_eq!(code(&ec2, name, &two).await, "InvalidParameterCombination");
    ok(&ec2, name, &[id, ("Description.Value", "x")]).await;
    ok(&ec2, name, &[id, ("SourceDestCheck.Value", "false")]).await;
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
    let ec2 = world(Settings { shutdown_delay: Duration::from_secs(30), ..steady() });
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
async fn describe_filters() {
    let ec2 = world(steady());
    let eni = ec2.hand_create(SUBNET, &[("cluster", "c-1"), ("a*b", "x")]).unwrap();
    attach(&ec2, &eni, NODE, "1").await;
    ec2.hand_create(OTHER_ZONE, &[("cluster", "c-2")]).unwrap();
    let found = async |name: &str, value: &str| {
        let pairs = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
        let body = ok(&ec2, "DescribeNetworkInterfaces", &pairs).await;
        all(&body, "networkInterfaceId").len()
    };
    let filters = [
        ("tag:cluster", "c-1", 1),
        ("tag:cluster", "c-*", 2),
        ("tag:cluster", "?-2", 1),
        ("tag:cluster", "C-1", 0),
        ("tag:cluster", "c?", 0),
        ("tag:cluster", "c-", 0),
        ("tag-key", "cluster", 2),
        ("tag-key", "a\\*b", 1),
        ("tag-key", "*b", 1),
        ("vpc-id", "vpc-0000000a", 4),
        ("subnet-id", SUBNET, 3),
        ("network-interface-id", &eni, 1),
        ("attachment.instance-id", NODE, 2),
        ("attachment.device-index", "1", 1),
        ("attachment.status", "attaching", 1),
        ("status", "available", 1),
        ("availability-zone", "eu-west-1b", 1),
        ("description", "by hand", 2),
    ];
    for (name, value, expected) in filters {
        assert_eq!(found(name, value).await, expected, "{name}={value}");
    }
    let name = "DescribeNetworkInterfaces";
    let unknown = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "x")];
    assert_eq!(code(&ec2, name, &unknown).await, "InvalidParameterValue");
    let numbered: Vec<String> = (1..=201).map(|n| format!("Filter.1.Value.{n}")).collect();
    let mut pairs = vec![("Filter.1.Name", "vpc-id")];
    pairs.extend(numbered.iter().map(|name| (name.as_str(), "v")));
    assert_eq!(code(&ec2, name, &pairs).await, "FilterLimitExceeded");
    pairs.pop();
    ok(&ec2, name, &pairs).await;
    let ids = [("NetworkInterfaceId.1", eni.as_str()), ("NetworkInterfaceId.2", GHOST)];
    assert_eq!(code(&ec2, name, &ids).await, "InvalidNetworkInterfaceID.NotFound");
    let both = [("NetworkInterfaceId.1", eni.as_str()), ("MaxResults", "5")];
    assert_eq!(code(&ec2, name, &both).await, "InvalidParameterCombination");
    for outside in ["4", "1001"] {
        assert_eq!(code(&ec2, name, &[("MaxResults", outside)]).await, "InvalidParameterValue");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_cover_everything_and_expire() {
    for short_pages in [false, true] {
        let ec2 = world(Settings { short_pages, ..steady() });
        let mut wanted: Vec<String> =
            (0..23).map(|n| ec2.hand_create(SUBNET, &[("k", if n % 2 == 0 { "v" } else { "w" })]).unwrap()).collect();
        wanted.retain(|id| ec2.snapshot().enis[id].tags["k"] == "v");
        wanted.sort();
        let query = [("Filter.1.Name", "tag:k"), ("Filter.1.Value.1", "v"), ("MaxResults", "5")];
        let mut seen = Vec::new();
        let mut token = String::new();
        let mut pages = 0;
        loop {
            let pairs: Vec<_> = query.into_iter().chain([("NextToken", token.as_str())]).collect();
            let body = ok(&ec2, "DescribeNetworkInterfaces", &pairs).await;
            seen.extend(all(&body, "networkInterfaceId"));
            pages += 1;
            match all(&body, "nextToken").pop() {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(seen, wanted);
        assert_eq!(pages, if short_pages { 5 } else { 3 });
        let other = [("MaxResults", "5"), ("NextToken", token.as_str())];
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &other).await, "InvalidNextToken");
        let same: Vec<_> = query.into_iter().chain([("NextToken", token.as_str())]).collect();
        pass(601).await;
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &same).await, "InvalidPaginationToken");
        ec2.configure(|settings| settings.unpaginated_limit = 10);
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &[]).await, "OperationNotPermitted");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_by_call() {
    let ec2 = world(steady());
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

#[tokio::test(start_paused = true)]
async fn places_instances_and_types_are_described() {
    let ec2 = world(steady());
    let named = [("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "storage")];
    let body = ok(&ec2, "DescribeSubnets", &named).await;
    assert_eq!(all(&body, "subnetId"), [SUBNET]);
    assert_eq!(text(&body, "cidrBlock"), "10.0.0.0/24");
    let ghost = [("SubnetId.1", "subnet-00000000000000fff")];
    assert_eq!(code(&ec2, "DescribeSubnets", &ghost).await, "InvalidSubnetID.NotFound");
    let groups = [
        ("Filter.1.Name", "group-name"),
        ("Filter.1.Value.1", "nodes"),
        ("Filter.2.Name", "vpc-id"),
        ("Filter.2.Value.1", "vpc-0000000a"),
    ];
    assert_eq!(all(&ok(&ec2, "DescribeSecurityGroups", &groups).await, "groupId"), [GROUP]);
    let running = [("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "running")];
    assert_eq!(all(&ok(&ec2, "DescribeInstances", &running).await, "instanceId").len(), 2);
    let body = ok(&ec2, "DescribeInstanceTypes", &[("InstanceType.1", "c6in.32xlarge")]).await;
    assert_eq!(all(&body, "maximumNetworkInterfaces"), ["16", "8", "8"]);
    assert_eq!(code(&ec2, "DescribeInstanceTypes", &[("InstanceType.1", "x9.mini")]).await, "InvalidInstanceType");
}

#[tokio::test(start_paused = true)]
async fn the_door_is_guarded() {
    let ec2 = world(steady());
    assert_eq!(code(&ec2, "RebootTheMoon", &[]).await, "InvalidAction");
    let mut bare = form_request("DescribeSubnets", &BTreeMap::new());
    bare.headers_mut().remove(http::header::AUTHORIZATION);
    assert_eq!(ec2.send(bare).await.unwrap().status(), 403);
    ec2.deny("CreateTags");
    ok(&ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await;
    let tagged = [
        ("SubnetId", SUBNET),
        ("TagSpecification.1.ResourceType", "network-interface"),
        ("TagSpecification.1.Tag.1.Key", "a"),
    ];
    let (status, body) = raw(&ec2, "CreateNetworkInterface", &tagged).await.unwrap();
    assert_eq!((status, text(&body, "Code").as_str()), (403, "UnauthorizedOperation"));
    assert!(body.contains("ec2:CreateTags"));
    ec2.allow("CreateTags");
    ok(&ec2, "CreateNetworkInterface", &tagged).await;
}

#[tokio::test(start_paused = true)]
async fn buckets_empty_and_refill() {
    let ec2 = world(Settings { buckets: Some(Buckets::default()), eni_quota: None, ..steady() });
    let name = "DetachNetworkInterface";
    let pairs = [("AttachmentId", "eni-attach-0000000000000dead")];
    for _ in 0..50 {
        assert_eq!(code(&ec2, name, &pairs).await, "InvalidAttachmentID.NotFound");
    }
    let (status, body) = raw(&ec2, name, &pairs).await.unwrap();
    assert_eq!((status, text(&body, "Code").as_str()), (503, "RequestLimitExceeded"));
    pass(1).await;
    for _ in 0..5 {
        assert_eq!(code(&ec2, name, &pairs).await, "InvalidAttachmentID.NotFound");
    }
    assert_eq!(code(&ec2, name, &pairs).await, "RequestLimitExceeded");
    assert!(ec2.spend("CreateNetworkInterface", 100) && !ec2.spend("CreateNetworkInterface", 1));
    for _ in 0..50 {
        ok(&ec2, "DescribeNetworkInterfaces", &[]).await;
    }
    assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &[]).await, "RequestLimitExceeded");
    ok(&ec2, "DescribeNetworkInterfaces", &[("MaxResults", "5")]).await;
}

#[tokio::test(start_paused = true)]
async fn reads_and_early_calls_lag() {
    let ec2 = world(Settings { lag: Duration::from_secs(60), seed: 7, ..Settings::instant() });
    pass(61).await;
    let eni = create(&ec2).await;
    let shown = async || all(&ok(&ec2, "DescribeNetworkInterfaces", &[]).await, "networkInterfaceId").contains(&eni);
    assert!(!shown().await, "not visible at once");
    assert_eq!(
        code(&ec2, "AttachNetworkInterface", &slot(&eni, NODE, "1")).await,
        "InvalidNetworkInterfaceID.NotFound"
    );
    pass(60).await;
    assert!(shown().await);
    ec2.hand_delete(&eni).unwrap();
    assert!(shown().await, "still visible");
    pass(60).await;
    assert!(!shown().await);
}

#[tokio::test(start_paused = true)]
async fn faults_befall_calls() {
    let ec2 = world(steady());
    let create = [("SubnetId", SUBNET), ("ClientToken", "t")];
    let name = "CreateNetworkInterface";
    let enis = || ec2.snapshot().enis.len();

    ec2.inject(FaultRule::on(name, Fault::Fail { code: "InternalError".into(), status: None }).once());
    let (status, _) = raw(&ec2, name, &create).await.unwrap();
    assert_eq!((status, enis()), (500, 2));
    ec2.inject(FaultRule::on(name, Fault::Unreachable).once());
    assert_eq!(raw(&ec2, name, &create).await, Err(LostAnswer::Unreachable));
    assert_eq!(enis(), 2);
    ec2.inject(FaultRule::on(name, Fault::LoseAnswer(Loss::Broken)).once());
    assert_eq!(raw(&ec2, name, &create).await, Err(LostAnswer::Broken));
    assert_eq!(enis(), 3, "the effect stays");
    let eni = text(&ok(&ec2, name, &create).await, "networkInterfaceId");
    assert_eq!(enis(), 3, "and the token finds it");

    ec2.inject(FaultRule::on("AttachNetworkInterface", Fault::StuckAttaching(Stuck::UntilForced)).once());
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    pass(600).await;
    self::status(&ec2, &eni).filter(|s| *s == AttachmentStatus::Attaching).expect("stuck");
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await;
    pass(600).await;
    self::status(&ec2, &eni).filter(|s| *s == AttachmentStatus::Detaching).expect("still stuck");
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment), ("Force", "true")]).await;

    ec2.hand_change(&eni, |eni| drop(eni.tags.insert("a".into(), "b".into()))).unwrap();
    ec2.inject(FaultRule::on("DeleteNetworkInterface", Fault::LeakOnDelete).with("NetworkInterfaceId", &eni));
    ok(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await;
    assert!(ec2.snapshot().enis[&eni].tags.is_empty());

    ec2.set_fault_source(|call| (call.action == "DescribeSubnets").then_some(Fault::Throttle));
    assert_eq!(code(&ec2, "DescribeSubnets", &[]).await, "RequestLimitExceeded");
    ec2.clear_faults();
    ok(&ec2, "DescribeSubnets", &[]).await;

    let before = ec2.calls().len() as u64;
    assert_eq!(ec2.counts().values().flat_map(BTreeMap::values).sum::<u64>(), before);
    assert_eq!(ec2.counts()[name][&Outcome::NeverArrived], 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_lands_though_its_caller_gave_up() {
    let ec2 = world(steady());
    ec2.inject(FaultRule::on("CreateNetworkInterface", Fault::Delay(Duration::from_secs(20))));
    let pairs = [("SubnetId", SUBNET)];
    let gave_up = tokio::time::timeout(Duration::from_secs(5), raw(&ec2, "CreateNetworkInterface", &pairs)).await;
    assert!(gave_up.is_err());
    assert_eq!(ec2.snapshot().enis.len(), 2);
    let seen = tokio::time::timeout(Duration::from_secs(16), ec2.wait_until(|world| world.enis.len() == 3)).await;
    assert!(seen.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    async fn run(seed: u64) -> String {
        let ec2 = world(Settings { seed, lag: Duration::from_secs(5), flapping_reads: true, ..Settings::default() });
        let mut trace = String::new();
        for index in ["1", "2", "3"] {
            let eni = create(&ec2).await;
            trace += &raw(&ec2, "AttachNetworkInterface", &slot(&eni, NODE, index)).await.unwrap().1;
            trace += &ok(&ec2, "DescribeNetworkInterfaces", &[]).await;
        }
        format!("{trace}{:?}", ec2.calls())
    }
    let first = run(3).await;
    assert_eq!(first, run(3).await);
    assert_ne!(first, run(4).await);
}

#[tokio::test(start_paused = true)]
async fn the_sdk_seam_answers_times_out_and_breaks() {
    let ec2 = world(steady());
    let settings = HttpConnectorSettings::builder().read_timeout(Duration::from_secs(3)).build();
    let connector = ec2.connector(settings);
    let call = async || {
        let (parts, body) = form_request("DescribeSubnets", &BTreeMap::new()).into_parts();
        let mut request = http::Request::from_parts(parts, SdkBody::from(body));
        *request.uri_mut() = "https://ec2.eu-west-1.amazonaws.com/".parse().unwrap();
        connector.call(HttpRequest::try_from(request).unwrap()).await
    };
    let answer = call().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body()).collect().await.unwrap();
    assert!(body.into_bytes().starts_with(b"<?xml"));
    ec2.inject(FaultRule::on_every_call(Fault::SlowAnswer(Duration::from_secs(4))).once());
    assert!(call().await.unwrap_err().is_timeout());
    ec2.inject(FaultRule::on_every_call(Fault::Unreachable).once());
    assert!(call().await.unwrap_err().is_io());
}

#[tokio::test]
async fn a_lost_answer_closes_the_tcp_connection() {
    let ec2 = world(Settings::instant());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = ec2.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    ec2.inject(FaultRule::on("CreateNetworkInterface", Fault::LoseAnswer(Loss::Broken)));
    let form = format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={SUBNET}");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: {}\r\n\r\n", form.len());
    stream.write_all(format!("{head}{form}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(ec2.snapshot().enis.len(), 3, "the effect stays");
}
