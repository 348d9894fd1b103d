//! The sample policy docs/examples/nodeeni-subnets-and-groups.yaml, as docs/security.md tells a user to apply it.

use super::nodeeni;
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const SAMPLE: &str = include_str!("../../../../../docs/examples/nodeeni-subnets-and-groups.yaml");

fn spec(name: &str, subnet: &str, group: &str) -> String {
    nodeeni(name, &[subnet, group, "deviceIndex: 1"])
}

#[test]
fn the_sample_policy_bounds_subnets_and_groups() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    let far = format!("subnetID: {FAR_SUBNET}");
    // Terms are refused even if they name what is permitted: another edit of the term could name a tag.
    let subnet_terms = format!("subnetSelectorTerms: [{{id: {SUBNET_A}}}]");
    let group_terms = format!("securityGroupSelectorTerms: [{{id: {GROUP}}}]");
    environment.node("node1", INSTANCE)?;
    // The page's own subnet is SUBNET_A, and its group is GROUP.
    environment.apply(SAMPLE)?;
    environment.until("the policy is enforced", SOON, || {
        match environment.plane.apply(&spec("far", &far, &group))?.refusal() {
            Ok(words) if words.contains(&format!("subnet {FAR_SUBNET} is not permitted")) => Ok(()),
            Ok(words) => Err(words.into()),
            Err(not_refused) => {
                environment.kubectl(&["delete", "nodeeni", "far"])?;
                Err(not_refused.into())
            }
        }
    })?;
    for (name, subnet, group, words) in [
        ("by-name", "subnetName: storage", group.as_str(), "name subnets by subnetID or subnetIDs only"),
        ("list", "subnetIDs: [subnet-00c0ffee00c0ffee0]", &group, "subnetIDs has a subnet that is not permitted"),
        ("no-group", &subnet, "mtu: 9000", "name at least one security group"),
        (
            "group",
            &subnet,
            "securityGroupIDs: [sg-0badbadbadbadbad0]",
            "securityGroupIDs has a group that is not permitted",
        ),
        ("subnet-terms", &subnet_terms, &group, "name subnets by subnetID or subnetIDs only"),
        ("group-terms", &subnet, &group_terms, "name security groups by securityGroupIDs only"),
        ("group-name", &subnet, "securityGroupNames: [page]", "name security groups by securityGroupIDs only"),
    ] {
        let refusal = environment.plane.apply(&spec(name, subnet, group))?.refusal()?;
        assert!(refusal.contains(words), "{name}: {refusal}");
    }
    environment.apply(&spec("good", &subnet, &group))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.condition("good", "Ready", "True", SOON)?;
    environment.assert_eq(
        "NodeENIs",
        environment.names("nodeenis")?,
        vec!["nodeeni.networking.k8s.aws/good".to_owned()],
    );

    // An edit is bounded too. A NodeENI that existed before a stricter policy can still be deleted.
    let edit = environment.plane.apply(&spec("good", &far, &group))?.refusal()?;
    assert!(edit.contains("is not permitted"), "{edit}");
    environment.apply(&SAMPLE.replace(SUBNET_A, FAR_SUBNET))?;
    environment.until("the stricter policy is enforced", SOON, || {
        let words = environment.plane.apply(&spec("late", &subnet, &group))?.refusal();
        match words {
            Ok(_) => Ok(()),
            Err(not_refused) => {
                environment.kubectl(&["delete", "nodeeni", "late"])?;
                Err(not_refused.into())
            }
        }
    })?;
    environment.kubectl(&["delete", "nodeeni", "good", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}
