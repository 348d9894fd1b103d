//! `multi-eni plan` with read-only rights: the calls that it predicts are the calls that the controller then makes.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

const INSTANCES: [&str; 3] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"];

/// Creates the role from the documentation, bound to a ServiceAccount. Returns its kubeconfig.
pub(super) fn reader(environment: &Environment) -> Result<std::path::PathBuf, Failure> {
    let page = include_str!("../../../../../docs/reference/plan.md");
    let role = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    environment.apply(role.ok_or("docs/reference/plan.md has no YAML")?)?;
    environment.kubectl(&["create", "serviceaccount", "reader", "-n", "default"])?;
    let binding = ["clusterrolebinding", "reader", "--clusterrole=multi-eni-plan", "--serviceaccount=default:reader"];
    environment.kubectl(&[&["create"], binding.as_slice()].concat())?;
    Ok(environment.plane.kubeconfig_for_service_account("default", "reader")?)
}

/// Runs `multi-eni` with this kubeconfig. Returns exit code, stdout and stderr.
pub(super) fn multi_eni(
    environment: &Environment,
    kubeconfig: &Path,
    args: &[&str],
    stdin: &str,
) -> Result<(i32, String, String), Failure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.args(args).env_clear().env("KUBECONFIG", kubeconfig).env("AWS_ENDPOINT_URL", &environment.account.endpoint);
    command.env("AWS_REGION", "eu-central-1").env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    if let Some(mut pipe) = child.stdin.take() {
        std::io::Write::write_all(&mut pipe, stdin.as_bytes()).map_err(|e| e.to_string())?;
    }
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
}

/// The calls that the plan predicts.
pub(super) fn planned_calls(
    environment: &Environment,
    kubeconfig: &Path,
    args: &[&str],
    stdin: &str,
) -> Result<BTreeMap<String, u64>, Failure> {
    let (code, out, err) = multi_eni(environment, kubeconfig, &[args, &["-o", "json"]].concat(), stdin)?;
    environment.assert_eq(&format!("exit code: {out}{err}"), code, 0);
    let plan: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}"))?;
    let calls = plan["calls"].as_object().cloned().unwrap_or_default();
    Ok(calls.into_iter().map(|(action, n)| (action, n.as_u64().unwrap_or_default())).collect())
}

/// The calls since the last `clear_calls`, Describe excepted.
pub(super) fn made(environment: &Environment) -> BTreeMap<String, u64> {
    let mut made = BTreeMap::new();
    for call in environment.account.mutations() {
        *made.entry(call.action).or_default() += 1;
    }
    made
}

fn spec(index: i32, description: &str, more: &str) -> String {
    let lines = [
        format!("subnetID: {SUBNET_A}"),
        format!("securityGroupIDs: [{GROUP}]"),
        format!("deviceIndex: {index}"),
        format!("description: {description}"),
        more.to_owned(),
    ];
    nodeeni("one", &lines.each_ref().map(String::as_str))
}

#[test]
fn a_node_whose_instance_ec2_does_not_show_waits_for_no_lookup() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let reader = reader(&environment)?;
    environment.register("ghost", "i-0eeeeeeeeeeeeeee0", json!({ "ng": "multi-eni" }))?;
    environment.apply(&spec(1, "first", ""))?;
    let said = "EC2 has not shown its instance i-0eeeeeeeeeeeeeee0 since ";
    let (code, text, err) = multi_eni(&environment, &reader, &["explain", "node/ghost"], "")?;
    environment.assert_eq(&format!("exit code: {text}{err}"), code, 0);
    environment.assert_eq(&text, text.contains(&format!("  … {said}")), true);
    environment.start_replica(&[])?;
    environment.until("the status says the same", SOON, || {
        let (_, message) = environment.condition("one", "Progressing", "True", SOON)?;
        if message.contains(said) { Ok(()) } else { Err(message.into()) }
    })?;
    environment.passed();
    Ok(())
}

#[test]
fn the_plan_predicts_the_calls() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let reader = reader(&environment)?;
    for (number, instance) in (1..).zip(INSTANCES) {
        environment.node(&format!("node{number}"), instance)?;
        environment.kubectl(&["label", "node", &format!("node{number}"), "ng=multi-eni"])?;
    }
    // A foreign ENI occupies the index on one node: that node gets no ENI, and the plan names the foreign ENI.
    let by_hand = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    let occupant = environment.account.ec2.hand_create(SUBNET_B, &[("Name", "vpc-cni")]).map_err(by_hand)?;
    environment.account.ec2.hand_attach(&occupant, INSTANCES[2], 0, 1).map_err(by_hand)?;

    let first = spec(1, "first", "sourceDestCheck: false");
    let before_it_is_applied = planned_calls(&environment, &reader, &["plan", "-f", "-"], &first)?;
    environment.assert_eq("NodeENIs", environment.names("nodeenis")?.len(), 0);
    environment.apply(&first)?;
    let coming = planned_calls(&environment, &reader, &["plan"], "")?;
    environment.assert_eq("the file and the applied", before_it_is_applied, coming.clone());
    let (_, text, _) = multi_eni(&environment, &reader, &["plan"], "")?;
    assert!(text.contains("! node3, index 1: device index 1 on network card 0 is occupied on EC2 by eni-"), "{text}");
    assert!(text.contains("  + node1, node2, index 1: create an ENI in"), "{text}");
    environment.assert_eq("mutations by plans", made(&environment), BTreeMap::new());

    environment.start_replica(&[])?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    environment.attached(INSTANCES[1], &[1], SOON)?;
    environment.idle()?;
    environment.assert_eq("the calls", made(&environment), coming);
    environment.assert_eq("then", planned_calls(&environment, &reader, &["plan"], "")?, BTreeMap::new());
    let (_, explanation, _) = multi_eni(&environment, &reader, &["explain", "node/node1"], "")?;
    assert!(explanation.contains("= index 1: eni-"), "{explanation}");

    // A change in place, and a replacement.
    for next in [spec(1, "second", "sourceDestCheck: true"), spec(2, "second", "")] {
        environment.account.ec2.clear_calls();
        let coming = planned_calls(&environment, &reader, &["plan", "-f", "-"], &next)?;
        environment.apply(&next)?;
        environment.until("the change", SOON, || {
            let done = made(&environment);
            if done == coming { Ok(()) } else { Err(format!("made {done:?}, planned {coming:?}").into()) }
        })?;
        environment.idle()?;
        environment.assert_eq("the calls", made(&environment), coming);
    }

    // A list of terms that does not select the ENI's subnet: the calls of the replacement are counted before it is permitted.
    let terms =
        nodeeni("one", &["deviceIndex: 2", "subnetSelectorTerms: [{tags: {tier: next}}]", "description: second"]);
    environment.account.ec2.tag_place(SUBNET_B, "tier", Some("next")).map_err(by_hand)?;
    let coming = planned_calls(&environment, &reader, &["plan", "-f", "-"], &terms)?;
    for action in
        ["DetachNetworkInterface", "DeleteNetworkInterface", "CreateNetworkInterface", "AttachNetworkInterface"]
    {
        environment.assert_eq(&format!("planned {action} of {coming:?}"), coming.get(action), Some(&3));
    }
    let (_, text, _) = multi_eni(&environment, &reader, &["plan", "-f", "-"], &terms)?;
    assert!(text.contains("replace in steps: 1. EC2 shows the tags of"), "{text}");

    // A node that no longer matches, and a node that does not exist.
    environment.account.ec2.clear_calls();
    environment.replicas.clear();
    environment.kubectl(&["label", "node", "node2", "ng-"])?;
    let coming = planned_calls(&environment, &reader, &["explain", "node/node2"], "")?;
    environment.start_replica(&[])?;
    environment.attached(INSTANCES[1], &[], SOON)?;
    environment.idle()?;
    environment.assert_eq("the calls", made(&environment), coming);
    let (_, explanation, _) = multi_eni(&environment, &reader, &["explain", "node/node2"], "")?;
    assert!(explanation.contains("NodeENI one: does not match: no label ng=multi-eni"), "{explanation}");
    let (code, _, words) = multi_eni(&environment, &reader, &["explain", "node/none"], "")?;
    environment.assert_eq(&words, code, 1);
    assert!(words.contains("the cluster has no Node none"), "{words}");
    environment.passed();
    Ok(())
}

#[test]
fn errors_are_explained() -> Result<(), Failure> {
    let environment = Environment::start()?;
    environment.kubectl(&["create", "serviceaccount", "nobody", "-n", "default"])?;
    let nobody = environment.plane.kubeconfig_for_service_account("default", "nobody")?;
    let (code, _, words) = multi_eni(&environment, &nobody, &["plan"], "")?;
    environment.assert_eq(&words, code, 1);
    assert!(words.contains("not allowed to get the namespace kube-system"), "{words}");

    let reader = reader(&environment)?;
    let bad = spec(0, "x", "");
    let (code, out, _) = multi_eni(&environment, &reader, &["plan", "-f", "-"], &bad)?;
    environment.assert_eq(&out, code, 1);
    assert!(
        out.contains("NodeENI one: would be refused: ") && out.contains("is the node's primary network interface"),
        "{out}"
    );
    let (code, out, _) = multi_eni(&environment, &reader, &["plan"], "")?;
    environment.assert_eq(&out, code, 0);
    assert!(out.starts_with("There is no NodeENI: nothing to do."), "{out}");
    environment.passed();
    Ok(())
}
