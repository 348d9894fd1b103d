//! Tests of the simulated EC2 through requests and their XML answers, mostly under paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "ec2/boto3.rs"]
mod boto3;
#[path = "ec2/describe.rs"]
mod describe;
#[path = "ec2/failures.rs"]
mod failures;
#[path = "ec2/foreign.rs"]
mod foreign;
#[path = "ec2/iam.rs"]
mod iam;
#[path = "ec2/lifecycle.rs"]
mod lifecycle;
#[path = "ec2/messages.rs"]
mod messages;

use std::collections::{BTreeMap, BTreeSet};
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

/// An account with subnets in two zones and two VPCs, and two instances.
fn account(settings: Settings) -> Ec2 {
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

/// Settings under which every attach and detach takes two seconds.
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
async fn authentication_and_permissions_are_checked() {
    let ec2 = account(steady());
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
async fn the_same_seed_gives_the_same_run() {
    async fn run(seed: u64) -> String {
        let ec2 = account(Settings { seed, lag: Duration::from_secs(5), flapping_reads: true, ..Settings::default() });
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
