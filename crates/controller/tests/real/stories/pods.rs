//! With the flag for it, a node that is no longer selected keeps its ENI while a Pod uses it, and the status names the Pod.

use super::nodeeni;
use super::plan::{multi_eni, reader};
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

/// No kubelet runs this Pod: it is only bound to the node.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: upf
  namespace: default
  annotations: {networking.k8s.aws/nodeenis: 'other, one'}
spec:
  nodeName: node1
  automountServiceAccountToken: false
  containers: [{name: c, image: localhost/none}]
";

#[test]
fn a_pod_keeps_the_eni_of_a_node_that_is_no_longer_selected_and_is_named() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    environment.start_replica(&[("MULTI_ENI_WAIT_FOR_PODS", "true")])?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    // An ENI that the controller has not seen attached is not kept for Pods.
    environment.idle()?;

    // The chart grants the right to list pods only if the feature is enabled. Without the right no ENI is removed.
    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    let (reason, message) = environment.condition("one", "WaitingForPods", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "PodsUnknown");
    assert!(message.contains("the permission to list and watch pods"), "{message}");
    environment.attached(INSTANCE, &[1], SOON)?;
    let values = ["--set", "aws.region=eu-central-1", "--set", "waitForPods.enabled=true"];
    let chart = environment.plane.helm_template("multi-eni", "multi-eni", &values)?;
    environment.apply(&chart)?;
    // The watch is retried with back-off.
    environment.clean(SOON * 3)?;
    environment.condition("one", "WaitingForPods", "False", SOON)?;

    environment.kubectl(&["create", "serviceaccount", "default", "-n", "default"])?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.apply(POD)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    let (reason, message) = environment.condition("one", "WaitingForPods", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "PodsUseIt");
    assert!(message.contains("on node node1 for default/upf"), "{message}");
    environment.idle()?;
    environment.assert_eq("mutations", environment.account.mutations().len(), 0);
    let kubeconfig = reader(&environment)?;
    let (code, out, err) = multi_eni(&environment, &kubeconfig, &["explain", "node/node1", "--wait-for-pods"], "")?;
    environment.assert_eq(&format!("exit code: {out}{err}"), code, 0);
    assert!(out.contains("kept until default/upf ended"), "{out}");

    // A label that comes back in time causes no call, even while Pods are waited for.
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.condition("one", "WaitingForPods", "False", SOON)?;
    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    environment.condition("one", "WaitingForPods", "True", SOON)?;
    environment.assert_eq("mutations", environment.account.mutations().len(), 0);

    environment.kubectl(&["delete", "pod", "upf", "-n", "default", "--force", "--grace-period=0"])?;
    environment.clean(SOON)?;
    environment.condition("one", "WaitingForPods", "False", SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}
