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
