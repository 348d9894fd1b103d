//! Subnets and instances on an Outpost.

use super::*;

/// No answer of EC2 for an Outpost was recorded. The field is that of the API reference.
#[tokio::test]
async fn subnets_and_instances_on_an_outpost() {
    let arn = "arn:aws:outposts:eu-west-1:210987654321:outpost/op-0ab23c4567890de1f";
    let outpost = format!("<outpostArn>{arn}</outpostArn>");
    let subnet = |id: &str, outpost: &str| {
        format!("<item><subnetId>{id}</subnetId><availabilityZone>eu-west-1a</availabilityZone>{outpost}</item>")
    };
    let interface = |n: u32, instance: u32, index: u32, outpost: &str| {
        format!(
            "<item>{}<attachment><attachmentId>eni-attach-{n}</attachmentId><instanceId>i-0cc0cc0cc0cc0cc0{instance}</instanceId>\
             <deviceIndex>{index}</deviceIndex><networkCardIndex>0</networkCardIndex><status>attached</status></attachment>{outpost}</item>",
            PLAIN.replace("aa01</networkInterfaceId>", &format!("aa0{n}</networkInterfaceId>"))
        )
    };
    let shown = [interface(1, 1, 0, &outpost), interface(2, 1, 1, &outpost), interface(3, 2, 0, "")].concat();
    let (ec2, _) = ec2(vec![
        answer(
            "DescribeSubnets",
            &format!("<subnetSet>{}{}</subnetSet>", subnet("subnet-0dd", &outpost), subnet("subnet-0ee", "")),
        ),
        enis(&shown),
    ]);
    let subnets = ["subnet-0dd", "subnet-0ee"].map(multi_eni_api::ids::SubnetId::of);
    ec2.fetch_subnets(subnets.clone().into()).await.unwrap();
    let catalog = ec2.catalog();
    assert_eq!(subnets.map(|id| catalog.subnets[&id].outpost.clone()), [Some(arn.into()), None]);
    let instances = ["i-0cc0cc0cc0cc0cc01", "i-0cc0cc0cc0cc0cc02"].map(InstanceId::of);
    ec2.fetch_instances(instances.clone().into()).await.unwrap();
    let of = |id: &InstanceId| ec2.change(|cache| (cache.instance_interfaces(id).unwrap().outpost, Default::default()));
    assert_eq!(instances.each_ref().map(of), [Some(arn.into()), None]);
}
