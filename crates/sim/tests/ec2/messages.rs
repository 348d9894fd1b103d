//! The simulator answers each message on which the product depends in words that the product's table matches.

use super::*;
use multi_eni_plan::ec2_message_table::Message;

const MICRO: &str = "i-0000000000000000c";

/// The code and the text of a refused call.
async fn refusal(ec2: &Ec2, action: &str, pairs: Pairs<'_>) -> (String, String) {
    let (status, body) = raw(ec2, action, pairs).await.unwrap();
    assert_ne!(status, 200, "{action} {pairs:?} succeeded: {body}");
    (text(&body, "Code"), text(&body, "Message"))
}

/// The refusal of a Create whose permission is withdrawn by a policy of this kind.
async fn denied(ec2: &Ec2, why: &str) -> (String, String) {
    ec2.deny_because("CreateNetworkInterface", why);
    let answer = refusal(ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await;
    ec2.allow("CreateNetworkInterface");
    answer
}

/// The code and the text of a call to which the simulator answers with the message.
async fn produce(ec2: &Ec2, message: Message) -> (String, String) {
    let deny = async |why: &str| denied(ec2, why).await;
    match message {
        Message::TooFewFreeAddresses => {
            let asked = [("SubnetId", SUBNET), ("Ipv4PrefixCount", "16")];
            refusal(ec2, "CreateNetworkInterface", &asked).await
        }
        Message::SlotTaken => {
            let (first, second) = (create(ec2).await, create(ec2).await);
            attach(ec2, &first, NODE, "1").await;
            refusal(ec2, "AttachNetworkInterface", &slot(&second, NODE, "1")).await
        }
        Message::IndexBeyondCard => {
            let eni = create(ec2).await;
            refusal(ec2, "AttachNetworkInterface", &slot(&eni, CARDS, "8")).await
        }
        Message::NoSuchCard => {
            let eni = create(ec2).await;
            let mut asked = slot(&eni, CARDS, "1");
            asked[3].1 = "2";
            refusal(ec2, "AttachNetworkInterface", &asked).await
        }
        Message::InterfaceCount => {
            ec2.run_instance(MICRO, "t3.micro", SUBNET).unwrap();
            let (second, third) = (create(ec2).await, create(ec2).await);
            attach(ec2, &second, MICRO, "1").await;
            refusal(ec2, "AttachNetworkInterface", &slot(&third, MICRO, "2")).await
        }
        Message::AddressCount => {
            let asked = [("SubnetId", SUBNET), ("SecondaryPrivateIpAddressCount", "10")];
            let eni = text(&ok(ec2, "CreateNetworkInterface", &asked).await, "networkInterfaceId");
            refusal(ec2, "AttachNetworkInterface", &slot(&eni, NODE, "2")).await
        }
        Message::InUse => {
            let eni = create(ec2).await;
            attach(ec2, &eni, CARDS, "1").await;
            refusal(ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await
        }
        Message::OfAnotherOwner => {
            let eni = create(ec2).await;
            ec2.hand_change(&eni, |eni| eni.other_owner = Some("210987654321".to_owned())).unwrap();
            refusal(ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await
        }
        Message::DifferentNetworks => {
            let eni = create(ec2).await;
            let asked = [("NetworkInterfaceId", eni.as_str()), ("SecurityGroupId.1", FOREIGN_GROUP)];
            refusal(ec2, "ModifyNetworkInterfaceAttribute", &asked).await
        }
        Message::GroupMemberships => {
            let names: Vec<String> = (1..=6).map(|n| format!("SecurityGroupId.{n}")).collect();
            let mut asked: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), GROUP)).collect();
            asked.push(("SubnetId", SUBNET));
            refusal(ec2, "CreateNetworkInterface", &asked).await
        }
        Message::ManagedResourcesUnknown => {
            ec2.configure(|settings| settings.unknown_parameters = &["IncludeManagedResources"]);
            let answer = refusal(ec2, "DescribeInstances", &[("IncludeManagedResources", "true")]).await;
            ec2.configure(|settings| settings.unknown_parameters = &[]);
            answer
        }
        Message::NamesAction | Message::OfIdentityPolicy | Message::Encoded => {
            ec2.deny("CreateNetworkInterface");
            let answer = refusal(ec2, "CreateNetworkInterface", &[("SubnetId", SUBNET)]).await;
            ec2.allow("CreateNetworkInterface");
            answer
        }
        Message::ExplicitDeny => deny("with an explicit deny").await,
        Message::OfServiceControlPolicy => deny("with an explicit deny in a service control policy").await,
        Message::OfResourceControlPolicy => deny("with an explicit deny in a resource control policy").await,
        Message::OfPermissionsBoundary => deny("because no permissions boundary allows it").await,
        Message::OfSessionPolicy => deny("because no session policy allows it").await,
        Message::OfEndpointPolicy => deny("because no VPC endpoint policy allows it").await,
        Message::OfResourcePolicy => deny("with an explicit deny in a resource-based policy").await,
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_of_the_table_is_answered_in_its_words() {
    let ec2 = account(steady());
    for message in Message::ALL {
        let (code, text) = produce(&ec2, *message).await;
        assert!(message.is(&code, &text), "{message:?}: {code} {text}");
    }
}
