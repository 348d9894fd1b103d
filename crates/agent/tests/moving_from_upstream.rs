//! The commands of docs/moving-from-upstream.md about upstream's agent, and what its table of fields says, tried with a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

use multi_eni_control_plane::{ControlPlane, Failure, chart};
use serde_json::json;

const PAGE: &str = include_str!("../../../docs/moving-from-upstream.md");
const NAMESPACE: &str = "eni-controller-system";
const STOP: &str = r#"{"spec":{"template":{"spec":{"nodeSelector":{"eni-manager":"stopped"}}}}}"#;
const START: &str = r#"[{"op":"remove","path":"/spec/template/spec/nodeSelector/eni-manager"}]"#;

#[test]
fn upstreams_agent_is_stopped_and_started_again_by_its_node_selector() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    plane.kubectl(&["create", "namespace", NAMESPACE])?.success()?;
    let labels = json!({ "app": "eni-manager" });
    let container = json!({ "name": "eni-manager", "image": "localhost/none" });
    let daemon_set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "eni-manager", "namespace": NAMESPACE },
        "spec": { "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels },
            "spec": { "nodeSelector": { "ng": "multi-eni" }, "containers": [container] } } },
    });
    plane.apply(&daemon_set.to_string())?.success()?;
    let selector = || -> Result<String, Failure> {
        let path = "jsonpath={.spec.template.spec.nodeSelector}";
        Ok(plane.kubectl(&["-n", NAMESPACE, "get", "daemonset", "eni-manager", "-o", path])?.success()?)
    };
    for (more, patch, expected) in
        [("", STOP, r#"{"eni-manager":"stopped","ng":"multi-eni"}"#), ("--type=json ", START, r#"{"ng":"multi-eni"}"#)]
    {
        let line = format!("kubectl -n {NAMESPACE} patch daemonset eni-manager {more}-p '{patch}'");
        assert!(PAGE.contains(&line), "the page does not have: {line}");
        plane.shell(&line)?.success()?;
        assert_eq!(selector()?, expected);
    }
    plane.passed();
    Ok(())
}

#[test]
fn upstreams_fields_are_taken_and_dpdk_enabled_is_refused() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let crds =
        std::fs::read_to_string(format!("{}/crds/networking.k8s.aws.yaml", chart())).map_err(|e| e.to_string())?;
    plane.apply(&crds)?.success()?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?.success()?;
    let nodeeni = |dpdk: &str| {
        json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": "packets" },
            "spec": {
                "nodeSelector": { "ng": "multi-eni" }, "subnetID": "subnet-0f59b4f14737be9ad", "deviceIndex": 2, "mtu": 9001,
                "securityGroupIDs": ["sg-05da196f3314d4af8"], "dpdkDriver": "vfio-pci", "dpdkResourceName": "sriov_dpdk",
                "dpdkPCIAddress": "0000:00:06.0", dpdk: true,
            },
        })
        .to_string()
    };
    plane.apply(&nodeeni("enableDPDK"))?.success()?;
    let words = plane.apply(&nodeeni("dpdkEnabled"))?.refusal()?;
    assert!(words.contains(r#"unknown field "spec.dpdkEnabled""#), "{words}");
    plane.passed();
    Ok(())
}
