//! Least rights: the requests in the API server's audit log are compared with the rights that the chart grants, both ways. That
//! each request is granted is checked at the end of every story; here a story uses every right.

use super::nodeeni;
use super::plan::multi_eni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::rights::Right;
use crate::harness::{ControlPlane, Environment, Failure, SOON};
use std::thread;
use std::time::Duration;

const INSTANCES: [&str; 2] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"];
const LONG: Duration = Duration::from_secs(180);

/// Refuses each write of the status of this kind. The controller then reads the object, because another client may have changed it.
fn no_status(kind: &str) -> String {
    format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: no-status-{kind}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [networking.k8s.aws]
      apiVersions: ['*']
      operations: [UPDATE]
      resources: [{kind}/status]
  validations:
  - expression: 'false'
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: no-status-{kind}}}
spec: {{policyName: no-status-{kind}, validationActions: [Deny]}}
"
    )
}

fn one() -> String {
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"), "deviceIndex: 1".to_owned()];
    nodeeni("one", &spec.each_ref().map(String::as_str))
}

#[test]
fn every_right_of_the_chart_is_used() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let values = ["--set", "aws.region=eu-central-1", "--set", "waitForPods.enabled=true"];
    let chart = environment.plane.helm_template("multi-eni", "multi-eni", &values)?;
    environment.apply(&chart)?;
    environment.start_replica(&[("MULTI_ENI_WAIT_FOR_PODS", "true")])?;
    environment.node("node1", INSTANCES[0])?;
    environment.kubectl(&["taint", "node", "node1", "networking.k8s.aws/eni-not-ready=:NoSchedule"])?;
    environment.apply(&one())?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;

    // An ENI is detached only after the NodeENI's status counts the removal, so the kinds are refused one after the other.
    for (kind, label) in [("eniattachments", "ng-"), ("nodeenis", "ng=multi-eni")] {
        environment.apply(&no_status(kind))?;
        // A new policy takes some seconds to be loaded.
        thread::sleep(Duration::from_secs(5));
        environment.kubectl(&["label", "node", "node1", label])?;
        environment.until(&format!("{kind} are read after a refused write"), LONG, || {
            let requests = environment.requests()?;
            let done = requests.iter().any(|request| request.verb == "get" && request.resource == kind);
            if done { Ok(()) } else { Err(format!("{requests:#?}").into()) }
        })?;
        for object in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            environment.kubectl(&["delete", object, &format!("no-status-{kind}")])?;
        }
    }
    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    environment.clean(LONG)?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;

    let (rights, requests) = (environment.chart_rights()?, environment.requests()?);
    assert!(rights.len() > 20, "{rights:#?}");
    let is_used = |right: &Right| requests.iter().any(|request| right.covers(request));
    let unused: Vec<&Right> = rights.iter().filter(|right| !is_used(right)).collect();
    assert!(unused.is_empty(), "the chart grants these, and nothing uses them: {unused:#?}");
    environment.passed();
    Ok(())
}

/// The owner references do not block the deletion of the NodeENI, so this admission plugin asks for no right on its finalizers.
#[test]
fn owner_references_need_no_right_on_finalizers() -> Result<(), Failure> {
    let plane = ControlPlane::start_with(&["OwnerReferencesPermissionEnforcement"])?;
    let mut environment = Environment::start_on(plane)?;
    environment.start_replica(&[])?;
    environment.node("node1", INSTANCES[0])?;
    environment.apply(&one())?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn without_describe_instance_types_nodes_are_served_without_limits() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    environment.account.ec2.deny("DescribeInstanceTypes");
    environment.node("node1", INSTANCES[0])?;
    environment.apply(&one())?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let admin = environment.plane.admin_kubeconfig();
    let (code, _, words) = multi_eni(&environment, &admin, &["plan"], "")?;
    assert!(code == 1 && words.contains("the output is incomplete"), "exit code {code}: {words}");
    environment.start_replica(&[])?;
    // The permission is waited for for a minute.
    environment.attached(INSTANCES[0], &[1], LONG)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.condition("one", "Degraded", "False", SOON)?;
    // An m5.xlarge takes 15 addresses on an interface. Without limits, only EC2 refuses more.
    let spec = [format!("subnetID: {SUBNET_A}"), "deviceIndex: 2".to_owned(), "privateIPCount: 16".to_owned()];
    environment.apply(&nodeeni("two", &spec.each_ref().map(String::as_str)))?;
    let (_, message) = environment.condition("two", "Degraded", "True", LONG)?;
    assert!(message.contains("Address count 16"), "{message}");
    environment.passed();
    Ok(())
}
