//! A ValidatingAdmissionPolicy refuses ENIAttachments. The writes are repeated with back-off, the policy's message is reported,
//! the other nodes get their ENIs, and the end of the policy is noticed.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use std::thread;
use std::time::Duration;

const WORDS: &str = "only the platform team may";

fn policy(operation: &str, expression: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: refuse}}\nspec:\n  \
         failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - apiGroups: [networking.k8s.aws]\n      \
         apiVersions: ['*']\n      operations: [{operation}]\n      resources: [eniattachments]\n  validations:\n  - \
         expression: \"{expression}\"\n    message: {WORDS}\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: \
         ValidatingAdmissionPolicyBinding\nmetadata: {{name: refuse}}\nspec: {{policyName: refuse, validationActions: [Deny]}}\n"
    )
}

fn remove(environment: &Environment) -> Result<(), Failure> {
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        environment.kubectl(&["delete", kind, "refuse"])?;
    }
    Ok(())
}

/// Waits until the NodeENI reports the refusal with the policy's message.
fn refused(environment: &Environment, words: &str) -> Result<(), Failure> {
    environment.until("APIServerRefused", SOON, || {
        let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
        let said = reason == "APIServerRefused" && message.contains(WORDS) && message.contains(words);
        if said { Ok(()) } else { Err(format!("{reason}: {message}").into()) }
    })
}

#[test]
fn writes_that_a_policy_refuses_back_off_and_succeed_when_it_is_gone() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let instances: Vec<String> = (1..=12).map(|n| format!("i-0aaaaaaaaaaaaaa{n:02}")).collect();
    for (n, instance) in instances.iter().enumerate() {
        environment.node(&format!("node{n}"), instance)?;
    }
    // All but two are refused.
    environment.apply(&policy("CREATE", "object.spec.nodeName in ['node0', 'node1']"))?;
    // A new policy takes some seconds to be loaded.
    thread::sleep(Duration::from_secs(5));
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    environment.apply(&nodeeni("one", &[&subnet, &group, "deviceIndex: 1"]))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    refused(&environment, "10 nodes")?;
    let metrics = environment.replicas[0].metrics()?;
    let series = "multi_eni_api_writes_refused_total{verb=\"create\",resource=\"eniattachments\",";
    environment.assert_eq("counted refusals", metrics.lines().any(|line| line.starts_with(series)), true);
    environment.attached(&instances[0], &[1], SOON)?;
    environment.attached(&instances[1], &[1], SOON)?;
    thread::sleep(Duration::from_secs(20));
    let before = environment.writes_to("eniattachments")?;
    thread::sleep(Duration::from_secs(30));
    let tried = environment.writes_to("eniattachments")? - before;
    assert!(tried <= 20, "{tried} writes in 30 s: {:?}", environment.failed("too many writes"));
    remove(&environment)?;
    for instance in &instances {
        environment.attached(instance, &[1], Duration::from_secs(120))?;
    }
    environment.condition("one", "Ready", "True", SOON)?;

    // The same for DELETE: no ENIAttachment is deleted, the refusal is reported, and deletion goes on when it is allowed.
    environment.apply(&policy("DELETE", "false"))?;
    thread::sleep(Duration::from_secs(5));
    environment.kubectl(&["delete", "nodeeni", "one", "--wait=false"])?;
    refused(&environment, "delete 12 eniattachments")?;
    remove(&environment)?;
    environment.clean(Duration::from_secs(120))?;
    environment.passed();
    Ok(())
}
