//! The real tier: the product against a real API server.

mod harness;

use harness::{ControlPlane, ControllerProcess, Failure};

/// The harness itself: what the stories rely on is there and RBAC is enforced.
#[test]
fn the_control_plane_holds_a_service_account_to_its_rights() -> Result<(), Failure> {
    let mut plane = ControlPlane::start()?;
    let rendered = plane.helm_template("multi-eni", "multi-eni", &["--set", "aws.region=eu-central-1"])?;
    plane.kubectl(&["create", "namespace", "multi-eni"])?.success()?;
    plane.apply(&rendered)?.success()?;
    let account = plane.kubeconfig_for_service_account("multi-eni", "multi-eni")?;

    // What the chart gives …
    plane.kubectl_as(&account, &["get", "nodes"], "")?.success()?;
    plane.kubectl_as(&account, &["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"], "")?.success()?;
    for (verb, object) in [
        ("update", "nodeenis.networking.k8s.aws"),
        ("patch", "nodeenis.networking.k8s.aws/status"),
        ("delete", "eniattachments.networking.k8s.aws"),
        ("create", "leases.coordination.k8s.io"),
        ("update", "leases.coordination.k8s.io/multi-eni-controller"),
    ] {
        plane.kubectl_as(&account, &["auth", "can-i", verb, object], "")?.success()?;
    }
    plane.kubectl_as(&account, &["auth", "can-i", "create", "events.events.k8s.io", "-n", "default"], "")?.success()?;

    // … and what it does not.
    let refusal = plane.kubectl_as(&account, &["get", "secrets"], "")?.refusal()?;
    assert!(refusal.contains("system:serviceaccount:multi-eni:multi-eni"), "{refusal}");
    for (verb, object) in [
        ("patch", "nodes"),
        ("get", "namespaces/default"),
        ("create", "nodeenis.networking.k8s.aws"),
        ("delete", "nodeenis.networking.k8s.aws"),
        ("update", "leases.coordination.k8s.io/another"),
        ("delete", "leases.coordination.k8s.io/multi-eni-controller"),
    ] {
        plane.kubectl_as(&account, &["auth", "can-i", verb, object], "")?.refusal()?;
    }

    plane.restart_apiserver()?;
    plane.kubectl_as(&account, &["get", "nodes"], "")?.success()?;

    // A process of ours is killed by its own pid, and its log can be read.
    let env = [("AWS_REGION", "eu-central-1")];
    let mut replica = ControllerProcess::start("replica-1", "multi-eni", plane.dir(), &account, &env)?;
    replica.kill9();
    assert!(replica.ended()?.is_some(), "{}", replica.log());
    plane.passed();
    Ok(())
}
