//! A label that no kubelet may set: the admission plugin NodeRestriction keeps a node from labelling itself into a NodeENI, as
//! docs/security.md says.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{ControlPlane, Environment, Failure, SOON};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const LABEL: &str = "node-restriction.kubernetes.io/network";

#[test]
fn a_kubelet_cannot_label_its_node_into_a_nodeeni() -> Result<(), Failure> {
    let mut environment = Environment::start_on(ControlPlane::start_with(&["NodeRestriction"])?)?;
    environment.start_replica(&[])?;
    environment.node("node1", INSTANCE)?;
    let role = ["create", "clusterrolebinding", "kubelets", "--clusterrole=system:node", "--group=system:nodes"];
    environment.kubectl(&role)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    let manifest = nodeeni("one", &spec.each_ref().map(String::as_str));
    environment.apply(&manifest.replace("{ng: multi-eni}", &format!("{{{LABEL}: storage}}")))?;

    let kubelet = |label: &str| {
        let who = ["--as=system:node:node1", "--as-group=system:nodes", "--as-group=system:authenticated"];
        environment.plane.kubectl(&[&["label", "node", "node1", label], who.as_slice()].concat())
    };
    // The kubelet may change its Node, and other labels.
    environment.until("the rights of the kubelet", SOON, || Ok(kubelet("ng=multi-eni")?.success().map(drop)?))?;
    let refusal = kubelet(&format!("{LABEL}=storage"))?.refusal()?;
    assert!(refusal.contains("is not allowed to modify labels") && refusal.contains(LABEL), "{refusal}");
    environment.idle()?;
    environment.attached(INSTANCE, &[], SOON)?;

    environment.kubectl(&["label", "node", "node1", &format!("{LABEL}=storage")])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.passed();
    Ok(())
}
