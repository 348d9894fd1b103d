//! The real tier: the controller process against a real API server and a simulated EC2.

#[allow(dead_code, unused_imports, reason = "a kit for the stories: not every part has its user yet")]
mod harness;
mod stories;

use harness::{ControlPlane, ControllerProcess, Failure};
use serde_json::json;

/// The harness itself: what the stories need exists, and RBAC limits the chart's ServiceAccount to the chart's rights.
#[test]
fn rbac_limits_the_charts_account_to_its_rights() -> Result<(), Failure> {
    let mut plane = ControlPlane::start()?;
    let rendered = plane.helm_template("multi-eni", "multi-eni", &["--set", "aws.region=eu-central-1"])?;
    plane.kubectl(&["create", "namespace", "multi-eni"])?.success()?;
    plane.apply(&rendered)?.success()?;
    let account = plane.kubeconfig_for_service_account("multi-eni", "multi-eni")?;

    plane.kubectl_as(&account, &["get", "nodes"], "")?.success()?;
    let uid = ["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"];
    assert_ne!(plane.kubectl_as(&account, &uid, "")?.success()?, "");
    let refusal = plane.kubectl_as(&account, &["get", "secrets"], "")?.refusal()?;
    assert!(refusal.contains("system:serviceaccount:multi-eni:multi-eni"), "{refusal}");

    let (ours, leases, crds) = ("networking.k8s.aws", "coordination.k8s.io", "apiextensions.k8s.io");
    // What the controller needs, and what it must not be allowed: verb, group, resource, name, namespace.
    for (expected, verb, group, resource, name, namespace) in [
        (true, "patch", ours, "nodeenis", "", ""),
        (true, "patch", ours, "nodeenis/status", "", ""),
        (true, "create", ours, "eniattachments", "", ""),
        (true, "delete", ours, "eniattachments", "", ""),
        (true, "patch", ours, "eniattachments/status", "", ""),
        (true, "create", leases, "leases", "", "multi-eni"),
        (true, "update", leases, "leases", "multi-eni-controller", "multi-eni"),
        (true, "create", "events.k8s.io", "events", "", "default"),
        (true, "watch", crds, "customresourcedefinitions", "nodeenis.networking.k8s.aws", ""),
        (false, "update", ours, "nodeenis", "", ""),
        (false, "create", ours, "nodeenis", "", ""),
        (false, "delete", ours, "nodeenis", "", ""),
        (true, "patch", "", "nodes", "", ""),
        (false, "update", "", "nodes", "", ""),
        (false, "patch", "", "nodes/status", "", ""),
        (false, "get", "", "namespaces", "default", ""),
        (false, "update", leases, "leases", "another", "multi-eni"),
        (false, "update", leases, "leases", "multi-eni-controller", "default"),
        (false, "create", "events.k8s.io", "events", "", "multi-eni"),
        (false, "update", crds, "customresourcedefinitions", "nodeenis.networking.k8s.aws", ""),
    ] {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = json!({ "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "name": name, "namespace": namespace });
        assert_eq!(plane.allowed(&account, &attributes)?, expected, "{attributes}");
    }

    plane.restart_apiserver()?;
    plane.kubectl_as(&account, &["get", "nodes"], "")?.success()?;
    plane.passed();
    Ok(())
}

/// The addresses and the hook before an uninstall are values of the chart.
#[test]
fn the_chart_renders_its_values() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let hook = "helm.sh/hook: pre-delete";
    let default = plane.helm_template("multi-eni", "eni", &[])?;
    assert!(!default.contains(hook) && !default.contains("kind: Job"), "{default}");
    let drains = plane.helm_template("multi-eni", "eni", &["--set", "drainOnUninstall.enabled=true"])?;
    assert!(drains.contains(hook) && drains.contains("kind: Job"), "{drains}");
    let addresses = ["--set", "metricsAddr=0.0.0.0:9090", "--set", "healthAddr=[fd00::1]:9091"];
    let moved = plane.helm_template("multi-eni", "eni", &addresses)?;
    for words in ["--metrics-addr=0.0.0.0:9090", "--health-addr=[fd00::1]:9091", "Port: 9090", "Port: 9091"] {
        assert!(moved.contains(words), "{words} is not in {moved}");
    }
    let fixed = ["template", "multi-eni", &harness::chart(), "--set"];
    for wrong in ["metricsAddr=:8080", "metricsAddr=[::]", "healthAddr=::8081", "healthAddr=[::]:0"] {
        plane.helm(&[fixed.as_slice(), &[wrong]].concat())?.refusal()?;
    }
    plane.passed();
    Ok(())
}

/// A replica can be killed by its pid, its log can be read, and it does not outlive its handle.
#[test]
fn a_controller_process_can_be_started_and_killed() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let kubeconfig = plane.admin_kubeconfig();
    let env = [("AWS_REGION", "eu-central-1")];
    let mut replica = ControllerProcess::start("replica-1", "default", plane.dir(), &kubeconfig, &env)?;
    let pid = replica.pid();
    assert!(pid > 0);
    replica.kill9();
    assert!(replica.ended()?.is_some(), "{}", replica.log());
    assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists(), "pid {pid} is still there");
    plane.passed();
    Ok(())
}

/// What an operator runs, and what the chart's notes then say.
#[test]
fn helm_installs_and_uninstalls_the_chart() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let role = "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::111122223333:role/multi-eni";
    let notes = plane.helm_install("multi-eni", "eni", &["--set", role])?;
    assert!(notes.contains("no image of multi-eni is published yet"), "{notes}");
    assert!(notes.contains("IRSA, with arn:aws:iam::111122223333:role/multi-eni"), "{notes}");
    plane.kubectl(&["-n", "eni", "get", "deployment/multi-eni", "poddisruptionbudget/multi-eni"])?.success()?;
    let format = "jsonpath={..env[?(@.name=='MULTI_ENI_LOG_FORMAT')].value}";
    let format = plane.kubectl(&["-n", "eni", "get", "deployment/multi-eni", "-o", format])?.success()?;
    assert_eq!(format, "json");
    // An IPv6-only cluster needs [::], which the process's own default is, too.
    let args = ["-n", "eni", "get", "deployment/multi-eni", "-o", "jsonpath={.spec.template.spec.containers[0].args}"];
    let args: Vec<String> = serde_json::from_str(&plane.kubectl(&args)?.success()?).map_err(|e| e.to_string())?;
    assert_eq!(args, ["controller", "--leader-elect", "--metrics-addr=[::]:8080", "--health-addr=[::]:8081"]);
    plane.helm(&["upgrade", "multi-eni", &harness::chart(), "-n", "eni", "--set", "logFormat=xml"])?.refusal()?;
    let refusal =
        plane.helm(&["upgrade", "multi-eni", &harness::chart(), "-n", "eni", "--set", "replica=1"])?.refusal()?;
    assert!(refusal.contains("additional properties 'replica' not allowed"), "{refusal}");
    let traces = |endpoint: &str| {
        let value = format!("traces.otlpEndpoint={endpoint}");
        plane.helm(&[
            "upgrade",
            "multi-eni",
            &harness::chart(),
            "-n",
            "eni",
            "--reset-then-reuse-values",
            "--set",
            &value,
        ])
    };
    traces("collector:4317")?.refusal()?;
    traces("http://collector:4318")?.success()?;
    let endpoint = "jsonpath={..env[?(@.name=='OTEL_EXPORTER_OTLP_ENDPOINT')].value}";
    let endpoint = plane.kubectl(&["-n", "eni", "get", "deployment/multi-eni", "-o", endpoint])?.success()?;
    assert_eq!(endpoint, "http://collector:4318");
    // With --reuse-values from a release of an older chart, the values that are newer than it are nil.
    let newer = "metricsAddr=null,healthAddr=null,traces=null,waitForPods=null,drainOnUninstall=null,nodeAgent=null";
    let rendered = plane.helm_template("multi-eni", "eni", &["--set", newer])?;
    assert_eq!(rendered, plane.helm_template("multi-eni", "eni", &[])?);
    plane.helm(&["uninstall", "multi-eni", "--namespace", "eni"])?.success()?;
    plane.kubectl(&["get", "clusterrole", "multi-eni"])?.refusal()?;
    plane.passed();
    Ok(())
}
