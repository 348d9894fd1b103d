//! `multi-eni drain`, with the rights of the chart's hook: it removes what it says, waits for the controller, and audits EC2.

use super::drain_hook::{Hook, words};
use super::drain_orphans::those_that_the_controller_never_removes;
use super::nodeeni;
use super::plan::multi_eni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const INSTANCES: [&str; 3] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"];

/// Runs `multi-eni drain` without a terminal. Returns the exit code and all output, with single spaces instead of line breaks.
pub(super) fn drain(environment: &Environment, kubeconfig: &Path, args: &[&str]) -> Result<(i32, String), Failure> {
    let (code, out, err) = multi_eni(environment, kubeconfig, &[&["drain"], args].concat(), "")?;
    Ok((code, words(&format!("{out}\n{err}"))))
}

/// The same with the rights of the hook, and with the namespace of the release.
pub(super) fn as_hook(environment: &Environment, account: &Path, args: &[&str]) -> Result<(i32, String), Failure> {
    drain(environment, account, &[args, &["--namespace", "multi-eni"]].concat())
}

#[track_caller]
pub(super) fn says(environment: &Environment, found: &(i32, String), code: i32, all: &[&str]) {
    environment.assert_eq(&format!("exit code: {}", found.1), found.0, code);
    for words in all {
        assert!(found.1.contains(words), "{words:?} is not in {}", found.1);
    }
}

/// The same kubeconfig with a path in the server's URL.
fn with_path(kubeconfig: &Path, path: &str) -> Result<PathBuf, Failure> {
    let text = std::fs::read_to_string(kubeconfig).map_err(|error| error.to_string())?;
    let mut config: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let server = &mut config["clusters"][0]["cluster"]["server"];
    *server = format!("{}/{path}", server.as_str().unwrap_or_default()).into();
    let changed = kubeconfig.with_file_name(format!("{path}.kubeconfig"));
    std::fs::write(&changed, config.to_string()).map_err(|error| error.to_string())?;
    Ok(changed)
}

/// Nodes with a label, and a NodeENI that gives each an ENI.
pub(super) fn nodes(environment: &Environment, number: usize) -> Result<(), Failure> {
    for (number, instance) in (1..=number).zip(INSTANCES) {
        environment.node(&format!("node{number}"), instance)?;
    }
    environment.apply(&one("one", SUBNET_A, 1))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    Ok(())
}

fn one(name: &str, subnet: &str, index: u32) -> String {
    let spec = [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]"), format!("deviceIndex: {index}")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

#[test]
fn one_nodeeni_and_then_everything_is_removed() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let hook = Hook::install(&environment, true)?;
    let account = hook.account.clone();
    nodes(&environment, 3)?;
    environment.apply(&one("two", SUBNET_B, 2))?;
    for instance in INSTANCES {
        environment.attached(instance, &[1, 2], SOON)?;
    }

    let plan = ["NodeENI one: 3 ENIs on 3 nodes", "NodeENI two: 3 ENIs on 3 nodes", "EC2 shows 6 ENIs"];
    let refused = as_hook(&environment, &account, &[])?;
    says(&environment, &refused, 1, &[plan.as_slice(), &["there is no terminal"]].concat());
    let dry = as_hook(&environment, &account, &["--dry-run"])?;
    says(&environment, &dry, 0, &[plan.as_slice(), &["Nothing was deleted"]].concat());
    environment.assert_eq("ENIs", environment.account.ours().len(), 6);

    let ended = as_hook(&environment, &account, &["--nodeeni", "one", "--yes"])?;
    let words =
        ["NodeENI one: 3 ENIs on 3 nodes", "3 of 3 ENIs are gone", "EC2 shows no ENI with the tag of this cluster"];
    says(&environment, &ended, 0, &words);
    assert!(!ended.1.contains("NodeENI two"), "{}", ended.1);
    for instance in INSTANCES {
        environment.attached(instance, &[2], SOON)?;
    }
    environment.assert_eq("NodeENIs", environment.names("nodeenis")?.len(), 1);

    // As the chart renders it.
    let ended = hook.run(true)?;
    says(&environment, &ended, 0, &["3 of 3 ENIs are gone", "EC2 shows no ENI with the tag of this cluster."]);
    environment.assert_eq("ENIs", environment.account.ours().len(), 0);
    environment.assert_eq("objects", environment.names("nodeenis,eniattachments")?, Vec::new());
    // Nothing to do, so no confirmation is needed.
    let again = as_hook(&environment, &account, &[])?;
    says(&environment, &again, 0, &["Nothing to do", "EC2 shows no ENI with the tag of this cluster"]);
    let unknown = as_hook(&environment, &account, &["--nodeeni", "one"])?;
    let words = ["There is no NodeENI one and no ENIAttachment of it; the cluster has none. Nothing was deleted."];
    says(&environment, &unknown, 1, &[words.as_slice(), &["EC2 shows no ENI with the tag of this cluster"]].concat());
    those_that_the_controller_never_removes(&environment, &hook)?;
    // The hook must not stop helm uninstall when the CRDs are gone already.
    let crds = ["nodeenis.networking.k8s.aws", "eniattachments.networking.k8s.aws"];
    environment.kubectl(&[&["delete", "crd"], crds.as_slice()].concat())?;
    let again = as_hook(&environment, &account, &["--yes"])?;
    says(&environment, &again, 0, &["Nothing to do", "EC2 shows no ENI with the tag of this cluster"]);

    // The hook has the rights that it uses, and no others.
    assert!(hook.assert_rights_are_used(&environment)? > 5);
    environment.passed();
    Ok(())
}

#[test]
fn the_hook_as_rendered_by_default_needs_no_aws_credentials() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let hook = Hook::install(&environment, false)?;
    nodes(&environment, 1)?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    let ended = hook.run(false)?;
    says(&environment, &ended, 0, &["1 of 1 ENI is gone"]);
    environment.clean(Duration::from_secs(1))?;
    hook.assert_rights_are_used(&environment)?;
    environment.passed();
    Ok(())
}

#[test]
fn an_eni_that_ec2_does_not_delete_is_named_with_its_reason() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let account = Hook::install(&environment, true)?.account;
    nodes(&environment, 2)?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    environment.attached(INSTANCES[1], &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    let held = environment.account.ours_on(INSTANCES[0])[&1].id.clone();
    let refused = held.clone();
    environment.account.ec2.set_fault_source(move |call| {
        let is_held = call.parameters.get("NetworkInterfaceId") == Some(&refused);
        let fails = call.action == "DeleteNetworkInterface" && is_held;
        fails.then(|| Fault::Fail { code: "DependencyViolation".to_owned(), status: None })
    });

    let ended = as_hook(&environment, &account, &["--yes", "--timeout", "15s"])?;
    let waits = format!("waits: node1, index 1, {held} of NodeENI one:");
    let left =
        format!("EC2 still shows 1 ENI with the tag of this cluster: {held}: available (NodeENI one, node node1)");
    let words = ["1 of 2 ENIs is gone", "Not done within 15s: 1 ENI and 1 NodeENI are left.", &waits, &left];
    says(&environment, &ended, 1, &words);
    assert!(ended.1.contains("DependencyViolation"), "{}", ended.1);

    // EC2 would delete it now. The controller would try in ten minutes; the annotation lets it try at once.
    environment.account.ec2.clear_faults();
    let wake = ["annotate", "nodeeni", "one", "networking.k8s.aws/reconcile-at=2026-01-01T00:00:00Z"];
    environment.kubectl(&wake)?;
    let ended = as_hook(&environment, &account, &["--yes", "--timeout", "30s"])?;
    says(&environment, &ended, 0, &["EC2 shows no ENI with the tag of this cluster."]);
    environment.clean(Duration::from_secs(1))?;
    environment.passed();
    Ok(())
}

#[test]
fn nothing_is_deleted_without_a_leader_or_without_an_audit() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let admin = environment.plane.admin_kubeconfig();
    nodes(&environment, 1)?;
    let ended = drain(&environment, &admin, &["--yes"])?;
    says(&environment, &ended, 1, &["no controller leads", "no namespace has a Lease"]);
    let dry = drain(&environment, &admin, &["--dry-run"])?;
    let words = ["No controller leads: no namespace has a Lease", "Nothing was deleted (--dry-run)."];
    says(&environment, &dry, 1, &words);

    // A wrong path of the server's URL is answered with 404, as a missing CRD is.
    let elsewhere = with_path(&admin, "elsewhere")?;
    let ended = drain(&environment, &elsewhere, &["--yes", "--no-audit"])?;
    says(&environment, &ended, 1, &["cannot list", "is the server's URL in KUBECONFIG right"]);
    let (code, _, words) = multi_eni(&environment, &elsewhere, &["plan"], "")?;
    environment.assert_eq(&words, code, 1);
    assert!(words.contains("cannot get the namespace kube-system") && !words.contains("install the CRDs"), "{words}");

    environment.start_replica(&[])?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    environment.account.ec2.set_fault_source(|call| {
        let fails = call.action == "DescribeNetworkInterfaces";
        fails.then(|| Fault::Fail { code: "UnauthorizedOperation".to_owned(), status: None })
    });
    let ended = drain(&environment, &admin, &["--yes"])?;
    says(&environment, &ended, 1, &["EC2 cannot be audited", "UnauthorizedOperation"]);
    environment.account.ec2.clear_faults();

    // A killed controller stays in the Lease.
    environment.replicas.iter_mut().for_each(crate::harness::ControllerProcess::kill9);
    let ended = drain(&environment, &admin, &["--yes"])?;
    says(&environment, &ended, 1, &["no controller leads", "has not renewed it for 18 s"]);
    environment.assert_eq("ENIs", environment.account.ours().len(), 1);
    let object = environment.get(&["nodeeni", "one"])?;
    assert!(object["metadata"]["deletionTimestamp"].is_null(), "{object:#}");
    environment.passed();
    Ok(())
}
