//! Checks how EC2's answers are read: one test for each recorded kind of answer. Each test sends a sample of our own in the
//! recorded shape through the real client.

mod outposts;
mod pages;

use crate::call_report::CallReport;
use crate::calls::describe::{EniPage, Weight};
use crate::convert;
use crate::ec2::Ec2;
use crate::options::{Options, PagesApart};
use crate::rate_limit::limiter::Buckets;
use crate::sdk_client::client_over;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance_life::InstanceState;
use multi_eni_plan::observed::{AttachmentState, Cluster, ObservedEni};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

/// Answers each call with the next of these bodies, and keeps the bodies of the requests and the threads that sent them.
#[derive(Debug, Clone, Default)]
struct Canned {
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    threads: Arc<Mutex<Vec<ThreadId>>>,
    under_way: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Canned {
    fn new(answers: Vec<(u16, String)>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers)), ..Self::default() }
    }

    fn client(&self) -> Client {
        let http = SharedHttpClient::new(self.clone());
        client_over(http, Arc::new(|| Timestamp::UNIX_EPOCH), "eu-west-1", "http://localhost", Duration::from_secs(5))
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        self.asked.lock().unwrap().push(asked);
        self.threads.lock().unwrap().push(std::thread::current().id());
        let (status, body) = self.answers.lock().unwrap().remove(0);
        let status = StatusCode::try_from(status).unwrap();
        let mut answer = HttpResponse::new(status, SdkBody::from(body));
        answer.headers_mut().insert("x-amzn-requestid", "request-1");
        let at_once = self.under_way.fetch_add(1, Ordering::AcqRel) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::AcqRel);
        let under_way = self.under_way.clone();
        HttpConnectorFuture::new(async move {
            // Gives calls that wait for nothing the time to be sent.
            tokio::time::sleep(Duration::from_millis(1)).await;
            under_way.fetch_sub(1, Ordering::AcqRel);
            Ok(answer)
        })
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn ec2(answers: Vec<(u16, String)>) -> (Ec2, Canned) {
    ec2_with(Options::default(), answers)
}

fn ec2_with(options: Options, answers: Vec<(u16, String)>) -> (Ec2, Canned) {
    let canned = Canned::new(answers);
    let (client, clock): (Client, crate::Clock) = (canned.client(), Arc::new(|| Timestamp::UNIX_EPOCH));
    let cluster = Cluster { uid: "cluster".into(), name: "cluster".into() };
    (Ec2::new(client, cluster, options, clock, Arc::new(|_| true), &Buckets::new(1.0, 1.0)).0, canned)
}

fn answer(action: &str, inside: &str) -> (u16, String) {
    (
        200,
        format!(
            "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>{inside}</{action}Response>"
        ),
    )
}

fn enis(items: &str) -> (u16, String) {
    answer("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{items}</networkInterfaceSet>"))
}

fn instances(items: &str) -> (u16, String) {
    let instances = format!("<item><instancesSet>{items}</instancesSet></item>");
    answer("DescribeInstances", &format!("<reservationSet>{instances}</reservationSet>"))
}

/// The refusal of an endpoint that does not know IncludeManagedResources.
fn unknown_parameter() -> String {
    "<Response><Errors><Error><Code>UnknownParameter</Code><Message>The parameter IncludeManagedResources is not recognized\
        </Message></Error></Errors><RequestID>r</RequestID></Response>"
        .to_owned()
}

/// Whether each request so far asked for managed resources.
fn asked_for_managed(canned: &Canned) -> Vec<bool> {
    canned.asked.lock().unwrap().iter().map(|body| body.contains("IncludeManagedResources=true")).collect()
}

async fn page(items: &str) -> EniPage {
    let (ec2, _) = ec2(vec![enis(items)]);
    ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Heavy, 1000, None).await.unwrap()
}

async fn one(item: &str) -> ObservedEni {
    let mut page = page(&format!("<item>{item}</item>")).await;
    assert_eq!((page.enis.len(), page.unreadable.len()), (1, 0), "{item}");
    page.enis.remove(0)
}

const PLAIN: &str = "<networkInterfaceId>eni-0aa0aa0aa0aa0aa01</networkInterfaceId><subnetId>subnet-0aa0aa0aa0aa0aa01</subnetId>\
    <vpcId>vpc-0aa0aa0aa0aa0aa01</vpcId><availabilityZone>eu-west-1a</availabilityZone><ownerId>210987654321</ownerId>";

#[tokio::test]
async fn an_available_eni_and_its_owner() {
    let seen = one(&format!("{PLAIN}<status>available</status><description/><groupSet/><tagSet/>")).await;
    assert_eq!((seen.owner.as_str(), seen.description.as_str()), ("210987654321", ""));
    assert_eq!((seen.attachment, seen.in_use_since, seen.source_dest_check), (None, None, true));
}

/// The ENI of a NAT gateway, endpoint, Lambda function, database or transit gateway is attached, with no instance, card or time.
#[tokio::test]
async fn an_eni_that_another_service_attached() {
    let at = "<attachment><attachmentId>ela-attach-0bb0bb0bb0bb0bb01</attachmentId><deviceIndex>1</deviceIndex>\
        <instanceOwnerId>amazon-aws</instanceOwnerId><status>attached</status><deleteOnTermination>false</deleteOnTermination></attachment>";
    for kind in ["nat_gateway", "vpc_endpoint", "lambda", "transit_gateway", "a_kind_of_tomorrow"] {
        let item = format!(
            "{PLAIN}<interfaceType>{kind}</interfaceType><status>in-use</status><natEnabled>true</natEnabled>{at}"
        );
        let at = one(&item).await.attachment.unwrap();
        assert_eq!((at.id.as_str(), at.instance, at.card, at.index), ("ela-attach-0bb0bb0bb0bb0bb01", None, 0, 1));
        assert_eq!(at.state, AttachmentState::Attached, "{kind}");
    }
}

/// The ENI of a Fargate task has an ordinary attachment, but no instance. An ENI may also be attaching.
#[tokio::test]
async fn an_eni_attached_to_no_instance_and_an_eni_that_is_attaching() {
    let at = |instance: &str, status: &str| {
        format!(
            "{PLAIN}<status>in-use</status><attachment><attachmentId>eni-attach-0bb</attachmentId>{instance}<deviceIndex>1</deviceIndex>\
            <networkCardIndex>0</networkCardIndex><attachTime>2026-01-02T03:04:05.000Z</attachTime><status>{status}</status></attachment>"
        )
    };
    assert_eq!(one(&at("", "attached")).await.attachment.unwrap().instance, None);
    let attaching = one(&at("<instanceId>i-0cc0cc0cc0cc0cc01</instanceId>", "attaching")).await.attachment.unwrap();
    assert_eq!(attaching.state, AttachmentState::Attaching);
    assert_eq!(attaching.instance.unwrap().as_str(), "i-0cc0cc0cc0cc0cc01");
    // For every status that EC2 may add, the slot is occupied.
    assert_eq!(one(&at("", "hibernating")).await.attachment.unwrap().state, AttachmentState::Attached);
}

/// A branch interface is in use without an attachment, so it is not free.
#[tokio::test]
async fn an_eni_in_use_without_an_attachment() {
    for status in ["in-use", "associated"] {
        let seen = one(&format!("{PLAIN}<interfaceType>branch</interfaceType><status>{status}</status>")).await;
        assert_eq!((seen.attachment, seen.in_use_since), (None, Some(Timestamp::UNIX_EPOCH)), "{status}");
    }
    for status in ["available", "pending", "of-tomorrow"] {
        assert_eq!(one(&format!("{PLAIN}<status>{status}</status>")).await.in_use_since, None, "{status}");
    }
}

/// An ENI without an IPv4 address and without a subnet, with IDs of unusual forms and a group without an ID.
#[tokio::test]
async fn missing_fields_are_unknown_and_unusual_ids_are_kept() {
    let seen = one("<networkInterfaceId>eni-new/FORM</networkInterfaceId><groupSet><item><groupId>sgr:9</groupId></item>\
        <item><groupName>no ID</groupName></item></groupSet><attachment><attachmentId>a</attachmentId><instanceId>mi-77</instanceId>\
        <deviceIndex>3</deviceIndex></attachment>")
    .await;
    assert_eq!((seen.id.as_str(), seen.subnet, seen.private_ips.len()), ("eni-new/FORM", None, 0));
    assert_eq!(seen.groups.iter().map(ToString::to_string).collect::<Vec<_>>(), ["sgr:9"]);
    let at = seen.attachment.unwrap();
    assert_eq!((at.instance.unwrap().as_str(), at.index), ("mi-77", 3));
}

/// An attachment without a device index is not the primary interface, whose index is 0.
#[tokio::test]
async fn an_attachment_without_an_index_is_not_the_primary_interface() {
    let seen = one(&format!(
        "{PLAIN}<attachment><attachmentId>a</attachmentId><instanceId>i-0cc0cc0cc0cc0cc01</instanceId></attachment>"
    ))
    .await;
    let instance = seen.attachment.as_ref().unwrap().instance.clone().unwrap();
    assert!(!seen.is_primary_of(&instance));
}

/// An ENI without an ID hides no other ENI. Its slot is occupied, and the ENIAttachment that its tags name is not absent.
#[tokio::test]
async fn an_eni_without_an_id_hides_only_itself() {
    let nameless = "<item><subnetId>subnet-0aa0aa0aa0aa0aa01</subnetId><attachment><attachmentId>eni-attach-1</attachmentId>\
        <instanceId>i-0cc0cc0cc0cc0cc01</instanceId><deviceIndex>2</deviceIndex></attachment><tagSet><item>\
        <key>multi-eni.networking.k8s.aws/eniattachment-uid</key><value>uid-1</value></item></tagSet></item>";
    let mut page = page(&format!("{nameless}<item>{PLAIN}</item>")).await;
    assert_eq!((page.enis.len(), page.unreadable.len()), (1, 1));
    assert!(Ec2::attachments_among(&page.unreadable).contains("uid-1"));
    let asked = page.enis.iter().map(|seen| seen.id.clone()).collect();
    assert_eq!(page.answered_ids(&asked), asked);
    let occupant = page.unreadable.remove(0).occupant();
    assert_eq!((occupant.attachment.unwrap().index, occupant.tags.get("any")), (2, None));
}

#[tokio::test]
async fn managed_resources_are_requested_where_ec2_knows_the_parameter() {
    let (ec2, canned) = ec2(vec![(400, unknown_parameter()), enis(""), enis(""), instances("")]);
    for _ in 0..2 {
        ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Heavy, 1000, None).await.unwrap();
    }
    assert_eq!(asked_for_managed(&canned), [true, false, false], "the refusal of the parameter is remembered");
    ec2.all_instances(convert::filter("instance-id", ["i-0cc0cc0cc0cc0cc01"])).await.unwrap();
    assert_eq!(asked_for_managed(&canned).last(), Some(&false), "the other Describe knows it, too");
}

/// Otherwise EC2 hides managed instances, and an instance that is not shown looks gone.
#[tokio::test]
async fn managed_instances_are_requested_where_ec2_knows_the_parameter() {
    let (ec2, canned) = ec2(vec![(400, unknown_parameter()), instances(""), instances(""), enis("")]);
    for _ in 0..2 {
        ec2.all_instances(convert::filter("instance-id", ["i-0cc0cc0cc0cc0cc01"])).await.unwrap();
    }
    assert_eq!(asked_for_managed(&canned), [true, false, false], "the refusal of the parameter is remembered");
    ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Heavy, 1000, None).await.unwrap();
    assert_eq!(asked_for_managed(&canned).last(), Some(&false), "the other Describe knows it, too");
    let (ec2, canned) = self::ec2(vec![instances(""), enis("")]);
    ec2.all_instances(convert::filter("instance-id", ["i-0cc0cc0cc0cc0cc01"])).await.unwrap();
    ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Heavy, 1000, None).await.unwrap();
    assert_eq!(asked_for_managed(&canned), [true, true]);
}

/// An ENI whose operator is managed belongs to that service. The primary interface shows who manages the instance.
#[tokio::test]
async fn the_service_that_manages_an_interface() {
    let instance = InstanceId::parse("i-0cc0cc0cc0cc0cc01").unwrap();
    let primary = format!(
        "{PLAIN}<status>in-use</status><attachment><attachmentId>eni-attach-0bb</attachmentId><instanceId>{}</instanceId>\
        <deviceIndex>0</deviceIndex><networkCardIndex>0</networkCardIndex><status>attached</status></attachment>",
        instance.as_str()
    );
    for (operator, expected) in [
        ("<managed>true</managed><principal>eks.amazonaws.com</principal>", Some("eks.amazonaws.com")),
        ("<managed>false</managed><principal>eks.amazonaws.com</principal>", None),
        ("<managed>true</managed>", Some("an AWS service")),
        ("", None),
    ] {
        let item = format!("{primary}<operator>{operator}</operator>");
        assert_eq!(one(&item).await.operator.as_deref(), expected, "{operator}");
        let (ec2, _) = ec2(vec![enis(&format!("<item>{item}</item>"))]);
        ec2.fetch_instances([instance.clone()].into()).await.unwrap();
        let interfaces = ec2.instance_interfaces(&instance).unwrap();
        assert_eq!(interfaces.operator.as_deref(), expected, "{operator}");
    }
    assert_eq!(one(&primary).await.operator, None);
}

/// The thread that decides waits for nothing but its own work while a page is parsed, its calls have connections of their own, and
/// no two pages are in memory at once.
#[tokio::test]
async fn subnets_and_groups_without_tags_or_a_block_and_one_without_an_id() {
    let (ec2, _) = ec2(vec![
        answer(
            "DescribeSubnets",
            "<subnetSet><item><subnetId>subnet-0dd</subnetId><vpcId>vpc-1</vpcId>\
            <availabilityZone>eu-west-1a</availabilityZone><availableIpAddressCount>0</availableIpAddressCount><ipv6Native>true</ipv6Native>\
            </item><item><vpcId>vpc-1</vpcId></item></subnetSet>",
        ),
        answer(
            "DescribeSecurityGroups",
            "<securityGroupInfo><item><groupId>sg-0ee</groupId><groupName>web</groupName><vpcId>vpc-1</vpcId>\
            </item><item><groupName>web</groupName></item></securityGroupInfo>",
        ),
    ]);
    let id = multi_eni_api::ids::SubnetId::of("subnet-0dd");
    ec2.fetch_subnets([id.clone()].into()).await.unwrap();
    ec2.fetch_groups(["web".to_owned()].into()).await.unwrap();
    let catalog = ec2.catalog();
    assert_eq!((catalog.subnets[&id].cidr.as_str(), &catalog.subnets[&id].name), ("", &None));
    assert_eq!(catalog.groups_named["web"].groups.len(), 1);
    assert_eq!(ec2.unreadable_counts().into_iter().collect::<Vec<_>>(), [("SecurityGroup", 1), ("Subnet", 1)]);
}

#[tokio::test]
async fn a_card_without_a_maximum_moves_no_other_card() {
    let (ec2, _) = ec2(vec![answer(
        "DescribeInstanceTypes",
        "<instanceTypeSet><item><instanceType>p5.48xlarge</instanceType><networkInfo><maximumNetworkInterfaces>64</maximumNetworkInterfaces>\
         <ipv4AddressesPerInterface>50</ipv4AddressesPerInterface><networkCards><item><networkCardIndex>0</networkCardIndex>\
         <maximumNetworkInterfaces>2</maximumNetworkInterfaces></item><item><networkCardIndex>1</networkCardIndex></item>\
         <item><networkCardIndex>2</networkCardIndex><maximumNetworkInterfaces>4</maximumNetworkInterfaces></item></networkCards></networkInfo>\
         </item></instanceTypeSet>",
    )]);
    ec2.fetch_types(["p5.48xlarge".to_owned()].into()).await.unwrap();
    let limits = ec2.catalog().instance_types["p5.48xlarge"].clone().unwrap();
    assert_eq!(limits.cards, [2, i32::MAX, 4]);
}

#[tokio::test]
async fn instances_without_a_state_or_an_id() {
    let both = || {
        answer(
            "DescribeInstances",
            "<reservationSet><item><instancesSet><item><instanceId>i-0cc0cc0cc0cc0cc01</instanceId></item><item></item></instancesSet></item>\
             </reservationSet>",
        )
    };
    let (ec2, _) = ec2(vec![both(), both()]);
    let (_, instances) = ec2.all_instances(convert::filter("instance-id", ["i-0cc0cc0cc0cc0cc01"])).await.unwrap();
    let read: Vec<_> = instances.iter().filter_map(convert::instance).map(|(_, state)| state).collect();
    assert_eq!(read, [None]);
    // The instance without an ID may be the instance that is not shown by ID.
    let other = InstanceId::parse("i-0cc0cc0cc0cc0cc02").unwrap();
    ec2.fetch_states([other.clone()].into()).await.unwrap();
    assert_eq!(ec2.instance_observation(&other).unwrap().state, InstanceState::Unnamed);
    assert_eq!(ec2.unreadable_counts().get("Instance"), Some(&1));
}

#[tokio::test]
async fn a_call_leaves_its_request_id_and_its_code_in_its_report() {
    let refusal =
        "<Response><Errors><Error><Code>IncorrectState</Code><Message>not now</Message></Error></Errors></Response>";
    let accepted = answer("AttachNetworkInterface", "<attachmentId>eni-attach-1</attachmentId>");
    let (ec2, _) = ec2(vec![(400, refusal.to_owned()), accepted]);
    let (eni, instance) = (EniId::parse("eni-0cc0cc0cc0cc0cc01"), InstanceId::parse("i-0cc0cc0cc0cc0cc01"));
    let (eni, instance) = (eni.unwrap(), instance.unwrap());
    for code in [Some("IncorrectState"), None] {
        let report = CallReport::default();
        assert_eq!(report.ended(), None);
        let _ = ec2.clone().reporting_to(Some(report.clone())).attach(&eni, &instance, 0, 1).await;
        let call = report.ended().unwrap();
        assert_eq!(call.error.as_ref().map(|error| error.code()), code);
        assert_eq!((call.action, call.request_id.as_deref()), ("AttachNetworkInterface", Some("request-1")));
    }
}
