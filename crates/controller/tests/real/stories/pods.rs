//! A node that is no longer selected keeps its ENI while a Pod uses it, if that is asked for, and says for whom.

use super::nodeeni;
use super::plan::{multi_eni, reader};
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

/// No kubelet runs it: it is bound to the node, and that is all.
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
    let mut stage = Stage::set()?;
    stage.start_replica(&[("MULTI_ENI_WAIT_FOR_PODS", "true")])?;
    stage.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON)?;
    // What the controller has not seen attached is nobody's to use.
    stage.idle()?;

    // The chart gives the right to list pods only where that is switched on: until then nothing is taken from anybody.
    stage.kubectl(&["label", "node", "node1", "ng-"])?;
    let (reason, message) = stage.condition("one", "WaitingForPods", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "PodsUnknown");
    assert!(message.contains("the right to list and watch pods"), "{message}");
    stage.attached(INSTANCE, &[1], SOON)?;
    let values = ["--set", "aws.region=eu-central-1", "--set", "waitForPods.enabled=true"];
    let chart = stage.plane.helm_template("multi-eni", "multi-eni", &values)?;
    stage.apply(&chart)?;
    // The watch is tried again with back-off.
    stage.clean(SOON * 3)?;
    stage.condition("one", "WaitingForPods", "False", SOON)?;

    stage.kubectl(&["create", "serviceaccount", "default", "-n", "default"])?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.apply(POD)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    stage.kubectl(&["label", "node", "node1", "ng-"])?;
    let (reason, message) = stage.condition("one", "WaitingForPods", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "PodsUseIt");
    assert!(message.contains("on node node1 for default/upf"), "{message}");
    stage.idle()?;
    stage.assert_eq("mutations", stage.account.mutations().len(), 0);
    let kubeconfig = reader(&stage)?;
    let (code, told, err) = multi_eni(&stage, &kubeconfig, &["explain", "node/node1", "--wait-for-pods"], "")?;
    stage.assert_eq(&format!("exit code: {told}{err}"), code, 0);
    assert!(told.contains("kept until default/upf ended"), "{told}");

    // A label that comes back costs nothing, whoever waits.
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.condition("one", "WaitingForPods", "False", SOON)?;
    stage.kubectl(&["label", "node", "node1", "ng-"])?;
    stage.condition("one", "WaitingForPods", "True", SOON)?;
    stage.assert_eq("mutations", stage.account.mutations().len(), 0);

    stage.kubectl(&["delete", "pod", "upf", "-n", "default", "--force", "--grace-period=0"])?;
    stage.clean(SOON)?;
    stage.condition("one", "WaitingForPods", "False", SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}
