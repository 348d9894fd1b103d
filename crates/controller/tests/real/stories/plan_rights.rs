//! `multi-eni plan` with exactly the rights that docs/reference/plan.md documents, on the API server and on EC2: they suffice, and
//! without any one of them the command fails and says which right is missing.

use super::nodeeni;
use super::plan::{multi_eni, reader};
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::rights::{Right, granted_by, not_covered};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PLAN: &[&str] = &["plan"];
const PODS: &[&str] = &["plan", "--wait-for-pods"];
const FILE: &[&str] = &["plan", "-f", "-"];
const ROLE: &str = "multi-eni-plan";

fn file(name: &str) -> String {
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

fn documented() -> Result<BTreeSet<Right>, Failure> {
    let page = include_str!("../../../../../docs/reference/plan.md");
    let role = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    granted_by(role.ok_or("docs/reference/plan.md has no YAML")?)
}

/// The ClusterRole, or the Role in this namespace, that has these rights.
pub(super) fn role<'a>(name: &str, namespace: Option<&str>, rights: impl Iterator<Item = &'a Right>) -> String {
    let rules: Vec<Value> = rights
        .map(|right| {
            let mut rule = json!({ "apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb] });
            if let Some(name) = &right.name {
                rule["resourceNames"] = json!([name]);
            }
            rule
        })
        .collect();
    let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
    let metadata = json!({ "name": name, "namespace": namespace });
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules })
        .to_string()
}

/// The command that needs the right, its input, and the request that it then names as not allowed.
fn use_of(right: &Right) -> Result<(&'static [&'static str], String, &'static str), Failure> {
    Ok(match (right.verb.as_str(), right.resource.as_str()) {
        ("get", "namespaces") => (PLAN, String::new(), "get the namespace kube-system"),
        ("list", "nodes") => (PLAN, String::new(), "list nodes"),
        ("list", "pods") => (PODS, String::new(), "list pods"),
        ("list", "nodeenis") => (PLAN, String::new(), "list nodeenis.networking.k8s.aws"),
        ("list", "eniattachments") => (PLAN, String::new(), "list eniattachments.networking.k8s.aws"),
        ("get", "nodeenis") => (FILE, file("old"), "get NodeENI old to validate it by a dry run"),
        ("patch", "nodeenis") => (FILE, file("old"), "patch NodeENI old to validate it by a dry run"),
        ("create", "nodeenis") => (FILE, file("new"), "patch NodeENI new to validate it by a dry run"),
        _ => return Err(format!("docs/reference/plan.md documents {right:?}: add its use here").into()),
    })
}

/// The actions of EC2 that the section "Rights" of a page documents.
pub(super) fn documented_actions(page: &str) -> BTreeSet<String> {
    let section = page.split("\n## Rights\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let code = section.split('`').skip(1).step_by(2);
    code.filter_map(|word| word.strip_prefix("ec2:")).map(str::to_owned).collect()
}

/// Without white space and without the frame of miette, which breaks lines.
pub(super) fn squeezed(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace() && *char != '│').collect()
}

#[test]
fn the_documented_rights_suffice_and_each_is_needed() -> Result<(), Failure> {
    let environment = Environment::start()?;
    let rights = documented()?;
    environment.apply(&role(ROLE, None, rights.iter()))?;
    environment.kubectl(&["create", "serviceaccount", "planner", "-n", "default"])?;
    let binding = ["clusterrolebinding", "planner", "--clusterrole=multi-eni-plan", "--serviceaccount=default:planner"];
    environment.kubectl(&[&["create"], binding.as_slice()].concat())?;
    let planner = environment.plane.kubeconfig_for_service_account("default", "planner")?;
    environment.node("node1", "i-0aaaaaaaaaaaaaaa1")?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&file("old"))?;

    // With all of them each command succeeds, and the API server's log shows no other request.
    for right in &rights {
        let (args, stdin, _) = use_of(right)?;
        environment.until(&format!("{args:?} succeeds"), SOON, || {
            match multi_eni(&environment, &planner, args, &stdin)? {
                (0, _, _) => Ok(()),
                (code, _, words) => Err(format!("exit code {code}: {words}").into()),
            }
        })?;
    }
    let requests = environment.plane.requests_of("default", "planner")?;
    let uncovered = not_covered(&rights, &requests);
    assert!(uncovered.is_empty() && requests.len() > 4, "{uncovered:#?} of {requests:#?}");

    for missing in &rights {
        environment.apply(&role(ROLE, None, rights.iter().filter(|right| *right != missing)))?;
        let (args, stdin, request) = use_of(missing)?;
        // The API server's cache of roles follows the change.
        environment.until(&format!("{args:?} without {missing:?}"), SOON, || {
            let (code, _, words) = multi_eni(&environment, &planner, args, &stdin)?;
            let said = [&format!("not allowed to {request}:"), "docs/reference/plan.md has the rights that are needed"]
                .iter()
                .all(|expected| squeezed(&words).contains(&squeezed(expected)));
            if code == 1 && said { Ok(()) } else { Err(format!("exit code {code}: {words}").into()) }
        })?;
    }
    environment.passed();
    Ok(())
}

/// A NodeENI that needs every kind of lookup: its group by name, a Node, and a Node whose instance EC2 does not show.
fn all_lookups(environment: &Environment) -> Result<(), Failure> {
    let spec = [format!("subnetID: {SUBNET_A}"), "securityGroupNames: [page]".to_owned()];
    environment.apply(&nodeeni("named", &spec.each_ref().map(String::as_str)))?;
    environment.node("node1", "i-0aaaaaaaaaaaaaaa1")?;
    environment.register("node2", "i-0aaaaaaaaaaaaaaa2", json!({}))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    Ok(())
}

#[test]
fn the_documented_actions_of_ec2_suffice_and_each_is_needed() -> Result<(), Failure> {
    let environment = Environment::start()?;
    let reader = reader(&environment)?;
    all_lookups(&environment)?;
    let actions = documented_actions(include_str!("../../../../../docs/reference/plan.md"));
    assert!(actions.len() > 3, "{actions:?}");

    environment.account.permit_only(actions.clone());
    // The API server's cache of roles follows the new role.
    environment.until("plan succeeds", SOON * 2, || match multi_eni(&environment, &reader, PLAN, "")? {
        (0, _, _) => Ok(()),
        (code, _, words) => Err(format!("exit code {code}: {words}").into()),
    })?;
    let used: BTreeSet<String> = environment.account.ec2.all_counts().into_keys().collect();
    environment.assert_eq("the actions that the plan used", &used, &actions);

    for missing in &actions {
        environment.account.permit_only(actions.iter().filter(|action| *action != missing).cloned().collect());
        let begun = std::time::Instant::now();
        let (code, out, words) = multi_eni(&environment, &reader, PLAN, "")?;
        let said = [&format!("{missing} has failed with UnauthorizedOperation"), "EC2 did not answer all lookups"];
        let said = said.iter().all(|expected| squeezed(&words).contains(&squeezed(expected)));
        assert!(code == 1 && said, "without {missing}: exit code {code}: {words}");
        // Without the ENIs nothing can be decided. Without another lookup the rest of the plan is printed.
        environment.assert_eq(missing, out.is_empty(), missing == "DescribeNetworkInterfaces");
        assert!(begun.elapsed() < Duration::from_secs(60), "without {missing}: {:?}", begun.elapsed());
    }
    environment.passed();
    Ok(())
}
